//! A conversation of one day, as it is laid before a reader.

use crate::entry::Entry;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Where conversations come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// The chain, node and epoch.
    pub chain: String,
    /// What it is part of, in words: an export by whom, or journaling.
    pub occasion: String,
}

/// What two people said to one another on one day (UTC), or a part of that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// The day, such as `2026-11-22`.
    pub day: String,
    /// Its number on the node.
    pub number: u64,
    /// Which part of the day, from 1.
    pub part: usize,
    /// How many parts the day has.
    pub parts: usize,
    /// What was said, in order.
    pub entries: Vec<Entry>,
}

/// Something that became of an entry, said beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    pub text: String,
    /// It changes what the reader must think of the entry.
    pub grave: bool,
}

/// What is said beside an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    pub remarks: Vec<Remark>,
    /// It is said beside another one, and nowhere else.
    pub folded: bool,
    /// The row that it is about.
    pub of: Option<u64>,
}

/// The days of months.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A day in words.
pub(crate) fn in_words(day: &str) -> String {
    let mut parts = day.split('-');
    let (Some(year), Some(month), Some(date)) = (parts.next(), parts.next(), parts.next()) else {
        return day.to_owned();
    };
    let name = month.parse::<usize>().ok().and_then(|m| MONTHS.get(m.checked_sub(1)?));
    name.map_or_else(|| day.to_owned(), |name| format!("{} {name} {year}", date.trim_start_matches('0')))
}

impl Conversation {
    /// Who took part, in the order in which they did.
    pub fn people(&self) -> Vec<&str> {
        let mut people: Vec<&str> = Vec::new();
        for who in self.entries.iter().flat_map(|entry| [entry.from.as_str(), entry.to.as_str()]) {
            if !who.is_empty() && !people.contains(&who) {
                people.push(who);
            }
        }
        people
    }

    /// First and last row.
    pub(crate) fn span(&self) -> (u64, u64) {
        let rows = || self.entries.iter().map(|entry| entry.row);
        (rows().min().unwrap_or(0), rows().max().unwrap_or(0))
    }

    /// SHA-256 over the links of its rows, in order: 32 bytes each.
    pub(crate) fn digest(&self) -> String {
        let mut links = Vec::with_capacity(self.entries.len() * 32);
        for entry in &self.entries {
            let pairs = entry.link.as_bytes().chunks_exact(2);
            links.extend(
                pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()),
            );
        }
        crate::disk::sha256(&links)
    }

    /// Messages that people wrote.
    pub(crate) fn messages(&self) -> usize {
        let said = ["message", "edit", "retraction", "reaction"];
        self.entries.iter().filter(|entry| said.contains(&entry.kind)).count()
    }

    /// What is said beside each entry.
    pub(crate) fn remarks(&self) -> Vec<Beside> {
        let mut all = vec![Beside::default(); self.entries.len()];
        let mut named: HashMap<&str, usize> = HashMap::new();
        for (at, entry) in self.entries.iter().enumerate() {
            own(entry, &mut all[at].remarks);
            let earlier = entry.about.as_deref().and_then(|name| named.get(name).copied());
            if let Some(of) = earlier {
                let (text, grave) = match entry.kind {
                    "edit" => (format!("edited at {}, see row {}", entry.clock(), entry.row), true),
                    "retraction" => (
                        format!("retracted by {} at {}, see row {}", entry.from, entry.clock(), entry.row),
                        true,
                    ),
                    "delivered" => (format!("{} says it arrived, {}", entry.from, entry.clock()), false),
                    "displayed" => (format!("{} says it was read, {}", entry.from, entry.clock()), false),
                    _ => (String::new(), false),
                };
                if !text.is_empty() {
                    all[of].remarks.push(Remark { text, grave });
                }
                all[at].folded = matches!(entry.kind, "delivered" | "displayed");
                all[at].of = Some(self.entries[of].row);
            }
            if entry.kind == "message" && !entry.message_id.is_empty() {
                named.insert(&entry.message_id, at);
            }
        }
        all
    }
}

fn plain(text: String) -> Remark {
    Remark { text, grave: false }
}

/// What there is to say of an entry by itself.
fn own(entry: &Entry, remarks: &mut Vec<Remark>) {
    let mut grave = |text: String| remarks.push(Remark { text, grave: true });
    let by = |entry: &Entry| match entry.rules.is_empty() {
        true => String::new(),
        false => format!(" by {}", entry.rules.join(", ")),
    };
    match entry.verdict {
        "refused" => grave(format!(
            "not delivered: refused{} ({})",
            by(entry),
            entry.reason.as_deref().unwrap_or("no reason")
        )),
        "held" => grave(format!("held for review{}", by(entry))),
        "released" => {
            grave(format!("delivered after review; held before as row {}", entry.released_from.unwrap_or(0)))
        }
        "changed" => grave(format!("changed, or its sender warned{}", by(entry))),
        _ => {}
    }
    if entry.end_to_end {
        grave("encrypted between the people: only their devices can read it; a text here is what the sender's client says to others".into());
    }
    if entry.erased {
        grave(
            "no content: destroyed, or withheld as privileged; the record proves that there was one".into(),
        );
    }
    if let Some(from) = &entry.imported {
        remarks.push(plain(format!("imported from {from}")));
    }
    if entry.kind == "failed" {
        remarks.push(Remark { text: entry.reason.clone().unwrap_or_default(), grave: true });
    }
    for settled in &entry.outcomes {
        let mut text = settled.outcome.clone();
        if settled.time.get(..10) == entry.time.get(..10) {
            let _ = write!(text, " {}", settled.time.get(11..23).unwrap_or_default());
        } else {
            let _ = write!(text, " {}", settled.time);
        }
        if let Some(reason) = &settled.reason {
            let _ = write!(text, " ({reason})");
        }
        if !settled.losses.is_empty() {
            let lost: Vec<String> = settled.losses.iter().map(crate::words::lost).collect();
            let _ = write!(text, "; lost in translation: {}", lost.join(", "));
        }
        remarks.push(Remark { text, grave: settled.outcome == "refused" });
    }
}

/// What an entry is called where it is no message.
pub(crate) fn called(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "message" => return None,
        "edit" => "Edit",
        "retraction" => "Retraction",
        "reaction" => "Reaction",
        "delivered" => "Receipt: arrived",
        "displayed" => "Receipt: read",
        "failed" => "Report: did not arrive",
        "subscribe" => "Asks to see presence",
        "unsubscribe" => "Ends seeing presence",
        "watch" => "Watches presence",
        "probe" => "Looks at presence",
        "authorized" => "Allows seeing presence",
        "denied" => "Does not allow seeing presence",
        _ => "Event",
    })
}
