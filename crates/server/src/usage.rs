//! Usage reports: made when somebody asks, and by themselves after each period that the configuration names.

use crate::config::Config;
use crate::house::House;
use crate::in_force::InForce;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use mail::{Letter, Mailer};
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

    /// Makes the reports of periods that are over and have none. Gives those that nobody has got by mail yet. Blocks.
    fn make(&self, config: &Config, now: Timestamp) -> Result<Vec<Due>, String> {
        let mut due = Vec::new();
        let settled = Timestamp(now.0.saturating_sub(SETTLED_MS));
        for every in &config.reports.every {
            let period = Period::of(*every, day_of(settled)).before();
            let path = |form: &reports::Form| self.dir.join(format!("{period}.{}", form.name()));
            let forms = config.reports.forms();
            let missing: Vec<_> = forms.iter().filter(|form| !path(form).exists()).collect();
            if !missing.is_empty() {
                let report = self.report(period, config.reports.aggregates, now)?;
                for form in missing {
                    let path = path(form);
                    keep(&path, &form.of(&report)).map_err(|e| format!("{}: {e}", path.display()))?;
                    tracing::info!(path = %path.display(), "usage report");
                }
            }
            let sent = self.dir.join(format!("{period}.sent"));
            if !config.reports.to.is_empty() && !sent.exists() {
                due.push(Due { period, files: forms.iter().map(|form| (*form, path(form))).collect(), sent });
            }
        }
        Ok(due)
    }

    /// Sends one by mail, and notes that it was sent.
    async fn mail(&self, config: &Config, due: Due) -> Result<(), String> {
        let (Some(settings), to) = (config.mail(), config.reports.to()) else { return Ok(()) };
        let mut files = Vec::new();
        for (form, path) in &due.files {
            let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            files.push((format!("{}.{}", due.period, form.name()), form.mime(), bytes));
        }
        let letter = Letter {
            from: &settings.from,
            to: &to,
            subject: &format!("Usage report {} of {}", due.period, self.house),
            text: &format!("The usage report of {} for {} is attached.\n", self.house, due.period),
            files,
            // The same if it is sent again because we did not hear that it was taken.
            id: &format!("report.{}@{}", due.period, settings.name),
            at: i64::try_from(crate::clock::now().0 / 1_000).unwrap_or_default(),
        };
        let message = letter.written()?;
        let mailer = Mailer::new(&settings).map_err(|e| e.to_string())?;
        mailer.send(&to, &message).await.map_err(|e| e.to_string())?;
        tracing::info!(period = %due.period, people = to.len(), "usage report sent");
        keep(&due.sent, to.join("\n").as_bytes()).map_err(|e| format!("{}: {e}", due.sent.display()))
    }
}

/// A report that is to be sent.
struct Due {
    period: Period,
    files: Vec<(reports::Form, PathBuf)>,
    /// Is there once it was sent.
    sent: PathBuf,
}

fn keep(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    let fresh = path.with_extension("new");
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(fresh, path)
}

/// Makes and sends reports by themselves.
pub async fn attend(in_force: Arc<InForce>, usage: Arc<Usage>) {
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let (config, by) = (in_force.config(), usage.clone());
        let known = config.clone();
        let made = tokio::task::spawn_blocking(move || by.make(&known, crate::clock::now())).await;
        let due = match made {
            Ok(Ok(due)) => due,
            Ok(Err(why)) => {
                tracing::error!(why, "a usage report could not be made; the next look tries again");
                continue;
            }
            Err(_) => continue,
        };
        for one in due {
            if let Err(why) = usage.mail(&config, one).await {
                tracing::error!(why, "a usage report could not be sent; the next look tries again");
            }
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
