//! What was signed of a journal, held against it while it is read.

use crate::act::FileAct;
use crate::chain::ChainId;
use crate::checkpoint::Signed;
use crate::finding::{Fault, Finding};
use crate::merkle::Frontier;
use model::Seq;
use std::collections::VecDeque;
use std::fmt;
use store::{Row, Trouble};

/// Checkpoints read at a time.
const PAGE: usize = 1_000;

/// Checkpoints that a store keeps: those that close rows after this one, in order, at most so many.
pub type Lines<'a> = dyn Fn(Seq, usize) -> Result<Vec<(Seq, String)>, Trouble> + 'a;

/// Looks whether the content of an uploaded file is as its act says, where it is still kept.
pub type LookAtFile<'a> = dyn Fn(&FileAct) -> Result<Option<Fault>, Trouble> + 'a;

/// What to hold a journal against.
#[derive(Default)]
pub struct Against<'a> {
    /// The checkpoints that lie beside it.
    pub checkpoints: Option<&'a Lines<'a>>,
    /// Checkpoints that were kept elsewhere; their signatures are for the caller to look at.
    pub anchors: &'a [Signed],
    /// The keys that may have signed; none: any.
    pub keys: &'a [[u8; 32]],
    /// Who looks at what people uploaded.
    pub files: Option<&'a LookAtFile<'a>>,
}

/// What was found signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignedRows {
    /// Checkpoints beside the journal that were found good.
    pub checkpoints: u64,
    /// The last row that they close; 0 for none.
    pub to: Seq,
    /// Whose they are, each with the last row of its first checkpoint.
    pub keys: Vec<([u8; 32], Seq)>,
    /// Checkpoints kept elsewhere that the journal agrees with.
    pub anchored: u64,
    /// The last row of these; 0 for none.
    pub anchored_to: Seq,
    /// Checkpoints kept elsewhere that are of another node.
    pub foreign: u64,
    /// Rows that were lost when the node was put back from a backup, as checkpoints kept elsewhere tell.
    pub lost: Option<Lost>,
}

/// Rows that were written after the backup was made from which the node was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The first of them.
    pub first: Seq,
    /// The last of them that is known.
    pub last: Seq,
    /// The epoch they were of.
    pub epoch: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, epoch } = self;
        write!(
            f,
            "rows {first} to {last} of epoch {epoch}, at the least, were written and are not in this journal: it was put back from a backup that ends before them"
        )
    }
}

/// Goes along with the rows.
pub(crate) struct Marks<'a> {
    against: &'a Against<'a>,
    /// Those that were there at the start, as they are written, by the last row that each closes.
    own: VecDeque<(Seq, Option<Signed>)>,
    anchors: VecDeque<&'a Signed>,
    /// Of the segment that is being read.
    first: u64,
    tree: Frontier,
    previous: [u8; 32],
    /// Good ones that no act has named yet.
    unnamed: Vec<Signed>,
    /// Where the epoch began that rows are of now.
    epoch: (u64, u64),
    pub(crate) signed: SignedRows,
}

impl<'a> Marks<'a> {
    pub(crate) fn new(against: &'a Against<'a>, chain: ChainId) -> Result<Self, Trouble> {
        let mut own = VecDeque::new();
        let mut after = Seq(0);
        if let Some(read) = against.checkpoints {
            loop {
                let page = read(after, PAGE)?;
                let Some((last, _)) = page.last() else { break };
                after = *last;
                own.extend(page.iter().map(|(last, line)| (*last, Signed::parse(line).ok())));
            }
        }
        let mut signed = SignedRows::default();
        let mut anchors: Vec<&Signed> = against.anchors.iter().collect();
        anchors.retain(|a| a.checkpoint.chain.node == chain.node);
        signed.foreign = (against.anchors.len() - anchors.len()) as u64;
        anchors.sort_by_key(|a| a.checkpoint.last);
        anchors.dedup_by_key(|a| &a.checkpoint);
        Ok(Self {
            against,
            own,
            anchors: anchors.into(),
            first: 1,
            tree: Frontier::default(),
            previous: [0; 32],
            unnamed: Vec::new(),
            epoch: (1, 1),
            signed,
        })
    }

    /// Takes a row that is good by itself. `named` is the checkpoint that it names.
    pub(crate) fn step(
        &mut self,
        row: &Row,
        chain: ChainId,
        named: Option<&Signed>,
    ) -> Result<Result<(), Finding>, Trouble> {
        if chain.epoch != self.epoch.0 {
            self.epoch = (chain.epoch, row.seq.0);
        }
        let found = match named {
            Some(named) => self.name(row.seq, named)?,
            None => Ok(()),
        };
        let found = found.and_then(|()| {
            if self.own.is_empty() {
                return Ok(());
            }
            self.tree.push(&row.link);
            match self.own.front() {
                Some((last, _)) if *last <= row.seq => self.close(row, chain),
                _ => Ok(()),
            }
        });
        Ok(found.and_then(|()| self.compare(row, chain)))
    }

