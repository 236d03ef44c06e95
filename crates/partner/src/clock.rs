//! The wall clock.

use model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
