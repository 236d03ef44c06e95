//! Content-Transfer-Encoding (MIME, part one, section 6), which the content of a CPIM envelope may have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Undoes an encoding. `None` for one that is not known, and for base64 that is none.
pub fn decode(encoding: &str, body: &[u8]) -> Option<Vec<u8>> {
    match encoding.to_ascii_lowercase().as_str() {
        "7bit" | "8bit" | "binary" => Some(body.to_vec()),
        "base64" => {
            let text: Vec<u8> = body.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
            STANDARD.decode(text).ok()
        }
        "quoted-printable" => Some(quoted_printable(body)),
        _ => None,
    }
}

/// Section 6.7 there. What follows `=` and means nothing stays as it is.
fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|&b| b == b'\n') {
        let text = line.trim_ascii_end();
        // Blanks at the end of a line were added on the way.
        let end: &[u8] = match line {
            [.., b'\r', b'\n'] => b"\r\n",
            [.., b'\n'] => b"\n",
            _ => b"",
        };
        let (text, end) = text.strip_suffix(b"=").map_or((text, end), |text| (text, &[][..]));
        let mut rest = text;
        while let Some((&b, after)) = rest.split_first() {
            match (b, octet(after)) {
                (b'=', Some(octet)) => {
                    out.push(octet);
                    rest = after.get(2..).unwrap_or_default();
                }
                _ => {
                    out.push(b);
                    rest = after;
                }
            }
        }
        out.extend_from_slice(end);
    }
    out
}

fn octet(after: &[u8]) -> Option<u8> {
    let digit = |i: usize| char::from(*after.get(i)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_is_read_whatever_it_holds() {
        for (text, plain) in [
            ("a=3Db=3d", "a=b="),
            ("soft =\r\nbreak=\nhere", "soft breakhere"),
            ("blanks \t\r\nend  ", "blanks\r\nend"),
            ("soft = \r\nbreak", "soft break"),
            ("=zz =4", "=zz =4"),
            ("", ""),
        ] {
            assert_eq!(decode("Quoted-Printable", text.as_bytes()).unwrap(), plain.as_bytes(), "{text}");
        }
    }
}
