/// Something of ours is broken: never the sender's fault, never content in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The disk is full.
    #[error("the disk is full: {0}")]
    Full(String),
    /// The store cannot be written.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The writer has stopped, or its queue is full.
    #[error("the store is busy or stopping: {0}")]
    Busy(String),
    /// Anything else the operating system or the database said.
    #[error("the store failed: {0}")]
    Failed(String),
}
