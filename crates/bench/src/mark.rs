//! The mark that every message carries: which run, which flow, which number, and when it was due.
//!
//! Fixed width, so that a precomputed message is only patched: `~rb:RRRRRRRR:FFFFFFFF:SSSSSSSS:TTTTTTTTTTTT~`, in
//! hexadecimal. The run number keeps messages that a server stored during an earlier run from being counted.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Length of the written mark.
pub const MARK_LEN: usize = 44;
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"~rb:"));

/// One message's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Random number of this run.
    pub run: u32,
    /// The flow: one direction of one pair (or one presentity).
    pub flow: u32,
    /// Number of the message in its flow, from 0.
    pub seq: u32,
    /// When it was due, in nanoseconds of the [`crate::clock`].
    pub at: u64,
}

impl Mark {
    /// The mark as text.
    pub fn write(&self) -> [u8; MARK_LEN] {
        let mut out = *b"~rb:00000000:00000000:00000000:000000000000~";
        put_hex(&mut out[4..12], u64::from(self.run));
        put_hex(&mut out[13..21], u64::from(self.flow));
        put_hex(&mut out[22..30], u64::from(self.seq));
        put_hex(&mut out[31..43], self.at);
        out
    }

    /// The first mark of `run` in `text`, or else the first of any: a notification may carry what an earlier run
    /// has published too.
    pub fn find_of(run: u32, text: &[u8]) -> Option<Self> {
        let mine = |at| Self::find(&text[at..]).filter(|m| m.run == run);
        FINDER.find_iter(text).find_map(mine).or_else(|| Self::find(text))
    }

    /// The first mark in `text`.
    pub fn find(text: &[u8]) -> Option<Self> {
        let at = FINDER.find(text)?;
        let m = text.get(at..at + MARK_LEN)?;
        Some(Self {
            run: hex(&m[4..12])? as u32,
            flow: hex(&m[13..21])? as u32,
            seq: hex(&m[22..30])? as u32,
            at: hex(&m[31..43])?,
        })
    }
}

/// Fills `out` with the lowest digits of `v`.
pub fn put_hex(out: &mut [u8], mut v: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b"0123456789abcdef"[(v & 15) as usize];
        v >>= 4;
    }
}

/// Reads hexadecimal digits, all of `text`.
pub fn hex(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |v, b| Some((v << 4) | u64::from((*b as char).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote() {
        let m = Mark { run: 0xdead_beef, flow: 7, seq: 0x1234, at: 0x0123_4567_89ab };
        let mut text = b"<body>hello ~ ".to_vec();
        text.extend(m.write());
        assert_eq!(Mark::find(&text), Some(m));
        let other = Mark { run: 5, ..m };
        text.extend(other.write());
        assert_eq!((Mark::find_of(5, &text), Mark::find_of(6, &text)), (Some(other), Some(m)));
        assert_eq!(Mark::find(b"~rb:0"), None);
        assert_eq!(Mark::find(b"nothing"), None);
    }
}
