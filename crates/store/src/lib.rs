//! What Rialto remembers, one trait for each noun. Users take only the noun they need.
//!
//! A method is a whole act, atomic inside; transactions and driver errors never cross a trait. Not found is `None`,
//! broken is [`Trouble`]. Reads block (they may touch the disk): call them from a thread that may wait. Writes to the
//! journal never block: they queue for the one writer and report by callback.

mod agreed;
mod checkpoints;
mod journal;
mod memory;
mod memory_uploads;
mod nouns;
mod recent;
mod seal;
mod sqlite;
mod trouble;
mod uploads;
mod varint;

pub use agreed::{Partners, Shelf};
pub use checkpoints::Checkpoints;
pub use journal::{
    Bare, Done, Draft, Erase, Health, Journal, MailboxCursor, Retain, Row, RowKind, Rows, SettledRow, Waiting,
};
pub use memory::MemoryStore;
pub use nouns::{
    Accounts, Authorization, Authorizations, Consent, Lease, Leases, RosterEntry, Rosters, SealedPasswords,
    Settings,
};
pub use seal::{Blank, CHAIN_SETTING, Seal, Sealer, Unsealed};
pub use sqlite::{COMMIT_BOUNDS_US, Options, Reserved, Schema, SqliteReader, SqliteStore, WriterReport};
pub use trouble::Trouble;
pub use uploads::{FileState, StoredFile, Uploads};
