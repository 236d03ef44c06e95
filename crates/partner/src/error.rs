//! Why something could not be agreed on.

use store::Trouble;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Bad(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// It clashes with what there is.
    #[error("{0}")]
    Conflict(String),
    /// The store failed.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

pub(crate) fn written<T: serde::Serialize>(what: &T) -> Result<Vec<u8>, BookError> {
    serde_json::to_vec(what).map_err(|e| BookError::Bad(e.to_string()))
}
