//! A reader that counts lines, and that gives up where one piece is longer than anybody keeps in memory.

use std::io::{BufRead, Error, Read, Result};

/// Between one [`Bounded::begin`] and the next, at most.
pub(crate) const LONGEST: u64 = 4 << 20;

pub(crate) struct Bounded<R> {
    inner: R,
    line: u64,
    /// The line on which the last piece began.
    pub began: u64,
    piece: u64,
}

impl<R: BufRead> Bounded<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, line: 1, began: 1, piece: 0 }
    }

    /// What comes now is another piece.
    pub fn begin(&mut self) {
        self.piece = 0;
        self.began = self.line;
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let some = self.fill_buf()?;
        let len = some.len().min(out.len());
        out[..len].copy_from_slice(&some[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.piece > LONGEST {
            return Err(Error::other("a single piece of it is longer than 4 MB"));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, len: usize) {
        // What is consumed was there a moment ago; asking again reads nothing.
        if let Ok(some) = self.inner.fill_buf() {
            self.line += some[..len.min(some.len())].iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        self.piece += len as u64;
        self.inner.consume(len);
    }
}
