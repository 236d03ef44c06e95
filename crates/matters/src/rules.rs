//! For how long content is kept: a text of rules, in versions.

use crate::facts::Places;
use crate::{Facts, Kind, MatterError};
use model::Timestamp;
use parking_lot::{Mutex, RwLock};
use policy::Society;
use record::Rule;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Partners, Shelf, Trouble};
use utoipa::ToSchema;

/// What the rule of the configuration is called.
pub(crate) const GENERAL: &str = "[record] retention";

/// Rules at most.
const MOST: usize = 1_000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    rule: Vec<Written>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    keep: String,
    group: Option<String>,
    partner: Option<String>,
    kind: Option<Kind>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Its name.
    pub name: String,
    /// For how long.
    pub keep: Rule,
    group: Option<String>,
    partner: Option<String>,
    kind: Option<Kind>,
}

/// The rules in force, with the general one for what none of them fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    terms: Vec<Term>,
    general: Term,
}

impl Term {
    /// In words, for people and the record.
    pub fn in_words(&self) -> String {
        format!("{}: {}", self.name, self.keep)
    }

    fn fits(&self, facts: &Facts, places: &mut Places<'_>) -> bool {
        if self.kind.is_some() && self.kind != facts.kind {
            return false;
        }
        let in_group = |places: &mut Places<'_>, group: &str| {
            facts.parties().any(|who| places.of(who).groups.iter().any(|g| &**g == group))
        };
        if self.group.as_ref().is_some_and(|group| !in_group(places, group)) {
            return false;
        }
        let of_partner = |places: &mut Places<'_>, partner: &str| {
            facts.parties().any(|who| places.of(who).partner.as_deref() == Some(partner))
        };
        self.partner.as_ref().is_none_or(|partner| of_partner(places, partner))
    }
}

impl RuleSet {
    /// Reads a text.
    ///
    /// # Errors
    /// [`MatterError::Bad`] with line and reason.
    pub fn read(text: &str, general: Rule, society: &dyn Society) -> Result<Self, MatterError> {
        let bad = |why: String| Err(MatterError::Bad(why));
        let read: Text = toml::from_str(text).map_err(|e| MatterError::Bad(e.to_string()))?;
        if read.rule.len() > MOST {
            return bad(format!("more than {MOST} rules"));
        }
        let mut terms: Vec<Term> = Vec::new();
        for Written { name, keep, group, partner, kind } in read.rule {
            if name.trim().is_empty() || terms.iter().any(|term| term.name == name) {
                return bad(format!("every rule has a name of its own, and not {name:?}"));
            }
            let keep = match keep.parse() {
                Ok(keep) => keep,
                Err(why) => return bad(format!("rule {name:?}: {keep:?} is no time to keep: {why}")),
            };
            if let Some(group) = group.as_ref().filter(|group| !society.has_group(group)) {
                return bad(format!("rule {name:?}: there is no group {group:?}"));
            }
            if let Some(partner) = partner.as_ref().filter(|partner| !society.has_partner(partner)) {
                return bad(format!("rule {name:?}: there is no partner {partner:?}"));
            }
            terms.push(Term { name, keep, group, partner, kind });
        }
        Ok(Self::of(terms, general))
    }

    fn of(terms: Vec<Term>, general: Rule) -> Self {
        let general = Term { name: GENERAL.into(), keep: general, group: None, partner: None, kind: None };
        Self { terms, general }
    }

    /// The rule that decides: of those that fit the one that keeps longest, the first of equals; the general one where none
    /// fits.
    pub(crate) fn decide(&self, facts: &Facts, places: &mut Places<'_>) -> &Term {
        let mut best: Option<&Term> = None;
        for term in &self.terms {
            if best.is_none_or(|best| term.keep.days() > best.keep.days()) && term.fits(facts, places) {
                best = Some(term);
            }
        }
        best.unwrap_or(&self.general)
    }

    /// Does a rule of its own fit, and not just the general one?
    pub fn has_own(&self, facts: &Facts, society: &dyn Society) -> bool {
        let mut places = Places::new(society);
        self.terms.iter().any(|term| term.fits(facts, &mut places))
    }

