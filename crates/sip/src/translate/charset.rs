//! Character sets of text (MIME, part two, section 4.1.2).

use bytes::Bytes;
use model::{Reason, Refusal};

use crate::wire::Params;

/// What windows-1252 has where ISO 8859-1 has control characters that nobody writes. Its gaps stay what they are.
const EXTRA: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Text as UTF-8, so that whoever looks into it sees what its reader will see.
///
/// # Errors
/// The refusal of a character set that is not known here.
pub fn utf8(mime: &Params, body: &[u8]) -> Result<Bytes, Refusal> {
    let mut named = mime.list.iter().filter(|(name, _)| name == "charset");
    let charset = named.next().and_then(|(_, v)| v.as_deref()).unwrap_or("utf-8").trim().to_ascii_lowercase();
    let unknown = |what: &str| Refusal::new(Reason::NotAcceptable).with_text(what);
    if named.any(|(_, v)| !v.as_deref().unwrap_or_default().trim().eq_ignore_ascii_case(&charset)) {
        return Err(unknown("more than one character set"));
    }
    let text = match charset.as_str() {
        _ if body.is_ascii() && is_known(&charset) => return Ok(Bytes::copy_from_slice(body)),
        // What has more than it says is most often UTF-8.
        "us-ascii" | "ascii" if std::str::from_utf8(body).is_err() => western(body),
        "iso-8859-1" | "latin1" | "windows-1252" | "cp1252" => western(body),
        "utf-8" | "utf8" | "us-ascii" | "ascii" => String::from_utf8_lossy(body).into_owned(),
        _ => return Err(unknown("this character set is not known here; send UTF-8")),
    };
    Ok(Bytes::from(text))
}

fn is_known(charset: &str) -> bool {
    matches!(
        charset,
        "utf-8" | "utf8" | "us-ascii" | "ascii" | "iso-8859-1" | "latin1" | "windows-1252" | "cp1252"
    )
}

/// Both are read as windows-1252, as everybody does who shows them (Encoding standard 4.2).
fn western(body: &[u8]) -> String {
    body.iter()
        .map(|&b| EXTRA.get(usize::from(b.wrapping_sub(0x80))).copied().unwrap_or(char::from(b)))
        .collect()
}
