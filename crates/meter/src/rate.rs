const SECOND: u64 = 1_000_000_000;
/// As so many bursts counts at most what passes alone.
const ALONE: u64 = 8;

/// So many units in a time, and so many at once. Without units it is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    pub(crate) units: u64,
    /// Nanoseconds.
    pub(crate) per: u64,
    pub(crate) burst: u64,
}

impl Rate {
    /// No limit.
    pub const NONE: Self = Self { units: 0, per: 0, burst: 0 };

    /// So many units a second on average, and so many at once; at least one.
    pub const fn per_second(units: u64, burst: u64) -> Self {
        Self { units, per: SECOND, burst }
    }

    /// The same for a minute.
    pub const fn per_minute(units: u64, burst: u64) -> Self {
        Self { units, per: 60 * SECOND, burst }
    }

    /// The same for an hour.
    pub const fn per_hour(units: u64, burst: u64) -> Self {
        Self { units, per: 3_600 * SECOND, burst }
    }

    /// Is there no limit?
    pub const fn is_off(&self) -> bool {
        self.units == 0
    }

    /// How long so many units take to come back, in nanoseconds.
    fn takes(&self, units: u64) -> u64 {
        let nanos = u128::from(units) * u128::from(self.per) / u128::from(self.units.max(1));
        u64::try_from(nanos).unwrap_or(u64::MAX / 4)
    }

    /// Takes `units` from an allowance that is whole again at `whole_at`, now; both in nanoseconds. Gives when it is whole
    /// after that, or for how long to wait before so much may be taken. What is more than may ever come at once passes
    /// alone, while nothing else has been taken, and is paid for afterwards, as eight times as much at most.
    pub(crate) fn take(&self, whole_at: u64, units: u64, now: u64) -> Result<u64, u64> {
        let burst = self.takes(self.burst.max(1));
        // Nobody owes more than that, unless the clock was set back meanwhile.
        let most = burst.saturating_mul(ALONE);
        let owed = whole_at.saturating_sub(now);
        let owed = if owed > most { 0 } else { owed };
        let needed = self.takes(units).min(most);
        match owed == 0 || owed + needed <= burst {
            true => Ok(now + owed + needed),
            false => Err((owed + needed).saturating_sub(burst).min(owed)),
        }
    }
}