    /// The different times, the shortest first, for ever not among them.
    pub(crate) fn days(&self) -> Vec<u64> {
        let all = self.terms.iter().chain([&self.general]).map(|term| term.keep);
        let mut days: Vec<u64> = all.filter(|keep| *keep != Rule::Forever).map(Rule::days).collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    /// All rules, the general one last.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter().chain([&self.general])
    }
}

/// A version of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// The rules, TOML.
    pub text: String,
    /// Who put it in force.
    pub by: String,
    /// When, Unix milliseconds.
    pub at: u64,
}

/// The rules and their history.
pub struct Rules {
    docs: Arc<dyn Partners>,
    now: RwLock<Option<Version>>,
    changing: Mutex<()>,
}

impl Rules {
    /// Those of a store.
    ///
    /// # Errors
    /// [`MatterError::Trouble`]
    pub fn open(docs: Arc<dyn Partners>) -> Result<Self, MatterError> {
        let this = Self { docs, now: RwLock::new(None), changing: Mutex::new(()) };
        let last = this.versions()?.pop();
        *this.now.write() = last;
        Ok(this)
    }

    /// Every version, the oldest first.
    ///
    /// # Errors
    /// [`MatterError::Trouble`]
    pub fn versions(&self) -> Result<Vec<Version>, MatterError> {
        let read = |(name, doc): (String, Vec<u8>)| {
            serde_json::from_slice(&doc).map_err(|e| {
                Trouble::Failed(format!("version {name} of the rules of retention cannot be read: {e}"))
            })
        };
        let docs = self.docs.documents(Shelf::Retention)?.into_iter();
        Ok(docs.map(read).collect::<Result<_, _>>()?)
    }

    /// The version in force; `None` while there was never one.
    pub fn now(&self) -> Option<Version> {
        self.now.read().clone()
    }

    /// The rules in force. A group or partner that was removed since fits nobody.
    ///
    /// # Errors
    /// [`MatterError`] where they cannot be read: then nothing may be destroyed.
    pub fn in_force(&self, general: Rule) -> Result<RuleSet, MatterError> {
        match self.now() {
            None => Ok(RuleSet::of(Vec::new(), general)),
            Some(version) => RuleSet::read(&version.text, general, &Anything),
        }
    }

    /// The rule in force that names a group, or a partner: without that it would fit nobody.
    pub fn naming(&self, group: Option<&str>, partner: Option<&str>) -> Option<String> {
        let rules = self.in_force(Rule::Forever).ok()?;
        let named = |term: &&Term| {
            let group = group.is_some() && term.group.as_deref() == group;
            group || partner.is_some() && term.partner.as_deref() == partner
        };
        rules.terms.iter().find(named).map(|term| term.name.clone())
    }

    /// Puts another text in force, which was read before.
    ///
    /// # Errors
    /// [`MatterError`]
    pub fn set(
        &self,
        text: &str,
        society: &dyn Society,
        by: &str,
        at: Timestamp,
    ) -> Result<Version, MatterError> {
        RuleSet::read(text, Rule::Forever, society)?;
        let _alone = self.changing.lock();
        let number = self.now().map_or(1, |now| now.number + 1);
        let version = Version { number, text: text.to_owned(), by: by.to_owned(), at: at.0 };
        let doc = serde_json::to_vec(&version).map_err(|e| Trouble::Failed(e.to_string()))?;
        self.docs.put_document(Shelf::Retention, &format!("{number:08}"), &doc)?;
        *self.now.write() = Some(version.clone());
        Ok(version)
    }
}

/// Has every group and partner: what was checked when it was written is not to fail when one is removed.
struct Anything;

impl Society for Anything {
    fn belonging(&self, _: &model::Address) -> policy::Belonging {
        policy::Belonging::default()
    }

    fn has_group(&self, _: &str) -> bool {
        true
    }

    fn has_partner(&self, _: &str) -> bool {
        true
    }
}
