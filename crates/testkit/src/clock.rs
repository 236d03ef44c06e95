use model::{Now, Tick, Timestamp};
use std::time::Duration;

/// Not zero, so that a machine which takes a tick for a wall clock, or counts from zero, is found out.
const FIRST: Tick = Tick(1_000_000_000);

/// Time that stands still until it is told to move.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    now: Now,
}

impl Clock {
    /// The wall clock at the beginning of every test: 14 November 2023, 22:13:20 UTC.
    pub const START: Timestamp = Timestamp(1_700_000_000_000);

    /// The beginning.
    pub fn start() -> Self {
        Self { now: Now { tick: FIRST, wall: Self::START } }
    }

    /// The time now.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Moves on, never back; both clocks alike.
    pub fn move_to(&mut self, tick: Tick) {
        self.now.tick = self.now.tick.max(tick);
        // From the beginning, so that roundings do not add up.
        self.now.wall.0 = Self::START.0 + (self.now.tick.0 - FIRST.0) / 1000;
    }

    /// Moves on by so much.
    pub fn pass(&mut self, by: Duration) {
        self.move_to(self.now.tick + by);
    }
}
