//! The conversations of a day, one after the other. Rows of a day stand mixed; here what is said of each is laid down once more,
//! and what is in memory of all of them is where each is.

use crate::days::{Day, SPOT, Seat, Spot};
use crate::disk::{self, ExportError, at};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Rows whose places are in memory together; one conversation of a day may have more.
const MANY: u64 = 1 << 19;
/// Rows of one part of a conversation, and bytes of their evidence: a longer day is divided.
const LONGEST: usize = 2_000;
const LARGEST: u64 = 16 << 20;

/// Where a row is, and what is said of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    spot: Spot,
    offset: u64,
    len: u32,
}

const PLACE: usize = SPOT + 12;

impl Place {
    fn to_bytes(self) -> [u8; PLACE] {
        let mut bytes = [0; PLACE];
        bytes[..SPOT].copy_from_slice(&self.spot.to_bytes());
        bytes[SPOT..SPOT + 8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[SPOT + 8..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8; PLACE]) -> Option<Self> {
        let (spot, rest) = bytes.split_at(SPOT);
        let (offset, len) = (rest.get(..8)?.try_into().ok()?, rest.get(8..)?.try_into().ok()?);
        Some(Self {
            spot: Spot::read(spot)?,
            offset: u64::from_le_bytes(offset),
            len: u32::from_le_bytes(len),
        })
    }

    /// The conversation's number.
    pub fn conversation(&self) -> u64 {
        self.spot.conversation
    }
}

/// The conversations of a day.
pub(crate) struct Talks {
    places: PathBuf,
    beside: File,
    rows: u64,
}

impl Talks {
    /// Lays them out in this directory, in place of any other day.
    pub fn lay(dir: &Path, mut day: Day) -> Result<Self, ExportError> {
        let (places, beside) = (dir.join("talks.places"), dir.join("talks.beside"));
        let mut to_places = BufWriter::new(disk::open(&places, true)?);
        let mut to_beside = BufWriter::new(disk::open(&beside, true)?);
        let (mut rows, mut offset, mut line) = (0, 0, Vec::new());
        loop {
            let piece = day.piece()?;
            if piece.is_empty() {
                break;
            }
            for Seat { spot, ends, files } in piece.into_iter().filter(|seat| seat.spot.conversation != 0) {
                line.clear();
                if !ends.is_empty() || !files.is_empty() {
                    line = serde_json::to_vec(&(ends, files)).unwrap_or_default();
                }
                to_beside.write_all(&line).map_err(at(&beside))?;
                let len = u32::try_from(line.len()).unwrap_or(u32::MAX);
                to_places.write_all(&Place { spot, offset, len }.to_bytes()).map_err(at(&places))?;
                offset += u64::from(len);
                rows += 1;
            }
        }
        to_places.flush().map_err(at(&places))?;
        let beside = to_beside.into_inner().map_err(|e| at(&beside)(e.into_error()))?;
        Ok(Self { places, beside, rows })
    }

    /// How many shares there are.
    pub fn shares(&self) -> u64 {
        self.rows / MANY + 1
    }

    /// The places of one share, by conversation and time. No conversation is in two of them.
    pub fn share(&self, number: u64) -> Result<Vec<Place>, ExportError> {
        let wrong = |e| at(&self.places)(e);
        let mut reader = BufReader::with_capacity(1 << 16, File::open(&self.places).map_err(wrong)?);
        let (mut share, mut bytes) = (Vec::new(), [0; PLACE]);
        for _ in 0..self.rows {
            reader.read_exact(&mut bytes).map_err(wrong)?;
            let place = Place::read(&bytes);
            share.extend(place.filter(|place| place.spot.conversation % self.shares() == number));
        }
        share.sort_unstable_by_key(|Place { spot, .. }| (spot.conversation, spot.at, spot.seq));
        Ok(share)
    }

    /// What is said of these rows.
    pub fn seats(&self, places: &[Place]) -> Result<Vec<Seat>, ExportError> {
        let wrong = |e: String| ExportError::Other(format!("{}: {e}", self.places.display()));
        let (mut seats, mut bytes) = (Vec::with_capacity(places.len()), Vec::new());
        for Place { spot, offset, len } in places {
            let (mut ends, mut files) = Default::default();
            if *len > 0 {
                bytes.resize(*len as usize, 0);
                self.beside.read_exact_at(&mut bytes, *offset).map_err(|e| wrong(e.to_string()))?;
                (ends, files) = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
            }
            seats.push(Seat { spot: *spot, ends, files });
        }
        Ok(seats)
    }
}

/// One conversation in parts, each short enough to be read, and to be in memory.
pub(crate) fn parts(talk: &[Place]) -> Vec<&[Place]> {
    let (mut parts, mut begin, mut len) = (Vec::new(), 0, 0);
    for (at, place) in talk.iter().enumerate() {
        if at > begin && (at - begin >= LONGEST || len + u64::from(place.spot.len) > LARGEST) {
            parts.push(&talk[begin..at]);
            (begin, len) = (at, 0);
        }
        len += u64::from(place.spot.len);
    }
    parts.push(&talk[begin..]);
    parts
}
