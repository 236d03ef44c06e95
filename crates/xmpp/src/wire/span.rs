//! Places in an element's bytes.

/// A range of an element's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub at: u32,
    /// How long it is.
    pub len: u32,
}

impl Span {
    pub(crate) fn new(from: usize, to: usize) -> Span {
        Span { at: from as u32, len: (to - from) as u32 }
    }

    /// The bytes of the range.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.at as usize..(self.at + self.len) as usize).unwrap_or(b"")
    }

    pub(crate) fn end(self) -> usize {
        (self.at + self.len) as usize
    }
}
