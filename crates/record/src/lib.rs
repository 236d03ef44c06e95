//! The record: what makes the journal evidence.
//!
//! [`Chain`] seals each row as the store's writer commits it, [`verify`] proves afterwards that no row was changed,
//! removed, added or moved, and [`describe`] puts a row in words. A [`Checkpoint`] is the operator's signature under all
//! rows so far, and [`Evidence`] a row as it leaves the house. The format is written down in `FORMAT.md` and is for ever.

mod act;
mod ahead;
mod allowed;
mod chain;
mod checkpoint;
mod close;
mod describe;
mod evidence;
mod finding;
mod gaps;
mod hex;
mod marks;
mod merkle;
mod ranges;
mod retention;
mod salt;
mod signer;
mod verify;
mod walk;

pub use act::{Act, Approved, Destruction, ExportAct, FileAct, Restore, Retention};
pub use chain::{Chain, ChainId, body_digest, link};
pub use checkpoint::{Checkpoint, Signed};
pub use close::{NotClosed, close, recover};
pub use describe::describe;
pub use evidence::Evidence;
pub use finding::{Fault, Finding};
pub use gaps::{GapAct, OpenGap};
pub use hex::{hex, unhex};
pub use marks::{Against, Lines, LookAtFile, Lost, SignedRows};
pub use merkle::{Frontier, Paths, audit_path, root_of};
pub use ranges::Ranges;
pub use retention::Rule;
pub use signer::{Signer, is_signed};
pub use verify::{NewEpoch, Report, verify, verify_against};

/// The written format, for whoever gets an export.
pub const FORMAT: &str = include_str!("../FORMAT.md");

/// The stand-alone verifier of exports: a program in Python that needs nothing else.
pub const VERIFIER: &str = include_str!("../verifier/verify.py");
