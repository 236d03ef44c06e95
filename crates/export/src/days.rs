//! The evidence sorted by day, so that a piece of one day at a time is in memory.
//!
//! For each day there are the places of its rows (`2026-11-22.spots`), and what other rows and the store say of them: how they
//! ended (`2026-11-22.0.ends`) and which files they link to (`2026-11-22.0.files`), in blocks of rows.

use crate::begun::FileFact;
use crate::disk::{self, ExportError, at};
use crate::entry::{Entry, Settled};
use crate::line::Line;
use model::codec::{decode, decode_outcomes};
use model::{Event, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use store::RowKind;

/// Files that are open at a time.
const OPEN: usize = 48;
/// Rows of a block: what is said of them elsewhere is in memory together.
const BLOCK: u64 = 1 << 12;
/// Rows of a piece, and bytes of their evidence; the last row may go beyond.
const SOME: usize = 4_000;
const LONG: u64 = 4 << 20;

/// Where a line of the evidence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub conversation: u64,
    pub at: u64,
    pub seq: u64,
    offset: u64,
    pub len: u32,
}

pub(crate) const SPOT: usize = 36;

impl Spot {
    pub fn to_bytes(self) -> [u8; SPOT] {
        let mut bytes = [0; SPOT];
        for (at, field) in [self.conversation, self.at, self.seq, self.offset].into_iter().enumerate() {
            bytes[at * 8..at * 8 + 8].copy_from_slice(&field.to_le_bytes());
        }
        bytes[32..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let len = u32::from_le_bytes(bytes.get(32..36)?.try_into().ok()?);
        Some(Self { conversation: number(0)?, at: number(8)?, seq: number(16)?, offset: number(24)?, len })
    }
}

/// A directory with the files of each day.
pub(crate) struct Sorter {
    dir: PathBuf,
    open: HashMap<String, BufWriter<File>>,
    /// From which row on rows are of a day.
    turns: Vec<(u64, String)>,
}

pub(crate) fn day_of(at: u64) -> String {
    let mut day = Timestamp(at).to_string();
    day.truncate(10);
    day
}

impl Sorter {
    /// An empty one.
    pub fn new(dir: PathBuf) -> Result<Self, ExportError> {
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(at(&dir))?;
        }
        disk::make_dir(&dir)?;
        Ok(Self { dir, open: HashMap::new(), turns: Vec::new() })
    }

