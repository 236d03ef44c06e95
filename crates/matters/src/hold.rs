//! A matter, and what it keeps.

use crate::MatterError;
use crate::facts::{Facts, Kind, Places};
use model::{Address, Timestamp};
use policy::Society;
use record::Ranges;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is to be kept. All that is set must fit; a hold of nothing but dates keeps everybody's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// Sender or addressee is one of these: addresses, or whole domains.
    pub people: Vec<String>,
    /// What passed between just these two.
    pub conversation: Vec<String>,
    /// A partner by name: sender or addressee is of one of its domains.
    pub partner: Option<String>,
    /// Not earlier, Unix milliseconds.
    pub since: Option<u64>,
    /// Earlier than this, Unix milliseconds.
    pub until: Option<u64>,
    /// Everybody's, where nothing else says whose.
    pub everybody: bool,
}

/// That a hold was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Released {
    /// Who ended it.
    pub by: String,
    /// When, Unix milliseconds.
    pub at: u64,
}

/// A hold of a matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hold {
    /// Its number in the matter, from 1.
    pub number: u32,
    /// What it keeps.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// The partner's domains when it was put; those of today count as well.
    #[serde(default)]
    pub domains: Vec<String>,
    /// These rows and no others, such as `1-5,9`: those of a review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Who put it.
    pub by: String,
    /// When, Unix milliseconds.
    pub at: u64,
    /// Set when it was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Released>,
}

/// A matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Matter {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub reason: String,
    /// Who opened it.
    pub by: String,
    /// When, Unix milliseconds.
    pub at: u64,
    /// What it keeps, and has kept.
    pub holds: Vec<Hold>,
    /// Set when it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Released>,
}

impl Wanted {
    /// Checks it and puts its names into one form.
    pub(crate) fn checked(mut self) -> Result<Self, MatterError> {
        let bad = |text: String| Err(MatterError::Bad(text));
        let named = |text: &String| match Address::parse(&text.trim().to_lowercase()) {
            Ok(address) => Ok(address.as_str().to_owned()),
            Err(_) => Err(MatterError::Bad(format!("{text:?} is neither an address nor a domain"))),
        };
        self.people = self.people.iter().map(named).collect::<Result<_, _>>()?;
        self.conversation = self.conversation.iter().map(named).collect::<Result<_, _>>()?;
        self.conversation.sort();
        if !matches!(self.conversation.len(), 0 | 2) {
            return bad("a conversation is between two: name both".into());
        }
        if self.since.zip(self.until).is_some_and(|(since, until)| since >= until) {
            return bad("the hold would end before it begins".into());
        }
        let whose = !self.people.is_empty() || !self.conversation.is_empty() || self.partner.is_some();
        if whose == self.everybody {
            return bad("say whose: people, a conversation, a partner, or everybody and nothing else".into());
        }
        Ok(self)
    }
}

impl Hold {
    /// In words, for the record.
    pub fn in_words(&self) -> String {
        let w = &self.wanted;
        let mut all = Vec::new();
        all.extend((!w.people.is_empty()).then(|| format!("people {}", w.people.join(", "))));
        all.extend(
            (!w.conversation.is_empty()).then(|| format!("conversation {}", w.conversation.join(" and "))),
        );
        all.extend(
            w.partner.as_ref().map(|partner| format!("partner {partner} ({})", self.domains.join(", "))),
        );
        all.extend(w.everybody.then(|| "everybody".to_owned()));
        all.extend(self.rows.as_ref().map(|rows| {
            let count = rows.parse::<Ranges>().map(|rows| rows.count()).unwrap_or_default();
            format!("{count} row(s) of a review")
        }));
        all.extend(w.since.map(|at| format!("since {}", Timestamp(at))));
        all.extend(w.until.map(|at| format!("until {}", Timestamp(at))));
        all.join(", ")
    }
}

impl Hold {
    /// Is it about somebody?
    pub(crate) fn is_about(&self, who: &Address, society: &dyn Society) -> bool {
        let w = &self.wanted;
        let partner =
            || society.belonging(who).partner.is_some_and(|of| Some(of.as_str()) == w.partner.as_deref());
        w.everybody || w.people.iter().chain(&w.conversation).any(|name| is_named(who, name)) || partner()
    }
}

fn is_named(who: &Address, name: &str) -> bool {
    name == who.as_str() || name == who.domain()
}

/// A hold in force, ready to be asked many times.
pub(crate) struct Force {
    matter: String,
    hold: Hold,
    rows: Option<Ranges>,
}

impl Force {
    pub fn all(matters: &[Matter]) -> Vec<Self> {
        let open = matters.iter().flat_map(|matter| matter.holds.iter().map(move |hold| (matter, hold)));
        let open = open.filter(|(_, hold)| hold.released.is_none());
        open.map(|(matter, hold)| Self {
            matter: matter.name.clone(),
            // What cannot be read keeps everything.
            rows: hold
                .rows
                .as_ref()
                .map(|rows| rows.parse().unwrap_or_else(|_| Ranges::of(vec![(0, u64::MAX - 1)]))),
            hold: hold.clone(),
        })
        .collect()
    }

    pub fn matter(&self) -> &str {
        &self.matter
    }

    pub fn keeps(&self, facts: &Facts, places: &mut Places<'_>) -> bool {
        if let Some(rows) = &self.rows {
            return rows.has(facts.seq.0);
        }
        let w = &self.hold.wanted;
        // Whichever time is meant: when it was said, or when it came here.
        let in_time = |at: Timestamp| {
            w.since.is_none_or(|since| at.0 >= since) && w.until.is_none_or(|until| at.0 < until)
        };
        if !in_time(facts.at) && !in_time(facts.said) {
            return false;
        }
        if facts.kind.is_none() {
            return true;
        }
        let named = |who: &Address, names: &[String]| names.iter().any(|name| is_named(who, name));
        if !w.people.is_empty() && !facts.parties().any(|who| named(who, &w.people)) {
            return false;
        }
        if !w.conversation.is_empty() {
            // Of a file only its owner is known.
            let in_it = facts.parties().all(|who| named(who, &w.conversation));
            let both = facts.kind == Some(Kind::File)
                || w.conversation
                    .iter()
                    .all(|name| facts.parties().any(|p| named(p, std::slice::from_ref(name))));
            if !in_it || !both {
                return false;
            }
        }
        let Some(partner) = &w.partner else { return true };
        facts.parties().any(|who| {
            places.of(who).partner.as_deref() == Some(partner)
                || self.hold.domains.iter().any(|domain| of_domain(who.domain(), domain))
        })
    }
}

fn of_domain(domain: &str, named: &str) -> bool {
    match named.strip_prefix("*.") {
        Some(parent) => domain.strip_suffix(parent).is_some_and(|left| left.ends_with('.')),
        None => domain == named,
    }
}
