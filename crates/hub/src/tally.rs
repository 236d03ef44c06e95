//! What the hub counts, and what it holds at the moment. Counting costs one relaxed addition; nobody's name is in it.

use crate::house::Hub;
use crate::limit::{COUNTED, counted};
use model::{Dialect, Event, Outcome, Reason, Refusal};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The rules that refuse: the stages, the journal, and whatever else.
const STAGES: [&str; 12] = [
    "identity",
    "federation",
    "limits",
    "throttle",
    "policy",
    "spim",
    "hygiene",
    "outbreak",
    "consent",
    "logins",
    "journal",
    "other",
];
const DIALECTS: [Dialect; 3] = [Dialect::Hub, Dialect::Xmpp, Dialect::Sip];
const OUTCOMES: [&str; 5] = ["delivered", "accepted", "pending", "refused", "unknown"];

#[derive(Default)]
pub(crate) struct Counting {
    /// By dialect: messages, and everything else.
    entered: [[AtomicU64; 2]; DIALECTS.len()],
    delivered: AtomicU64,
    /// By dialect of the sender, dialect of the device, and outcome.
    answered: [[[AtomicU64; OUTCOMES.len()]; DIALECTS.len()]; DIALECTS.len()],
    refused: [[AtomicU64; Reason::ALL.len()]; STAGES.len()],
    held: AtomicU64,
    dropped: AtomicU64,
    unrecorded: AtomicU64,
    limited: [AtomicU64; COUNTED.len()],
    /// By dialect: failed, proven.
    logins: [[AtomicU64; 2]; DIALECTS.len()],
}

impl Counting {
    pub fn entered(&self, from: Dialect, event: &Event) {
        let kind = usize::from(!matches!(event, Event::Message(_)));
        self.entered[from as usize][kind].fetch_add(1, Relaxed);
    }

    pub fn settled(&self, outcome: &Outcome) {
        if *outcome == Outcome::Delivered {
            self.delivered.fetch_add(1, Relaxed);
        }
    }

    /// A device answered a delivery.
    pub fn answered(&self, from: Dialect, to: Dialect, outcome: &Outcome) {
        let at = match outcome {
            Outcome::Delivered => 0,
            Outcome::Accepted => 1,
            Outcome::Pending => 2,
            Outcome::Refused(_) => 3,
            Outcome::Unknown => 4,
        };
        self.answered[from as usize][to as usize][at].fetch_add(1, Relaxed);
    }

    pub fn login(&self, dialect: Dialect, proven: bool) {
        self.logins[dialect as usize][usize::from(proven)].fetch_add(1, Relaxed);
    }

    pub fn held(&self) {
        self.held.fetch_add(1, Relaxed);
    }

    pub fn dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    pub fn unrecorded(&self) {
        self.unrecorded.fetch_add(1, Relaxed);
    }

    pub fn refused(&self, refusal: &Refusal) {
        if let Some(at) = counted(refusal) {
            self.limited[at].fetch_add(1, Relaxed);
        }
        let rule = refusal.rule.as_deref().unwrap_or("other");
        // Which partner's rule it was is told elsewhere: no number of them may make numbers of metrics.
        let rule = match rule.split_once([':', '.']).map_or(rule, |(kind, _)| kind) {
            "partner" => "federation",
            "rule" | "wall" => "policy",
            kind => kind,
        };
        let stage = STAGES.iter().position(|stage| *stage == rule).unwrap_or(STAGES.len() - 1);
        self.refused[stage][refusal.reason as usize - 1].fetch_add(1, Relaxed);
    }
}

/// Counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages submitted, by dialect.
    pub messages: Vec<(Dialect, u64)>,
    /// Other events submitted, by dialect.
    pub others: Vec<(Dialect, u64)>,
    /// Rows that reached a device.
    pub delivered: u64,
    /// Messages that were held for a person to look at.
    pub held: u64,
    /// What was dropped without a word to its sender.
    pub dropped: u64,
    /// Messages that passed while they could not be put on record.
    pub unrecorded: u64,
    /// What limits of rates refused, by limit and direction.
    pub limited: Vec<(&'static str, &'static str, u64)>,
    /// Answers of devices to what was delivered to them, by the sender's dialect, the device's and the outcome.
    pub answered: Vec<(Dialect, Dialect, &'static str, u64)>,
    /// Passwords that were proven, and not, by dialect.
    pub logins: Vec<(Dialect, bool, u64)>,
    /// Refusals by the rule that refused and the reason, those above zero.
    pub refused: Vec<(&'static str, &'static str, u64)>,
}

