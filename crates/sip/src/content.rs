//! Headers of a content within a body: of a CPIM envelope's (RFC 3862 section 2), of a part's (RFC 2046 section 5.1).
//!
//! Rules and record see what is read here, and a device gets the body as it came and reads it for itself. So nothing
//! is guessed: whatever two readers could understand in two ways is refused.

use crate::transfer;

/// Bytes and lines of a block of headers.
const LONGEST: usize = 8192;
const MOST: usize = 64;

/// A content with its headers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content {
    /// Content-Type.
    pub mime: String,
    /// Content-Language.
    pub lang: Option<String>,
    /// What it holds, its transfer encoding undone.
    pub body: Vec<u8>,
    /// It had one: whoever does not undo it shows something else.
    pub encoded: bool,
}

impl Content {
    /// Reads headers, a blank line and what follows. Lines end with CRLF; with LF alone only where `lf` allows it.
    ///
    /// # Errors
    /// What is wrong, in words for the sender.
    pub fn read(bytes: &[u8], lf: bool) -> Result<Self, &'static str> {
        let mut out = Self { mime: "text/plain".to_owned(), ..Self::default() };
        let (mut rest, mut said, mut encoding) = (bytes, Vec::new(), "binary".to_owned());
        loop {
            let end = memchr::memchr(b'\n', rest).ok_or("headers of a content that do not end")?;
            let line = match rest[..end].strip_suffix(b"\r") {
                Some(line) => line,
                None if lf => &rest[..end],
                None => return Err("a header of a part that does not end with CRLF"),
            };
            rest = &rest[end + 1..];
            if line.is_empty() {
                break;
            }
            let (name, value) = header(line).ok_or("a header of a content that could be read in two ways")?;
            if said.contains(&name) || said.len() == MOST || bytes.len() - rest.len() > LONGEST {
                return Err("a header of a content said twice, or too many");
            }
            let is_fixed = name.starts_with("content-") && name != "content-description";
            if value.contains("=?") || (is_fixed && !value.is_ascii()) {
                return Err("a header of a content with encoded words");
            }
            match name.as_str() {
                "content-type" => out.mime = Typed::read(value).ok_or(TYPE)?.written(),
                "content-disposition" => drop(Typed::read(value).ok_or(TYPE)?),
                "content-language" => out.lang = language(value),
                "content-transfer-encoding" => encoding = value.to_ascii_lowercase(),
                "content-encoding" if !value.eq_ignore_ascii_case("identity") => {
                    return Err("a content with a Content-Encoding");
                }
                _ => {}
            }
            said.push(name);
        }
        out.encoded = !matches!(encoding.as_str(), "7bit" | "8bit" | "binary");
        if out.encoded && out.mime.starts_with("multipart/") {
            // RFC 2045 section 6.4.
            return Err("parts that are encoded as a whole");
        }
        out.body = transfer::decode(&encoding, rest).ok_or("a content in an encoding that is not known")?;
        Ok(out)
    }
}

const TYPE: &str = "a Content-Type or Content-Disposition that could be read in two ways";

/// Name, in lower case, and value.
fn header(line: &[u8]) -> Option<(String, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    let value = value.trim_matches([' ', '\t']);
    (good && !value.chars().any(char::is_control)).then(|| (name.to_ascii_lowercase(), value))
}

/// A language tag, if it looks like one (RFC 5646 section 2.1).
pub(crate) fn language(tag: &str) -> Option<String> {
    let plausible =
        matches!(tag.len(), 1..=64) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plausible.then(|| tag.to_owned())
}

/// A type, or a disposition, with its parameters (RFC 2045 section 5.1), without anything that readers differ about:
/// comments, backslashes, names said twice, values in pieces or encoded (RFC 2231).
#[derive(Debug, Clone, PartialEq)]
pub struct Typed {
    /// In lower case.
    pub base: String,
    /// Names in lower case, and values.
    pub params: Vec<(String, String)>,
}

