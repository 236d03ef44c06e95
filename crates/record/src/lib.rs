//! The record: what makes the journal evidence.
//!
//! [`Chain`] seals each row as the store's writer commits it, [`verify`] proves afterwards that no row was changed,
//! removed, added or moved, and [`describe`] puts a row in words. The format is written down in `FORMAT.md` and is for
//! ever.

mod act;
mod chain;
mod describe;
mod retention;
mod salt;
mod verify;

pub use act::{Act, Approved, FileAct, Restore, Retention};
pub use chain::{Chain, ChainId, body_digest, link};
pub use describe::describe;
pub use retention::{Rule, expire};
pub use verify::{Fault, Finding, NewEpoch, Report, verify};
