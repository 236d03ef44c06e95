//! The contents of uploaded files, for those who look after the record: are they what their acts say, and what do they say?

use crate::backup::checksum;
use record::{Fault, FileAct};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{SqliteStore, Trouble, Uploads};

/// Looks at the content of a file, where it is still kept: what was removed by rule or by a person is not missed. Blocks.
///
/// # Errors
/// [`Trouble`] when store or file cannot be read.
pub fn look<S: Uploads + ?Sized>(store: &S, blobs: &Path, act: &FileAct) -> Result<Option<Fault>, Trouble> {
    let is_kept = || Ok(store.file(&act.id)?.is_some_and(|file| file.state.has_content()));
    if !is_kept()? {
        return Ok(None);
    }
    let Some(path) = place(blobs, act) else { return Ok(Some(Fault::FileGone)) };
    if !path.exists() {
        // Unless it went just now.
        return Ok(is_kept()?.then_some(Fault::FileGone));
    }
    let found = checksum(&path).map_err(|failure| Trouble::Failed(failure.to_string()))?;
    Ok((found != act.sha256).then_some(Fault::FileChanged))
}

/// Where the content of a file lies.
fn place(blobs: &Path, act: &FileAct) -> Option<PathBuf> {
    let (shelf, name) = act.sha256.split_at_checked(2)?;
    Some(blobs.join(shelf).join(name))
}

/// Of longer files the beginning is read.
const READ: u64 = 1 << 20;

/// Media types that are read as text, besides `text/...`.
const PLAIN: [&str; 7] = [
    "application/json",
    "application/xml",
    "application/yaml",
    "application/toml",
    "application/sql",
    "application/csv",
    "message/rfc822",
];

/// Reads files for the index of the record.
pub struct Reader {
    /// Who knows which are still there.
    pub store: Arc<SqliteStore>,
    /// Where they are.
    pub blobs: PathBuf,
}

impl search::Contents for Reader {
    fn text(&self, file: &FileAct) -> Option<String> {
        let mime = file.mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_markup = mime.ends_with("html") || mime.ends_with("xml");
        if !(is_markup || mime.starts_with("text/") || PLAIN.contains(&mime.as_str())) {
            return None;
        }
        if !self.store.file(&file.id).ok()?.is_some_and(|file| file.state.has_content()) {
            return None;
        }
        let mut bytes = Vec::new();
        std::fs::File::open(place(&self.blobs, file)?).ok()?.take(READ).read_to_end(&mut bytes).ok()?;
        Some(match is_markup {
            true => policy::markup(&bytes).into_owned(),
            false => written(&bytes),
        })
    }
}

/// Plain text as its bytes say: with a mark of byte order as that says, else as UTF-8.
fn written(bytes: &[u8]) -> String {
    let wide = |of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].as_chunks().0.iter().map(|pair| of(*pair)).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn texts_are_read_as_they_say() {
        assert_eq!(written(b"\xff\xfeh\0i\0"), "hi");
        assert_eq!(written(b"\xfe\xff\0h\0i\0"), "hi");
        assert_eq!(written("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
        assert_eq!(written(b""), "");
    }
}
