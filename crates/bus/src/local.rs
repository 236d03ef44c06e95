use crate::{Bus, Ear, Heard, Parcel};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 64;

type Ears = HashMap<String, Vec<Arc<dyn Ear>>>;

/// The bus of a single node: a sharded table of ears.
pub struct LocalBus {
    hasher: RandomState,
    shards: Vec<Mutex<Ears>>,
}

impl Default for LocalBus {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl LocalBus {
    fn shard(&self, topic: &str) -> MutexGuard<'_, Ears> {
        let at = self.hasher.hash_one(topic) as usize % SHARDS;
        // A panic while the table was held cannot leave it half changed: every change is one call.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus for LocalBus {
    fn attend(&self, topic: &str, ear: Arc<dyn Ear>) {
        self.shard(topic).entry(topic.to_owned()).or_default().push(ear);
    }

    fn leave(&self, topic: &str, ear: &Arc<dyn Ear>) {
        let mut shard = self.shard(topic);
        if let Some(ears) = shard.get_mut(topic) {
            if let Some(at) = ears.iter().position(|e| Arc::ptr_eq(e, ear)) {
                ears.swap_remove(at);
            }
            if ears.is_empty() {
                shard.remove(topic);
            }
        }
    }

    fn ring(&self, topic: &str, parcel: Arc<dyn Parcel>) -> Heard {
        // Ears are called outside the lock: they may take locks of their own.
        let first;
        let others;
        {
            let shard = self.shard(topic);
            let Some((one, more)) = shard.get(topic).and_then(|ears| ears.split_first()) else {
                return Heard(0);
            };
            first = one.clone();
            others = more.to_vec();
        }
        first.hear(&parcel);
        for ear in &others {
            ear.hear(&parcel);
        }
        Heard(1 + others.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Note;
    impl Parcel for Note {
        fn to_bytes(&self) -> Vec<u8> {
            Vec::new()
        }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Ear for Count {
        fn hear(&self, _: &Arc<dyn Parcel>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_those_who_attend_hear() {
        let bus = LocalBus::default();
        let (a, b) = (Arc::new(Count::default()), Arc::new(Count::default()));
        assert_eq!(bus.ring("x", Arc::new(Note)), Heard(0));
        bus.attend("x", a.clone());
        bus.attend("x", b.clone());
        assert_eq!(bus.ring("x", Arc::new(Note)), Heard(2));
        assert_eq!(bus.ring("y", Arc::new(Note)), Heard(0));
        let gone: Arc<dyn Ear> = a.clone();
        bus.leave("x", &gone);
        assert_eq!(bus.ring("x", Arc::new(Note)), Heard(1));
        assert_eq!((a.0.load(Ordering::Relaxed), b.0.load(Ordering::Relaxed)), (1, 2));
    }
}
