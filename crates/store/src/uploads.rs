use crate::Trouble;
use model::{Address, Timestamp};

/// How it stands with an uploaded file. The numbers are part of the store's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FileState {
    /// Somebody must look into it, and could not yet.
    Waiting = 1,
    /// A rule wants a person to look at it.
    Held = 2,
    /// Looked into, and nothing was found.
    Clean = 3,
    /// It passes, and nobody has looked into it.
    Unseen = 4,
    /// Malware. Its content is gone.
    Malware = 5,
    /// A rule does not let it pass, or a person has decided so. Its content is gone.
    Refused = 6,
}

impl FileState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Held, Self::Clean, Self::Unseen, Self::Malware, Self::Refused];

    /// The state of a stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == code)
    }

    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Clean => "clean",
            Self::Unseen => "unseen",
            Self::Malware => "malware",
            Self::Refused => "refused",
        }
    }

    /// May it be fetched?
    pub fn is_served(self) -> bool {
        matches!(self, Self::Clean | Self::Unseen)
    }

    /// Is its content kept?
    pub fn has_content(self) -> bool {
        !matches!(self, Self::Malware | Self::Refused)
    }
}

/// A file that somebody uploaded. Its content lies beside the store, named by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name here, which administrators may see.
    pub id: String,
    /// What its link has besides, which only those know who got the link.
    pub secret: String,
    /// Whose it is.
    pub owner: Address,
    /// SHA-256 of its content.
    pub hash: [u8; 32],
    /// Its bytes.
    pub size: u64,
    /// Its name, as its owner had it.
    pub name: String,
    /// What its owner said it is.
    pub mime: String,
    /// When it came.
    pub at: Timestamp,
    /// How it stands with it.
    pub state: FileState,
    /// Why, in words; nothing where it is clean.
    pub why: String,
}

/// Files that people uploaded.
pub trait Uploads: Send + Sync {
    /// Adds one. `false`, and nothing changed, if there is one of that id.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read or written; likewise below.
    fn add_file(&self, file: &StoredFile) -> Result<bool, Trouble>;

    /// One file.
    ///
    /// # Errors
    /// [`Trouble`]
    fn file(&self, id: &str) -> Result<Option<StoredFile>, Trouble>;

    /// Changes how it stands with a file, if it still stands with it as `from` says. `false` if not.
    ///
    /// # Errors
    /// [`Trouble`]
    fn set_file_state(&self, id: &str, from: FileState, to: FileState, why: &str) -> Result<bool, Trouble>;

    /// Removes one. `false` if there was none.
    ///
    /// # Errors
    /// [`Trouble`]
    fn remove_file(&self, id: &str) -> Result<bool, Trouble>;

    /// Files in one of these states, the newest first, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`]
    fn files(&self, states: &[FileState], limit: usize) -> Result<Vec<StoredFile>, Trouble>;

    /// Files that came before this time, the oldest first, `skip` of them left out, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`]
    fn files_before(&self, at: Timestamp, skip: usize, limit: usize) -> Result<Vec<StoredFile>, Trouble>;

    /// Bytes that somebody has uploaded since this time, and when the first of them came.
    ///
    /// # Errors
    /// [`Trouble`]
    fn uploaded_since(&self, owner: &Address, at: Timestamp) -> Result<(u64, Option<Timestamp>), Trouble>;

    /// Is this the content of a file whose content is kept?
    ///
    /// # Errors
    /// [`Trouble`]
    fn wants_content(&self, hash: &[u8; 32]) -> Result<bool, Trouble>;
}
