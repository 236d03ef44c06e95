use crate::Rate;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What one party has used up.
#[derive(Debug, Default)]
pub struct Meter(AtomicU64);

impl Meter {
    /// Takes so many units at this time, in Unix milliseconds.
    ///
    /// # Errors
    /// For how many milliseconds to wait before so much may pass; nothing is taken.
    pub fn take(&self, rate: Rate, units: u64, now_ms: u64) -> Result<(), u64> {
        if rate.is_off() {
            return Ok(());
        }
        let now = now_ms.saturating_mul(1_000_000);
        let mut wait = 0;
        let next = |whole_at| rate.take(whole_at, units, now).map_err(|left| wait = left).ok();
        match self.0.fetch_update(Relaxed, Relaxed, next) {
            Ok(_) => Ok(()),
            Err(_) => Err(wait.div_ceil(1_000_000).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (meter, rate) = (Meter::default(), Rate::per_second(10, 40));
        let taken = |n: usize, now| (0..n).filter(|_| meter.take(rate, 1, now).is_ok()).count();
        assert_eq!(taken(100, 1_000_000), 40);
        assert_eq!(meter.take(rate, 1, 1_000_000), Err(100));
        assert_eq!(meter.take(rate, 5, 1_000_000), Err(500));
        assert_eq!(taken(100, 1_000_100), 1);
        assert_eq!(taken(100, 1_001_100), 10);
        assert_eq!(taken(100, 500), 40, "the clock was set back");
        assert!(meter.take(Rate::NONE, 1_000, 0).is_ok());
    }

    #[test]
    fn what_is_more_than_a_burst_passes_alone() {
        let (meter, rate) = (Meter::default(), Rate::per_second(1_000, 2_000));
        assert!(meter.take(rate, 5_000, 10_000).is_ok());
        assert_eq!(meter.take(rate, 1, 10_000), Err(3_001));
        assert!(meter.take(rate, 1, 13_001).is_ok());
        assert!(meter.take(rate, 5_000, 14_000).is_err(), "not while anything is owed");
        assert!(meter.take(rate, 5_000, 20_000).is_ok());
    }

    #[test]
    fn slow_and_fast_rates_are_exact() {
        let (hourly, bytes) = (Meter::default(), Meter::default());
        let taken = |now| (0..100).filter(|_| hourly.take(Rate::per_hour(6, 2), 1, now).is_ok()).count();
        assert_eq!([taken(0), taken(599_999), taken(600_000), taken(7_200_000)], [2, 0, 1, 2]);
        let gigabyte = Rate::per_second(1_000_000_000, 1_000_000_000);
        assert!(bytes.take(gigabyte, 1_000_000_000, 5_000).is_ok());
        assert_eq!(bytes.take(gigabyte, 1_000_000, 5_000), Err(1));
    }
}
