//! Reading escaped text and attribute values back.

use std::borrow::Cow;

use super::class::resolve;
use model::lossy;

/// An attribute value as the sender meant it: references resolved, white space normalised (XML 1.0 section 3.3.3).
pub fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if !raw.iter().any(|b| matches!(b, b'&' | b'\t' | b'\n' | b'\r')) {
        return lossy(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(i) = rest.iter().position(|b| matches!(b, b'&' | b'\t' | b'\n' | b'\r')) {
        out.push_str(&lossy(&rest[..i]));
        rest = match rest[i] {
            b'&' => reference(&rest[i..], &mut out),
            b'\r' if rest.get(i + 1) == Some(&b'\n') => {
                out.push(' ');
                &rest[i + 2..]
            }
            _ => {
                out.push(' ');
                &rest[i + 1..]
            }
        };
    }
    out.push_str(&lossy(rest));
    Cow::Owned(out)
}

/// Resolves the reference at the start of `rest`; gives what follows it.
fn reference<'a>(rest: &'a [u8], out: &mut String) -> &'a [u8] {
    let found =
        rest.iter().take(16).position(|b| *b == b';').and_then(|end| Some((end, resolve(&rest[1..end])?)));
    match found {
        Some((end, c)) => {
            out.push(c);
            &rest[end + 1..]
        }
        None => {
            out.push('&');
            &rest[1..]
        }
    }
}

/// The character data directly inside an element (given its content): references and CDATA resolved, line ends
/// normalised (XML 1.0 section 2.11), the text of nested elements left out.
pub fn content(raw: &[u8]) -> Cow<'_, str> {
    if !raw.iter().any(|b| matches!(b, b'&' | b'<' | b'\r')) {
        return lossy(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    let mut depth = 0usize;
    while let Some(i) = rest.iter().position(|b| matches!(b, b'&' | b'<' | b'\r')) {
        if depth == 0 {
            out.push_str(&lossy(&rest[..i]));
        }
        rest = &rest[i..];
        rest = match rest {
            [b'\r', ..] => {
                if depth == 0 && rest.get(1) != Some(&b'\n') {
                    out.push('\n');
                }
                &rest[1..]
            }
            [b'&', ..] if depth == 0 => reference(rest, &mut out),
            [b'&', ..] => &rest[1..],
            [b'<', b'!', ..] => {
                let body = rest.get(9..).unwrap_or(b"");
                let end = body.windows(3).position(|w| w == b"]]>").unwrap_or(body.len());
                if depth == 0 {
                    out.push_str(&lossy(&body[..end]).replace("\r\n", "\n").replace('\r', "\n"));
                }
                body.get(end + 3..).unwrap_or(b"")
            }
            _ => {
                let end = tag_end(rest);
                let tag = &rest[..end];
                if tag.get(1) == Some(&b'/') {
                    depth = depth.saturating_sub(1);
                } else if !tag.ends_with(b"/>") {
                    depth += 1;
                }
                &rest[end..]
            }
        };
    }
    if depth == 0 {
        out.push_str(&lossy(rest));
    }
    Cow::Owned(out)
}

/// The length of the tag at the start of `bytes`, its `>` included; quotes are respected.
pub(crate) fn tag_end(bytes: &[u8]) -> usize {
    let mut quote = 0;
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            b'>' if quote == 0 => return i + 1,
            b'"' | b'\'' if quote == 0 => quote = b,
            _ if b == quote => quote = 0,
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_back() {
        let rows: &[(&str, &str)] = &[
            ("plain", "plain"),
            ("a &amp; b &lt; c &#x41;&#66;", "a & b < c AB"),
            ("<![CDATA[<b> & ]] ]]>tail", "<b> & ]] tail"),
            ("one<br/>two<i a='>'>no<u>no</u></i>three", "onetwothree"),
            ("a\r\nb\rc", "a\nb\nc"),
            ("\u{1f600} ж", "\u{1f600} ж"),
        ];
        for (raw, text) in rows {
            assert_eq!(content(raw.as_bytes()), *text, "{raw}");
        }
        assert_eq!(unescape(b"a\tb&#9;c&quot;\r\nd"), "a b\tc\" d");
    }
}