    fn put(&mut self, name: String, bytes: &[u8]) -> Result<(), ExportError> {
        if self.open.len() >= OPEN && !self.open.contains_key(&name) {
            self.close()?;
        }
        let path = self.dir.join(&name);
        let file = match self.open.entry(name) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(none) => {
                let file =
                    std::fs::OpenOptions::new().create(true).append(true).open(&path).map_err(at(&path))?;
                none.insert(BufWriter::new(file))
            }
        };
        file.write_all(bytes).map_err(at(&path))
    }

    fn close(&mut self) -> Result<(), ExportError> {
        for (_, mut file) in self.open.drain() {
            file.flush().map_err(at(&self.dir))?;
        }
        Ok(())
    }

    fn day_of_row(&self, seq: u64) -> Option<&str> {
        let after = self.turns.partition_point(|(first, _)| *first <= seq);
        Some(&self.turns.get(after.checked_sub(1)?)?.1)
    }

    /// Sorts all lines. `heard` is told how many bytes are done.
    pub fn sort(mut self, rows: &Path, files: &Path, mut heard: impl FnMut(u64)) -> Result<(), ExportError> {
        let mut reader = BufReader::with_capacity(1 << 18, File::open(rows).map_err(at(rows))?);
        let (mut line, mut offset, mut told) = (Vec::new(), 0, 0);
        loop {
            line.clear();
            let len = reader.read_until(b'\n', &mut line).map_err(at(rows))?;
            if len == 0 {
                break;
            }
            self.one(&line, offset)?;
            offset += len as u64;
            if offset - told > 8 << 20 {
                told = offset;
                heard(offset);
            }
        }
        for fact in lines::<FileFact>(files)? {
            let fact = fact?;
            self.put_beside(fact.row, "files", &fact)?;
        }
        self.close()
    }

    /// Something that is said of a row.
    fn put_beside(&mut self, row: u64, kind: &str, what: &impl Serialize) -> Result<(), ExportError> {
        let Some(day) = self.day_of_row(row) else { return Ok(()) };
        let name = format!("{day}.{}.{kind}", row / BLOCK);
        let mut bytes = serde_json::to_vec(what).unwrap_or_default();
        bytes.push(b'\n');
        self.put(name, &bytes)
    }

    fn one(&mut self, bytes: &[u8], offset: u64) -> Result<(), ExportError> {
        let line = Line::read(bytes)?;
        let mut conversation = line.conversation;
        let when = match line.row_kind()? {
            RowKind::Outcomes => {
                let head = line.head()?;
                for entry in decode_outcomes(&head).unwrap_or_default() {
                    let settled = Settled::of(line.seq, Timestamp(line.at), &entry);
                    self.put_beside(entry.seq.0, "ends", &(entry.seq.0, settled))?;
                }
                return Ok(());
            }
            RowKind::Admin => line.at,
            // What was imported is of the day on which it was said.
            RowKind::Envelope => match decode(&line.head()?, None) {
                Ok(kept) => {
                    // Presence is nothing that two people say to one another.
                    if matches!(kept.envelope.event, Event::Publish(_)) {
                        conversation = 0;
                    }
                    kept.envelope.at.0
                }
                Err(_) => line.at,
            },
        };
        let day = day_of(when);
        if self.turns.last().is_none_or(|(_, last)| *last != day) {
            self.turns.push((line.seq, day.clone()));
        }
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let spot = Spot { conversation, at: when, seq: line.seq, offset, len };
        self.put(format!("{day}.spots"), &spot.to_bytes())
    }
}

/// Lines of JSON; none where there is no file.
pub(crate) fn lines<T: DeserializeOwned>(
    path: &Path,
) -> Result<impl Iterator<Item = Result<T, ExportError>>, ExportError> {
    let file = match File::open(path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(ExportError::Disk(path.to_owned(), error)),
    };
    let path = path.to_owned();
    let wrong = move |error: String| ExportError::Other(format!("{}: {error}", path.display()));
    Ok(file.into_iter().flat_map(|file| BufReader::new(file).lines()).map(move |line| {
        let line = line.map_err(|e| wrong(e.to_string()))?;
        serde_json::from_str(&line).map_err(|e| wrong(e.to_string()))
    }))
}

/// The days that there are, in order.
pub(crate) fn days(dir: &Path) -> Result<Vec<String>, ExportError> {
    let mut days = Vec::new();
    for file in std::fs::read_dir(dir).map_err(at(dir))? {
        let name = file.map_err(at(dir))?.file_name();
        days.extend(name.to_str().and_then(|name| name.strip_suffix(".spots")).map(str::to_owned));
    }
    days.sort();
    Ok(days)
}

/// A row of a day: where its line is, and what is said of it elsewhere.
#[derive(Debug)]
pub(crate) struct Seat {
    pub spot: Spot,
    pub ends: Vec<Settled>,
    pub files: Vec<FileFact>,
}

/// One day, read from the beginning.
pub(crate) struct Day {
    dir: PathBuf,
    name: String,
    spots: BufReader<File>,
    /// Rows of the day.
    pub rows: u64,
    /// The first row of the next piece, where it was read already.
    ahead: Option<Spot>,
    /// The block that is in memory.
    block: Option<u64>,
    ends: HashMap<u64, Vec<Settled>>,
    files: HashMap<u64, Vec<FileFact>>,
}

