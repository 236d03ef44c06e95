use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// A bounded cache that forgets what was not used lately, in two generations: when the young one is full it
/// becomes the old one, and what was in the old one and not asked for since is gone. Holds at most `2 * limit`.
pub(crate) struct Recent<K, V, S = RandomState> {
    young: HashMap<K, V, S>,
    old: HashMap<K, V, S>,
    limit: usize,
}

impl<K: Hash + Eq, V: Clone, S: BuildHasher + Default> Recent<K, V, S> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), limit: limit.max(1) }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.limit && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.old.remove(key);
        self.young.remove(key).or(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_and_forgets_the_rest() {
        let mut cache: Recent<_, _> = Recent::new(10);
        cache.put(0, "kept");
        for n in 1..1000 {
            cache.put(n, "passing");
            assert_eq!(cache.get(&0), Some("kept"));
            assert!(cache.young.len() + cache.old.len() <= 20);
        }
        assert_eq!(cache.get(&1), None);
        assert_eq!(cache.remove(&0), Some("kept"));
        assert_eq!(cache.get(&0), None);
    }
}
