//! Who of ours has written to whom elsewhere, and to which domains: those are no strangers.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const SHARDS: usize = 256;
/// Pairs in one shard; the half that wrote longest ago makes room.
const MOST: usize = 2_048;
const DAY: u64 = 24 * 3_600_000;
/// A pair is written down again after so many days.
const STALE: u32 = 7;

#[derive(Default)]
struct Shard {
    /// The last day on which somebody wrote.
    pairs: Mutex<HashMap<u64, u32>>,
    changed: AtomicBool,
}

/// Half a million pairs at most: 12 MB.
pub(crate) struct Known(Vec<Shard>);

impl Default for Known {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }
}

fn day(now: u64) -> u32 {
    u32::try_from(now / DAY).unwrap_or(u32::MAX)
}

impl Known {
    fn shard(&self, key: u64) -> &Shard {
        &self.0[(key >> 56) as usize % SHARDS]
    }

    pub fn has(&self, key: u64) -> bool {
        self.shard(key).pairs.lock().contains_key(&key)
    }

    /// Remembers one. True where it was not known.
    pub fn note(&self, key: u64, now: u64) -> bool {
        let (shard, today) = (self.shard(key), day(now));
        let mut pairs = shard.pairs.lock();
        if let Some(last) = pairs.get_mut(&key) {
            if today > *last + STALE {
                *last = today;
                shard.changed.store(true, Relaxed);
            }
            return false;
        }
        if pairs.len() >= MOST {
            let mut days: Vec<u32> = pairs.values().copied().collect();
            let middle = days.len() / 2;
            let median = *days.select_nth_unstable(middle).1;
            pairs.retain(|_, last| *last > median);
        }
        pairs.insert(key, today);
        shard.changed.store(true, Relaxed);
        true
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.pairs.lock().len()).sum()
    }

    /// Shards that have changed since they were last given, as documents; so many at most.
    pub fn changed(&self, most: usize) -> Vec<(String, Vec<u8>)> {
        let changed = self.0.iter().enumerate().filter(|(_, shard)| shard.changed.swap(false, Relaxed));
        changed
            .take(most)
            .map(|(at, shard)| {
                let pairs = shard.pairs.lock();
                let doc = pairs.iter().flat_map(|(key, last)| {
                    key.to_be_bytes().into_iter().chain(last.to_be_bytes()).collect::<Vec<_>>()
                });
                (format!("known-{at:02x}"), doc.collect())
            })
            .collect()
    }

    /// What [`Self::changed`] gave could not be kept.
    pub fn keep_again(&self, name: &str) {
        let at = name.strip_prefix("known-").and_then(|hex| usize::from_str_radix(hex, 16).ok());
        if let Some(shard) = at.and_then(|at| self.0.get(at)) {
            shard.changed.store(true, Relaxed);
        }
    }

    /// Takes in a document.
    pub fn read(&self, doc: &[u8]) {
        for entry in doc.chunks_exact(12) {
            let (key, last) = entry.split_at(8);
            if let (Ok(key), Ok(last)) = (key.try_into(), last.try_into()) {
                let key = u64::from_be_bytes(key);
                self.shard(key).pairs.lock().insert(key, u32::from_be_bytes(last));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_comes_back_and_is_bounded() {
        let known = Known::default();
        assert!(known.note(7, 0) && !known.note(7, 0) && known.has(7) && !known.has(8));
        assert!(known.note(u64::MAX, 0));
        let docs = known.changed(9);
        assert_eq!(docs.len(), 2);
        assert!(known.changed(9).is_empty());
        assert!(!known.note(7, 8 * DAY) && known.changed(9).len() == 1, "the day is written anew");
        known.keep_again(&docs[0].0);
        assert_eq!(known.changed(9).len(), 1);
        let again = Known::default();
        docs.iter().for_each(|(_, doc)| again.read(doc));
        assert!(again.has(7) && again.has(u64::MAX) && again.len() == 2);
        for key in 0..10_000 {
            known.note(key, key * DAY);
        }
        assert!(known.len() <= MOST + 1);
    }
}
