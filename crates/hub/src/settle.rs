//! Who still wants to hear how a row ended.

use crate::clock;
use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use model::{Outcome, Seq, Settlement, Ticket};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use store::SettledRow;

/// A sender hears after so long, whatever happens: also where the time of day is set back.
const PATIENCE: Duration = Duration::from_secs(5);
const SHARDS: u64 = 16;

struct Waiter {
    link: Weak<LinkCore>,
    ticket: Ticket,
    outcome_wanted: bool,
}

#[derive(Default)]
struct Shard {
    waiters: HashMap<u64, Waiter>,
    /// In order of time, because everybody waits equally long.
    deadlines: VecDeque<(Instant, u64)>,
}

/// Senders by journal number.
pub(crate) struct Awaiting(Vec<Mutex<Shard>>);

impl Default for Awaiting {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Awaiting {
    pub fn insert(&self, seq: Seq, link: &Arc<LinkCore>, ticket: Ticket, outcome_wanted: bool) {
        let deadline = clock::running() + PATIENCE;
        let mut shard = self.0[(seq.0 % SHARDS) as usize].lock();
        shard.waiters.insert(seq.0, Waiter { link: Arc::downgrade(link), ticket, outcome_wanted });
        shard.deadlines.push_back((deadline, seq.0));
    }

    /// How many wait.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|shard| shard.lock().waiters.len() as u64).sum()
    }

    fn take(&self, seq: Seq) -> Option<Waiter> {
        self.0[(seq.0 % SHARDS) as usize].lock().waiters.remove(&seq.0)
    }

    fn overdue(&self) -> Vec<Waiter> {
        let now = clock::running();
        let mut overdue = Vec::new();
        for shard in &self.0 {
            let mut shard = shard.lock();
            while let Some(&(deadline, seq)) = shard.deadlines.front() {
                if deadline > now {
                    break;
                }
                shard.deadlines.pop_front();
                overdue.extend(shard.waiters.remove(&seq));
            }
        }
        overdue
    }
}

impl Waiter {
    fn tell(self, settlement: Settlement) {
        if !self.outcome_wanted && !matches!(settlement.outcome, Outcome::Refused(_)) {
            return;
        }
        if let Some(link) = self.link.upgrade() {
            link.send(HubEvent::Settled(self.ticket, settlement));
        }
    }
}

impl Hub {
    /// A row ended: the record hears it, and the sender does not.
    pub(crate) fn settle_silently(&self, seq: Seq, settlement: Settlement) {
        let Settlement { outcome, losses } = settlement;
        self.counting.settled(&outcome);
        self.parts.journal.settle(SettledRow { seq, outcome, losses });
    }

    /// A row ended: the record and the sender hear it.
    pub(crate) fn settle(self: &Arc<Self>, seq: Seq, settlement: Settlement) {
        self.counting.settled(&settlement.outcome);
        self.parts.journal.settle(SettledRow {
            seq,
            outcome: settlement.outcome.clone(),
            losses: settlement.losses.clone(),
        });
        if let Some(waiter) = self.awaiting.take(seq) {
            waiter.tell(settlement);
        } else if let Outcome::Refused(refusal) = settlement.outcome {
            self.tell_late(seq, refusal);
        }
    }

    /// The sender hears where the row stands; the row itself has not ended.
    pub(crate) fn settle_early(&self, seq: Seq, settlement: Settlement) {
        if let Some(waiter) = self.awaiting.take(seq) {
            waiter.tell(settlement);
        }
    }

    /// Twice a second: senders who waited long enough hear `Accepted`, leases and publications lapse.
    pub(crate) async fn tick(hub: Weak<Hub>) {
        let mut interval = tokio::time::interval(Duration::from_millis(500));
        loop {
            interval.tick().await;
            let Some(hub) = hub.upgrade() else { return };
            for waiter in hub.awaiting.overdue() {
                waiter.tell(Outcome::Accepted.into());
            }
            hub.expire();
            hub.let_go_of_watched();
            hub.record_late();
        }
    }
}
