//! How much comes and goes, by the generic cell rate algorithm: one number for each direction, the time at which the
//! allowance would be whole again.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many times a second's allowance may come at once.
const BURST: u64 = 4;

/// What one partner has used up in one direction.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    /// Takes one of `rate` a second, at this time in Unix milliseconds. `false` if there is none left.
    pub fn take(&self, rate: u32, now_ms: u64) -> bool {
        if rate == 0 {
            return true;
        }
        let (now, cost) = (now_ms * 1000, 1_000_000 / u64::from(rate));
        let burst = (cost * u64::from(rate) * BURST).max(cost);
        let next = |whole_at: u64| {
            // Nobody has more to wait than the whole burst, unless the clock was set back meanwhile.
            let left = if whole_at <= now + burst { whole_at } else { 0 };
            let next = left.max(now) + cost;
            (next - now <= burst).then_some(next)
        };
        self.0.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_seconds_worth_at_once_and_then_the_rate() {
        let meter = Meter::default();
        let taken = |n: usize, now| (0..n).filter(|_| meter.take(10, now)).count();
        assert_eq!(taken(100, 1_000_000), 40);
        assert_eq!(taken(100, 1_000_100), 1);
        assert_eq!(taken(100, 500_000), 40, "the clock was set back");
        assert!(meter.take(0, 0));
    }
}
