use crate::Trouble;
use model::Seq;

/// Signed checkpoints of the journal, by the last row that each closes. The store does not read them.
pub trait Checkpoints: Send + Sync {
    /// Those that close rows after this one, in order, at most `limit`: the last row, and the checkpoint as a line of text.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read or written; likewise below.
    fn checkpoints(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, String)>, Trouble>;

    /// The newest; `None` where there is none yet.
    ///
    /// # Errors
    /// [`Trouble`]
    fn last_checkpoint(&self) -> Result<Option<(Seq, String)>, Trouble>;

    /// Keeps one, durably, before it returns; in the place of the one that closes the same row, if there is one.
    ///
    /// # Errors
    /// [`Trouble`]
    fn keep_checkpoint(&self, last: Seq, line: &str) -> Result<(), Trouble>;
}
