//! Bodies of SIP messages without what people said.

use super::cast::{Cast, masked};
use super::{header, xml};

/// Contents within contents that are looked into; deeper ones are masked whole.
const DEEPEST: usize = 8;

/// A body of this type.
pub(super) fn told(text: &str, mime: &str, cast: &mut Cast) -> String {
    within(text, mime, DEEPEST, cast)
}

fn within(text: &str, mime: &str, deep: usize, cast: &mut Cast) -> String {
    let kind = mime.trim().to_ascii_lowercase();
    match header::boundary(mime) {
        _ if deep == 0 => masked(text),
        Some(boundary) if kind.starts_with("multipart/") => parts(text, &boundary, deep - 1, cast),
        _ if kind.starts_with("message/cpim") => cpim(text, deep - 1, cast),
        _ if kind.contains("+xml") => xml::redacted(text, cast),
        _ => masked(text),
    }
}

/// RFC 3862: headers, headers of the content, content.
fn cpim(text: &str, deep: usize, cast: &mut Cast) -> String {
    let (head, inner) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let head = head.split("\r\n").map(|line| match line.split_once(": ") {
        Some((name @ ("From" | "To"), value)) => format!("{name}: {}", header::addresses(value, cast)),
        Some((name @ "imdn.Message-ID", value)) => format!("{name}: {}", cast.id(value)),
        Some((name @ ("NS" | "DateTime" | "imdn.Disposition-Notification"), value)) => {
            format!("{name}: {}", cast.word(value))
        }
        Some((name, value)) => format!("{}: {}", masked(name), masked(value)),
        None => masked(line),
    });
    let head = head.collect::<Vec<_>>().join("\r\n");
    format!("{head}\r\n\r\n{}", content(inner, deep, cast))
}

/// RFC 2046 section 5.1: the delimiters stay, and each part is told by itself.
fn parts(text: &str, boundary: &str, deep: usize, cast: &mut Cast) -> String {
    let shown = cast.id(boundary);
    let (mut out, mut lines) = (Vec::new(), Vec::new());
    let mut begun = false;
    for line in text.split("\r\n") {
        let end = line.strip_prefix("--").and_then(|line| line.strip_prefix(boundary));
        let Some(end) = end.filter(|end| matches!(end.trim_end(), "" | "--")) else {
            lines.push(line);
            continue;
        };
        if !lines.is_empty() {
            out.push(part(&lines, begun, deep, cast));
            lines.clear();
        }
        begun = end.trim_end().is_empty();
        out.push(format!("--{shown}{end}"));
    }
    if !lines.is_empty() {
        out.push(part(&lines, begun, deep, cast));
    }
    out.join("\r\n")
}

fn part(lines: &[&str], begun: bool, deep: usize, cast: &mut Cast) -> String {
    let text = lines.join("\r\n");
    if begun { content(&text, deep, cast) } else { masked(&text) }
}

/// Headers of a content, a blank line, and what follows.
fn content(text: &str, deep: usize, cast: &mut Cast) -> String {
    let (head, body) = match text.strip_prefix("\r\n") {
        Some(body) => (None, Some(body)),
        None => match text.split_once("\r\n\r\n") {
            Some((head, body)) => (Some(head), Some(body)),
            None => (Some(text), None),
        },
    };
    let (mut mime, mut encoding) = (String::new(), String::new());
    let mut out = String::new();
    for (number, line) in head.into_iter().flat_map(|head| head.split("\r\n")).enumerate() {
        let Some((name, value)) = line.split_once(':') else {
            out += &format!("{}\r\n", masked(line));
            continue;
        };
        let value = value.trim();
        let told = match name.to_ascii_lowercase().as_str() {
            "content-type" => {
                value.clone_into(&mut mime);
                format!("{name}: {}", header::typed(value, cast))
            }
            "content-disposition" => format!("{name}: {}", header::typed(value, cast)),
            "content-transfer-encoding" => {
                encoding = value.to_ascii_lowercase();
                format!("{name}: {}", cast.word(value))
            }
            "content-language" | "content-length" | "content-encoding" | "mime-version" => {
                format!("{name}: {}", cast.word(value))
            }
            "content-id" | "content-description" => format!("{name}: {}", masked(value)),
            // A name of its own: said twice, a header is refused.
            _ => format!("X-{number}: {}", masked(value)),
        };
        out += &told;
        out += "\r\n";
    }
    if let Some(body) = body {
        out += "\r\n";
        out += &match encoding.as_str() {
            "base64" => base64(body),
            "quoted-printable" => quoted(body),
            _ => within(body, &mime, deep, cast),
        };
    } else {
        out.truncate(out.len() - 2);
    }
    out
}

/// As many bytes in base64, each an `x`.
fn base64(text: &str) -> String {
    let said = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let letters = text.chars().filter(said).count();
    let whole = letters - letters % 4;
    let last = if letters % 4 == 2 { "eA" } else { "eHg" };
    let mut masks = "eHh4".chars().cycle().take(whole).chain(last.chars());
    let mask = |c: char| match c {
        c if said(&c) => masks.next().unwrap_or('x'),
        '=' => c,
        c if c.is_ascii_whitespace() => c,
        _ => '?',
    };
    text.chars().map(mask).collect()
}

/// As many bytes in quoted-printable, each an `x`.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for (number, piece) in text.split('=').enumerate() {
        let code = piece.len() >= 2 && piece.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
        match number {
            0 => out += &masked(piece),
            _ if code => out += &format!("=78{}", masked(&piece[2..])),
            _ => out += &format!("={}", masked(piece)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast() -> Cast {
        Cast::new(&["acme.test".into()], ["example.net", "example.com"])
    }

    #[test]
    fn parts_stay_and_words_go() {
        let body = "--b 1\r\n\r\nhello you\r\n--b 1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\
                    Subject: us\r\n\r\nPGI+aGk8L2I+IQ==\r\n--b 1\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n\
                    --in\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=\"us.png\"\r\n\r\nPNG\r\n\
                    --in\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nh=C3=A9, =\r\nyou\r\n\
                    --in--\r\n--b 1--\r\n";
        let shown = "--b 1\r\n\r\nxxxxx xxx\r\n--b 1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\
                    X-2: xx\r\n\r\neHh4eHh4eHh4eA==\r\n--b 1\r\nContent-Type: multipart/alternative;boundary=in\r\n\r\n\
                    --in\r\nContent-Type: image/png\r\nContent-Disposition: attachment;xxxxxxxx=xxxxxxxx\r\n\r\nxxx\r\n\
                    --in\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nx=78=78x =\r\nxxx\r\n\
                    --in--\r\n--b 1--\r\n";
        assert_eq!(told(body, "multipart/Mixed;boundary=\"b 1\"", &mut cast()), shown.replace("b 1", "id1"));
        assert_eq!(
            header::typed("multipart/mixed;boundary=\"b 1\"", &mut cast()),
            "multipart/mixed;boundary=\"id1\""
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_and_no_name_is_told(
            lines in proptest::collection::vec("(--b|--b--|--c|Content-Type: (multipart/mixed;boundary=c|message/cpim|text/plain)|Content-Transfer-Encoding: (base64|quoted-printable)|From: <im:gustav@acme.test>|acme acme.test =ac=é|)", 0..12)
        ) {
            for mime in ["multipart/mixed;boundary=b", "multipart/mixed", "message/cpim", "text/plain"] {
                let told = told(&lines.join("\r\n"), mime, &mut cast());
                proptest::prop_assert!(!told.contains("acme"), "{}", told);
            }
        }
    }
}