impl Day {
    pub fn open(dir: &Path, day: &str) -> Result<Self, ExportError> {
        let path = dir.join(format!("{day}.spots"));
        let file = File::open(&path).map_err(at(&path))?;
        let rows = file.metadata().map_err(at(&path))?.len() / SPOT as u64;
        Ok(Self {
            dir: dir.to_owned(),
            name: day.to_owned(),
            spots: BufReader::with_capacity(1 << 16, file),
            rows,
            ahead: None,
            block: None,
            ends: HashMap::new(),
            files: HashMap::new(),
        })
    }

    fn spot(&mut self) -> Result<Option<Spot>, ExportError> {
        if let Some(spot) = self.ahead.take() {
            return Ok(Some(spot));
        }
        let mut bytes = [0; SPOT];
        match self.spots.read_exact(&mut bytes) {
            Ok(()) => Ok(Spot::read(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(at(&self.dir)(error)),
        }
    }

    /// The next rows, in the order of the journal; none when that was all.
    pub fn piece(&mut self) -> Result<Vec<Seat>, ExportError> {
        let (mut piece, mut len) = (Vec::new(), 0);
        while let Some(spot) = self.spot()? {
            let block = spot.seq / BLOCK;
            if self.block != Some(block) {
                if !piece.is_empty() {
                    self.ahead = Some(spot);
                    break;
                }
                self.load(block)?;
            }
            let ends = self.ends.remove(&spot.seq).unwrap_or_default();
            let files = self.files.remove(&spot.seq).unwrap_or_default();
            piece.push(Seat { spot, ends, files });
            len += u64::from(spot.len);
            if piece.len() >= SOME || len >= LONG {
                break;
            }
        }
        Ok(piece)
    }

    fn load(&mut self, block: u64) -> Result<(), ExportError> {
        let path = |kind: &str| self.dir.join(format!("{}.{block}.{kind}", self.name));
        let (mut ends, mut files): (HashMap<u64, Vec<Settled>>, HashMap<u64, Vec<FileFact>>) =
            Default::default();
        for end in lines::<(u64, Settled)>(&path("ends"))? {
            let (seq, settled) = end?;
            ends.entry(seq).or_default().push(settled);
        }
        for fact in lines::<FileFact>(&path("files"))? {
            let fact = fact?;
            files.entry(fact.row).or_default().push(fact);
        }
        (self.block, self.ends, self.files) = (Some(block), ends, files);
        Ok(())
    }
}

/// Reads rows, and shows them with what is said of them elsewhere.
pub(crate) fn entries(rows: &File, seats: Vec<Seat>) -> Result<Vec<Entry>, ExportError> {
    let mut all = Vec::with_capacity(seats.len());
    each(rows, seats, |line, Seat { ends, files, .. }| {
        all.extend(Entry::of(line, &files, ends)?);
        Ok(())
    })?;
    Ok(all)
}

/// Reads rows as they are in the evidence.
pub(crate) fn each(
    rows: &File,
    seats: Vec<Seat>,
    mut hear: impl FnMut(&Line<'_>, Seat) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    // Lines that follow one another are read at once.
    let follows = |a: &Seat, b: &Seat| a.spot.offset + u64::from(a.spot.len) == b.spot.offset;
    let runs: Vec<usize> = seats.chunk_by(follows).map(<[Seat]>::len).collect();
    let (mut seats, mut bytes) = (seats.into_iter(), Vec::new());
    for run in runs {
        let next = seats.as_slice();
        bytes.resize(next.iter().take(run).map(|seat| seat.spot.len as usize).sum(), 0);
        let wrong = |e: std::io::Error| ExportError::Other(format!("rows.jsonl: {e}"));
        rows.read_exact_at(&mut bytes, next.first().map_or(0, |seat| seat.spot.offset)).map_err(wrong)?;
        let mut rest = bytes.as_slice();
        for seat in seats.by_ref().take(run) {
            let (line, after) = rest.split_at_checked(seat.spot.len as usize).unwrap_or_default();
            hear(&Line::read(line)?, seat)?;
            rest = after;
        }
    }
    Ok(())
}
