//! What is known of those who write to us: one number that reports and findings lower, consents raise, and time takes back
//! to nothing.

use crate::keys;
use model::Address;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Parties that are remembered; who is nearest to nothing makes room.
const MOST: usize = 16_384;
/// Reporters of one party that are told apart.
const REPORTERS: usize = 64;
/// So many people must have reported somebody, for the reputation to be clear.
const CLEAR: usize = 3;
/// No reputation is further from nothing.
const FURTHEST: f64 = 200.0;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Somebody of ours reported them.
    Report,
    /// A rule about content refused what they sent, or they broke the rules of first contact.
    Refused,
    /// A rule about content held it.
    Held,
    /// Somebody of ours consented to them, or wrote to them first.
    Consent,
}

impl Mark {
    fn worth(self) -> f64 {
        match self {
            Self::Report => -10.0,
            Self::Refused => -2.0,
            Self::Held => -1.0,
            Self::Consent => 5.0,
        }
    }
}

/// What is known of one party.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The reputation when it last changed; see [`Record::score`].
    pub worth: f64,
    /// When that was, Unix milliseconds.
    pub at: u64,
    /// Reports, by different people.
    pub reports: u32,
    /// What was refused.
    pub refused: u32,
    /// What was held.
    pub held: u32,
    /// People of ours who consented, or wrote first.
    pub consents: u32,
    /// Who reported, by hash.
    #[serde(default)]
    pub(crate) reporters: Vec<u64>,
}

impl Record {
    /// The reputation now: nothing for a stranger, less for a bad one.
    #[allow(clippy::cast_precision_loss)]
    pub fn score(&self, now: u64, half_life: u64) -> f64 {
        let age = now.saturating_sub(self.at) as f64 / half_life.max(1) as f64;
        self.worth * 0.5f64.powf(age)
    }
}

/// Everybody's.
#[derive(Default)]
pub(crate) struct Repute {
    records: Mutex<HashMap<String, Record>>,
    changed: Mutex<HashSet<String>>,
}

impl Repute {
    /// Something happened to do with this party and its domain. Gives false for a report that was made before.
    pub fn note(&self, who: &Address, mark: Mark, by: Option<&Address>, now: u64, half_life: u64) -> bool {
        let reporter = by.filter(|_| mark == Mark::Report).map(|by| keys::party(by.as_str()));
        let mut first = true;
        for (name, share) in [(who.as_str(), 1.0), (who.domain(), 0.2)] {
            // A domain itself is one party.
            if name == who.domain() && who.user().is_none() && share < 1.0 {
                continue;
            }
            let mut records = self.records.lock();
            if records.len() >= MOST && !records.contains_key(name) {
                self.make_room(&mut records, now, half_life);
            }
            let record = records.entry(name.to_owned()).or_default();
            if let Some(reporter) = reporter {
                if record.reporters.contains(&reporter) {
                    first &= share < 1.0;
                    continue;
                }
                if record.reporters.len() < REPORTERS {
                    record.reporters.push(reporter);
                }
            }
            record.worth =
                (record.score(now, half_life) + share * mark.worth()).clamp(-FURTHEST, FURTHEST / 2.0);
            record.at = now;
            let count = match mark {
                Mark::Report => &mut record.reports,
                Mark::Refused => &mut record.refused,
                Mark::Held => &mut record.held,
                Mark::Consent => &mut record.consents,
            };
            *count = count.saturating_add(1);
            drop(records);
            self.changed.lock().insert(name.to_owned());
        }
        first
    }

    fn make_room(&self, records: &mut HashMap<String, Record>, now: u64, half_life: u64) {
        let mut far: Vec<f64> = records.values().map(|r| r.score(now, half_life).abs()).collect();
        let middle = far.len() / 2;
        let median = *far.select_nth_unstable_by(middle, f64::total_cmp).1;
        let mut changed = self.changed.lock();
        records.retain(|name, r| {
            let stays = r.score(now, half_life).abs() > median;
            if !stays {
                changed.insert(name.clone());
            }
            stays
        });
    }

