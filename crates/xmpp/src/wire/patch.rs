//! Touching up a stanza that was written by [`super::Stanza::write`], without parsing it again.

use super::text::tag_end;
use super::write::escape_attr;

/// The length of `<name` at the start of a stanza.
fn name_end(xml: &[u8]) -> usize {
    xml.iter().position(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>')).unwrap_or(xml.len())
}

/// Appends the stanza with one attribute more.
pub fn with_attr(xml: &[u8], name: &str, value: &str, out: &mut Vec<u8>) {
    let at = name_end(xml);
    out.reserve(xml.len() + name.len() + value.len() + 4);
    out.extend_from_slice(&xml[..at]);
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attr(value, out);
    out.push(b'\'');
    out.extend_from_slice(&xml[at..]);
}

/// Appends the stanza with `extra` behind its last child.
pub fn with_children(xml: &[u8], extra: &[u8], out: &mut Vec<u8>) {
    out.reserve(xml.len() + extra.len() + 16);
    if extra.is_empty() {
        out.extend_from_slice(xml);
    } else if tag_end(xml) == xml.len() && xml.ends_with(b"/>") {
        out.extend_from_slice(&xml[..xml.len() - 2]);
        out.push(b'>');
        out.extend_from_slice(extra);
        out.extend_from_slice(b"</");
        out.extend_from_slice(xml.get(1..name_end(xml)).unwrap_or(b""));
        out.push(b'>');
    } else {
        // The end tag is the last tag there is.
        let at = xml.iter().rposition(|b| *b == b'<').unwrap_or(xml.len());
        out.extend_from_slice(&xml[..at]);
        out.extend_from_slice(extra);
        out.extend_from_slice(&xml[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_are_patched() {
        let rows = [
            ("<presence/>", "<presence to='a&apos;b'><x/></presence>"),
            ("<m id='/>'><b/></m>", "<m to='a&apos;b' id='/>'><b/><x/></m>"),
            ("<c:m a=\">\"/>", "<c:m to='a&apos;b' a=\">\"><x/></c:m>"),
            ("<m><b><c/></b></m>", "<m to='a&apos;b'><b><c/></b><x/></m>"),
        ];
        for (xml, wanted) in rows {
            let (mut one, mut two) = (Vec::new(), Vec::new());
            with_attr(xml.as_bytes(), "to", "a'b", &mut one);
            with_children(&one, b"<x/>", &mut two);
            assert_eq!(String::from_utf8(two).unwrap(), wanted);
        }
    }
}
