use crate::Rate;
use parking_lot::Mutex;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

const SHARDS: usize = 32;

/// What many parties have used up, each for itself: a loud one leaves the others theirs. So many are remembered at most; who
/// owes least is forgotten first.
#[derive(Debug)]
pub struct Meters<K> {
    most: usize,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<K, u64>>>,
}

impl<K: Hash + Eq> Meters<K> {
    /// Meters for about so many parties at a time.
    pub fn new(most: usize) -> Self {
        let most = most.div_ceil(SHARDS).max(2);
        Self { most, hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Takes so many units of this party's allowance at this time, in Unix milliseconds.
    ///
    /// # Errors
    /// For how many milliseconds to wait before so much may pass; nothing is taken.
    pub fn take<Q>(&self, who: &Q, rate: Rate, units: u64, now_ms: u64) -> Result<(), u64>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if rate.is_off() {
            return Ok(());
        }
        let now = now_ms.saturating_mul(1_000_000);
        let mut shard = self.shards[self.hasher.hash_one(who) as usize % SHARDS].lock();
        let wait = |left: u64| left.div_ceil(1_000_000).max(1);
        if let Some(whole_at) = shard.get_mut(who) {
            *whole_at = rate.take(*whole_at, units, now).map_err(wait)?;
            return Ok(());
        }
        if shard.len() >= self.most {
            forget(&mut shard, self.most, now);
        }
        let whole_at = rate.take(0, units, now).map_err(wait)?;
        shard.insert(who.to_owned(), whole_at);
        Ok(())
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Is nobody remembered?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Makes room: whoever owes nothing, else the half that owes least.
fn forget<K: Hash + Eq>(shard: &mut HashMap<K, u64>, most: usize, now: u64) {
    shard.retain(|_, whole_at| *whole_at > now);
    if shard.len() > most / 2 {
        let mut times: Vec<u64> = shard.values().copied().collect();
        let middle = times.len() / 2;
        let median = *times.select_nth_unstable(middle).1;
        shard.retain(|_, whole_at| *whole_at > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_memory_is_bounded() {
        let meters: Meters<u64> = Meters::new(64);
        let rate = Rate::per_second(1, 3);
        let taken = |who: u64, now| (0..10).filter(|_| meters.take(&who, rate, 1, now).is_ok()).count();
        assert_eq!((taken(1, 1_000), taken(2, 1_000)), (3, 3));
        for who in 100..10_000 {
            assert!(meters.take(&who, rate, 1, 1_000).is_ok(), "no newcomer pays for the others");
        }
        assert!(meters.len() <= 64, "{}", meters.len());
        assert_eq!(meters.take(&9_999, Rate::NONE, 9, 1_000), Ok(()));
    }
}
