//! Usage reports: made when somebody asks, and by themselves after each period that the configuration names.

use crate::config::Config;
use crate::house::House;
use crate::live::Live;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::{Address, Seq, Timestamp};
use policy::Society as _;
use reports::{Books, Every, Options, Period, Report};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::{Rows, SqliteStore};

/// Periods before this one that growth is told of.
const TREND: usize = 11;

/// People, rules and losses that are named at most.
const TOP: usize = 25;

/// How often somebody looks whether a period is over.
const LOOK: Duration = Duration::from_secs(300);

/// A report is made so long after the end of its period: what was on its way then is on record.
const SETTLED_MS: u64 = 15 * 60_000;

/// Who makes the reports of a house.
pub struct Usage {
    books: Books,
    store: Arc<SqliteStore>,
    partners: Arc<partner::Federation>,
    house: String,
    dir: PathBuf,
}

fn day_of(at: Timestamp) -> Date {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let begun = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    begun.to_zoned(TimeZone::UTC).date()
}

impl Usage {
    /// Of this house, with its reports in `data/reports`.
    pub fn new(config: &Config, house: &House) -> Self {
        let domains: Vec<String> = config.domains.iter().map(|d| d.as_str().to_owned()).collect();
        let dir = config.data.join("reports");
        Self {
            house: domains.join(", "),
            books: Books::new(dir.join("days"), &house.chain.to_string(), domains),
            store: house.store.clone(),
            partners: house.partners.clone(),
            dir,
        }
    }

    /// The report of a period, so far. Blocks.
    ///
    /// # Errors
    /// In words.
    pub fn report(&self, period: Period, aggregates: bool, now: Timestamp) -> Result<Report, String> {
        if day_of(now) < period.first {
            return Err(format!("{period} has not begun"));
        }
        let store = self.store.as_ref();
        let first = store.rows(Seq(1), 1).map_err(|e| e.to_string())?.first().map(|row| day_of(row.at));
        let of = |period| self.books.period(store, period, now).map_err(|e| e.to_string());
        let found = of(period)?;
        // Before the journal began there is nothing to compare with.
        let is_known = |period: &Period| first.is_some_and(|first| first < period.end());
        let earlier = std::iter::successors(Some(period.before()), |p| Some(p.before()));
        let earlier: Vec<Period> = earlier.take_while(is_known).take(TREND).collect();
        let mut before = None;
        let mut trend = vec![(period, found.0.messages(), found.0.active())];
        for (at, earlier) in earlier.into_iter().enumerate() {
            let (day, _) = of(earlier)?;
            trend.push((earlier, day.messages(), day.active()));
            if at == 0 {
                before = Some(day);
            }
        }
        trend.reverse();
        let naming = |domain: &str| {
            let at = Address::parse(domain).ok()?;
            self.partners.belonging(&at).partner.map(|name| name.to_string())
        };
        let options = Options { aggregates, top: TOP, house: &self.house, naming: &naming, now };
        Ok(reports::report(period, &found, before.as_ref(), &trend, &options))
    }

    /// Makes the reports of periods that are over and have none. Gives the files. Blocks.
    fn make(&self, config: &Config, now: Timestamp) -> Result<Vec<PathBuf>, String> {
        let mut made = Vec::new();
        let settled = Timestamp(now.0.saturating_sub(SETTLED_MS));
        for every in &config.reports.every {
            let period = Period::of(*every, day_of(settled)).before();
            let path = |form: &reports::Form| self.dir.join(format!("{period}.{}", form.name()));
            let due: Vec<_> =
                config.reports.forms().into_iter().filter(|form| !path(form).exists()).collect();
            if due.is_empty() {
                continue;
            }
            let report = self.report(period, config.reports.aggregates, now)?;
            for form in due {
                let path = path(&form);
                keep(&path, &form.of(&report)).map_err(|e| format!("{}: {e}", path.display()))?;
                made.push(path);
            }
        }
        Ok(made)
    }
}

fn keep(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    let fresh = path.with_extension("new");
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(fresh, path)
}

/// Makes reports by themselves.
pub async fn attend(live: Arc<Live>, usage: Arc<Usage>) {
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let (live, usage) = (live.clone(), usage.clone());
        let done = tokio::task::spawn_blocking(move || usage.make(&live.config(), crate::house::now())).await;
        match done {
            Ok(Ok(made)) => {
                made.iter().for_each(|path| tracing::info!(path = %path.display(), "usage report"))
            }
            Ok(Err(why)) => {
                tracing::error!(why, "a usage report could not be made; the next look tries again")
            }
            Err(_) => {}
        }
    }
}

/// Reads the name of a period, or words for one.
///
/// # Errors
/// In words.
pub fn period(text: &str, now: Timestamp) -> Result<Period, String> {
    let of = |every| Period::of(every, day_of(now));
    Ok(match text {
        "today" => of(Every::Day),
        "yesterday" => of(Every::Day).before(),
        "this-week" => of(Every::Week),
        "last-week" => of(Every::Week).before(),
        "this-month" => of(Every::Month),
        "last-month" => of(Every::Month).before(),
        name => Period::parse(name).ok_or(
            "write a day, 2026-11-22; a week, 2026-W47; a month, 2026-11; or today, yesterday, this-week, last-week, this-month, last-month",
        )?,
    })
}
