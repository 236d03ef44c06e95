//! Closing rows with a checkpoint: what is signed was read again and found to be as it was written.

use crate::act::Act;
use crate::chain::ChainId;
use crate::checkpoint::{Checkpoint, Signed};
use crate::finding::{Fault, Finding};
use crate::merkle::Frontier;
use crate::signer::Signer;
use crate::verify::PAGE;
use crate::walk::Walk;
use model::{Seq, Timestamp};
use std::fmt;
use store::{Checkpoints, Journal, Trouble};

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotClosed {
    /// The journal cannot be read or written.
    Trouble(Trouble),
    /// A row, or the last checkpoint, is not as it was written: nobody signs that.
    Finding(Finding),
    /// The last checkpoint cannot be read.
    Checkpoint(String),
}

impl From<Trouble> for NotClosed {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl fmt::Display for NotClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trouble(trouble) => trouble.fmt(f),
            Self::Finding(finding) => write!(f, "the journal is NOT INTACT: {finding}"),
            Self::Checkpoint(why) => write!(f, "the last checkpoint cannot be read: {why}"),
        }
    }
}

/// Closes all rows that no checkpoint closes yet, and puts on record that it did: with one checkpoint, or with one for each
/// epoch that ends among them. Gives those that were made: none where there is nothing new but acts of earlier ones. Rows are
/// streamed, and proved before they are signed. One at a time: two at once would close the same rows. Blocks.
///
/// # Errors
/// [`NotClosed`]; what was signed before that stays, and the next call goes on after it.
pub fn close<S: Journal + Checkpoints + ?Sized>(
    store: &S,
    signer: &Signer,
    node: [u8; 16],
    by: &Act,
    now: Timestamp,
) -> Result<Vec<Signed>, NotClosed> {
    let before = match store.last_checkpoint()? {
        None => None,
        Some((last, line)) => {
            let before = Signed::parse(&line).map_err(NotClosed::Checkpoint)?;
            let changed = !before.is_genuine() || before.checkpoint.last != last;
            let gone = last > Journal::head(store);
            let found = |seq, fault| NotClosed::Finding(Finding { seq, fault });
            match (changed, gone) {
                (true, _) => return Err(found(last, Fault::CheckpointChanged)),
                (_, true) => return Err(found(Seq(Journal::head(store).0 + 1), Fault::Truncated(last))),
                _ => Some(before),
            }
        }
    };
    let mut walk = match &before {
        None => Walk::begin(node),
        Some(Signed { checkpoint: c, .. }) => Walk::after(c.chain, c.last, c.link),
    };
    let mut segment = Segment::after(before.as_ref().map(|b| &b.checkpoint), walk.next);
    let mut checkpoints = Vec::new();
    // After a crash the newest may be without its act.
    let mut unnamed = before.as_ref().map(Signed::bare);
    let head = Journal::head(store);
    while walk.next <= head.0 {
        let wanted = usize::try_from(head.0 + 1 - walk.next).unwrap_or(PAGE).min(PAGE);
        let page = store.rows(Seq(walk.next), wanted)?;
        if page.is_empty() {
            break;
        }
        for row in &page {
            let act = Act::read(row);
            let (chain, last, link) = (walk.chain, Seq(walk.next - 1), walk.prev);
            let epoch = act.as_ref().and_then(|a| a.restore.as_ref()).map(|r| r.epoch);
            let begun = walk.step(row, epoch);
            let begun = begun.map_err(|fault| NotClosed::Finding(Finding { seq: row.seq, fault }))?;
            if begun && !segment.tree.is_empty() {
                checkpoints.push(segment.close(chain, last, link, now));
            }
            segment.tree.push(&row.link);
            let named = act.and_then(|a| a.checkpoint);
            segment.news |= named.is_none();
            unnamed = unnamed.filter(|one| Some(one) != named.as_ref());
        }
    }
    if segment.news {
        checkpoints.push(segment.close(walk.chain, Seq(walk.next - 1), walk.prev, now));
    }
    let name = |one: &Signed| Act { checkpoint: Some(one.clone()), ..by.clone() }.note(store, now);
    // Only the newest is looked at next time: no other one is kept while one is without its act.
    unnamed.iter().try_for_each(|one| name(one).map(drop))?;
    let made: Vec<Signed> = checkpoints.into_iter().map(|c| c.sign(signer)).collect();
    for one in &made {
        store.keep_checkpoint(one.checkpoint.last, &one.to_line())?;
        name(one)?;
    }
    Ok(made)
}

/// Puts checkpoints back beside the journal from the acts that name them, where there are none: an older version of the
/// program knows no place for them. Gives how many. Time stamps do not come back.
///
/// # Errors
/// [`Trouble`] when the store cannot be read or written.
pub fn recover<S: Journal + Checkpoints + ?Sized>(store: &S) -> Result<usize, Trouble> {
    if store.last_checkpoint()?.is_some() {
        return Ok(0);
    }
    let acts = store.acts(usize::MAX)?;
    let named: Vec<Signed> = acts.iter().filter_map(Act::read).filter_map(|act| act.checkpoint).collect();
    for one in &named {
        store.keep_checkpoint(one.checkpoint.last, &one.to_line())?;
    }
    Ok(named.len())
}

/// The rows since the last checkpoint.
struct Segment {
    first: u64,
    previous: [u8; 32],
    tree: Frontier,
    /// Is there anything but acts of checkpoints?
    news: bool,
}

impl Segment {
    fn after(before: Option<&Checkpoint>, first: u64) -> Self {
        let previous = before.map_or([0; 32], Checkpoint::digest);
        Self { first, previous, tree: Frontier::default(), news: false }
    }

    fn close(&mut self, chain: ChainId, last: Seq, link: [u8; 32], at: Timestamp) -> Checkpoint {
        let (first, previous, root) = (Seq(self.first), self.previous, self.tree.root());
        let made = Checkpoint { chain, first, last, link, root, at, previous };
        *self = Self::after(Some(&made), last.0 + 1);
        made
    }
}
