use crate::PortError;
use model::{Envelope, Seq, Timestamp};

/// What the house lets pass while nothing can be put on record. Without one, nothing does.
pub trait Unrecorded: Send + Sync {
    /// May this pass without a row? Asked for every message: quick.
    fn may_pass(&self, envelope: &Envelope) -> bool;

    /// The record can be written again: puts on it what passed meanwhile, before the rows that follow late. Gives the row that
    /// says so. Blocks.
    ///
    /// # Errors
    /// [`PortError::Failed`] when it still cannot be written; asked again then.
    fn gap(&self, gap: &Gap) -> Result<Seq, PortError>;

    /// All rows that this row announced are written, so many. Blocks.
    ///
    /// # Errors
    /// [`PortError::Failed`] when that cannot be put on record; asked again then.
    fn closed(&self, announced: Seq, late: u64) -> Result<(), PortError>;
}

/// A time in which messages passed that had no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first passed.
    pub since: Timestamp,
    /// The last passed.
    pub until: Timestamp,
    /// Messages that passed.
    pub passed: u64,
    /// Of them, those whose row follows late; what the others said is lost to the record.
    pub late: u64,
}
