//! What a report says.

use crate::day::Day;
use crate::period::{Every, Period};
use crate::report::{Cell, Chart, Column, Figure, Report, Section};
use crate::spread::Spread;
use jiff::civil::Date;
use model::Timestamp;
use std::collections::BTreeMap;

/// Where names are left out, partners and domains with fewer people of ours than this are told together.
const FEW: usize = 5;

/// How a domain is called: by the partner's name, where it is one's.
pub type Naming<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How a report is made.
pub struct Options<'a> {
    /// Leave out people's names, and figures that are of few people.
    pub aggregates: bool,
    /// How many people and rules are named at most.
    pub top: usize,
    /// Whose server.
    pub house: &'a str,
    /// Partners' names.
    pub naming: Naming<'a>,
    /// Now.
    pub now: Timestamp,
}

/// The report of a period: its counts and those of its days, the counts of the period before if there are any, and the
/// periods before with what passed and who wrote, the oldest first.
pub fn report(
    period: Period,
    (all, days): &(Day, Vec<(Date, Day)>),
    before: Option<&Day>,
    trend: &[(Period, u64, u64)],
    options: &Options<'_>,
) -> Report {
    let title = match period.every {
        Every::Day => format!("Messaging on {}", period.first.strftime("%-d %B %Y")),
        Every::Week => format!(
            "Messaging in week {} of {}",
            period.first.iso_week_date().week(),
            period.first.iso_week_date().year()
        ),
        Every::Month => format!("Messaging in {}", period.first.strftime("%B %Y")),
    };
    let last = period.end().yesterday().unwrap_or(period.first);
    let stretch = match period.every {
        Every::Day => format!("{}, 00:00 to 24:00 UTC", period.first),
        _ => format!("{} to {last}, UTC", period.first),
    };
    let ended = period.end().to_zoned(jiff::tz::TimeZone::UTC).map(|z| z.timestamp().as_millisecond());
    let unfinished = ended.is_ok_and(|ended| u64::try_from(ended).is_ok_and(|ended| options.now.0 < ended));
    let mut sections =
        vec![course(period, all, days), growth(trend), ways(all), protocols(all), partners(all, options)];
    sections.extend([times(all), verdicts(all, options), losses(all, options), tried(all, options)]);
    if !options.aggregates {
        sections.push(talkers(all, options));
    }
    Report {
        title,
        period: period.to_string(),
        stretch,
        house: options.house.to_owned(),
        made: options.now.to_string(),
        aggregates: options.aggregates,
        unfinished,
        figures: figures(all, before),
        sections,
    }
}

fn figures(all: &Day, before: Option<&Day>) -> Vec<Figure> {
    type Reading = fn(&Day) -> Cell;
    let mut readings: Vec<(&str, Reading)> = vec![
        ("Messages", |d| Cell::Number(d.messages())),
        ("People who wrote", |d| Cell::Number(d.active())),
        ("With other companies", |d| Cell::Number(d.incoming + d.outgoing)),
        ("Companies reached", |d| Cell::Number(d.reached())),
        ("Median time to an answer", |d| Cell::Time { ms: d.response.quantile(0.5) }),
        ("Refused by rules", |d| Cell::Number(d.said("refused") + d.said("dropped"))),
        ("Held for review", |d| Cell::Number(d.said("held"))),
        ("Losses in translation", |d| Cell::Number(d.losses.values().sum())),
    ];
    if all.presence > 0 {
        readings.push(("Presence put on record", |d| Cell::Number(d.presence)));
    }
    readings
        .into_iter()
        .map(|(name, read)| Figure { name: name.into(), value: read(all), before: before.map(read) })
        .collect()
}

