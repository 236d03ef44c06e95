//! What kind of file something is, by its first bytes and never by its name.

use model::Message;

/// Kinds that rules name.
pub(crate) const KINDS: &[&str] =
    &["executable", "archive", "image", "audio", "video", "pdf", "office", "script", "other"];

/// Kinds of the files within a message, by number.
pub(crate) fn kinds_of(message: &Message) -> Vec<usize> {
    let is_text = |mime: &str| mime.to_ascii_lowercase().starts_with("text/");
    message.parts.iter().filter(|part| !is_text(&part.mime)).map(|part| kind(&part.body)).collect()
}

/// First bytes and what they mean.
const MAGIC: &[(usize, &[u8], usize)] = &[
    (0, b"MZ", 0),
    (0, b"\x7fELF", 0),
    (0, b"\xfe\xed\xfa", 0),
    (0, b"\xcf\xfa\xed\xfe", 0),
    (0, b"\xca\xfe\xba\xbe", 0),
    (0, b"dex\n", 0),
    (0, b"L\0\0\0\x01\x14\x02\0", 0),
    (0, b"PK\x03\x04", 1),
    (0, b"PK\x05\x06", 1),
    (0, b"Rar!", 1),
    (0, b"7z\xbc\xaf\x27\x1c", 1),
    (0, b"\x1f\x8b", 1),
    (0, b"BZh", 1),
    (0, b"\xfd7zXZ", 1),
    (0, b"\x28\xb5\x2f\xfd", 1),
    (257, b"ustar", 1),
    (0, b"MSCF", 1),
    (32769, b"CD001", 1),
    (0, b"\xff\xd8\xff", 2),
    (0, b"\x89PNG", 2),
    (0, b"GIF8", 2),
    (0, b"BM", 2),
    (8, b"WEBP", 2),
    (0, b"ID3", 3),
    (0, b"\xff\xfb", 3),
    (0, b"fLaC", 3),
    (8, b"WAVE", 3),
    (0, b"OggS", 3),
    (4, b"ftyp", 4),
    (0, b"\x1a\x45\xdf\xa3", 4),
    (8, b"AVI ", 4),
    (0, b"%PDF", 5),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 6),
    (0, b"{\\rtf", 6),
    (0, b"#!", 7),
    (0, b"@echo", 7),
    (0, b"<script", 7),
];

/// The kind of one file.
pub(crate) fn kind(bytes: &[u8]) -> usize {
    let told =
        MAGIC.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    match told {
        // Office files are archives that say what they hold in their first entries.
        Some((_, b"PK\x03\x04", _)) if is_office(bytes) => 6,
        Some((_, _, kind)) => *kind,
        None => KINDS.len() - 1,
    }
}

fn is_office(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    ["[Content_Types].xml", "word/", "xl/", "ppt/", "mimetypeapplication/vnd.oasis"]
        .iter()
        .any(|name| memchr::memmem::find(head, name.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_decide() {
        for (bytes, name) in [
            (&b"MZ\x90\0"[..], "executable"),
            (b"PK\x03\x04\x14\0", "archive"),
            (b"PK\x03\x04........[Content_Types].xml", "office"),
            (b"%PDF-1.7", "pdf"),
            (b"\x89PNG\r\n", "image"),
            (b"RIFF....WEBP", "image"),
            (b"#!/bin/sh", "script"),
            (b"hello", "other"),
            (b"", "other"),
        ] {
            assert_eq!(KINDS[kind(bytes)], name);
        }
    }
}
