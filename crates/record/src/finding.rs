//! What verifying finds, in words.

use crate::hex::hex;
use model::Seq;
use std::fmt;

/// What is wrong with the first row that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Rows are missing: this number should have come next.
    Missing(Seq),
    /// The number came before, or out of order.
    Repeated,
    /// The head, a time, a number or a digest of the row was changed after it was written.
    Changed,
    /// The body is not the one that was written.
    BodyChanged,
    /// Content was destroyed in part only: body without salt, or salt without body.
    HalfErased,
    /// The row is whole but was written after another row than the one it stands after: that one was replaced.
    NotNext,
    /// The row was never written in this place of this chain: it was added, or moved here.
    Foreign,
    /// The row's place in its conversation does not follow from the row before it: this place should have come next.
    ConversationGap(u64),
    /// The row does not name the conversation's previous row.
    ConversationBroken,
    /// The content of a row is gone, and no act on record says that it may be.
    Unexplained,
    /// The act destroys content and names a key, and is not signed by that.
    Unsigned,
    /// The act destroys content, and was signed with a key that is not expected.
    DestructionKey([u8; 32]),
    /// The last row, if the store says that the chain is in this epoch, and no row begins it.
    NoEpoch(u64),
    /// The checkpoint that closes this row was changed: its signature is not that of its key.
    CheckpointChanged,
    /// The checkpoint that closes this row was signed with a key that is not expected.
    CheckpointKey([u8; 32]),
    /// The checkpoint that closes this row does not follow the one before: one between them was taken away.
    CheckpointGap,
    /// The act names a checkpoint that is gone: the one that closes this row.
    CheckpointGone(Seq),
    /// The content of the file that the act names is gone.
    FileGone,
    /// The content of the file that the act names is another one.
    FileChanged,
    /// No act on record names the checkpoint that closes this row.
    CheckpointUnnamed,
    /// From this row to the one that the fault names, rows are not those that were signed.
    NotSigned(Seq),
    /// From this row to the one that the fault names, rows are not those of a checkpoint kept elsewhere.
    NotAnchored(Seq),
    /// The first row that is gone: a checkpoint was made of rows up to the one that the fault names.
    Truncated(Seq),
}

/// The first row that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Its number.
    pub seq: Seq,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.fault {
            Fault::Missing(next) if next.0 + 1 == seq.0 => write!(f, "row {next} is missing"),
            Fault::Missing(next) => write!(f, "rows {next} to {} are missing", seq.0 - 1),
            Fault::Repeated => write!(f, "row {seq} comes twice or out of order"),
            Fault::Changed => write!(f, "row {seq} was changed"),
            Fault::BodyChanged => write!(f, "the content of row {seq} was changed"),
            Fault::HalfErased => write!(f, "the content of row {seq} was destroyed in part"),
            Fault::NotNext => write!(f, "row {seq} was written after another row than the one before it"),
            Fault::Foreign => write!(f, "row {seq} was added or moved here"),
            Fault::ConversationGap(next) => {
                write!(f, "row {seq} should be number {next} of its conversation")
            }
            Fault::ConversationBroken => {
                write!(f, "row {seq} does not follow the row before it in its conversation")
            }
            Fault::NoEpoch(epoch) => {
                write!(
                    f,
                    "row {seq} is the last, and no row begins epoch {epoch}, which the store says it is in"
                )
            }
            Fault::Unsigned => {
                write!(
                    f,
                    "row {seq} says that content was destroyed, and its signature is not that of its key"
                )
            }
            Fault::DestructionKey(key) => {
                write!(
                    f,
                    "row {seq} says that content was destroyed, and is signed with another key: {}",
                    hex(&key)
                )
            }
            Fault::Unexplained => {
                write!(f, "the content of row {seq} was destroyed, and no act on record says so")
            }
            Fault::CheckpointChanged => write!(f, "the checkpoint that closes row {seq} was changed"),
            Fault::CheckpointKey(key) => {
                write!(f, "the checkpoint that closes row {seq} is signed with another key: {}", hex(&key))
            }
            Fault::CheckpointGap => {
                write!(f, "the checkpoint before the one that closes row {seq} was taken away")
            }
            Fault::CheckpointGone(last) => {
                write!(f, "row {seq} names the checkpoint that closes row {last}, and it is gone")
            }
            Fault::FileGone => write!(f, "the content of the file that row {seq} names is gone"),
            Fault::FileChanged => write!(f, "the content of the file that row {seq} names was replaced"),
            Fault::CheckpointUnnamed => {
                write!(f, "no act on record names the checkpoint that closes row {seq}: it was added")
            }
            Fault::NotSigned(last) => write!(
                f,
                "rows {seq} to {last} were written anew: they are not those that their checkpoint was made of"
            ),
            Fault::NotAnchored(last) => write!(
                f,
                "rows {seq} to {last} were written anew: they are not those of the checkpoint that was kept elsewhere"
            ),
            Fault::Truncated(last) => {
                write!(f, "row {seq} and all after it are gone: a checkpoint was made of rows up to {last}")
            }
        }
    }
}
