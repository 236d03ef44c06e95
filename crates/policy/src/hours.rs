//! Times of the week.

use jiff::tz::TimeZone;
use model::Timestamp;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u32 = 24 * 60;

/// A window such as `mon-fri 08:00-18:00`, `sat,sun` or `22:00-06:00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// On which days it begins, from Monday.
    days: [bool; 7],
    /// Minutes of the day; an end that is not after the start is on the next day.
    from: u32,
    to: u32,
}

impl Window {
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no time: write \"mon-fri 08:00-18:00\", \"sat,sun\" or \"22:00-06:00\"");
        let mut window = Self { days: [true; 7], from: 0, to: DAY };
        for word in text.to_lowercase().split_whitespace() {
            if word.contains(':') {
                let (from, to) = word.split_once('-').ok_or_else(wrong)?;
                (window.from, window.to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
            } else {
                window.days = days(word).ok_or_else(wrong)?;
            }
        }
        if text.trim().is_empty() { Err(wrong()) } else { Ok(window) }
    }

    /// Is it now?
    pub fn holds(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let Ok(at) = jiff::Timestamp::from_millisecond(at.unix_ms() as i64) else { return false };
        let at = at.to_zoned(zone.clone());
        let today = at.weekday().to_monday_zero_offset() as usize;
        let minute = at.hour() as u32 * 60 + at.minute() as u32;
        if self.from < self.to {
            return self.days[today] && (self.from..self.to).contains(&minute);
        }
        let yesterday = (today + 6) % 7;
        (self.days[today] && minute >= self.from) || (self.days[yesterday] && minute < self.to)
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?);
    (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
}

fn days(word: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| name.starts_with(day));
    let mut all = [false; 7];
    for part in word.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        all[at] = true;
        while at != last {
            at = (at + 1) % 7;
            all[at] = true;
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_the_week() {
        // Saturday, 2026-11-21.
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64);
        for (window, time, holds) in [
            ("mon-fri 08:00-18:00", "2026-11-20T08:00:00Z", true),
            ("mon-fri 08:00-18:00", "2026-11-20T18:00:00Z", false),
            ("mon-fri 08:00-18:00", "2026-11-21T09:00:00Z", false),
            ("sat,sun", "2026-11-21T23:59:00Z", true),
            ("fri 22:00-06:00", "2026-11-21T05:59:00Z", true),
            ("fri 22:00-06:00", "2026-11-21T22:30:00Z", false),
            ("fri-mon", "2026-11-22T12:00:00Z", true),
            ("18:00-24:00", "2026-11-22T23:59:00Z", true),
        ] {
            assert_eq!(
                Window::parse(window).unwrap().holds(at(time), &TimeZone::UTC),
                holds,
                "{window} at {time}"
            );
        }
        for wrong in ["", "noon", "8-18", "mon 25:00-26:00"] {
            assert!(Window::parse(wrong).is_err(), "{wrong}");
        }
    }
}
