//! A first-level element as bytes plus an index: enough to route, stamp and copy it without a tree.

use std::borrow::Cow;

use super::names::{Binding, Scope};
use super::part::{Attr, Child};
use super::span::Span;
use super::tag::Attrs;
use super::text::{content, tag_end, unescape};
use super::write::{escape_attr, escape_attr_bytes};
use super::{CLIENT, SERVER};

/// What a first-level element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 6120 section 8.2.1.
    Message,
    /// RFC 6120 section 8.2.2.
    Presence,
    /// RFC 6120 section 8.2.3.
    Iq,
    /// Not a stanza: stream negotiation, acknowledgements.
    Nonza,
}

/// A complete first-level element, validated by the scanner.
#[derive(Clone, Copy, Debug)]
pub struct Stanza<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) name: Span,
    pub(crate) local: Span,
    pub(crate) ns: Scope,
    pub(crate) tag_end: u32,
    pub(crate) inner_end: u32,
    pub(crate) attrs: &'a [Attr],
    pub(crate) children: &'a [Child],
    pub(crate) header: &'a [Binding],
    pub(crate) used: u32,
    /// It declares a namespace that is no URI: not everybody can read that, so nobody gets it.
    pub(crate) unfit: bool,
}

/// Why an unfit stanza is refused.
pub(crate) const UNFIT: &str = "a namespace in it is no URI (RFC 3986); not everybody could read it";

/// Is this the namespace of stanzas, on streams of clients or of servers (RFC 6120 section 4.8.3)?
fn is_content(ns: &[u8]) -> bool {
    ns == CLIENT.as_bytes() || ns == SERVER.as_bytes()
}

/// What [`Stanza::write`] puts into the new start tag in place of what the sender wrote.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp<'a> {
    /// Always replaces `from`: a client's own claim is never copied (RFC 6120 section 8.1.2.1).
    pub from: &'a str,
    /// Replaces `to`, if given.
    pub to: Option<&'a str>,
    /// Leaves `to` out: a broadcast gets one for each receiver.
    pub without_to: bool,
    /// Added when the stanza has no `xml:lang` of its own (RFC 6120 section 8.1.5).
    pub lang: Option<&'a str>,
}

