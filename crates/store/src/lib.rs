//! What Rialto remembers, one trait for each noun. Users take only the noun they need.
//!
//! A method is a whole act, atomic inside; transactions and driver errors never cross a trait. Not found is `None`,
//! broken is [`Trouble`]. Reads block (they may touch the disk): call them from a thread that may wait. Writes to the
//! journal never block: they queue for the one writer and report by callback.

mod journal;
mod nouns;
mod trouble;

pub use journal::{Done, Draft, Journal, MailboxCursor, Row, RowKind, SettledRow, Waiting};
pub use nouns::{Accounts, Authorization, Authorizations, Consent, RosterEntry, Rosters, Settings};
pub use trouble::Trouble;
