//! Pieces of an entry in words.

use crate::Attachment;
use crate::entry::Lost;
use std::fmt::Write as _;

/// A loss in words.
pub(crate) fn lost(loss: &Lost) -> String {
    match loss.became.as_str() {
        "" => format!("{} dropped ({} to {})", loss.what, loss.from, loss.to),
        became => format!("{} became {became} ({} to {})", loss.what, loss.from, loss.to),
    }
}

/// A file in words.
pub(crate) fn named(file: &Attachment) -> String {
    let mut out = file.name.clone();
    if !file.mime.is_empty() {
        let _ = write!(out, ", {}", file.mime);
    }
    if let Some(size) = file.size {
        let _ = write!(out, ", {size} bytes");
    }
    if let Some(sha256) = &file.sha256 {
        let _ = write!(out, ", SHA-256 {sha256}");
    }
    if let Some(missing) = &file.missing {
        let _ = write!(out, "; {missing}");
    }
    if let Some(url) = &file.url {
        let _ = write!(out, " {url}");
    }
    out
}