impl<'a> Stanza<'a> {
    /// All of it.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The name without prefix.
    pub fn name(&self) -> &'a [u8] {
        self.local.of(self.bytes)
    }

    /// The namespace name.
    pub fn ns(&self) -> &'a [u8] {
        self.ns.name(self.bytes, self.header)
    }

    /// What kind of unit it is.
    pub fn kind(&self) -> Kind {
        if self.ns() != CLIENT.as_bytes() {
            return Kind::Nonza;
        }
        match self.name() {
            b"message" => Kind::Message,
            b"presence" => Kind::Presence,
            b"iq" => Kind::Iq,
            _ => Kind::Nonza,
        }
    }

    /// Is it this element?
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name() == name.as_bytes() && self.ns() == ns.as_bytes()
    }

    /// An attribute by its qualified name.
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        let attr = self.attrs.iter().find(|a| !a.declares && a.name.of(self.bytes) == name.as_bytes())?;
        let raw = attr.value.of(self.bytes);
        Some(if attr.coded { unescape(raw) } else { model::lossy(raw) })
    }

    /// The direct children.
    pub fn children(&self) -> impl Iterator<Item = ChildRef<'a>> + '_ {
        self.children.iter().map(|child| self.child_ref(child))
    }

    fn child_ref(&self, child: &'a Child) -> ChildRef<'a> {
        ChildRef { bytes: self.bytes, header: self.header, child }
    }

    /// The first child with this name and namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<ChildRef<'a>> {
        self.children().find(|c| c.is(name, ns))
    }

    /// The bytes between the tags.
    pub fn inner(&self) -> &'a [u8] {
        &self.bytes[self.tag_end as usize..self.inner_end as usize]
    }

    /// The namespace declarations of the stream header, for building a [`super::Tree`].
    pub fn header(&self) -> &'a [Binding] {
        self.header
    }

    /// Appends the stanza with a new start tag, leaving out the children `strip` points at, and `extra` (ready
    /// XML) after the others. Everything else is copied byte for byte.
    ///
    /// Gives how far the content moved, if it was copied whole: a range of this stanza's content lies that many
    /// bytes further on (or back) in `out`.
    pub fn write(
        &self,
        stamp: &Stamp<'_>,
        strip: impl Fn(&ChildRef<'a>) -> bool,
        extra: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<isize> {
        out.reserve(self.bytes.len() + stamp.from.len() + extra.len() + 64);
        let name = self.name.of(self.bytes);
        out.push(b'<');
        out.extend_from_slice(name);
        let mut lang = stamp.lang;
        for attr in self.attrs {
            match attr.name.of(self.bytes) {
                b"from" => continue,
                // Every stream says by itself which of the two its stanzas are in.
                b"xmlns" if is_content(attr.value.of(self.bytes)) => continue,
                b"to" if stamp.to.is_some() || stamp.without_to => continue,
                b"xml:lang" => lang = None,
                _ => {}
            }
            out.push(b' ');
            // Up to and with the closing quote.
            out.extend_from_slice(&self.bytes[attr.name.at as usize..attr.value.end() + 1]);
        }
        for (key, value) in [(" from='", Some(stamp.from)), (" to='", stamp.to), (" xml:lang='", lang)] {
            if let Some(value) = value {
                out.extend_from_slice(key.as_bytes());
                escape_attr(value, out);
                out.push(b'\'');
            }
        }
        // A prefix declared on the sender's stream header means nothing on another stream: say it here.
        for (i, binding) in self.header.iter().enumerate() {
            if self.used & (1 << (i & 31)) != 0 && !binding.prefix.is_empty() {
                out.extend_from_slice(b" xmlns:");
                out.extend_from_slice(binding.prefix.as_bytes());
                out.extend_from_slice(b"='");
                escape_attr_bytes(binding.name.as_bytes(), out);
                out.push(b'\'');
            }
        }
        let from = out.len();
        out.push(b'>');
        let mut at = self.tag_end as usize;
        let mut moved = Some(out.len() as isize - at as isize);
        for child in self.children() {
            if strip(&child) {
                out.extend_from_slice(&self.bytes[at..child.child.whole.at as usize]);
                at = child.child.whole.end();
                moved = None;
            }
        }
        out.extend_from_slice(&self.bytes[at.min(self.inner_end as usize)..self.inner_end as usize]);
        out.extend_from_slice(extra);
        if out.len() == from + 1 {
            out.truncate(from);
            out.extend_from_slice(b"/>");
        } else {
            out.extend_from_slice(b"</");
            out.extend_from_slice(name);
            out.push(b'>');
        }
        moved
    }
}

/// A direct child together with the bytes it lives in.
#[derive(Clone, Copy, Debug)]
pub struct ChildRef<'a> {
    bytes: &'a [u8],
    header: &'a [Binding],
    child: &'a Child,
}

impl<'a> ChildRef<'a> {
    /// The name without prefix.
    pub fn name(&self) -> &'a [u8] {
        self.child.name.of(self.bytes)
    }

    /// The namespace name.
    pub fn ns(&self) -> &'a [u8] {
        self.child.ns.name(self.bytes, self.header)
    }

    /// Is it this element?
    #[inline]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name() == name.as_bytes() && self.ns() == ns.as_bytes()
    }

    /// An attribute by its qualified name.
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        Attrs::raw(self.whole(), name.as_bytes()).map(unescape)
    }

    /// Its own character data.
    pub fn text(&self) -> Cow<'a, str> {
        content(self.inner())
    }

    /// The bytes between its tags.
    pub fn inner(&self) -> &'a [u8] {
        self.child.inner.of(self.bytes)
    }

    /// Where its content lies in the bytes of the stanza.
    pub fn inner_span(&self) -> Span {
        self.child.inner
    }

    /// All its bytes.
    pub fn whole(&self) -> &'a [u8] {
        self.child.whole.of(self.bytes)
    }

    /// Its start tag.
    pub fn tag(&self) -> &'a [u8] {
        let whole = self.whole();
        &whole[..tag_end(whole)]
    }
}
