//! A candidate beside the policy in force: what it would decide otherwise, counted and never done.

use model::Envelope;
use parking_lot::Mutex;
use policy::{Decision, Facts, Policy, Society, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use utoipa::ToSchema;

/// Examples that are kept: the latest.
const EXAMPLES: usize = 50;

/// One envelope on which two policies differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// The envelope.
    pub id: String,
    /// When it entered, Unix milliseconds.
    pub at: u64,
    /// Sender.
    pub from: String,
    /// Addressee.
    pub to: String,
    /// What it is.
    pub kind: String,
    /// What was decided, and by which rule.
    pub was: String,
    /// What the candidate decides, and by which rule.
    pub would: String,
}

/// How often the candidate decides so where this was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counted {
    /// What was decided.
    pub was: String,
    /// What the candidate decides.
    pub would: String,
    /// How often.
    pub times: u64,
}

/// What a candidate would have done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Envelopes looked at.
    pub compared: u64,
    /// Those on which the two differ, by what they decide.
    pub counts: Vec<Counted>,
    /// The latest of them.
    pub examples: Vec<Difference>,
}

/// Counts what differs.
#[derive(Default)]
pub(crate) struct Tally {
    compared: u64,
    counts: BTreeMap<(String, String), u64>,
    examples: VecDeque<Difference>,
}

/// A decision in one line: the verdict, and what it does besides.
pub(crate) fn in_words(decision: &Decision) -> (String, String) {
    let mut verdict = decision.verdict.name().to_owned();
    let mut by: Vec<&str> = decision.by.iter().map(|said| said.rule.as_str()).collect();
    if let Some((_, rules)) = &decision.changed {
        verdict += ", changed";
        by.extend(rules.iter().map(|said| said.rule.as_str()));
    }
    if !decision.warnings.is_empty() {
        verdict += ", warned";
        by.extend(decision.warnings.iter().map(|said| said.rule.as_str()));
    }
    let full = if by.is_empty() { verdict.clone() } else { format!("{verdict} by {}", by.join(", ")) };
    (verdict, full)
}

impl Tally {
    pub fn note(&mut self, envelope: &Envelope, was: (String, String), would: (String, String)) {
        self.compared += 1;
        if was.0 == would.0 {
            return;
        }
        *self.counts.entry((was.0, would.0)).or_default() += 1;
        if self.examples.len() == EXAMPLES {
            self.examples.pop_front();
        }
        self.examples.push_back(Difference {
            id: envelope.id.to_string(),
            at: envelope.at.unix_ms(),
            from: envelope.from.to_string(),
            to: envelope.to.to_string(),
            kind: envelope.event.kind().to_owned(),
            was: was.1,
            would: would.1,
        });
    }

    pub fn report(&self) -> Report {
        let counts = self.counts.iter();
        Report {
            compared: self.compared,
            counts: counts
                .map(|((was, would), times)| Counted {
                    was: was.clone(),
                    would: would.clone(),
                    times: *times,
                })
                .collect(),
            examples: self.examples.iter().cloned().collect(),
        }
    }
}

/// A candidate on trial.
pub(crate) struct Trial {
    pub policy: Policy,
    tally: Mutex<Tally>,
}

impl Trial {
    pub fn new(policy: Policy) -> Self {
        Self { policy, tally: Mutex::default() }
    }

    /// What the policy in force decided; what would this one?
    pub fn compare(&self, envelope: &Envelope, society: &dyn Society, decided: Option<&Decision>) {
        let would = self.policy.decide(&Facts::of(envelope, society));
        let allowed = || (Verdict::Allow.name().to_owned(), Verdict::Allow.name().to_owned());
        let was = decided.map_or_else(allowed, in_words);
        self.tally.lock().note(envelope, was, in_words(&would));
    }

    pub fn report(&self) -> Report {
        self.tally.lock().report()
    }
}
