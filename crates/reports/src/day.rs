use crate::Spread;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody with an account here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Messages of theirs that passed.
    pub sent: u64,
    /// Messages to them that passed.
    pub received: u64,
}

/// A domain elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abroad {
    /// Messages to it that passed.
    pub sent: u64,
    /// Messages from it that passed.
    pub received: u64,
    /// Messages that rules refused, either way.
    pub refused: u64,
    /// Our people who wrote or were written to, each as a number.
    pub ours: BTreeSet<u64>,
    /// Theirs.
    pub theirs: BTreeSet<u64>,
}

/// A domain that federation does not allow, and people have tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// By our people.
    pub by_us: u64,
    /// By theirs.
    pub by_them: u64,
    /// Our people among them, each as a number.
    pub ours: BTreeSet<u64>,
}

/// What happened on a day, or on several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Messages that passed between our own people.
    pub inside: u64,
    /// Messages of ours to others that passed.
    pub outgoing: u64,
    /// Messages of others to ours that passed.
    pub incoming: u64,
    /// Messages between others that passed through us.
    pub transit: u64,
    /// By hour (UTC) when they came.
    pub hours: [u64; 24],
    /// By the protocol of their sender.
    pub dialects: BTreeMap<String, u64>,
    /// Our people.
    pub people: BTreeMap<String, Person>,
    /// Domains elsewhere.
    pub abroad: BTreeMap<String, Abroad>,
    /// Domains that are not allowed.
    pub tried: BTreeMap<String, Tried>,
    /// What rules said: `refused`, `held`, `changed`, `dropped`; and which rule.
    pub verdicts: BTreeMap<String, BTreeMap<String, u64>>,
    /// How messages ended.
    pub ended: BTreeMap<String, u64>,
    /// What translation lost: from, to, `dropped` or `changed`, what, and what it became, parted by `|`.
    pub losses: BTreeMap<String, u64>,
    /// From the server's having a message to a device's having it.
    pub delivery: Spread,
    /// From the first message of somebody that waits for an answer to that answer, within an hour.
    pub response: Spread,
    /// Acts of administration.
    pub acts: u64,
    /// What devices said of their users, where presence is on record.
    pub presence: u64,
}

fn add<K: Ord + Clone>(to: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, n) in from {
        *to.entry(key.clone()).or_default() += n;
    }
}

impl Day {
    /// Messages that passed.
    pub fn messages(&self) -> u64 {
        self.inside + self.outgoing + self.incoming + self.transit
    }

    /// Our people who wrote something.
    pub fn active(&self) -> u64 {
        self.people.values().filter(|p| p.sent > 0).count() as u64
    }

    /// Domains elsewhere with which messages passed.
    pub fn reached(&self) -> u64 {
        self.abroad.values().filter(|a| a.sent + a.received > 0).count() as u64
    }

    /// How often rules said this.
    pub fn said(&self, verdict: &str) -> u64 {
        self.verdicts.get(verdict).map_or(0, |rules| rules.values().sum())
    }

    /// Those of another day too.
    pub fn merge(&mut self, other: &Self) {
        self.inside += other.inside;
        self.outgoing += other.outgoing;
        self.incoming += other.incoming;
        self.transit += other.transit;
        self.acts += other.acts;
        self.presence += other.presence;
        for (hour, n) in self.hours.iter_mut().zip(other.hours) {
            *hour += n;
        }
        add(&mut self.dialects, &other.dialects);
        add(&mut self.ended, &other.ended);
        add(&mut self.losses, &other.losses);
        for (verdict, rules) in &other.verdicts {
            add(self.verdicts.entry(verdict.clone()).or_default(), rules);
        }
        for (who, theirs) in &other.people {
            let ours = self.people.entry(who.clone()).or_default();
            ours.sent += theirs.sent;
            ours.received += theirs.received;
        }
        for (domain, theirs) in &other.abroad {
            let ours = self.abroad.entry(domain.clone()).or_default();
            ours.sent += theirs.sent;
            ours.received += theirs.received;
            ours.refused += theirs.refused;
            ours.ours.extend(&theirs.ours);
            ours.theirs.extend(&theirs.theirs);
        }
        for (domain, theirs) in &other.tried {
            let ours = self.tried.entry(domain.clone()).or_default();
            ours.by_us += theirs.by_us;
            ours.by_them += theirs.by_them;
            ours.ours.extend(&theirs.ours);
        }
        self.delivery.merge(&other.delivery);
        self.response.merge(&other.response);
    }
}