    /// The act of a checkpoint.
    fn name(&mut self, seq: Seq, named: &Signed) -> Result<Result<(), Finding>, Trouble> {
        let Some(read) = self.against.checkpoints else { return Ok(Ok(())) };
        if let Some(at) = self.unnamed.iter().position(|one| one == named) {
            self.unnamed.remove(at);
            return Ok(Ok(()));
        }
        // Or it was made after we began.
        let last = named.checkpoint.last;
        let there = read(Seq(last.0.saturating_sub(1)), 1)?;
        let same = |line: &str| Signed::parse(line).is_ok_and(|one| one.bare() == *named);
        let newer = self.own.is_empty() && there.iter().any(|(at, line)| *at == last && same(line));
        Ok(if newer { Ok(()) } else { Err(Finding { seq, fault: Fault::CheckpointGone(last) }) })
    }

    /// The last row of a segment.
    fn close(&mut self, row: &Row, chain: ChainId) -> Result<(), Finding> {
        let Some((last, one)) = self.own.pop_front() else { return Ok(()) };
        let wrong = |fault| Err(Finding { seq: last, fault });
        let Some(one) = one.filter(|one| one.checkpoint.last == last && one.is_genuine()) else {
            return wrong(Fault::CheckpointChanged);
        };
        if !self.against.keys.is_empty() && !self.against.keys.contains(&one.key) {
            return wrong(Fault::CheckpointKey(one.key));
        }
        let checkpoint = &one.checkpoint;
        if checkpoint.previous != self.previous || checkpoint.first.0 != self.first {
            return wrong(Fault::CheckpointGap);
        }
        let same = checkpoint.link == row.link && checkpoint.root == self.tree.root();
        if checkpoint.chain != chain || !same {
            return Err(Finding { seq: checkpoint.first, fault: Fault::NotSigned(last) });
        }
        self.signed.checkpoints += 1;
        self.signed.to = last;
        if !self.signed.keys.iter().any(|(key, _)| *key == one.key) {
            self.signed.keys.push((one.key, last));
        }
        self.previous = checkpoint.digest();
        self.first = last.0 + 1;
        self.tree = Frontier::default();
        self.unnamed.push(one.bare());
        Ok(())
    }

    /// Those that were kept elsewhere.
    fn compare(&mut self, row: &Row, chain: ChainId) -> Result<(), Finding> {
        while let Some(anchor) = self.anchors.front().filter(|a| a.checkpoint.last <= row.seq) {
            let anchor = &anchor.checkpoint;
            if anchor.chain.epoch < chain.epoch {
                self.lose(anchor.last, anchor.chain.epoch);
            } else if anchor.chain.epoch != chain.epoch || anchor.link != row.link {
                // Only as far as those kept elsewhere vouch for rows is it known which are good.
                let first = Seq(self.signed.anchored_to.0 + 1);
                return Err(Finding { seq: first, fault: Fault::NotAnchored(anchor.last) });
            } else {
                self.signed.anchored += 1;
                self.signed.anchored_to = anchor.last;
            }
            self.anchors.pop_front();
        }
        Ok(())
    }

    fn lose(&mut self, last: Seq, epoch: u64) {
        let first = self.signed.lost.map_or(Seq(self.epoch.1), |lost| lost.first);
        self.signed.lost = Some(Lost { first, last, epoch });
    }

    /// After the last row.
    pub(crate) fn end(&mut self, head: Seq, epoch: u64) -> Option<Finding> {
        let gone = Seq(head.0 + 1);
        if let Some((last, _)) = self.own.back() {
            return Some(Finding { seq: gone, fault: Fault::Truncated(*last) });
        }
        let later: Vec<_> = std::mem::take(&mut self.anchors).into_iter().map(|a| a.checkpoint).collect();
        for anchor in &later {
            if anchor.chain.epoch < epoch {
                self.lose(anchor.last, anchor.chain.epoch);
            } else {
                return Some(Finding { seq: gone, fault: Fault::Truncated(anchor.last) });
            }
        }
        // The newest may wait for its act.
        let unnamed = self.unnamed.first().filter(|one| one.checkpoint.last != self.signed.to)?;
        Some(Finding { seq: unnamed.checkpoint.last, fault: Fault::CheckpointUnnamed })
    }
}