fn columns(names: &[&'static str]) -> Vec<Column> {
    names.iter().map(|name| Column { name }).collect()
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

fn course(period: Period, all: &Day, days: &[(Date, Day)]) -> Section {
    let (title, about, rows): (_, _, Vec<Vec<Cell>>) = if period.every == Every::Day {
        let hours = all.hours.iter().enumerate();
        let rows = hours.map(|(hour, n)| vec![text(format!("{hour:02}")), Cell::Number(*n)]).collect();
        ("Hour by hour", "Messages that passed, by the hour (UTC) in which they came.", rows)
    } else {
        let rows = days
            .iter()
            .map(|(date, day)| {
                let numbers = [day.messages(), day.inside, day.outgoing, day.incoming, day.active()];
                std::iter::once(text(date.to_string())).chain(numbers.map(Cell::Number)).collect()
            })
            .collect();
        ("Day by day", "Messages that passed, by the day (UTC) on which they came.", rows)
    };
    let names: &[&str] = match period.every {
        Every::Day => &["hour", "messages"],
        _ => &["day", "messages", "inside", "to others", "from others", "people who wrote"],
    };
    Section {
        key: "course",
        title: title.into(),
        about: about.into(),
        chart: Chart::Columns,
        columns: columns(names),
        rows,
        empty: "The period has not begun.",
    }
}

fn growth(trend: &[(Period, u64, u64)]) -> Section {
    let rows = trend
        .iter()
        .map(|(period, messages, people)| {
            vec![text(period.to_string()), Cell::Number(*messages), Cell::Number(*people)]
        })
        .collect();
    Section {
        key: "growth",
        title: "Growth".into(),
        about: "Messages that passed in this period and in those before it.".into(),
        chart: Chart::Columns,
        columns: columns(&["period", "messages", "people who wrote"]),
        rows,
        empty: "There is nothing to compare with yet.",
    }
}

fn ways(all: &Day) -> Section {
    let mut ways = vec![
        ("between our people", all.inside),
        ("to other companies", all.outgoing),
        ("from other companies", all.incoming),
    ];
    if all.transit > 0 {
        ways.push(("between other companies, through us", all.transit));
    }
    Section {
        key: "ways",
        title: "Which way".into(),
        about: "Messages that passed.".into(),
        chart: Chart::Bars,
        columns: columns(&["way", "messages"]),
        rows: ways.into_iter().map(|(way, n)| vec![text(way), Cell::Number(n)]).collect(),
        empty: "",
    }
}

fn protocols(all: &Day) -> Section {
    Section {
        key: "protocols",
        title: "Protocols".into(),
        about: "Messages that passed, by the protocol that their sender, or their sender's server, speaks."
            .into(),
        chart: Chart::Bars,
        columns: columns(&["protocol", "messages"]),
        rows: ranked(&all.dialects, usize::MAX),
        empty: "Nobody wrote anything.",
    }
}

/// The greatest first.
fn ranked(counts: &BTreeMap<String, u64>, top: usize) -> Vec<Vec<Cell>> {
    let mut all: Vec<_> = counts.iter().collect();
    all.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), (*name).clone()));
    all.into_iter().take(top).map(|(name, n)| vec![text(name.clone()), Cell::Number(*n)]).collect()
}

/// What is told of a company.
#[derive(Default)]
struct Company {
    sent: u64,
    received: u64,
    refused: u64,
    ours: std::collections::BTreeSet<u64>,
    theirs: std::collections::BTreeSet<u64>,
}

fn partners(all: &Day, options: &Options<'_>) -> Section {
    let mut companies: BTreeMap<String, Company> = BTreeMap::new();
    for (domain, abroad) in &all.abroad {
        let name = (options.naming)(domain).unwrap_or_else(|| domain.clone());
        let few = options.aggregates && abroad.ours.len() < FEW;
        let company = companies.entry(if few { OTHERS.to_owned() } else { name }).or_default();
        company.sent += abroad.sent;
        company.received += abroad.received;
        company.refused += abroad.refused;
        company.ours.extend(&abroad.ours);
        company.theirs.extend(&abroad.theirs);
    }
    let mut ranked: Vec<_> = companies.into_iter().collect();
    ranked.sort_by_key(|(name, c)| (name == OTHERS, std::cmp::Reverse(c.sent + c.received), name.clone()));
    let rows = ranked.into_iter().map(|(name, c)| {
        let numbers =
            [c.sent + c.received, c.sent, c.received, c.refused, c.ours.len() as u64, c.theirs.len() as u64];
        std::iter::once(text(name)).chain(numbers.map(Cell::Number)).collect()
    });
    let few = "Companies with which fewer than five of our people had to do are told together.";
    Section {
        key: "partners",
        title: "Other companies".into(),
        about: if options.aggregates {
            few.into()
        } else {
            "Partners by their name, others by their domain.".into()
        },
        chart: Chart::Bars,
        columns: columns(&[
            "company",
            "messages",
            "to them",
            "from them",
            "refused",
            "our people",
            "their people",
        ]),
        rows: rows.collect(),
        empty: "Nothing passed between this and another company's server.",
    }
}

/// Companies of which nothing is told one by one.
const OTHERS: &str = "others together";

