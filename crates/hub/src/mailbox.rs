//! A mailbox: which of an account's rows are done, which are out to devices, and which still wait in the store.
//!
//! Pure bookkeeping over journal numbers. Delivery never reads the store while the mailbox keeps up; when it falls
//! *behind* (nobody ready, or everybody's window full) new rows stay in the store and are drained from there.

use model::{Outcome, Settlement};
use std::collections::{BTreeMap, BTreeSet};

/// Unacknowledged deliveries one device may have.
pub(crate) const WINDOW: u32 = 512;

/// A row that is out to devices.
pub(crate) struct Open {
    /// Devices that have it and have not answered.
    pub forks: u32,
    /// The best answer so far.
    pub best: Option<Settlement>,
}

#[derive(Default)]
pub(crate) struct Mailbox {
    /// Every row up to here is done.
    pub low: u64,
    /// Rows beyond `low` that are done as well.
    pub above: BTreeSet<u64>,
    /// Rows that are out.
    pub open: BTreeMap<u64, Open>,
    /// The cursor was read from the store.
    pub loaded: bool,
    /// Rows wait in the store beyond `fetched`.
    pub behind: bool,
    /// A drain is running.
    pub draining: bool,
    /// A row came while the drain was running.
    pub missed: bool,
    /// The last try failed for a passing reason: wait until a device attends again.
    pub stalled: bool,
    /// The last row taken from the store or routed directly.
    pub fetched: u64,
}

/// What an answer means for the row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Other devices have yet to answer.
    Waiting,
    /// Done: tell the sender, write it down.
    Done(Settlement),
    /// Nobody took it for now: it stays in the mailbox.
    Back,
    /// It was done before.
    Late,
}

impl Mailbox {
    /// True where a new row may go straight to devices.
    pub fn keeps_up(&self) -> bool {
        self.loaded && !self.behind
    }

    /// True for a row that needs no delivery any more.
    pub fn is_done(&self, seq: u64) -> bool {
        seq <= self.low || self.above.contains(&seq)
    }

    /// True for a row that needs no delivery any more, or is out already.
    pub fn is_settled(&self, seq: u64) -> bool {
        self.is_done(seq) || self.open.contains_key(&seq)
    }

    /// A row goes out to so many devices.
    pub fn hand_out(&mut self, seq: u64, forks: u32) {
        self.fetched = self.fetched.max(seq);
        self.open.insert(seq, Open { forks, best: None });
    }

    /// A row that waits is tried elsewhere first; those before it wait on.
    pub fn lend(&mut self, seq: u64) {
        self.open.insert(seq, Open { forks: 1, best: None });
    }

    /// A row is kept from everybody until what it needs is done, and the low mark with it. `false` if it is out already.
    pub fn keep_back(&mut self, seq: u64) -> bool {
        if self.is_settled(seq) {
            return false;
        }
        self.lend(seq);
        true
    }

    /// A row that was kept back may go. Whoever read the store meanwhile has passed it over.
    pub fn let_go(&mut self, seq: u64) {
        self.open.remove(&seq);
        self.fetched = self.fetched.min(seq - 1).max(self.low);
    }

    /// One device answered, or ended without answering (`None`).
    pub fn answered(&mut self, seq: u64, answer: Option<Settlement>) -> Verdict {
        let Some(open) = self.open.get_mut(&seq) else { return Verdict::Late };
        open.forks = open.forks.saturating_sub(1);
        if let Some(answer) = answer {
            let better = open.best.as_ref().is_none_or(|b| answer.outcome.rank() < b.outcome.rank());
            if better {
                open.best = Some(answer);
            }
        }
        let delivered = matches!(&open.best, Some(s) if s.outcome == Outcome::Delivered);
        if !delivered && open.forks > 0 {
            return Verdict::Waiting;
        }
        let final_no = matches!(&open.best, Some(Settlement { outcome: Outcome::Refused(r), .. }) if !r.reason.is_transient());
        // Whoever takes it for later answers for it from then on (202, RFC 3428 section 7).
        let taken = delivered || matches!(&open.best, Some(s) if s.outcome == Outcome::Accepted);
        match open.best.take() {
            Some(best) if taken || final_no => {
                self.done(seq);
                Verdict::Done(best)
            }
            _ => {
                self.give_back(seq);
                Verdict::Back
            }
        }
    }

