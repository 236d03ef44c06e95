//! The one place where the driver reads its clocks.

use model::{Now, Tick, Timestamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// A monotonic clock counted from its making, and the wall clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            tick: Tick(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)),
            wall: Timestamp(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// The instant of a tick of this clock.
    pub fn instant(self, tick: Tick) -> Instant {
        self.0 + Duration::from_micros(tick.0)
    }
}
