//! Everything that is on its way, in bounded memory.

use crate::artefact::{Artefact, Kind};
use crate::people::{Found, Spread};
use crate::settings::Settings;
use model::Address;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

const SHARDS: usize = 32;
/// Things of one generation of one shard.
const THINGS: usize = 4_096;
/// And the people that are remembered with them.
const PEOPLE: usize = 8_192;

type Key = [u8; 16];

enum Entry {
    /// Seen once: most texts are never seen again.
    Once {
        from: u64,
        to: u64,
        at: u64,
    },
    Many(Box<Spread>),
}

/// Two generations: when the younger is full the older is forgotten. What is seen again is young again.
#[derive(Default)]
struct Shard {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
    people: usize,
}

/// What is on its way.
pub(crate) struct Tracker {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

impl Default for Tracker {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Tracker {
    /// Notes that one sends something to another. Says so where that is an outbreak.
    pub fn note(
        &self,
        artefact: &Artefact,
        from: &Address,
        to: &Address,
        now: u64,
        settings: &Settings,
    ) -> Option<Found> {
        let (from, to) = (self.hasher.hash_one(from), self.hasher.hash_one(to));
        self.shard(&artefact.key).lock().note(artefact.key, artefact.kind, from, to, now, settings)
    }

    /// Forgets one.
    pub fn forget(&self, key: &Key) {
        let mut shard = self.shard(key).lock();
        shard.young.remove(key);
        shard.old.remove(key);
    }

    /// How many things are remembered.
    pub fn len(&self) -> usize {
        let sizes = self.shards.iter().map(|shard| {
            let shard = shard.lock();
            shard.young.len() + shard.old.len()
        });
        sizes.sum()
    }

    fn shard(&self, key: &Key) -> &Mutex<Shard> {
        &self.shards[usize::from(key[15]) % SHARDS]
    }
}

impl Shard {
    fn note(
        &mut self,
        key: Key,
        kind: Kind,
        from: u64,
        to: u64,
        now: u64,
        settings: &Settings,
    ) -> Option<Found> {
        if !self.young.contains_key(&key) {
            if self.young.len() >= THINGS || self.people >= PEOPLE {
                self.old = std::mem::take(&mut self.young);
                self.people = 0;
            }
            let entry = self.old.remove(&key).unwrap_or(Entry::Once { from, to, at: now });
            if let Entry::Many(spread) = &entry {
                self.people += spread.len();
            }
            self.young.insert(key, entry);
        }
        let entry = self.young.get_mut(&key)?;
        if let Entry::Once { from: first, to: first_to, at } = *entry {
            if (first, first_to) == (from, to) || now.saturating_sub(at) > settings.window {
                *entry = Entry::Once { from, to, at: now };
                return None;
            }
            let mut spread = Box::new(Spread::default());
            spread.note(first, first_to, at, kind, settings);
            *entry = Entry::Many(spread);
        }
        let Entry::Many(spread) = entry else { return None };
        let before = spread.len();
        let found = spread.note(from, to, now, kind, settings);
        self.people += spread.len().saturating_sub(before);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_what_is_hot_stays() {
        let (tracker, settings) = (Tracker::default(), Settings::default());
        let address = |n: u64| Address::parse(&format!("u{n}@example.com")).unwrap();
        let people: Vec<Address> = (0..3_000).map(address).collect();
        let hot = Artefact::of(Kind::Link, b"hot", None);
        let mut found = 0;
        for n in 0..400_000u64 {
            let one = Artefact::of(Kind::Text, &n.to_le_bytes(), None);
            tracker.note(&one, &people[n as usize % 3_000], &people[(n as usize + 1) % 3_000], n, &settings);
            if n % 10_000 == 0 {
                let sender = usize::from(n >= 200_000) + 1;
                let to = &people[100 * sender + (n / 10_000) as usize];
                // Slowly, by two people: nothing is found, and nothing lost.
                found += usize::from(tracker.note(&hot, &people[sender], to, n, &settings).is_some());
            }
        }
        assert_eq!(found, 0);
        assert!(tracker.len() <= SHARDS * 2 * THINGS, "{}", tracker.len());
        let shard = tracker.shard(&hot.key).lock();
        assert!(matches!(shard.young.get(&hot.key).or(shard.old.get(&hot.key)), Some(Entry::Many(_))));
        // One thing that reaches everybody does not fill the memory.
        drop(shard);
        let wide = Artefact::of(Kind::Link, b"wide", None);
        for n in 0..100_000 {
            assert_eq!(tracker.note(&wide, &people[0], &address(n), n, &settings), None);
        }
        let shard = tracker.shard(&wide.key).lock();
        let Some(Entry::Many(spread)) = shard.young.get(&wide.key) else { panic!("it is hot") };
        assert!(spread.len() <= 2_049);
    }
}
