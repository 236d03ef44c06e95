//! The record's index: who said what to whom, when, and with what end, found in an instant.
//!
//! The journal is the truth. The index reads it from behind, on a thread of its own, and can be thrown away at any time:
//! it is made again from the journal. It holds no content that could be read back but words and where they stood.

mod ask;
mod contents;
mod document;
mod fields;
mod index;
mod part;
mod shared;
mod shelf;
mod words;
mod worker;

pub use ask::{Ask, AskError};
pub use contents::{Contents, Unread};
pub use index::{Found, Index, Standing};

/// Why a search came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The question cannot be read.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The index failed; the journal is as it was.
    #[error("the index failed: {0}")]
    Failed(String),
}

impl From<store::Trouble> for SearchError {
    fn from(trouble: store::Trouble) -> Self {
        Self::Failed(format!("the journal cannot be read: {trouble}"))
    }
}

impl From<tantivy::TantivyError> for SearchError {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Failed(error.to_string())
    }
}
