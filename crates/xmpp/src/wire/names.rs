//! Which prefix means what: the namespace bindings in force while an element is scanned.

use super::span::Span;
use super::{Condition, XML, XMLNS};

/// A declaration made on the stream header; it stays in force for the whole stream (RFC 6120 section 4.8.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Empty for the default namespace.
    pub prefix: Box<str>,
    /// The namespace name, as written (only `&amp;` may be escaped in it).
    pub name: Box<str>,
}

/// What a prefix resolves to, without copying the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No namespace at all.
    None,
    /// The `xml` prefix.
    Xml,
    /// Declared inside the stanza: the place of the name in its bytes.
    Here(Span),
    /// Declared on the stream header: an index into its bindings.
    Header(u16),
}

impl Scope {
    /// The namespace name as bytes.
    #[inline]
    pub fn name<'a>(self, bytes: &'a [u8], header: &'a [Binding]) -> &'a [u8] {
        match self {
            Scope::None => b"",
            Scope::Xml => XML.as_bytes(),
            Scope::Here(span) => span.of(bytes),
            Scope::Header(i) => header.get(usize::from(i)).map_or(b"", |b| b.name.as_bytes()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Local {
    prefix: Span,
    name: Span,
}

/// Bindings declared inside the element being scanned, innermost last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings {
    list: Vec<Local>,
}

impl Bindings {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.list.truncate(len);
    }

    /// Adds a declaration; `from` is where this element's own declarations begin.
    pub(crate) fn declare(
        &mut self,
        win: &[u8],
        prefix: Span,
        name: Span,
        from: usize,
    ) -> Result<(), Condition> {
        check(prefix.of(win), name.of(win))?;
        if self.list[from..].iter().any(|l| l.prefix.of(win) == prefix.of(win)) {
            return Err(Condition::NotWellFormed);
        }
        self.list.push(Local { prefix, name });
        Ok(())
    }

    /// Resolves a prefix (empty: the default namespace).
    #[inline]
    pub(crate) fn resolve(&self, win: &[u8], prefix: &[u8], header: &[Binding]) -> Option<Scope> {
        if let Some(local) = self.list.iter().rev().find(|l| l.prefix.of(win) == prefix) {
            return Some(if local.name.len == 0 { Scope::None } else { Scope::Here(local.name) });
        }
        if prefix == b"xml" {
            return Some(Scope::Xml);
        }
        if let Some(i) = header.iter().position(|b| b.prefix.as_bytes() == prefix) {
            return Some(if header[i].name.is_empty() { Scope::None } else { Scope::Header(i as u16) });
        }
        prefix.is_empty().then_some(Scope::None)
    }
}

/// The rules of "Namespaces in XML 1.0" for one declaration.
///
/// Beyond them: a name may contain `&amp;` but no other reference, so that comparing the bytes is comparing the
/// names. Nobody writes such names, and a disguised `urn:xmpp:sid:0` must not slip past the one who compares.
fn check(prefix: &[u8], name: &[u8]) -> Result<(), Condition> {
    if prefix == b"xmlns" || (prefix == b"xml") != (name == XML.as_bytes()) || name == XMLNS.as_bytes() {
        return Err(Condition::NotWellFormed);
    }
    if name.is_empty() && !prefix.is_empty() {
        return Err(Condition::NotWellFormed);
    }
    let mut rest = name;
    while let Some(i) = rest.iter().position(|b| *b == b'&') {
        rest = &rest[i..];
        rest = rest.strip_prefix(b"&amp;").ok_or(Condition::PolicyViolation)?;
    }
    Ok(())
}

/// Has a name nothing that no URI has (RFC 3986 section 2), a space above all? Expat, told to write a space between namespace
/// and name, takes one in a namespace for an attack, and whoever reads with it ends the stream over a stanza that others
/// let through.
pub(crate) fn is_uri(name: &[u8]) -> bool {
    name.iter().all(|b| !b.is_ascii() || is_of_uri(*b))
}

/// Reserved, unreserved, and the percent sign.
fn is_of_uri(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b)
}
