//! A load generator for XMPP and SIP servers, ours or another's: it speaks the protocols from outside and depends on
//! nothing of ours.
//!
//! - [`opts`]: the command line. [`scenario`]: what can be measured, one file each.
//! - [`rig`]: flows of numbered messages, their windows, what arrived; [`load`]: warm-up, run, drain, pacing.
//! - [`xmpp`], [`sip`]: minimal clients; [`conn`]: TCP and TLS; [`tls`], [`sasl`], [`digest`]: what logging in takes.
//! - [`hist`], [`tracker`], [`mark`], [`template`]: histogram, exact accounting, message identity, patched bytes.
//! - [`usage`]: CPU time and memory of processes; [`report`]: table or JSON.

pub mod clock;
pub mod conn;
pub mod digest;
pub mod env;
pub mod hist;
pub mod load;
pub mod mark;
pub mod opts;
pub mod report;
pub mod rig;
pub mod sasl;
pub mod scenario;
pub mod sip;
pub mod template;
pub mod tls;
pub mod tracker;
pub mod usage;
pub mod xmpp;

/// Errors are told to a person and end the run.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// What most functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Padding of `n` bytes that looks a little like text.
pub(crate) fn filler(n: usize) -> String {
    " the quick brown fox jumps over the lazy dog".chars().cycle().take(n).collect()
}
