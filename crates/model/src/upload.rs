use crate::{Endpoint, Origin, Refusal, Timestamp};

/// A file that somebody of ours wants to upload, so that others can fetch it (XEP-0363).
#[derive(Debug, Clone, PartialEq)]
pub struct FileOffer {
    /// Who.
    pub by: Endpoint,
    /// How the offer came.
    pub origin: Origin,
    /// The file's name, as its owner has it.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// What it says it is, a media type.
    pub mime: Option<String>,
}

/// A place for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Where it is put, once, by HTTP.
    pub put: String,
    /// Where it can be fetched then.
    pub get: String,
}

/// There is no place for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSlot {
    /// Why.
    pub refusal: Refusal,
    /// What would not be too large, in bytes, where that is the reason.
    pub most: Option<u64>,
    /// When the same might be taken, where that is a matter of time.
    pub retry: Option<Timestamp>,
}

impl From<Refusal> for NoSlot {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, most: None, retry: None }
    }
}
