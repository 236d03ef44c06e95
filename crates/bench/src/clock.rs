//! One clock for the whole process: nanoseconds since the first look.

use std::{sync::LazyLock, time::Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the process first asked.
pub fn now() -> u64 {
    START.elapsed().as_nanos() as u64
}

/// One second in the clock's unit.
pub const SECOND: u64 = 1_000_000_000;
