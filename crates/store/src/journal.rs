use crate::Trouble;
use bytes::Bytes;
use model::{Address, Loss, Outcome, Seq, Timestamp};
use std::time::Duration;

/// What a journal row records. The numbers are part of the row format and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RowKind {
    /// An envelope with its verdict (`model::codec`).
    Envelope = 1,
    /// The outcomes settled since the previous such row.
    Outcomes = 2,
    /// An act of an administrator.
    Admin = 3,
}

impl RowKind {
    /// The kind of a row-format number.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Envelope),
            2 => Some(Self::Outcomes),
            3 => Some(Self::Admin),
            _ => None,
        }
    }
}

/// A row about to be written. The writer adds number, chain and counters.
#[derive(Clone)]
pub struct Draft {
    /// What it records.
    pub kind: RowKind,
    /// When.
    pub at: Timestamp,
    /// The local account whose mailbox waits for it, if any: one that must still get it. `None` for rows that
    /// are not to be delivered (refused, or not for a local account).
    pub mailbox: Option<Address>,
    /// The two parties, in either order: names the conversation whose counter the row carries.
    pub parties: (Address, Address),
    /// Everything but the content: never erased.
    pub head: Vec<u8>,
    /// The content: kept apart behind a salted digest, so that it can be lawfully destroyed while the chain still
    /// verifies.
    pub body: Vec<u8>,
}

/// Called on the writer's thread when the commit that holds the row is on disk, in journal order. Must not block.
pub type Done = Box<dyn FnOnce(Result<Seq, Trouble>) + Send>;

/// How one row ended; goes into the next outcomes row.
#[derive(Debug, Clone)]
pub struct SettledRow {
    /// Which row.
    pub seq: Seq,
    /// How it ended.
    pub outcome: Outcome,
    /// What its translation lost.
    pub losses: Vec<Loss>,
}

/// How far a mailbox is done: every row of its stream up to `low`, and those in `above`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxCursor {
    /// Whose mailbox.
    pub account: Address,
    /// All rows of the mailbox up to this one are done.
    pub low: Seq,
    /// Rows beyond `low` that are done as well, ascending; bounded by the caller.
    pub above: Vec<Seq>,
}

/// A row that waits in a mailbox.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its number.
    pub seq: Seq,
    /// Its head.
    pub head: Bytes,
    /// Its content; `None` if lawfully erased.
    pub body: Option<Bytes>,
}

/// A row as it stands in the journal, with everything a verifier needs.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its number, from 1 without gaps.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What it records.
    pub kind: RowKind,
    /// The conversation's number on this node; 0 for rows that belong to none.
    pub conversation: u64,
    /// The row's place in its conversation, from 1 without gaps; 0 for rows that belong to none.
    pub conversation_seq: u64,
    /// Link of the conversation's previous row; zeros for its first.
    pub conversation_prev: [u8; 32],
    /// Link of the previous row; the chain's genesis for the first.
    pub prev: [u8; 32],
    /// This row's link.
    pub link: [u8; 32],
    /// SHA-256 of salt and content.
    pub body_digest: [u8; 32],
    /// The salt; `None` once the content was lawfully erased.
    pub salt: Option<[u8; 16]>,
    /// Everything but the content.
    pub head: Bytes,
    /// The content; `None` once lawfully erased.
    pub body: Option<Bytes>,
}

/// How the disk under a store is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why nothing can be written now; `None` while it can. The store finds out by itself when it can again.
    pub trouble: Option<Trouble>,
    /// How long the disk takes for a commit, on average over the last few.
    pub commit: Duration,
}

/// The one durable record, which is also the spool.
pub trait Journal: Send + Sync {
    /// Queues a row. `done` hears its number once it is on disk, or why it is not. Never blocks; when the queue
    /// is full `done` is called at once with [`Trouble::Busy`].
    fn append(&self, draft: Draft, done: Done);

    /// Queues an outcome for the next outcomes row.
    fn settle(&self, settled: SettledRow);

    /// Queues a mailbox cursor; the latest for each account goes into the next commit.
    fn advance(&self, cursor: MailboxCursor);

    /// The oldest rows of a mailbox after `after` that its cursor does not name as done, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    fn waiting(&self, account: &Address, after: Seq, limit: usize) -> Result<Vec<Waiting>, Trouble>;

    /// Mailboxes of pairs of domains ([`model::DomainPair`]) in which rows wait.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    fn pairs_waiting(&self) -> Result<Vec<Address>, Trouble>;

    /// The cursor of a mailbox; all zero if it never advanced.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    fn cursor(&self, account: &Address) -> Result<MailboxCursor, Trouble>;

    /// Rows from `first` on, in order, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble>;

    /// The last rows that record acts of administration, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    fn acts(&self, limit: usize) -> Result<Vec<Row>, Trouble>;

    /// The number of the last committed row; 0 for none.
    fn head(&self) -> Seq;

    /// How the disk is.
    fn health(&self) -> Health;
}

/// Anything journal rows can be read from, in order: a store, or a file opened for reading only.
pub trait Rows {
    /// Rows from `first` on, in order, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`] when they cannot be read.
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble>;
}

impl<J: Journal + ?Sized> Rows for J {
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        Journal::rows(self, first, limit)
    }
}

/// Lawful erasure.
pub trait Erase: Send + Sync {
    /// Destroys the content of a row and the salt of its digest; number, head and links stay, so the chain still
    /// verifies. `false` if there is no such row or it is erased already. Who erases journals that first.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be written.
    fn erase(&self, seq: Seq) -> Result<bool, Trouble>;
}

/// A row without its content, as far as it takes to decide what becomes of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// Its number.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What it records.
    pub kind: RowKind,
    /// Everything but the content.
    pub head: Bytes,
    /// Bytes of its content; `None` once that was lawfully erased.
    pub content: Option<u64>,
    /// It still waits in a mailbox.
    pub waits: bool,
}

/// Destruction of content, in steps that keep nobody waiting. Heads and links stay. Who destroys journals that first.
pub trait Retain: Send + Sync {
    /// The last row that was written before this time; 0 for none.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read; likewise below, or cannot be written.
    fn last_before(&self, at: Timestamp) -> Result<Seq, Trouble>;

    /// Rows after `after` up to `to` that have content which can be destroyed, in order, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`]
    fn with_content(&self, after: Seq, to: Seq, limit: usize) -> Result<Vec<Bare>, Trouble>;

    /// Remembers rows that must be looked at again, because they still wait in a mailbox.
    ///
    /// # Errors
    /// [`Trouble`]
    fn look_again_at(&self, rows: &[Seq]) -> Result<(), Trouble>;

    /// Those rows after `after` that still have content, in order, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`]
    fn to_look_at_again(&self, after: Seq, limit: usize) -> Result<Vec<Bare>, Trouble>;

    /// Destroys the content of these rows. Gives how many had some.
    ///
    /// # Errors
    /// [`Trouble`]
    fn destroy(&self, rows: &[Seq]) -> Result<u64, Trouble>;

    /// Sees to it that nothing of what was destroyed or removed is left in the store's files: neither in the log, nor where
    /// something was before it was moved. Waits for readers.
    ///
    /// # Errors
    /// [`Trouble`]; [`Trouble::Busy`] when readers did not end in time.
    fn scrub(&self) -> Result<(), Trouble>;
}
