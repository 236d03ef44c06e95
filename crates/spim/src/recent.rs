use parking_lot::Mutex;
use std::collections::HashMap;

/// When something was seen, for as many as fit; the oldest half makes room.
#[derive(Debug)]
pub(crate) struct Recent {
    most: usize,
    seen: Mutex<HashMap<u64, u64>>,
}

impl Recent {
    pub fn new(most: usize) -> Self {
        Self { most, seen: Mutex::default() }
    }

    /// When it was seen, not before `since`.
    pub fn when(&self, key: u64, since: u64) -> Option<u64> {
        self.seen.lock().get(&key).copied().filter(|at| *at >= since)
    }

    pub fn note(&self, key: u64, now: u64) {
        let mut seen = self.seen.lock();
        if seen.len() >= self.most && !seen.contains_key(&key) {
            let mut times: Vec<u64> = seen.values().copied().collect();
            let middle = times.len() / 2;
            let median = *times.select_nth_unstable(middle).1;
            seen.retain(|_, at| *at > median);
        }
        seen.insert(key, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let recent = Recent::new(8);
        (0..20).for_each(|n| recent.note(n, n));
        assert!(recent.seen.lock().len() <= 8);
        assert_eq!((recent.when(19, 0), recent.when(19, 20), recent.when(0, 0)), (Some(19), None, None));
    }
}
