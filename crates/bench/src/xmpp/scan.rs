//! Just enough XML to cut a stream into stanzas and read their attributes: finds tags, understands nothing else.

use memchr::{memchr, memchr3, memmem};

/// The next complete unit of a stream: an XML declaration, a stream's start or end tag, or a whole element.
/// Returns where it starts and ends; `None` if it is not complete yet.
pub fn next_unit(b: &[u8]) -> Option<(usize, usize)> {
    let start = memchr(b'<', b)?;
    let mut at = start;
    let mut depth = 0usize;
    loop {
        let end = match b.get(at + 1)? {
            b'?' => {
                let end = at + memmem::find(&b[at..], b"?>")? + 2;
                if depth == 0 {
                    return Some((start, end));
                }
                end
            }
            b'!' => at + memmem::find(&b[at..], b"]]>")? + 3,
            b'/' => {
                let end = at + memchr(b'>', &b[at..])? + 1;
                if depth <= 1 {
                    return Some((start, end));
                }
                depth -= 1;
                end
            }
            _ => {
                let end = tag_end(b, at)?;
                if depth == 0 && b[at..].starts_with(b"<stream:stream") {
                    return Some((start, end));
                }
                if b[end - 2] != b'/' {
                    depth += 1;
                } else if depth == 0 {
                    return Some((start, end));
                }
                end
            }
        };
        at = end + memchr(b'<', &b[end..])?;
    }
}

/// One past the `>` of the start tag at `at`; a `>` inside quotes does not count.
fn tag_end(b: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr3(b'>', b'"', b'\'', b.get(at..)?)?;
        match b[at] {
            b'>' => return Some(at + 1),
            quote => at += memchr(quote, &b[at + 1..])? + 2,
        }
    }
}

/// The value of an attribute of a unit's start tag, entities and all.
pub fn attr<'a>(unit: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let tag = &unit[..tag_end(unit, 0)?];
    let mut at = 0;
    loop {
        let quote = at + memchr::memchr2(b'"', b'\'', &tag[at..])?;
        let close = quote + 1 + memchr(tag[quote], &tag[quote + 1..])?;
        let key = tag[at..quote].trim_ascii_end().strip_suffix(b"=")?.trim_ascii_end();
        if key.ends_with(name.as_bytes())
            && key.get(key.len().wrapping_sub(name.len() + 1)).is_some_and(u8::is_ascii_whitespace)
        {
            return Some(&tag[quote + 1..close]);
        }
        at = close + 1;
    }
}

/// The text between the first `<name ...>` in `unit` and the next `<`.
pub fn text<'a>(unit: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    loop {
        let at = from + unit[from..].find(&format!("<{name}"))?;
        let after = at + 1 + name.len();
        if unit[after..].starts_with(['>', ' ']) {
            let end = tag_end(unit.as_bytes(), at)?;
            return unit[end..].split('<').next();
        }
        from = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' id=\"a>b\">\
        <stream:features><bind xmlns='x'/><m><v>A</v></m></stream:features> \
        <message from='a@b' type=\"error\" to = 'x'><body>hi &lt;</body><a><![CDATA[<x>]]></a></message><r/></stream:stream>";

    #[test]
    fn cuts_a_stream_and_waits_for_the_rest() {
        let mut units = Vec::new();
        let mut rest = STREAM;
        while let Some((s, e)) = next_unit(rest.as_bytes()) {
            for cut in s..e {
                assert_eq!(next_unit(&rest.as_bytes()[..cut]), None, "{}", &rest[..cut]);
            }
            units.push(&rest[s..e]);
            rest = &rest[e..];
        }
        assert_eq!(rest, "");
        let starts: Vec<_> = units.iter().map(|u| &u[..u.len().min(8)]).collect();
        assert_eq!(starts, ["<?xml ve", "<stream:", "<stream:", "<message", "<r/>", "</stream"]);
    }

    #[test]
    fn reads_attributes_and_text() {
        let m =
            b"<message from='a@b' type=\"error\" to = 'x' xml:id='no'><body id='z'>hi &lt;</body></message>";
        assert_eq!(attr(m, "type"), Some(&b"error"[..]));
        assert_eq!(attr(m, "to"), Some(&b"x"[..]));
        assert_eq!(attr(m, "id"), None);
        let m = std::str::from_utf8(m).unwrap();
        assert_eq!(text(m, "body"), Some("hi &lt;"));
        assert_eq!(text(m, "bod"), None);
    }
}
