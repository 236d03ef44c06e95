//! The evidence sorted by day, so that one day at a time is in memory.

use crate::begun::FileFact;
use crate::disk::{self, ExportError, at};
use crate::entry::{Entry, Settled};
use crate::line::Line;
use model::Timestamp;
use model::codec::{decode, decode_outcomes};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use store::RowKind;

/// Days whose files are open at a time.
const OPEN: usize = 48;

/// Where a line of the evidence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub conversation: u64,
    pub at: u64,
    pub seq: u64,
    offset: u64,
    len: u32,
}

const SPOT: usize = 36;

impl Spot {
    fn to_bytes(self) -> [u8; SPOT] {
        let mut bytes = [0; SPOT];
        for (at, field) in [self.conversation, self.at, self.seq, self.offset].into_iter().enumerate() {
            bytes[at * 8..at * 8 + 8].copy_from_slice(&field.to_le_bytes());
        }
        bytes[32..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let len = u32::from_le_bytes(bytes.get(32..36)?.try_into().ok()?);
        Some(Self { conversation: number(0)?, at: number(8)?, seq: number(16)?, offset: number(24)?, len })
    }
}

/// What is sorted by day: where lines are, how rows ended, which files they link to.
const KINDS: [&str; 3] = ["spots", "ends", "files"];

/// A directory with the files of each day.
pub(crate) struct Sorter {
    dir: PathBuf,
    open: HashMap<(String, usize), BufWriter<File>>,
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

    fn put(&mut self, day: &str, kind: usize, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.dir.join(format!("{day}.{}", KINDS[kind]));
        if self.open.len() >= OPEN {
            self.close()?;
        }
        let file = match self.open.entry((day.to_owned(), kind)) {
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
            if let Some(day) = self.day_of_row(fact.row).map(str::to_owned) {
                self.put_line(&day, 2, &fact)?;
            }
        }
        self.close()
    }

    fn put_line(&mut self, day: &str, kind: usize, what: &impl serde::Serialize) -> Result<(), ExportError> {
        let mut bytes = serde_json::to_vec(what).unwrap_or_default();
        bytes.push(b'\n');
        self.put(day, kind, &bytes)
    }

    fn one(&mut self, bytes: &[u8], offset: u64) -> Result<(), ExportError> {
        let line = Line::read(bytes)?;
        let when = match line.row_kind()? {
            RowKind::Outcomes => {
                let head = line.head()?;
                for entry in decode_outcomes(&head).unwrap_or_default() {
                    if let Some(day) = self.day_of_row(entry.seq.0).map(str::to_owned) {
                        let settled = Settled::of(line.seq, Timestamp(line.at), &entry);
                        self.put_line(&day, 1, &(entry.seq.0, settled))?;
                    }
                }
                return Ok(());
            }
            RowKind::Admin => line.at,
            // What was imported is of the day on which it was said.
            RowKind::Envelope => match decode(&line.head()?, None) {
                Ok(kept) => kept.envelope.at.0,
                Err(_) => line.at,
            },
        };
        let day = day_of(when);
        if self.turns.last().is_none_or(|(_, last)| *last != day) {
            self.turns.push((line.seq, day.clone()));
        }
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let spot = Spot { conversation: line.conversation, at: when, seq: line.seq, offset, len };
        self.put(&day, 0, &spot.to_bytes())
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

/// One day.
pub(crate) struct Day {
    pub spots: Vec<Spot>,
    ends: HashMap<u64, Vec<Settled>>,
    files: HashMap<u64, Vec<FileFact>>,
}

impl Day {
    pub fn open(dir: &Path, day: &str) -> Result<Self, ExportError> {
        let path = |kind: usize| dir.join(format!("{day}.{}", KINDS[kind]));
        let bytes = std::fs::read(path(0)).map_err(at(&path(0)))?;
        let spots = bytes.chunks_exact(SPOT).filter_map(Spot::read).collect();
        let (mut ends, mut files): (HashMap<u64, Vec<Settled>>, HashMap<u64, Vec<FileFact>>) =
            Default::default();
        for end in lines::<(u64, Settled)>(&path(1))? {
            let (seq, settled) = end?;
            ends.entry(seq).or_default().push(settled);
        }
        for fact in lines::<FileFact>(&path(2))? {
            let fact = fact?;
            files.entry(fact.row).or_default().push(fact);
        }
        Ok(Self { spots, ends, files })
    }

    /// Reads rows, and shows them with what is said of them elsewhere.
    pub fn entries(&self, rows: &File, spots: &[Spot]) -> Result<Vec<Entry>, ExportError> {
        let mut all = Vec::with_capacity(spots.len());
        let mut bytes = Vec::new();
        // Lines that follow one another are read at once.
        let mut rest = spots;
        while let Some(first) = rest.first() {
            let (mut run, mut end) = (1, first.offset + u64::from(first.len));
            while run < rest.len() && rest[run].offset == end && end - first.offset < 1 << 20 {
                end += u64::from(rest[run].len);
                run += 1;
            }
            bytes.resize(usize::try_from(end - first.offset).unwrap_or(0), 0);
            let wrong = |e: std::io::Error| ExportError::Other(format!("rows.jsonl: {e}"));
            rows.read_exact_at(&mut bytes, first.offset).map_err(wrong)?;
            for spot in &rest[..run] {
                let from = usize::try_from(spot.offset - first.offset).unwrap_or(0);
                let line = Line::read(bytes.get(from..from + spot.len as usize).unwrap_or_default())?;
                let files = self.files.get(&spot.seq).map(Vec::as_slice).unwrap_or_default();
                let ends = self.ends.get(&spot.seq).cloned().unwrap_or_default();
                all.extend(Entry::of(&line, files, ends)?);
            }
            rest = &rest[run..];
        }
        Ok(all)
    }
}