impl Counters {
    /// Refusals by reason alone.
    pub fn refused_by_reason(&self) -> std::collections::BTreeMap<String, u64> {
        let mut sums = std::collections::BTreeMap::new();
        for (_, reason, n) in &self.refused {
            *sums.entry((*reason).to_owned()).or_default() += n;
        }
        sums
    }
}

/// What the hub holds at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load {
    /// Accounts in memory.
    pub accounts: u64,
    /// Bound devices by dialect.
    pub devices: Vec<(Dialect, u64)>,
    /// Mailboxes that are being read from the store.
    pub draining: u64,
    /// Mailboxes with rows in the store that no device has been handed yet.
    pub behind: u64,
    /// Deliveries that no device has answered yet.
    pub in_flight: u64,
    /// Events that wait for machines with bound devices.
    pub link_events: u64,
    /// Jobs of such machines that wait for the disk.
    pub link_jobs: u64,
    /// Committed rows that wait to be routed.
    pub lane_rows: u64,
    /// Senders who wait to hear how a row ended.
    pub awaiting: u64,
}

impl Hub {
    /// Counters since the start.
    pub fn counters(&self) -> Counters {
        let c = &self.counting;
        let entered =
            |kind: usize| DIALECTS.iter().map(|d| (*d, c.entered[*d as usize][kind].load(Relaxed))).collect();
        let mut answered = Vec::new();
        for from in DIALECTS {
            for to in DIALECTS.into_iter().filter(|to| *to != Dialect::Hub) {
                for (at, outcome) in OUTCOMES.iter().enumerate() {
                    let n = c.answered[from as usize][to as usize][at].load(Relaxed);
                    answered.push((from, to, *outcome, n));
                }
            }
        }
        let logins = DIALECTS.into_iter().filter(|d| *d != Dialect::Hub).flat_map(|d| {
            [false, true].map(|proven| (d, proven, c.logins[d as usize][usize::from(proven)].load(Relaxed)))
        });
        let mut refused = Vec::new();
        for (at, stage) in STAGES.iter().enumerate() {
            for reason in Reason::ALL {
                let n = c.refused[at][reason as usize - 1].load(Relaxed);
                refused.extend((n > 0).then_some((*stage, reason.name(), n)));
            }
        }
        Counters {
            messages: entered(0),
            others: entered(1),
            delivered: c.delivered.load(Relaxed),
            held: c.held.load(Relaxed),
            dropped: c.dropped.load(Relaxed),
            unrecorded: c.unrecorded.load(Relaxed),
            limited: COUNTED
                .iter()
                .zip(&c.limited)
                .map(|((l, way), n)| (*l, *way, n.load(Relaxed)))
                .collect(),
            answered,
            logins: logins.collect(),
            refused,
        }
    }

    /// What is held at the moment: looks at every account in memory, so not for every second.
    pub fn load(&self) -> Load {
        let mut load =
            Load { lane_rows: self.lanes.waiting(), awaiting: self.awaiting.len(), ..Load::default() };
        let mut devices = [0u64; DIALECTS.len()];
        let mut links = HashSet::new();
        for account in self.accounts_at_hand() {
            let state = account.state.lock();
            load.accounts += 1;
            load.draining += u64::from(state.mailbox.draining);
            load.behind += u64::from(state.mailbox.behind);
            for slot in &state.devices {
                devices[slot.link.dialect as usize] += 1;
                load.in_flight += u64::from(slot.in_flight);
                // The machine of a shard has many devices, and one queue.
                if links.insert(Arc::as_ptr(&slot.link)) {
                    let (events, jobs) = slot.link.waiting();
                    load.link_events += events;
                    load.link_jobs += jobs;
                }
            }
        }
        load.devices = DIALECTS.into_iter().zip(devices).filter(|(d, _)| *d != Dialect::Hub).collect();
        load
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_row() {
        let counting = Counting::default();
        for stage in STAGES {
            counting.refused(&Refusal::new(Reason::Policy).by_rule(stage));
        }
        counting.refused(&Refusal::new(Reason::Loop).by_rule("a rule to come"));
        counting.refused(&Refusal::new(Reason::Loop));
        let other = &counting.refused[STAGES.len() - 1];
        assert_eq!(other[Reason::Loop as usize - 1].load(Relaxed), 2);
        assert_eq!(counting.refused[0][Reason::Policy as usize - 1].load(Relaxed), 1);
        assert!(DIALECTS.iter().enumerate().all(|(at, dialect)| *dialect as usize == at));
        assert!(Reason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at + 1));
    }
}
