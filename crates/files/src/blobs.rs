//! Content on the disk, named by its hash: complete and durable under its name, or not there at all.

use crate::slots::word;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The content of a file, opened for reading.
pub type Content = File;

/// The directory.
pub(crate) struct Blobs {
    dir: PathBuf,
}

/// Where what is not complete yet lies.
const PARTS: &str = "parts";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

impl Blobs {
    /// Opens the directory, and removes what an earlier process did not complete.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        let parts = dir.join(PARTS);
        make(&parts)?;
        for left in std::fs::read_dir(&parts)? {
            std::fs::remove_file(left?.path())?;
        }
        if let Some(above) = dir.parent() {
            sync(above)?;
        }
        Ok(Self { dir })
    }

    /// A new file that is to be filled.
    pub fn begin(&self) -> io::Result<(File, PathBuf)> {
        let name = word(20).map_err(|e| io::Error::other(e.to_string()))?;
        let path = self.dir.join(PARTS).join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((file, path))
    }

    fn place(&self, hash: &[u8; 32]) -> (PathBuf, PathBuf) {
        let name = hex(hash);
        let shelf = self.dir.join(&name[..2]);
        let path = shelf.join(&name[2..]);
        (shelf, path)
    }

    /// Gives complete content its name; it is on the disk when this returns. What is there already stays.
    pub fn keep(&self, part: &Path, hash: &[u8; 32]) -> io::Result<()> {
        let (shelf, path) = self.place(hash);
        if !shelf.exists() {
            make(&shelf)?;
            sync(&self.dir)?;
        }
        std::fs::rename(part, &path)?;
        sync(&shelf)
    }

    /// Opens content; `None` if there is no such.
    pub fn read(&self, hash: &[u8; 32]) -> io::Result<Option<Content>> {
        match File::open(self.place(hash).1) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Destroys content, if it is there.
    pub fn destroy(&self, hash: &[u8; 32]) -> io::Result<()> {
        match std::fs::remove_file(self.place(hash).1) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The hashes of everything that is there.
    pub fn all(&self) -> io::Result<Vec<[u8; 32]>> {
        let mut all = Vec::new();
        for shelf in std::fs::read_dir(&self.dir)? {
            let shelf = shelf?.path();
            let Some(start) = shelf.file_name().and_then(|name| name.to_str()).filter(|name| name.len() == 2)
            else {
                continue;
            };
            for blob in std::fs::read_dir(&shelf)? {
                let name = blob?.file_name();
                all.extend(name.to_str().and_then(|name| unhex(&format!("{start}{name}"))));
            }
        }
        Ok(all)
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

/// A hash as people read it.
pub(crate) fn shown(hash: &[u8; 32]) -> String {
    hex(hash)
}
