//! What an element is made of, as places in its bytes.

use super::names::Scope;
use super::span::Span;

/// One attribute of the start tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// The name with its prefix.
    pub name: Span,
    /// Where the colon is in `name`; 0: no prefix.
    pub colon: u16,
    /// The raw value, without its quotes.
    pub value: Span,
    /// The namespace of the prefix.
    pub ns: Scope,
    /// The value holds references or line breaks.
    pub coded: bool,
    /// It is a namespace declaration.
    pub declares: bool,
}

impl Attr {
    pub(crate) fn prefix<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &self.name.of(bytes)[..usize::from(self.colon)]
    }

    pub(crate) fn local<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let skip = if self.colon == 0 { 0 } else { usize::from(self.colon) + 1 };
        &self.name.of(bytes)[skip..]
    }
}

/// One direct child of the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// From its `<` to its last `>`.
    pub whole: Span,
    /// Between its tags.
    pub inner: Span,
    /// Its name without prefix.
    pub name: Span,
    /// Its namespace.
    pub ns: Scope,
}
