//! A file on its way in.

use crate::slots::Kept;
use policy::FILE_HEAD;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// There is no such slot: it was used, is too old, or never was.
    #[error("there is no such slot: it was used, it is too old, or it never was; ask for another one")]
    NoSlot,
    /// It is not as long as was said.
    #[error("the slot is for {promised} bytes, not for {came}")]
    Length {
        /// What was said when the slot was asked for.
        promised: u64,
        /// What came, or what the request says that would come.
        came: u64,
    },
    /// The disk is full.
    #[error("there is no room left here")]
    Full,
    /// Ours to mend.
    #[error("it could not be kept")]
    Failed(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// A file that is being received. Dropped before it is complete, nothing is left of it.
pub struct Incoming {
    pub(crate) promise: Kept,
    pub(crate) file: File,
    pub(crate) part: PathBuf,
    pub(crate) head: Vec<u8>,
    hasher: Sha256,
    came: u64,
    /// It has a name of its own now, or is gone.
    pub(crate) settled: bool,
}

impl Incoming {
    pub(crate) fn new(promise: Kept, (file, part): (File, PathBuf)) -> Self {
        Self { promise, file, part, head: Vec::new(), hasher: Sha256::new(), came: 0, settled: false }
    }

    /// Takes what comes next.
    ///
    /// # Errors
    /// [`Broken`]
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.came += bytes.len() as u64;
        if self.came > self.promise.size {
            return Err(Broken::Length { promised: self.promise.size, came: self.came });
        }
        let wanted = FILE_HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..wanted]);
        self.hasher.update(bytes);
        Ok(self.file.write_all(bytes)?)
    }

    /// It is complete: its hash.
    pub(crate) fn complete(&mut self) -> Result<[u8; 32], Broken> {
        if self.came != self.promise.size {
            return Err(Broken::Length { promised: self.promise.size, came: self.came });
        }
        self.file.sync_all()?;
        Ok(std::mem::take(&mut self.hasher).finalize().into())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.settled {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}