    /// A row goes back to the store: it will be fetched again.
    fn give_back(&mut self, seq: u64) {
        self.open.remove(&seq);
        self.behind = true;
        self.missed = true;
        self.fetched = self.fetched.min(seq - 1).max(self.low);
    }

    /// A row needs no delivery any more.
    pub fn done(&mut self, seq: u64) {
        self.open.remove(&seq);
        if seq > self.low {
            self.above.insert(seq);
        }
        self.settle_low();
    }

    /// Moves the low mark over what is done, but never over a row that is out or not yet fetched.
    pub fn settle_low(&mut self) {
        let mut floor = self.open.first_key_value().map_or(u64::MAX, |(first, _)| first - 1);
        if self.behind {
            floor = floor.min(self.fetched);
        }
        while let Some(&first) = self.above.first() {
            if first > floor {
                return;
            }
            self.low = first;
            self.above.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::*;

    fn loaded() -> Mailbox {
        Mailbox { loaded: true, ..Mailbox::default() }
    }

    #[test]
    fn the_low_mark_waits_for_the_oldest() {
        let mut m = loaded();
        for seq in [3, 5, 9] {
            m.hand_out(seq, 1);
        }
        assert_eq!(m.answered(5, Some(Outcome::Delivered.into())), Verdict::Done(Outcome::Delivered.into()));
        assert_eq!((m.low, m.above.len()), (0, 1));
        m.answered(3, Some(Outcome::Delivered.into()));
        assert_eq!((m.low, m.above.len()), (5, 0));
    }

    #[test]
    fn the_best_fork_wins() {
        let mut m = loaded();
        m.hand_out(1, 2);
        let no = Settlement::from(Outcome::Refused(Refusal::new(Reason::Forbidden)));
        assert_eq!(m.answered(1, Some(no.clone())), Verdict::Waiting);
        assert_eq!(m.answered(1, Some(Outcome::Delivered.into())), Verdict::Done(Outcome::Delivered.into()));
        m.hand_out(2, 2);
        assert_eq!(m.answered(2, Some(no.clone())), Verdict::Waiting);
        assert_eq!(m.answered(2, None), Verdict::Done(no));
    }

    #[test]
    fn what_another_server_took_for_later_is_done() {
        let mut m = loaded();
        let later = || Settlement::from(Outcome::Accepted);
        m.hand_out(1, 1);
        assert_eq!(m.answered(1, Some(later())), Verdict::Done(later()));
        assert_eq!((m.low, m.behind), (1, false));
        // Somebody else may still say that it arrived.
        m.hand_out(2, 2);
        assert_eq!(m.answered(2, Some(later())), Verdict::Waiting);
        assert_eq!(m.answered(2, Some(Outcome::Delivered.into())), Verdict::Done(Outcome::Delivered.into()));
        m.hand_out(3, 2);
        assert_eq!(m.answered(3, Some(later())), Verdict::Waiting);
        assert_eq!(m.answered(3, None), Verdict::Done(later()));
    }

    #[test]
    fn what_nobody_took_goes_back_and_holds_the_low_mark() {
        let mut m = loaded();
        m.hand_out(1, 1);
        m.hand_out(2, 1);
        assert_eq!(m.answered(1, None), Verdict::Back);
        m.answered(2, Some(Outcome::Delivered.into()));
        assert_eq!((m.low, m.behind, m.fetched), (0, true, 0));
        assert!(m.is_settled(2) && !m.is_settled(1));
        m.hand_out(1, 1);
        m.answered(1, Some(Outcome::Delivered.into()));
        m.behind = false;
        m.settle_low();
        assert_eq!((m.low, m.above.len()), (2, 0));
    }

    #[test]
    fn a_passing_refusal_keeps_the_row() {
        let mut m = loaded();
        m.hand_out(1, 1);
        let away = Settlement::from(Outcome::Refused(Refusal::new(Reason::RemoteTimeout)));
        assert_eq!(m.answered(1, Some(away)), Verdict::Back);
    }
}
