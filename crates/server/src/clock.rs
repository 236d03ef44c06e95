//! The clock on the wall.

/// The time of day.
pub fn now() -> model::Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    model::Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
