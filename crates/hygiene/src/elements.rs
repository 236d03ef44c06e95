//! Elements of a sender's rendering: what stands in them as whoever gets it reads it, and not as it is spelt.

use std::borrow::Cow;
use std::collections::HashSet;

/// An element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// What stands in it and in none of its children, references resolved.
    pub text: String,
    /// Has it children?
    pub has_children: bool,
}

/// All elements of this name in this namespace, wherever they stand. Where an element does not say its namespace itself, it
/// is in this one if anything before it has declared that for its prefix: rather once too often than once too seldom.
pub(crate) fn named(bytes: &[u8], name: &str, space: &str) -> Vec<Element> {
    all_named(bytes, name, space)
        .into_iter()
        .filter_map(|(element, is_of_it)| is_of_it.then_some(element))
        .collect()
}

/// All elements of this name, and whether they are in this namespace.
pub(crate) fn all_named(bytes: &[u8], name: &str, space: &str) -> Vec<(Element, bool)> {
    let mut found: Vec<(Element, bool)> = Vec::new();
    // A name cannot be spelt in another way.
    if !bytes.starts_with(b"<") || memchr::memmem::find(bytes, name.as_bytes()).is_none() {
        return found;
    }
    let text = String::from_utf8_lossy(bytes);
    // Prefixes that stand for it somewhere.
    let mut prefixes: HashSet<String> = HashSet::new();
    // Those of that name that are open, each with how deep it stands.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut depth = 0;
    let mut rest = &*text;
    while !rest.is_empty() {
        let (piece, after) = next(rest);
        rest = after;
        let inner = open.last().copied();
        match piece {
            Piece::Text(text) => {
                if let Some((_, at)) = inner.filter(|(of, _)| *of == depth) {
                    found[at].0.text.push_str(&text);
                }
            }
            Piece::Close => {
                if inner.is_some_and(|(of, _)| of == depth) {
                    open.pop();
                }
                depth = depth.saturating_sub(1);
            }
            Piece::Open { tag, is_empty } => {
                if let Some((_, at)) = inner {
                    found[at].0.has_children = true;
                }
                let (full, attributes) = tag.split_at(tag.find(char::is_whitespace).unwrap_or(tag.len()));
                let (prefix, local) = full.split_once(':').unwrap_or(("", full));
                let mut own = None;
                declarations(attributes, |of, declared| {
                    if declared == space {
                        prefixes.insert(of.to_owned());
                    }
                    if of == prefix {
                        own = Some(declared == space);
                    }
                });
                if !is_empty {
                    depth += 1;
                }
                if local == name {
                    found.push((Element::default(), own.unwrap_or_else(|| prefixes.contains(prefix))));
                    if !is_empty {
                        open.push((depth, found.len() - 1));
                    }
                }
            }
        }
    }
    found
}

/// What markup is made of.
enum Piece<'a> {
    Text(Cow<'a, str>),
    /// Name and attributes.
    Open {
        tag: &'a str,
        is_empty: bool,
    },
    Close,
}

/// The first piece of what is not empty, and what is left.
fn next(text: &str) -> (Piece<'_>, &str) {
    let at = memchr::memchr(b'<', text.as_bytes()).unwrap_or(text.len());
    if at > 0 {
        // Without a tag, nothing but references are resolved.
        return (Piece::Text(policy::markup(&text.as_bytes()[..at])), &text[at..]);
    }
    let nothing = Piece::Text(Cow::Borrowed(""));
    if let Some(data) = text.strip_prefix("<![CDATA[") {
        let (data, rest) = data.split_once("]]>").unwrap_or((data, ""));
        return (Piece::Text(Cow::Borrowed(data)), rest);
    }
    if let Some(comment) = text.strip_prefix("<!--") {
        return (nothing, comment.split_once("-->").map_or("", |(_, rest)| rest));
    }
    let end = end_of_tag(text);
    let (tag, rest) = (text[1..end].strip_suffix('>').unwrap_or(&text[1..end]), &text[end..]);
    let piece = match tag.as_bytes().first() {
        Some(b'/') => Piece::Close,
        Some(b'!' | b'?') => nothing,
        _ => match tag.strip_suffix('/') {
            Some(tag) => Piece::Open { tag, is_empty: true },
            None => Piece::Open { tag, is_empty: false },
        },
    };
    (piece, rest)
}

/// Where the tag ends that the text begins with: not within quotes.
fn end_of_tag(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    text.len()
}

/// Prefixes, and the namespaces that these attributes declare for them.
fn declarations(mut rest: &str, mut declared: impl FnMut(&str, &str)) {
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return };
        let Some((value, left)) = after[1..].split_once(quote) else { return };
        let name = name.trim();
        let prefix = if name == "xmlns" { Some("") } else { name.strip_prefix("xmlns:") };
        if let Some(prefix) = prefix {
            declared(prefix, &policy::markup(value.as_bytes()));
        }
        rest = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_an_element_is_read_as_it_is_meant() {
        for (given, wanted) in [
            ("<m><nick>Anna</nick></m>", &["Anna"][..]),
            ("<m><nick><![CDATA[An]]>n&#97;</nick></m>", &["Anna"]),
            ("<m><nick a='x>y' b=\">\">Anna</nick></m>", &["Anna"]),
            ("<m><n:nick\n>A&amp;B</n:nick></m>", &["A&B"]),
            ("<m><nick>A<!-- > -->n<b>x</b>na</nick>no</m>", &["Anna"]),
            ("<m><nick/>no<nick>one</nick>no<nick>two</nick></m>", &["", "one", "two"]),
            ("<m><nick>a<nick>b</nick>c</nick></m>", &["ac", "b"]),
            ("<m><nickname>no</nickname><x nick='no'/></m>", &[]),
            ("<m><nick>open", &["open"]),
            ("<m></m></m><nick>a</nick>", &["a"]),
            ("<nick", &[""]),
            ("no <nick>markup</nick>", &[]),
        ] {
            let found = all_named(given.as_bytes(), "nick", "");
            assert_eq!(found.iter().map(|(one, _)| one.text.as_str()).collect::<Vec<_>>(), wanted, "{given}");
        }
    }

    #[test]
    fn namespaces_are_those_that_may_be_meant() {
        for (given, wanted) in [
            ("<m><data xmlns='urn:bob'/></m>", true),
            ("<m><data xmlns='urn:b&#111;b'/></m>", true),
            ("<m xmlns:b=\"urn:bob\"><b:data/></m>", true),
            ("<m xmlns:b='urn:bob'><data/></m>", false),
            ("<m xmlns='urn:bob'><data xmlns='urn:other'/></m>", false),
            ("<m><data/></m>", false),
            // Whoever declares it anew elsewhere hides nothing.
            ("<m xmlns:b='urn:bob'><x xmlns:b='urn:other'/><b:data/></m>", true),
        ] {
            assert_eq!(all_named(given.as_bytes(), "data", "").len(), 1, "{given}");
            assert_eq!(named(given.as_bytes(), "data", "urn:bob").len(), usize::from(wanted), "{given}");
        }
    }
}
