use compact_str::CompactString;
use std::fmt;

/// One end of a line: a way between two machines for what the hub does not read, from a request to its last answer.
/// The ends of a line are an even number and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(pub u64);

impl Line {
    /// The other end.
    pub fn other(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// Names one envelope through logs, journal, verdicts, hops and peers' answers; also the XEP-0359 stanza-id.
/// A version 7 UUID (RFC 9562 section 5.7): its first 48 bits are Unix milliseconds, so ids sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EnvelopeId(pub u128);

impl EnvelopeId {
    /// Makes a version 7 UUID of a wall-clock time in Unix milliseconds and 128 random bits (74 are used).
    pub fn v7(unix_ms: u64, random: u128) -> Self {
        let time = u128::from(unix_ms & 0xffff_ffff_ffff) << 80;
        let rand_a = (random >> 64) & 0x0fff;
        let rand_b = random & 0x3fff_ffff_ffff_ffff;
        Self(time | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b)
    }

    /// The id of something that its sender's server named already, so that it has the same one whenever it comes: a
    /// version 8 UUID (RFC 9562 section 5.8) of a hash of both names.
    pub fn named(hash: [u8; 16]) -> Self {
        let (version, variant) = (0xf << 76, 0b11 << 62);
        Self(u128::from_be_bytes(hash) & !version & !variant | (0x8 << 76) | (0b10 << 62))
    }

    /// Was it made by [`Self::named`]?
    pub fn is_named(self) -> bool {
        (self.0 >> 76) & 0xf == 0x8
    }

    /// Reads the hyphenated form.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 36 {
            return None;
        }
        let mut value = 0u128;
        for (i, c) in text.bytes().enumerate() {
            match (i, c) {
                (8 | 13 | 18 | 23, b'-') => {}
                (8 | 13 | 18 | 23, _) => return None,
                _ => value = (value << 4) | u128::from((c as char).to_digit(16)?),
            }
        }
        Some(Self(value))
    }
}

impl fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (v >> 96) as u32,
            (v >> 80) as u16,
            (v >> 64) as u16,
            (v >> 48) as u16,
            v & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A journal number: the place of a row in this node's chain, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A machine's own number for something it handed to the hub and wants to hear of again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The hub's number for one delivery to one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

/// A name a door gives to something that outlives one of its machines: a SIP dialog, a publication.
/// Doors prefix it with what it is (`sip-dialog:...`), so that two doors never collide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseKey(pub CompactString);

impl LeaseKey {
    /// Names a lease.
    pub fn new(text: impl Into<CompactString>) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_and_round_trip() {
        let id = EnvelopeId::v7(1_700_000_000_000, u128::MAX);
        let text = id.to_string();
        assert_eq!(&text[14..15], "7");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
        assert_eq!(EnvelopeId::parse(&text), Some(id));
        assert!(EnvelopeId::v7(1, u128::MAX) < EnvelopeId::v7(2, 0));
        let named = EnvelopeId::named([0xff; 16]);
        assert_eq!((&named.to_string()[14..15], &named.to_string()[19..20]), ("8", "b"));
        assert!(named.is_named() && !id.is_named());
    }
}
