use store::Trouble;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatterError {
    /// The words make no sense.
    #[error("{0}")]
    Bad(String),
    /// There is nothing of that name.
    #[error("{0}")]
    Missing(String),
    /// Something else stands in the way.
    #[error("{0}")]
    Conflict(String),
    /// The store failed.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}
