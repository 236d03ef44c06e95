//! What a run would destroy, without destroying it.

use crate::facts::Places;
use crate::{Copies, Facts, MatterError, Matters, RuleSet};
use model::{Seq, Timestamp};
use record::Rule;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use store::Retain;
use utoipa::ToSchema;

const PAGE: usize = 1_000;
const DAY_MS: u64 = 86_400_000;
/// So many people are told apart.
const PEOPLE: usize = 100_000;
/// So many people are named for each rule.
const NAMED: usize = 10;

/// How much of somebody's would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonLine {
    /// Who sent it.
    pub who: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of content.
    pub bytes: u64,
}

/// What one rule would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleLine {
    /// Its name; the last one is the general rule of the configuration.
    pub rule: String,
    /// For how long it keeps.
    pub keep: String,
    /// Rows whose content would go.
    pub rows: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// People who sent them.
    pub people: u64,
    /// Those of whom most would go.
    pub most: Vec<PersonLine>,
    /// Rows that would go if no matter kept them, by matter.
    pub kept: BTreeMap<String, u64>,
    /// Rows that would go if they did not wait for somebody.
    pub waiting: u64,
}

/// What a run would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// Every rule.
    pub rules: Vec<RuleLine>,
    /// Rows with content that were looked at.
    pub looked_at: u64,
}

/// Rows and bytes by person.
type People = HashMap<String, (u64, u64)>;

impl Preview {
    /// Looks through everything that is older than the shortest time to keep. Blocks.
    ///
    /// # Errors
    /// [`MatterError::Trouble`]
    pub fn of<S: Retain>(
        store: &S,
        matters: &Matters,
        rules: &RuleSet,
        copies: &dyn Copies,
        now: Timestamp,
    ) -> Result<Self, MatterError> {
        let mut lines: Vec<(RuleLine, People)> = rules
            .terms()
            .map(|term| {
                let line = RuleLine {
                    rule: term.name.clone(),
                    keep: term.keep.to_string(),
                    rows: 0,
                    bytes: 0,
                    people: 0,
                    most: Vec::new(),
                    kept: BTreeMap::new(),
                    waiting: 0,
                };
                (line, HashMap::new())
            })
            .collect();
        let mut looked_at = 0;
        if let Some(shortest) = rules.days().first() {
            let before = |days: u64| now.0.saturating_sub(days.saturating_mul(DAY_MS));
            let to = store.last_before(Timestamp(before(*shortest)))?;
            let (mut keeping, mut places) = (matters.keeping(), Places::new(matters.society()));
            let mut after = Seq(0);
            loop {
                let page = store.with_content(after, to, PAGE)?;
                let Some(last) = page.last().map(|row| row.seq) else { break };
                after = last;
                looked_at += page.len() as u64;
                for row in &page {
                    let facts = Facts::read(row);
                    let term = rules.decide(&facts, &mut places);
                    let due = term.keep != Rule::Forever && facts.at.0 < before(term.keep.days());
                    let Some((line, people)) =
                        lines.iter_mut().find(|(line, _)| due && line.rule == term.name)
                    else {
                        continue;
                    };
                    let by = keeping.of_file_too(&facts, copies);
                    for matter in &by {
                        *line.kept.entry(matter.clone()).or_default() += 1;
                    }
                    if !by.is_empty() {
                        continue;
                    }
                    if row.waits {
                        line.waiting += 1;
                        continue;
                    }
                    line.rows += 1;
                    line.bytes += facts.bytes;
                    let who = facts.from.as_ref().map_or("unknown", |from| from.as_str());
                    if let Some(known) = people.get_mut(who) {
                        *known = (known.0 + 1, known.1 + facts.bytes);
                    } else if people.len() < PEOPLE {
                        people.insert(who.to_owned(), (1, facts.bytes));
                    }
                }
            }
        }
        let finish = |(mut line, people): (RuleLine, People)| {
            line.people = people.len() as u64;
            let mut most: Vec<PersonLine> =
                people.into_iter().map(|(who, (rows, bytes))| PersonLine { who, rows, bytes }).collect();
            most.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.who.cmp(&b.who)));
            most.truncate(NAMED);
            RuleLine { most, ..line }
        };
        Ok(Self { rules: lines.into_iter().map(finish).collect(), looked_at })
    }
}
