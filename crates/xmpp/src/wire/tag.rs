//! One start tag: checked completely, its attributes indexed.

use super::Condition;
use super::class::{is_space, qname, value};
use super::limits::Limits;
use super::names::{Binding, Bindings, Scope, is_uri};
use super::part::Attr;
use super::span::Span;

/// What a start tag said.
pub(crate) struct Opened {
    /// The name with its prefix.
    pub name: Span,
    /// The name without its prefix.
    pub local: Span,
    pub ns: Scope,
    /// `<a/>`
    pub empty: bool,
    /// It declares a namespace that is no URI.
    pub unfit: bool,
}

/// Reads the start tag `win[at..=end]` (from `<` to `>`), adding its declarations to `bindings`.
///
/// `used` collects the header bindings that were needed, one bit each.
pub(crate) fn open(
    win: &[u8],
    (at, end): (usize, usize),
    limits: &Limits,
    header: &[Binding],
    bindings: &mut Bindings,
    attrs: &mut Vec<Attr>,
    used: &mut u32,
) -> Result<Opened, Condition> {
    attrs.clear();
    let tag = &win[..end];
    let (name_end, colon) = qname(tag, at + 1)?;
    if name_end - at - 1 > limits.name {
        return Err(Condition::PolicyViolation);
    }
    let from = bindings.len();
    let (mut plain, mut unfit) = (0, false);
    let mut i = name_end;
    let mut empty = false;
    loop {
        let gap = i;
        while i < end && is_space(tag[i]) {
            i += 1;
        }
        if i == end {
            break;
        }
        if tag[i] == b'/' && i + 1 == end {
            empty = true;
            break;
        }
        if gap == i {
            return Err(Condition::NotWellFormed);
        }
        let (attr, next) = attribute(tag, i, limits)?;
        i = next;
        match declaration(tag, &attr) {
            Some(prefix) => {
                if bindings.len() - from >= limits.namespaces {
                    return Err(Condition::PolicyViolation);
                }
                bindings.declare(tag, prefix, attr.value, from)?;
                unfit |= !is_uri(attr.value.of(win));
                attrs.push(Attr { declares: true, ..attr });
            }
            None => {
                plain += 1;
                if plain > limits.attributes {
                    return Err(Condition::PolicyViolation);
                }
                attrs.push(attr);
            }
        }
    }
    let mut resolve = |prefix: &[u8]| -> Result<Scope, Condition> {
        let scope = bindings.resolve(win, prefix, header).ok_or(Condition::NotWellFormed)?;
        if let Scope::Header(n) = scope
            && !prefix.is_empty()
        {
            *used |= 1 << (n & 31);
        }
        Ok(scope)
    };
    let name = Span::new(at + 1, name_end);
    let (prefix, local) = match colon {
        Some(c) => (&tag[at + 1..c], Span::new(c + 1, name_end)),
        None => (&tag[..0], name),
    };
    if prefix == b"xmlns" {
        return Err(Condition::NotWellFormed);
    }
    let ns = resolve(prefix)?;
    for n in 0..attrs.len() {
        if attrs[n].declares {
            continue;
        }
        if attrs[n].colon != 0 {
            attrs[n].ns = resolve(attrs[n].prefix(win))?;
        }
        let this = attrs[n];
        let same = |other: &Attr| {
            !other.declares
                && (other.name.of(win) == this.name.of(win)
                    || (this.colon != 0
                        && other.colon != 0
                        && other.local(win) == this.local(win)
                        && other.ns.name(win, header) == this.ns.name(win, header)))
        };
        if attrs[..n].iter().any(same) {
            return Err(Condition::NotWellFormed);
        }
    }
    Ok(Opened { name, local, ns, empty, unfit })
}

/// Reads one attribute at `i`; gives it and the place behind its closing quote.
#[inline]
fn attribute(tag: &[u8], i: usize, limits: &Limits) -> Result<(Attr, usize), Condition> {
    let (name_end, colon) = qname(tag, i)?;
    if name_end - i > limits.name {
        return Err(Condition::PolicyViolation);
    }
    let mut eq = name_end;
    while tag.get(eq).is_some_and(|b| is_space(*b)) {
        eq += 1;
    }
    if tag.get(eq) != Some(&b'=') {
        return Err(Condition::NotWellFormed);
    }
    let mut open = eq + 1;
    while tag.get(open).is_some_and(|b| is_space(*b)) {
        open += 1;
    }
    let quote = match tag.get(open) {
        Some(&q @ (b'"' | b'\'')) => q,
        _ => return Err(Condition::NotWellFormed),
    };
    let start = open + 1;
    let (stop, coded) = value(tag, start, quote)?;
    let attr = Attr {
        name: Span::new(i, name_end),
        colon: colon.map_or(0, |c| (c - i) as u16),
        value: Span::new(start, stop),
        ns: Scope::None,
        coded,
        declares: false,
    };
    Ok((attr, stop + 1))
}

/// The prefix an attribute declares, if it is a namespace declaration.
fn declaration(tag: &[u8], attr: &Attr) -> Option<Span> {
    let name = attr.name.of(tag);
    if name == b"xmlns" {
        return Some(Span { at: attr.name.at, len: 0 });
    }
    let rest = name.strip_prefix(b"xmlns:")?;
    Some(Span { at: attr.name.at + 6, len: rest.len() as u32 })
}

/// The attributes of a start tag that the scanner has already approved: qualified name and raw value.
#[derive(Clone, Debug)]
pub struct Attrs<'a> {
    rest: &'a [u8],
}

impl<'a> Attrs<'a> {
    /// `tag` begins with `<` and may run on behind its `>`.
    pub fn of(tag: &'a [u8]) -> Attrs<'a> {
        let name = tag.iter().position(|b| is_space(*b) || *b == b'>' || *b == b'/').unwrap_or(tag.len());
        Attrs { rest: &tag[name..] }
    }

    /// The raw value of one attribute, by its qualified name.
    pub fn raw(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        Attrs::of(tag).find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// What is left behind the last attribute read: spaces, then `>` or `/>`.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.rest.iter().position(|b| !is_space(*b))?;
        let rest = &self.rest[start..];
        if matches!(rest.first(), Some(b'>' | b'/')) {
            return None;
        }
        let eq = rest.iter().position(|b| *b == b'=')?;
        let name_end = rest[..eq].iter().position(|b| is_space(*b)).unwrap_or(eq);
        let open = eq + 1 + rest[eq + 1..].iter().position(|b| matches!(b, b'"' | b'\''))?;
        let len = rest[open + 1..].iter().position(|b| *b == rest[open])?;
        self.rest = &rest[open + 1 + len + 1..];
        Some((&rest[..name_end], &rest[open + 1..open + 1 + len]))
    }
}
