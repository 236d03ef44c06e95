use jiff::ToSpan;
use jiff::civil::{Date, ISOWeekDate, Weekday};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How often a report is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// Each day.
    Day,
    /// Each week, from Monday (ISO 8601).
    Week,
    /// Each month.
    Month,
}

impl Every {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// A stretch of whole days, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its kind.
    pub every: Every,
    /// Its first day.
    pub first: Date,
}

impl Period {
    /// The one that a day belongs to.
    pub fn of(every: Every, day: Date) -> Self {
        let first = match every {
            Every::Day => day,
            Every::Week => day.saturating_sub((day.weekday().to_monday_zero_offset() as i64).days()),
            Every::Month => day.first_of_month(),
        };
        Self { every, first }
    }

    /// Reads a name: `2026-11-22`, `2026-W47`, `2026-11`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((year, week)) = text.split_once("-W") {
            let week = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok()?;
            return Some(Self { every: Every::Week, first: week.date() });
        }
        if let Ok(day) = text.parse::<Date>() {
            return Some(Self { every: Every::Day, first: day });
        }
        let (year, month) = text.split_once('-')?;
        let first = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
        Some(Self { every: Every::Month, first })
    }

    /// The one before.
    #[must_use]
    pub fn before(self) -> Self {
        Self::of(self.every, self.first.saturating_sub(1.day()))
    }

    /// The first day after it.
    pub fn end(self) -> Date {
        match self.every {
            Every::Day => self.first.saturating_add(1.day()),
            Every::Week => self.first.saturating_add(7.days()),
            Every::Month => self.first.saturating_add(1.month()),
        }
    }

    /// Its days.
    pub fn days(self) -> impl Iterator<Item = Date> {
        let end = self.end();
        self.first.series(1.day()).take_while(move |day| *day < end)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.every {
            Every::Day => write!(f, "{}", self.first),
            Every::Week => {
                let week = self.first.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            Every::Month => write!(f, "{:04}-{:02}", self.first.year(), self.first.month()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_written() {
        for (text, first, end, before) in [
            ("2026-11-22", "2026-11-22", "2026-11-23", "2026-11-21"),
            ("2026-W01", "2025-12-29", "2026-01-05", "2025-W52"),
            ("2026-W53", "2026-12-28", "2027-01-04", "2026-W52"),
            ("2024-02", "2024-02-01", "2024-03-01", "2024-01"),
        ] {
            let period = Period::parse(text).unwrap();
            assert_eq!(period.to_string(), text);
            assert_eq!(period.first.to_string(), first);
            assert_eq!(period.end().to_string(), end);
            assert_eq!(period.before().to_string(), before);
            assert_eq!(Period::of(period.every, period.end().yesterday().unwrap()), period);
        }
        for wrong in ["", "2026", "2026-13", "2026-W54", "2026-W00", "tomorrow", "2026-02-30"] {
            assert_eq!(Period::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Period::parse("2024-02").unwrap().days().count(), 29);
    }
}
