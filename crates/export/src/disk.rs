//! Files that are whole or not there.

use record::hex;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why an export does not go on. What is finished stays.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The disk.
    #[error("{0}: {1}")]
    Disk(PathBuf, io::Error),
    /// The evidence is not as it must be.
    #[error("{0}")]
    Evidence(#[from] crate::LineError),
    /// What is in the directory is something else.
    #[error("{0}")]
    Other(String),
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> ExportError + '_ {
    move |error| ExportError::Disk(path.to_owned(), error)
}

pub(crate) fn make_dir(path: &Path) -> Result<(), ExportError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

/// Opens a file that only its owner can read.
pub(crate) fn open(path: &Path, truncate: bool) -> Result<File, ExportError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(truncate).mode(0o600);
    options.open(path).map_err(at(path))
}

/// Writes a whole file under another name first.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    let part = path.with_extension("part");
    let mut file = open(&part, true)?;
    file.write_all(bytes).and_then(|()| file.sync_data()).map_err(at(&part))?;
    std::fs::rename(&part, path).map_err(at(path))
}

/// Size and SHA-256 of a file, of its first bytes only where it is to be longer.
pub(crate) fn sum(path: &Path, limit: u64) -> Result<(u64, Sha256), ExportError> {
    let file = File::open(path).map_err(at(path))?;
    let (mut file, mut digest, mut buffer) = (file.take(limit), Sha256::new(), vec![0; 1 << 17]);
    let mut size = 0;
    loop {
        match file.read(&mut buffer).map_err(at(path))? {
            0 => return Ok((size, digest)),
            n => {
                digest.update(&buffer[..n]);
                size += n as u64;
            }
        }
    }
}

/// How far a file that grows has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Grown {
    pub size: u64,
    pub sha256: String,
}

/// A file that grows and knows its hash.
pub(crate) struct Growing {
    path: PathBuf,
    file: io::BufWriter<File>,
    size: u64,
    digest: Sha256,
}

impl Growing {
    /// Opens it where it was left; what came after is cut off. What is there must be what it was.
    pub fn open(path: PathBuf, grown: &Grown) -> Result<Self, ExportError> {
        let file = open(&path, false)?;
        let (size, digest) = sum(&path, grown.size)?;
        if size != grown.size || (size > 0 && hex(&digest.clone().finalize()) != grown.sha256) {
            let why = "is not what this export wrote: begin in another directory";
            return Err(ExportError::Other(format!("{} {why}", path.display())));
        }
        file.set_len(size).map_err(at(&path))?;
        let mut file = file;
        io::Seek::seek(&mut file, io::SeekFrom::End(0)).map_err(at(&path))?;
        Ok(Self { path, file: io::BufWriter::with_capacity(1 << 18, file), size, digest })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(at(&self.path))
    }

    /// Puts it on the disk, and says how far it is.
    pub fn settle(&mut self) -> Result<Grown, ExportError> {
        let end = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        end.map_err(at(&self.path))?;
        Ok(Grown { size: self.size, sha256: hex(&self.digest.clone().finalize()) })
    }
}

impl fmt::Debug for Growing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Growing({}, {} bytes)", self.path.display(), self.size)
    }
}

/// Writes a whole file, which is on the disk some time later.
pub(crate) fn write_soon(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    let mut file = open(path, true)?;
    file.write_all(bytes).map_err(at(path))
}