impl Typed {
    /// Reads one. `None` where it is another one, or none, to others.
    pub fn read(value: &str) -> Option<Self> {
        let (base, mut rest) = value.split_at(value.find(';').unwrap_or(value.len()));
        let base = base.trim_end_matches([' ', '\t']);
        let mut halves = base.split('/');
        if base.split('/').count() > 2 || !halves.all(is_token) {
            return None;
        }
        let mut params: Vec<(String, String)> = Vec::new();
        while let Some(param) = rest.strip_prefix(';') {
            let (name, value) = param.trim_start_matches([' ', '\t']).split_once('=')?;
            let quoted = value.strip_prefix('"');
            let (value, after) = match quoted {
                Some(quoted) => quoted.split_once('"')?,
                None => value.split_at(value.find([';', ' ', '\t']).unwrap_or(value.len())),
            };
            let plain = |c: char| c != '\\' && !c.is_control();
            let name = name.to_ascii_lowercase();
            if !is_token(&name)
                || name.contains('*')
                || params.iter().any(|(said, _)| *said == name)
                || !value.chars().all(plain)
                || (quoted.is_none() && !is_token(value))
            {
                return None;
            }
            params.push((name, value.to_owned()));
            rest = after.trim_start_matches([' ', '\t']);
        }
        rest.is_empty().then(|| Self { base: base.to_ascii_lowercase(), params })
    }

    /// One of its parameters.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(said, _)| said == name).map(|(_, value)| value.as_str())
    }

    fn written(&self) -> String {
        let quoted = |value: &str| if is_token(value) { value.to_owned() } else { format!("\"{value}\"") };
        self.params
            .iter()
            .fold(self.base.clone(), |out, (name, value)| format!("{out};{name}={}", quoted(value)))
    }
}

/// RFC 2045 section 5.1.
fn is_token(text: &str) -> bool {
    let special = |b: u8| b"()<>@,;:\\\"/[]?=".contains(&b);
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !special(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_one_to_everybody_or_none() {
        for (given, wanted) in [
            ("text/plain", Some("text/plain")),
            ("Text/Plain ; charset=UTF-8", Some("text/plain;charset=UTF-8")),
            ("multipart/mixed;boundary=\"a b\"; x=y", Some("multipart/mixed;boundary=\"a b\";x=y")),
            ("attachment;filename=\"x;falcon.pdf\"", Some("attachment;filename=\"x;falcon.pdf\"")),
            ("", None),
            ("multipart / mixed;boundary=b", None),
            ("text/plain/x", None),
            ("multipart/mixed;boundary=a;boundary=b", None),
            ("multipart/mixed;boundary=\"b\\c\"", None),
            ("multipart/mixed;x=<;boundary=c;y=>;boundary=b", None),
            ("multipart/mixed;x=\"\\\\\";boundary=b;y=\";boundary=c;z=\"", None),
            ("attachment;filename*=utf-8''f%61lcon.pdf", None),
            ("attachment;filename*0=fal;filename*1=con.pdf", None),
            ("text/plain (falcon)", None),
            ("multipart/mixed;boundary=b\"c", None),
            ("multipart/mixed;x=a\";boundary=b;y=\"z", None),
            ("text/plain;charset", None),
            ("text/plain;", None),
        ] {
            assert_eq!(Typed::read(given).map(|it| it.written()).as_deref(), wanted, "{given}");
        }
    }

    #[test]
    fn headers_that_others_read_otherwise_are_refused() {
        for (bytes, good) in [
            ("\r\nx", true),
            ("Content-Type: text/html\r\n\r\nx", true),
            ("Content-Transfer-Encoding: quoted-printable\r\n\r\nx", true),
            ("Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA", true),
            ("x", false),
            (" \r\nx", false),
            ("Content-Type: image/png\r\n \r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA", false),
            ("Content-Type: image/png\n\nx", false),
            ("Content-Type : image/png\r\n\r\nx", false),
            ("Content-Type: image/png\r\ncontent-type: text/plain\r\n\r\nx", false),
            ("Content-Type: image/png\r\n ;x=y\r\n\r\nx", false),
            ("Content-Type:\r\n\r\nx", false),
            ("Content-Transfer-Encoding: base64\u{a0}\r\n\r\nAAAA", false),
            ("Content-Type: image/png\r\nContent-Transfer-Encoding: rot13\r\n\r\nx", false),
            (
                "Content-Type: multipart/mixed;boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA",
                false,
            ),
            ("Content-Encoding: gzip\r\n\r\nx", false),
            ("Content-Description: =?utf-8?B?ZmFsY29u?=\r\n\r\nx", false),
            ("no header\r\n\r\nx", false),
        ] {
            assert_eq!(Content::read(bytes.as_bytes(), false).is_ok(), good, "{bytes:?}");
        }
        assert!(Content::read(b"Content-Type: text/plain\n\nx", true).is_ok());
    }
}
