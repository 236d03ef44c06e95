//! What waits for a person's decision: rows of the journal in a mailbox that is nobody's.

use crate::clock;
use crate::house::Hub;
use crate::pipeline::Context;
use crate::router::{Committed, Plan};
use crate::submit::broken;
use model::codec::{Kept, decode};
use model::{Address, Envelope, Judgement, Outcome, Reason, Refusal, Seq, Settlement, Ticket, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{MailboxCursor, Trouble};

/// Rows that were decided, beyond the first that was not: so many are written down at most. What lies beyond comes up
/// again after a crash.
const DECIDED: usize = 100_000;

/// Rows that are read at once.
const PAGE: usize = 500;

/// Which of the held rows are decided.
#[derive(Default)]
pub(crate) struct Quarantine(Mutex<Option<Decided>>);

struct Decided {
    low: u64,
    above: BTreeSet<u64>,
    /// Somebody is about to let these pass.
    in_hand: BTreeSet<u64>,
}

impl Decided {
    fn knows(&self, seq: Seq) -> bool {
        self.low >= seq.0 || self.above.contains(&seq.0) || self.in_hand.contains(&seq.0)
    }
}

/// One message that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldRow {
    /// Its row in the journal.
    pub seq: Seq,
    /// What it is, and why it waits.
    pub kept: Kept,
}

/// Why nothing was decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuarantineError {
    /// That row does not wait.
    #[error("row {0} waits for nobody's decision: it never did, or somebody has decided already")]
    NotHeld(Seq),
    /// It cannot go where it was to go.
    #[error("it cannot be passed on: {0}")]
    Refused(Refusal),
    /// The store failed.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

