//! Times on the command line.

use super::escape;

/// A stretch of time.
#[derive(Debug, clap::Args)]
pub(super) struct Stretch {
    /// Not earlier: a time, a day, or how long ago (30m, 12h, 7d: the beginning of that minute, hour, day).
    #[arg(long, value_parser = when)]
    pub since: Option<u64>,
    /// Earlier than this.
    #[arg(long, value_parser = when)]
    pub until: Option<u64>,
}

impl Stretch {
    /// The query of a URL with these texts, where they are given, and the stretch.
    pub(super) fn query(&self, texts: &[(&str, &Option<String>)]) -> String {
        let texts = texts.iter().filter_map(|(k, v)| Some(format!("{k}={}", escape(v.as_ref()?))));
        let times = [("since", self.since), ("until", self.until)];
        let times = times.into_iter().filter_map(|(k, v)| Some(format!("{k}={}", v?)));
        texts.chain(times).collect::<Vec<_>>().join("&")
    }
}

/// Reads a time into Unix milliseconds: `2026-11-22T08:00:00Z`, `2026-11-22` (its beginning, UTC), or `30m`, `12h`, `7d` ago: the
/// beginning of that minute, hour or day, so that what is said again within it means the same.
///
/// # Errors
/// In words.
pub(super) fn when(text: &str) -> Result<u64, String> {
    let ms = |at: jiff::Timestamp| u64::try_from(at.as_millisecond()).map_err(|_| "before 1970".to_owned());
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return ms(at);
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        let begun = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|e| e.to_string())?;
        return ms(begun.timestamp());
    }
    let unit = |letter| match letter {
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(86_400_000),
        _ => None,
    };
    let ago = text.chars().last().and_then(unit).zip(text.get(..text.len().saturating_sub(1)));
    let ago = ago.map(|(unit, number)| (unit, number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit))));
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    let (unit, ago) = ago.unzip();
    let at = ago.flatten().and_then(|ago| now.checked_sub(ago));
    at.zip(unit).map(|(at, unit)| at - at % unit).ok_or_else(|| {
        "write a time, 2026-11-22T08:00:00Z; a day, 2026-11-22; or how long ago, 30m, 12h, 7d".into()
    })
}

#[cfg(test)]
mod tests {
    use super::when;

    #[test]
    fn times_are_read() {
        assert_eq!(when("1970-01-02"), Ok(86_400_000));
        assert_eq!(when("1970-01-01T00:00:01Z"), Ok(1_000));
        assert_eq!([when("7d").unwrap() % 86_400_000, when("2h").unwrap() % 3_600_000], [0, 0]);
        assert!(when("2h").unwrap() > when("3h").unwrap());
        for wrong in ["", "h", "yesterday", "-2h", "99999999999999999999d", "é"] {
            assert!(when(wrong).is_err(), "{wrong}");
        }
    }
}