    /// Is it clear that what this one sends is unwanted? A domain never is: it only gets less.
    pub fn is_clear(&self, who: &Address, below: u32, now: u64, half_life: u64) -> bool {
        let records = self.records.lock();
        records.get(who.as_str()).is_some_and(|record| {
            record.reporters.len() >= CLEAR && record.score(now, half_life) <= -f64::from(below)
        })
    }

    pub fn get(&self, name: &str) -> Option<Record> {
        self.records.lock().get(name).cloned()
    }

    pub fn score(&self, name: &str, now: u64, half_life: u64) -> f64 {
        self.records.lock().get(name).map_or(0.0, |record| record.score(now, half_life))
    }

    pub fn forget(&self, name: &str) -> bool {
        let had = self.records.lock().remove(name).is_some();
        if had {
            self.changed.lock().insert(name.to_owned());
        }
        had
    }

    pub fn put(&self, name: String, record: Record) {
        let mut records = self.records.lock();
        if records.len() < MOST {
            records.insert(name, record);
        }
    }

    /// Those of the worst reputation, the worst first.
    pub fn worst(&self, most: usize, now: u64, half_life: u64) -> Vec<(String, f64, Record)> {
        let records = self.records.lock();
        let mut all: Vec<_> = records
            .iter()
            .map(|(name, record)| (name.clone(), record.score(now, half_life), record.clone()))
            .filter(|(_, score, _)| *score <= -0.5)
            .collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(most);
        all
    }

    pub fn len(&self) -> usize {
        self.records.lock().len()
    }

    /// Records that have changed since this was last asked, so many at most; `None` for those that are gone.
    pub fn changed(&self, most: usize) -> Vec<(String, Option<Record>)> {
        let names: Vec<String> = {
            let mut changed = self.changed.lock();
            let names = changed.iter().take(most).cloned().collect::<Vec<_>>();
            changed.retain(|name| !names.contains(name));
            names
        };
        let records = self.records.lock();
        names.into_iter().map(|name| (name.clone(), records.get(&name).cloned())).collect()
    }

    /// What [`Self::changed`] gave could not be kept.
    pub fn keep_again(&self, name: String) {
        self.changed.lock().insert(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600_000;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn reports_of_several_people_make_it_clear_and_time_heals() {
        let (repute, bad) = (Repute::default(), address("m@evil.example"));
        for n in 0..5 {
            let by = address(&format!("user{n}@example.com"));
            assert!(!repute.is_clear(&bad, 50, 0, DAY));
            assert!(repute.note(&bad, Mark::Report, Some(&by), 0, DAY));
            assert!(!repute.note(&bad, Mark::Report, Some(&by), 0, DAY), "the same person again");
        }
        assert!(repute.is_clear(&bad, 50, 0, DAY));
        assert!(!repute.is_clear(&bad, 50, DAY, DAY));
        let record = repute.get("m@evil.example").unwrap();
        assert_eq!((record.reports, record.score(0, DAY), record.score(DAY, DAY)), (5, -50.0, -25.0));
        assert_eq!(repute.score("evil.example", 0, DAY), -10.0);
        assert!(!repute.is_clear(&address("other@evil.example"), 50, 0, DAY));
        // One person's hundred complaints are one, and what rules find does not convict alone.
        let shy = address("shy@evil.example");
        for _ in 0..100 {
            repute.note(&shy, Mark::Refused, None, 0, DAY);
        }
        assert!(!repute.is_clear(&shy, 50, 0, DAY));
        assert_eq!(repute.worst(1, 0, DAY)[0].0, "shy@evil.example");
        assert_eq!(repute.changed(9).len(), 3);
        assert!(
            repute.forget("shy@evil.example") && repute.changed(9) == [("shy@evil.example".into(), None)]
        );
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_worst() {
        let repute = Repute::default();
        let worst = address("worst@evil.example");
        for _ in 0..5 {
            repute.note(&worst, Mark::Report, None, 0, DAY);
        }
        for n in 0..40_000 {
            repute.note(&address(&format!("u{n}@d{n}.example")), Mark::Held, None, 0, DAY);
        }
        assert!(repute.len() <= MOST + 1);
        assert!(repute.get(worst.as_str()).is_some());
    }
}
