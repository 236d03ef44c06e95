//! The record for those who have no Rialto.
//!
//! What is exported is evidence first: rows of the journal as they stand, one to a line (`rows.jsonl`; FORMAT.md, "An
//! export"). Everything that people and archives read is made from those lines and from nothing else, so that no form
//! can say what the evidence does not, but for accounts, which no row has. [`Work`] is the directory of an export while it is made: whatever is finished
//! stays finished, also after a crash, and memory holds a piece of a day. Nothing here knows a server.

mod account;
mod begun;
mod book;
mod csv;
mod days;
mod disk;
mod eml;
mod entry;
mod forms;
mod html;
mod letters;
mod line;
mod manifest;
mod plain;
mod portable;
mod stanza;
mod talks;
mod words;
mod work;
mod xml;

pub use account::{Account, Contact, Scram};
pub use begun::{Begun, FileFact, Form};
pub use book::{Book, Conversation};
pub use disk::ExportError;
pub use eml::{Letter, letter};
pub use entry::{Attachment, Entry, Lost, Settled};
pub use letters::letters;
pub use line::{Line, LineError};
pub use manifest::Summary;
pub use portable::Jid;
pub use work::{Batch, Stage, Taking, Work};