impl Hub {
    /// What waits, oldest first, after this row; at most `limit`. Blocks.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn held(&self, after: Seq, limit: usize) -> Result<Vec<HeldRow>, Trouble> {
        let mut all = Vec::new();
        let mut after = after;
        while all.len() < limit {
            let rows = self.parts.journal.waiting(&Address::quarantine(), after, limit)?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            for row in rows {
                if self.is_decided(row.seq)? {
                    continue;
                }
                match decode(&row.head, row.body.as_deref()) {
                    Ok(kept) => all.push(HeldRow { seq: row.seq, kept }),
                    Err(error) => tracing::error!(seq = row.seq.0, %error, "a held row cannot be read"),
                }
            }
        }
        all.truncate(limit);
        Ok(all)
    }

    /// One that waits. Blocks.
    ///
    /// # Errors
    /// [`QuarantineError`]
    pub fn held_row(&self, seq: Seq) -> Result<HeldRow, QuarantineError> {
        let not_held = || QuarantineError::NotHeld(seq);
        if seq.0 == 0 || self.is_decided(seq)? {
            return Err(not_held());
        }
        let rows = self.parts.journal.rows(seq, 1)?;
        let row = rows.first().filter(|row| row.seq == seq).ok_or_else(not_held)?;
        let kept = decode(&row.head, row.body.as_deref()).map_err(|_| not_held())?;
        match kept.judged.held {
            Some(_) => Ok(HeldRow { seq, kept }),
            None => Err(not_held()),
        }
    }

    /// The same, if there is something left of it to deliver.
    fn held_whole(&self, seq: Seq) -> Result<Kept, QuarantineError> {
        let HeldRow { kept, .. } = self.held_row(seq)?;
        if kept.erased {
            let gone =
                Refusal::new(Reason::Gone).with_text("its content was destroyed by the rule of retention");
            return Err(QuarantineError::Refused(gone));
        }
        Ok(kept)
    }

    /// Lets one pass, as it was sent. It is a row of its own then, which names the one that was held. Blocks.
    ///
    /// # Errors
    /// [`QuarantineError`]
    pub fn release_held(self: &Arc<Self>, seq: Seq) -> Result<(), QuarantineError> {
        let kept = self.held_whole(seq)?;
        let plan = match self.plan(&kept.envelope)? {
            Plan::Refuse(refusal) => return Err(QuarantineError::Refused(refusal)),
            plan => plan,
        };
        let judged = Judgement { released: Some(seq), ..Judgement::default() };
        self.pass_held(seq, kept.envelope, plan, &judged)
    }

    /// Judges one that waits anew, as if it came now: it passes, waits for another reason, or its sender hears why not. Blocks.
    ///
    /// # Errors
    /// [`QuarantineError`]
    pub fn judge_held_again(self: &Arc<Self>, seq: Seq) -> Result<(), QuarantineError> {
        self.judge_held(seq, None)
    }

    /// Goes on with one that waited for this stage, and need not any more: those behind it have not seen it yet. Blocks.
    ///
    /// # Errors
    /// [`QuarantineError`]
    pub fn go_on_with_held(self: &Arc<Self>, seq: Seq, stage: &str) -> Result<(), QuarantineError> {
        self.judge_held(seq, Some(stage))
    }

    fn judge_held(self: &Arc<Self>, seq: Seq, behind: Option<&str>) -> Result<(), QuarantineError> {
        let kept = self.held_whole(seq)?;
        let (mut envelope, rule) = (kept.envelope, kept.judged.held.map(|hold| hold.rule));
        let plan = self.plan(&envelope)?;
        let (acquainted, listed) = self.acquainted(&envelope, &plan);
        let is_here = !matches!(plan, Plan::Remote(_)) && self.hosts(envelope.to.address.domain());
        let context = Context { now: clock::wall(), acquainted, listed, is_here };
        let pipeline = &self.parts.pipeline;
        let mut judged = match behind.map(|stage| (stage, pipeline.still_passes(&envelope))) {
            None => pipeline.judge(&mut envelope, &context),
            // Rules of today hold for it, too.
            Some((_, Err(refusal))) => Judgement::refused(refusal),
            Some((stage, Ok(()))) => pipeline.judge_behind(stage, &mut envelope, &context),
        };
        if behind.is_none() && judged.held.as_ref().map(|hold| &hold.rule) == rule.as_ref() {
            return Ok(());
        }
        if let (Plan::Refuse(refusal), None) = (&plan, &judged.refused) {
            judged.refused = Some(refusal.clone());
        }
        if let Some(refusal) = judged.refused {
            self.decide(seq)?;
            self.counting.refused(&refusal);
            let settlement = Settlement::from(Outcome::Refused(refusal));
            match judged.silent {
                true => self.settle_silently(seq, settlement),
                false => self.settle(seq, settlement),
            }
            return Ok(());
        }
        judged.rules.extend(rule);
        let plan = judged.held.clone().map_or(plan, Plan::Hold);
        self.pass_held(seq, envelope, plan, &judged)
    }

    /// Lets one go on as a row of its own. It waits no more once that row is on record; until then whoever decides at the
    /// same time hears that somebody does.
    fn pass_held(
        self: &Arc<Self>,
        seq: Seq,
        envelope: Envelope,
        plan: Plan,
        judged: &Judgement,
    ) -> Result<(), QuarantineError> {
        if !self.with_decided(|decided| !decided.knows(seq) && decided.in_hand.insert(seq.0))? {
            return Err(QuarantineError::NotHeld(seq));
        }
        let entering = Committed::of(&self.own, Ticket(0), Arc::new(envelope), false, plan, None);
        if let Err(trouble) = self.record_now(entering, judged) {
            self.with_decided(|decided| decided.in_hand.remove(&seq.0))?;
            return Err(trouble.into());
        }
        self.note_decided(|decided| decided.in_hand.remove(&seq.0), seq)?;
        self.settle(seq, Settlement::from(Outcome::Accepted));
        Ok(())
    }

    /// Ends one that waits; with `tell`, its sender hears it. Blocks.
    ///
    /// # Errors
    /// [`QuarantineError`]
    pub fn discard_held(self: &Arc<Self>, seq: Seq, tell: bool) -> Result<(), QuarantineError> {
        let HeldRow { kept, .. } = self.held_row(seq)?;
        self.end_held(seq, kept, tell, "it was looked at, and is not delivered")
    }

    /// Ends those that were held before this time and that nobody has decided about; their senders hear it. How many.
    /// Blocks.
    ///
    /// # Errors
    /// [`QuarantineError`]; what was ended until then is ended.
    pub fn expire_held(self: &Arc<Self>, before: Timestamp) -> Result<usize, QuarantineError> {
        let (mut ended, mut after) = (0, Seq(0));
        loop {
            let page = self.held(after, PAGE)?;
            let Some(last) = page.last() else { return Ok(ended) };
            after = last.seq;
            for HeldRow { seq, kept } in page {
                if kept.envelope.at >= before {
                    continue;
                }
                match self.end_held(
                    seq,
                    kept,
                    true,
                    "it was held, nobody decided in time, and it is not delivered",
                ) {
                    Ok(()) => ended += 1,
                    // Somebody has decided meanwhile.
                    Err(QuarantineError::NotHeld(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn end_held(
        self: &Arc<Self>,
        seq: Seq,
        kept: Kept,
        tell: bool,
        words: &str,
    ) -> Result<(), QuarantineError> {
        self.decide(seq)?;
        let rule = kept.judged.held.map(|hold| hold.rule).unwrap_or_default();
        let refusal = Refusal::new(Reason::Policy).with_text(words).by_rule(rule);
        let settlement = Settlement::from(Outcome::Refused(refusal));
        match tell {
            true => self.settle(seq, settlement),
            false => self.settle_silently(seq, settlement),
        }
        Ok(())
    }

    fn is_decided(&self, seq: Seq) -> Result<bool, Trouble> {
        self.with_decided(|decided| decided.knows(seq))
    }

    fn with_decided<T>(&self, work: impl FnOnce(&mut Decided) -> T) -> Result<T, Trouble> {
        let mut decided = self.quarantine.0.lock();
        if decided.is_none() {
            let cursor = self.parts.journal.cursor(&Address::quarantine())?;
            let above = cursor.above.iter().map(|s| s.0).collect();
            *decided = Some(Decided { low: cursor.low.0, above, in_hand: BTreeSet::new() });
        }
        match decided.as_mut() {
            Some(decided) => Ok(work(decided)),
            None => Err(Trouble::Failed("the quarantine's cursor was lost".into())),
        }
    }

    /// Notes that one is decided. Blocks.
    fn decide(&self, seq: Seq) -> Result<(), QuarantineError> {
        self.note_decided(|decided| !decided.knows(seq), seq)
    }

    fn note_decided(&self, may: impl FnOnce(&mut Decided) -> bool, seq: Seq) -> Result<(), QuarantineError> {
        let cursor = self.with_decided(|decided| {
            if !may(decided) {
                return None;
            }
            decided.above.insert(seq.0);
            let above = decided.above.iter().take(DECIDED).map(|s| Seq(*s)).collect();
            Some(MailboxCursor { account: Address::quarantine(), low: Seq(decided.low), above })
        })?;
        self.parts.journal.advance(cursor.ok_or(QuarantineError::NotHeld(seq))?);
        self.tidy_quarantine()?;
        Ok(())
    }

    /// Moves the low mark up to the first row that still waits, so that the list of those decided stays short.
    fn tidy_quarantine(&self) -> Result<(), Trouble> {
        let low = self.with_decided(|decided| decided.low)?;
        let waiting = self.parts.journal.waiting(&Address::quarantine(), Seq(low), 1_000)?;
        let all_seen = waiting.len() < 1_000;
        self.with_decided(|decided| {
            let first = waiting.iter().map(|row| row.seq.0).find(|seq| !decided.above.contains(seq));
            let up_to = match (first, waiting.last()) {
                (Some(first), _) => first - 1,
                (None, Some(last)) => last.seq.0,
                (None, None) => decided.above.last().copied().filter(|_| all_seen).unwrap_or(low),
            };
            decided.low = decided.low.max(up_to);
            decided.above = decided.above.split_off(&(decided.low + 1));
        })
    }
}

impl From<QuarantineError> for Refusal {
    fn from(error: QuarantineError) -> Self {
        match error {
            QuarantineError::Refused(refusal) => refusal,
            QuarantineError::Trouble(trouble) => broken(&trouble),
            QuarantineError::NotHeld(_) => Refusal::new(Reason::NotFound),
        }
    }
}
