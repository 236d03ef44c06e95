use crate::counter::Counter;
use crate::day::Day;
use crate::period::Period;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::{Seq, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use store::{Retain, Row, Rows, Trouble};

/// Rows read at a time.
const PAGE: usize = 1_000;

/// A day is closed so long after its end: rows that were on their way then are on record.
const CLOSED_MS: u64 = 10 * 60_000;

/// The form of a kept day; a later one counts anew.
const FORM: u32 = 2;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The journal cannot be read.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// A period that has not begun.
    #[error("{0} has not begun")]
    NotYet(Period),
}

/// What is counted.
pub trait Ledger {
    /// Rows from `first` on, in order, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`] when they cannot be read; likewise below.
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble>;

    /// The last row that was written before this time; 0 for none.
    ///
    /// # Errors
    /// [`Trouble`]
    fn last_before(&self, at: Timestamp) -> Result<Seq, Trouble>;
}

impl<S: Rows + Retain> Ledger for S {
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        Rows::rows(self, first, limit)
    }

    fn last_before(&self, at: Timestamp) -> Result<Seq, Trouble> {
        Retain::last_before(self, at)
    }
}

/// The counts of each day: of closed days from a file, made anew from the journal where that is missing or of another
/// journal.
pub struct Books {
    dir: PathBuf,
    /// The journal and the domains that the counts are of.
    of: String,
    domains: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    form: u32,
    of: String,
    day: Day,
}

impl Books {
    /// Counts kept in this directory, of the journal with this name and for these domains.
    pub fn new(dir: PathBuf, journal: &str, domains: Vec<String>) -> Self {
        let of = format!("{journal} {}", domains.join(" "));
        Self { dir, of, domains }
    }

    /// What happened on a day, so far. Blocks.
    ///
    /// # Errors
    /// [`BooksError`]
    pub fn day<L: Ledger>(&self, store: &L, date: Date, now: Timestamp) -> Result<Day, BooksError> {
        let path = self.dir.join(format!("{date}.json"));
        if let Some(day) = self.read(&path) {
            return Ok(day);
        }
        let (begin, end) = (at(date), at(date.saturating_add(jiff::Span::new().days(1))));
        let day = self.count(store, begin, end)?;
        if now.0 > end.0 + CLOSED_MS
            && let Err(error) = self.keep(&path, &day)
        {
            tracing::warn!(%error, path = %path.display(), "the counts of a day cannot be kept, and are made anew each time");
        }
        Ok(day)
    }

    /// What happened in a period, so far, with each of its days that has begun; none where it has not begun. Blocks.
    ///
    /// # Errors
    /// [`BooksError`]
    pub fn period<L: Ledger>(
        &self,
        store: &L,
        period: Period,
        now: Timestamp,
    ) -> Result<(Day, Vec<(Date, Day)>), BooksError> {
        let mut all = Day::default();
        let mut days = Vec::new();
        for date in period.days().take_while(|date| at(*date) <= now) {
            let day = self.day(store, date, now)?;
            all.merge(&day);
            days.push((date, day));
        }
        Ok((all, days))
    }

    fn count<L: Ledger>(&self, store: &L, begin: Timestamp, end: Timestamp) -> Result<Day, BooksError> {
        let here = |domain: &str| self.domains.iter().any(|d| d == domain);
        let mut counter = Counter::new(&here);
        let (mut next, last) = (store.last_before(begin)?.0 + 1, store.last_before(end)?.0);
        while next <= last {
            let rows = store.rows(Seq(next), PAGE)?;
            let Some(end) = rows.last() else { break };
            next = end.seq.0 + 1;
            rows.iter().filter(|row| row.seq.0 <= last).for_each(|row| counter.take(row));
        }
        Ok(counter.end())
    }

    fn read(&self, path: &std::path::Path) -> Option<Day> {
        let kept: Kept = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (kept.form == FORM && kept.of == self.of).then_some(kept.day)
    }

    fn keep(&self, path: &std::path::Path, day: &Day) -> std::io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let kept = Kept { form: FORM, of: self.of.clone(), day: day.clone() };
        let fresh = path.with_extension("new");
        let mut file = fs::File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(&kept)?)?;
        fs::rename(fresh, path)
    }
}

/// When a day begins.
fn at(date: Date) -> Timestamp {
    let begun = date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp().as_millisecond());
    Timestamp(begun.ok().and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default())
}
