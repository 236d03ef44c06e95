//! Files that people upload and others fetch.

use model::{FileOffer, NoSlot, Slot};
use std::fs::File;

/// Keeps what people upload. Calls may block.
pub trait Uploads: Send + Sync {
    /// A place for a file.
    ///
    /// # Errors
    /// Why there is none, and when or for what there would be.
    fn slot(&self, offer: &FileOffer) -> Result<Slot, NoSlot>;
}

/// What a look into a file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// Nothing was found.
    Clean,
    /// Malware, by its name.
    Malware(String),
    /// An archive that nobody should unpack; in words, why.
    Bomb(String),
    /// Nobody could look.
    Failed {
        /// Why not, in words.
        why: String,
        /// Does it pass all the same?
        passes: bool,
    },
    /// Nobody is there to look.
    Nobody,
}

/// Looks into files. Calls block, for as long as was configured at most.
pub trait Inspector: Send + Sync {
    /// Looks into one, all of it.
    fn inspect(&self, file: &mut File) -> Looked;
}

/// How it stands with a file of ours that a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Linked {
    /// It may be fetched.
    Good,
    /// It waits until somebody has looked into it.
    Waits,
    /// It does not pass; in words, why.
    Bad(String),
}

/// Knows the files that links of ours lead to.
pub trait Links: Send + Sync {
    /// How it stands with those in a text, the worst first. Quick where there are none.
    fn linked(&self, text: &str) -> Vec<Linked>;
}