fn times(all: &Day) -> Section {
    let line = |what: &str, spread: &Spread| {
        let times = [0.5, 0.9, 0.99].map(|part| Cell::Time { ms: spread.quantile(part) });
        let mut row = vec![text(what), Cell::Number(spread.count())];
        row.extend(times);
        row
    };
    Section {
        key: "times",
        title: "How long it takes".into(),
        about: "Delivery: from the server's having a message on record to a device's, or another company's server's, having it. Answer: from the \
                first message that somebody leaves unanswered to the answer, within an hour. Times are rounded up by at most a fifth."
            .into(),
        chart: Chart::None,
        columns: columns(&["what", "how many", "half within", "nine of ten within", "99 of 100 within"]),
        rows: vec![line("delivery", &all.delivery), line("answer", &all.response)],
        empty: "",
    }
}

/// The rules that mute one person each begin like this.
const MUTED: &str = "outbreak:user";

fn verdicts(all: &Day, options: &Options<'_>) -> Section {
    let mut times: BTreeMap<[&str; 2], u64> = BTreeMap::new();
    for (verdict, rules) in &all.verdicts {
        for (rule, n) in rules {
            // Whoever was muted is named by the rule.
            let rule = if options.aggregates && rule.starts_with(MUTED) { MUTED } else { rule };
            *times.entry([verdict, rule]).or_default() += n;
        }
    }
    let mut rows: Vec<(u64, [&str; 2])> = times.into_iter().map(|(names, n)| (n, names)).collect();
    rows.sort_by_key(|(n, names)| (std::cmp::Reverse(*n), *names));
    let rows = rows.into_iter().take(options.top);
    Section {
        key: "verdicts",
        title: "What rules said".into(),
        about: "Messages, receipts and requests that did not pass as they came, by the rule that said so."
            .into(),
        chart: Chart::Bars,
        columns: columns(&["rule", "verdict", "times"]),
        rows: rows.map(|(n, [verdict, rule])| vec![text(rule), text(verdict), Cell::Number(n)]).collect(),
        empty: "Everything passed as it came.",
    }
}

fn losses(all: &Day, options: &Options<'_>) -> Section {
    let mut rows: Vec<_> = all.losses.iter().collect();
    rows.sort_by_key(|(key, n)| (std::cmp::Reverse(**n), (*key).clone()));
    let rows = rows.into_iter().take(options.top).map(|(key, n)| {
        let mut parts = key.splitn(5, '|').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (from, to, kind, what, became) = (part(), part(), part(), part(), part());
        let became = if became.is_empty() { kind } else { format!("became {became}") };
        vec![text(what), text(became), text(format!("{from} to {to}")), Cell::Number(*n)]
    });
    Section {
        key: "losses",
        title: "What translation lost".into(),
        about: "Properties of messages that the other protocol cannot say.".into(),
        chart: Chart::Bars,
        columns: columns(&["property", "what became of it", "way", "times"]),
        rows: rows.collect(),
        empty: "Nothing was lost between protocols.",
    }
}

fn tried(all: &Day, options: &Options<'_>) -> Section {
    let mut rows: Vec<_> = all.tried.iter().collect();
    rows.sort_by_key(|(domain, t)| (std::cmp::Reverse(t.by_us + t.by_them), (*domain).clone()));
    let shown = rows.iter().filter(|(_, t)| !options.aggregates || t.ours.len() >= FEW || t.ours.is_empty());
    let rows = shown.take(options.top).map(|(domain, t)| {
        let numbers = [t.by_us + t.by_them, t.by_us, t.by_them, t.ours.len() as u64];
        std::iter::once(text((*domain).clone())).chain(numbers.map(Cell::Number)).collect()
    });
    let mut about = String::from(
        "Domains that people wrote to, or that wrote to us, although federation with them is not allowed. This server sees \
         only what passes through it: who uses another messenger for such a company does not appear here.",
    );
    if options.aggregates {
        about.push_str(" Domains that fewer than five of our people tried are left out.");
    }
    Section {
        key: "tried",
        title: "Domains that are not allowed".into(),
        about,
        chart: Chart::Bars,
        columns: columns(&["domain", "times", "by our people", "by theirs", "our people"]),
        rows: rows.collect(),
        empty: "Nobody tried.",
    }
}

fn talkers(all: &Day, options: &Options<'_>) -> Section {
    let mut people: Vec<_> = all.people.iter().collect();
    people.sort_by_key(|(who, p)| (std::cmp::Reverse(p.sent + p.received), (*who).clone()));
    let rows = people.into_iter().take(options.top).map(|(who, p)| {
        let numbers = [p.sent + p.received, p.sent, p.received];
        std::iter::once(text(who.clone())).chain(numbers.map(Cell::Number)).collect()
    });
    Section {
        key: "people",
        title: "Who talks most".into(),
        about: "People with an account here.".into(),
        chart: Chart::Bars,
        columns: columns(&["person", "messages", "sent", "received"]),
        rows: rows.collect(),
        empty: "Nobody wrote anything.",
    }
}
