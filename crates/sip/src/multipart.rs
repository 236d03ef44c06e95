//! Bodies of several parts (RFC 2046 section 5.1), which RFC 5621 section 3 wants understood.
//!
//! Rules and record see what this finds, and a device gets the body as it came. So whatever two readers could take
//! apart in two ways is refused: words outside of the parts, a delimiter anywhere but on a line of its own, headers
//! said twice or over two lines.

use crate::content::{Content, Typed};

/// Parts within parts.
const DEEPEST: usize = 4;
/// Parts in all.
const MOST: usize = 32;

/// Is it a type of several parts that can be taken apart? Nobody but the addressee can open `multipart/encrypted`.
pub fn is_multipart(base: &str) -> bool {
    base.strip_prefix("multipart/").is_some_and(|kind| kind != "encrypted")
}

/// The parts of a body, those within others in their place.
///
/// # Errors
/// What is wrong with it, in words for its sender.
pub fn pieces(mime: &str, body: &[u8]) -> Result<Vec<Content>, &'static str> {
    let mut found = Vec::new();
    take_apart(mime, body, DEEPEST, &mut found)?;
    Ok(found)
}

fn take_apart(mime: &str, body: &[u8], deep: usize, found: &mut Vec<Content>) -> Result<(), &'static str> {
    if deep == 0 {
        return Err("parts within parts within parts");
    }
    for part in between(&delimiter(mime)?, body)? {
        let piece = Content::read(part, false)?;
        if is_multipart(&base(&piece.mime)) {
            take_apart(&piece.mime, &piece.body, deep - 1, found)?;
        } else if found.len() == MOST {
            return Err("a body of too many parts");
        } else {
            found.push(piece);
        }
    }
    Ok(())
}

/// `--` and the boundary.
fn delimiter(mime: &str) -> Result<Vec<u8>, &'static str> {
    let typed = Typed::read(mime).filter(|typed| typed.base != "multipart/digest");
    let boundary = typed.as_ref().and_then(|typed| typed.param("boundary"));
    let boundary = boundary.ok_or("a body of several parts needs one boundary, and must be no digest")?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    if !matches!(boundary.len(), 1..=70) || !boundary.bytes().all(allowed) || boundary.ends_with(' ') {
        return Err("a boundary that none may be");
    }
    Ok([b"--", boundary.as_bytes()].concat())
}

/// What stands between the delimiters.
fn between<'a>(delimiter: &[u8], body: &'a [u8]) -> Result<Vec<&'a [u8]>, &'static str> {
    let mut parts = Vec::new();
    // Where the part begins that is being read; none before the first and after the last delimiter.
    let (mut begun, mut ended) = (None, false);
    for at in memchr::memmem::find_iter(body, delimiter) {
        let (before, after) = (&body[..at], &body[at + delimiter.len()..]);
        let (last, after) = after.strip_prefix(b"--").map_or((false, after), |rest| (true, rest));
        let padding = after.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let after = &after[padding..];
        let whole_line = (at == 0 || before.ends_with(b"\r\n"))
            && (after.starts_with(b"\r\n") || (last && after.is_empty()));
        if !whole_line || ended || (at > 0 && begun.is_none() && !before.trim_ascii().is_empty()) {
            return Err("a boundary within a part, or words before the first");
        }
        if let Some(begun) = begun {
            // The line end before a delimiter belongs to it; a part may have nothing, not even that.
            parts.push(body.get(begun..at.saturating_sub(2)).unwrap_or_default());
        }
        begun = Some(body.len() - after.len() + 2);
        ended = last;
        if last && !after.trim_ascii().is_empty() {
            return Err("words behind the last part");
        }
        if parts.len() > MOST {
            return Err("a body of too many parts");
        }
    }
    match ended && !parts.is_empty() {
        true => Ok(parts),
        false => Err("a body of several parts that does not end"),
    }
}

fn base(mime: &str) -> String {
    mime.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "multipart/mixed;boundary=\"b 1\"";

    fn said(mime: &str, body: &str) -> Result<Vec<(String, String)>, &'static str> {
        let text = |piece: Content| (piece.mime, String::from_utf8(piece.body).unwrap());
        Ok(pieces(mime, body.as_bytes())?.into_iter().map(text).collect())
    }

    #[test]
    fn parts_are_found_wherever_they_stand() {
        let body = "--b 1\r\n\r\nfirst\r\n--b 1 \r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n\
                    --in\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<b>f=6Fr</b>\r\n\
                    --in--\r\n--b 1\r\nContent-Type: image/png\r\n\r\n\r\n--b 1--\r\n";
        let wanted = [("text/plain", "first"), ("text/html", "<b>for</b>"), ("image/png", "")];
        let found = said(MIXED, body).unwrap();
        assert_eq!(found.iter().map(|(m, b)| (m.as_str(), b.as_str())).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let good = "--b 1\r\n\r\nx\r\n--b 1--";
        assert!(said(MIXED, good).is_ok());
        for (mime, body) in [
            ("multipart/mixed", good.to_owned()),
            ("multipart/mixed;boundary=\"b 1\";boundary=c", good.to_owned()),
            ("multipart/mixed;boundary=\"\"", "--\r\n\r\nx\r\n----".to_owned()),
            (MIXED, String::new()),
            (MIXED, "hidden\r\n".to_owned() + good),
            (MIXED, good.to_owned() + "\r\nhidden"),
            (MIXED, good.to_owned() + "\r\n--b 1\r\n\r\nhidden\r\n--b 1--"),
            (MIXED, good.replace("--b 1--", "")),
            (MIXED, good.replace("x\r\n", "x\n")),
            (MIXED, good.replace("x\r\n", "x --b 1\r\n\r\nhidden\r\n")),
            ("multipart/digest;boundary=\"b 1\"", good.to_owned()),
            (MIXED, good.replace("\r\n\r\nx", "\r\n \r\nx")),
        ] {
            assert!(said(mime, &body).is_err(), "{mime} {body:?}");
        }
    }

    #[test]
    fn neither_depth_nor_number_is_without_end() {
        let (mut mime, mut body) = ("text/plain".to_owned(), "x".to_owned());
        for depth in 1..=DEEPEST + 1 {
            body = format!("--o{depth}\r\nContent-Type: {mime}\r\n\r\n{body}\r\n--o{depth}--");
            mime = format!("multipart/mixed;boundary=o{depth}");
            assert_eq!(pieces(&mime, body.as_bytes()).is_ok(), depth <= DEEPEST, "{depth}");
        }
        let many = |n| "--b\r\n\r\nx\r\n".repeat(n) + "--b--";
        assert_eq!(
            pieces("multipart/mixed;boundary=b", many(MOST).as_bytes()).map(|found| found.len()),
            Ok(MOST)
        );
        assert!(pieces("multipart/mixed;boundary=b", many(MOST + 1).as_bytes()).is_err());
    }
}
