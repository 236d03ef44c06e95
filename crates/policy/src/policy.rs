//! A policy in force: what it decides, and why.

use crate::content::{Detectors, masked};
use crate::document::{Direction, Then};
use crate::facts::Facts;
use crate::index::{Bits, Index};
use crate::rule::Rule;
use crate::{Society, who};
use jiff::tz::TimeZone;
use model::{Event, Message, Part, ReceiptKind, Vouch};
use std::fmt;

/// A policy, compiled.
pub struct Policy {
    pub(crate) text: String,
    pub(crate) blocks: bool,
    pub(crate) zone: TimeZone,
    pub(crate) from: Index,
    pub(crate) to: Index,
    pub(crate) by_feature: [Bits; 9],
    pub(crate) any_feature: Bits,
    pub(crate) detectors: Detectors,
    pub(crate) rules: Vec<Rule>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} rules)", self.rules.len())
    }
}

/// What is to become of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passes, perhaps changed.
    Allow,
    /// It waits for a person to look at it.
    Hold,
    /// It does not pass.
    Block,
}

impl Verdict {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Hold => "hold",
            Self::Block => "block",
        }
    }
}

/// A rule that had its say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `rule:NAME` or `wall:NAME`.
    pub rule: String,
    /// Its words for the sender.
    pub text: Option<String>,
}

/// What was decided, and by which rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What is to become of it.
    pub verdict: Verdict,
    /// The rule that decided; `None`: the policy's default.
    pub by: Option<Said>,
    /// What the sender is told though it passes.
    pub warnings: Vec<Said>,
    /// The message as it passes, where rules changed it, and which rules those were.
    pub changed: Option<(Message, Vec<Said>)>,
}

impl Decision {
    fn of(verdict: Verdict) -> Self {
        Self { verdict, by: None, warnings: Vec::new(), changed: None }
    }
}

/// One thing a rule asks for: its name as it is written, and whether it is so.
type Asked = (&'static str, fn(&Rule, &Facts<'_>, &Policy) -> bool);

/// All that a rule may ask for, cheap things first.
const ASKED: &[Asked] = &[
    ("from", |r, f, _| r.from.is_empty() || who::means(&r.from, &f.envelope.from.address, &f.from)),
    ("to", |r, f, _| r.to.is_empty() || who::means(&r.to, &f.envelope.to.address, &f.to)),
    ("except_from", |r, f, _| !who::means(&r.except_from, &f.envelope.from.address, &f.from)),
    ("except_to", |r, f, _| !who::means(&r.except_to, &f.envelope.to.address, &f.to)),
    ("features", |r, f, _| r.features.is_empty() || r.features.iter().any(|x| f.features().contains(x))),
    ("direction", |r, f, _| {
        // Whoever looks for something in what leaves the house looks into statuses too: who watches may be anywhere.
        let leaves = |r: &Rule| !r.content.is_empty() && r.direction.contains(&Direction::Out);
        r.direction.is_empty() || r.direction.contains(&f.direction()) || (f.is_our_status() && leaves(r))
    }),
    ("protocols", |r, f, _| r.protocols.is_empty() || f.protocol().is_some_and(|p| r.protocols.contains(&p))),
    ("devices", |r, f, _| r.devices.is_empty() || device(r, f)),
    ("verified", |r, f, _| r.verified.is_empty() || r.verified.iter().any(|word| word.means(f.verified()))),
    ("time", |r, f, p| r.time.is_empty() || r.time.iter().any(|w| w.holds(f.envelope.at, &p.zone))),
    ("larger_than", |r, f, _| r.larger_than.is_none_or(|most| f.size() > most)),
    ("encrypted", |r, f, _| r.encrypted.is_none_or(|wanted| f.encrypted() == wanted)),
    ("files", |r, f, _| r.files.is_empty() || f.files().iter().any(|kind| r.files.contains(kind))),
    ("content", |r, f, p| r.content.is_empty() || r.content.iter().any(|d| f.found(&p.detectors).has(*d))),
    ("at_least", |r, f, p| r.at_least < 2 || p.detectors.count(&r.content, f.texts()) >= r.at_least),
    ("if", |r, f, p| {
        r.condition.as_ref().is_none_or(|c| {
            // What cannot be told counts for the rule where the rule stops something, and against it where it lets pass.
            c.holds(f, &p.detectors, &p.zone).unwrap_or(r.then != Some(Then::Allow))
        })
    }),
];

fn device(rule: &Rule, facts: &Facts<'_>) -> bool {
    let device = facts.envelope.from.device.as_ref().map_or("", |device| device.as_str()).to_lowercase();
    rule.devices.iter().any(|pattern| is_like(&device, pattern))
}

/// A text against a pattern with `*` for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).any(|at| left.is_char_boundary(at) && is_like(&left[at..], rest))
        }),
    }
}

impl Policy {
    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many rules are asked.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// How many detectors find something in a text: what looking costs can be measured with it.
    pub fn found_in(&self, text: &str) -> usize {
        self.detectors.scan(&[std::borrow::Cow::Borrowed(text)]).count()
    }

    /// The regular expressions it looks for.
    pub fn expressions(&self) -> Vec<&str> {
        self.detectors.expressions()
    }

    /// Does one of [`Self::expressions`] find something?
    pub fn matches(&self, expression: usize, text: &str) -> bool {
        self.detectors.matches(expression, text)
    }

    /// Groups and partners that it names and that there are not: they mean nobody, which nobody meant.
    pub fn strangers(&self, society: &dyn Society) -> Vec<String> {
        let words = self
            .rules
            .iter()
            .flat_map(|r| r.from.iter().chain(&r.to).chain(&r.except_from).chain(&r.except_to));
        let mut all: Vec<String> = words
            .filter_map(|word| match word {
                who::Who::Group(name) if !society.has_group(name) => Some(format!("group {name:?}")),
                who::Who::Partner(name) if !society.has_partner(name) => Some(format!("partner {name:?}")),
                _ => None,
            })
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// Is it beyond policy: what the server itself says, and the bare news that something did not arrive?
    fn is_exempt(facts: &Facts<'_>) -> bool {
        let event = &facts.envelope.event;
        facts.envelope.origin.vouch == Vouch::Server
            || matches!(event, Event::Receipt(r) if matches!(r.kind, ReceiptKind::Failed(_)))
                && !event.is_failure_with_words()
    }

    /// Rules that may apply, by who is concerned and what is done.
    fn candidates(&self, facts: &Facts<'_>) -> Bits {
        let mut bits = self.from.of(&facts.envelope.from.address, &facts.from);
        bits.and(&self.to.of(&facts.envelope.to.address, &facts.to));
        let mut used = facts.features().iter();
        match (used.next(), used.next()) {
            (None, _) => bits.and(&self.any_feature),
            (Some(one), None) => bits.and(&self.by_feature[one as usize]),
            _ => {
                let mut any = self.any_feature.clone();
                facts.features().iter().for_each(|feature| any.or(&self.by_feature[feature as usize]));
                bits.and(&any);
            }
        }
        bits
    }

    /// Decides.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let mut decision = Decision::of(Verdict::Allow);
        if Self::is_exempt(facts) {
            return decision;
        }
        for rule in self.candidates(facts).iter().map(|at| &self.rules[at]) {
            if !ASKED.iter().all(|(_, holds)| holds(rule, facts, self)) {
                continue;
            }
            if self.follow(rule, facts, &mut decision) {
                return decision;
            }
        }
        if self.blocks && facts.envelope.from.address != facts.envelope.to.address {
            decision = Decision::of(Verdict::Block);
        }
        decision
    }

    /// Does what the rule says. True where that decides.
    fn follow(&self, rule: &Rule, facts: &Facts<'_>, decision: &mut Decision) -> bool {
        let said = Said { rule: rule.name.clone(), text: rule.text.clone() };
        let verdict = match rule.then.unwrap_or(Then::Block) {
            Then::Warn => {
                decision.warnings.push(said);
                return false;
            }
            Then::Mask | Then::Disclaimer => match self.change(rule, facts, decision, said.clone()) {
                true => return false,
                // What must not pass as it is, and cannot be changed, does not pass.
                false => Verdict::Block,
            },
            Then::Allow => Verdict::Allow,
            Then::Hold => Verdict::Hold,
            Then::Block => Verdict::Block,
        };
        decision.verdict = verdict;
        decision.by = Some(said);
        if verdict != Verdict::Allow {
            decision.warnings.clear();
            decision.changed = None;
        }
        true
    }

    fn change(&self, rule: &Rule, facts: &Facts<'_>, decision: &mut Decision, said: Said) -> bool {
        let (Event::Message(sent), None) = (&facts.envelope.event, &facts.file) else {
            return rule.then == Some(Then::Disclaimer);
        };
        let message = decision.changed.as_ref().map_or(sent, |(message, _)| message);
        let changed = match rule.then {
            Some(Then::Mask) => masked(message, &self.detectors, &rule.content),
            _ => disclaimed(message, rule.text.as_deref().unwrap_or_default()),
        };
        let Some(message) = changed else { return rule.then == Some(Then::Disclaimer) };
        let mut rules = decision.changed.take().map_or_else(Vec::new, |(_, rules)| rules);
        rules.push(said);
        decision.changed = Some((message, rules));
        true
    }

    /// Why: the decision, and the rules that would have had their say but for one thing each.
    pub fn explain(&self, facts: &Facts<'_>) -> (Decision, Vec<Near>) {
        let decision = self.decide(facts);
        let mut near = Vec::new();
        for rule in &self.rules {
            let mut missing =
                ASKED.iter().filter(|(_, holds)| !holds(rule, facts, self)).map(|(what, _)| *what);
            if let (Some(missing), None) = (missing.next(), missing.next()) {
                near.push(Near { rule: rule.name.clone(), line: rule.line, missing, then: then(rule) });
            }
        }
        // A rule for both directions, and a wall, are several.
        near.dedup_by(|a, b| a.rule == b.rule);
        (decision, near)
    }

    /// The line of a rule that [`Said`] names.
    pub fn line(&self, name: &str) -> Option<usize> {
        self.rules.iter().find(|rule| rule.name == name).map(|rule| rule.line)
    }
}

fn then(rule: &Rule) -> &'static str {
    match rule.then {
        Some(Then::Allow) => "allow",
        Some(Then::Warn) => "warn",
        Some(Then::Mask) => "mask",
        Some(Then::Disclaimer) => "disclaimer",
        Some(Then::Hold) => "hold",
        Some(Then::Block) | None => "block",
    }
}

/// A rule that nearly had its say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// Its name.
    pub rule: String,
    /// Its line in the text, from 1.
    pub line: usize,
    /// The one thing that was not as the rule asks, by the key in which it asks.
    pub missing: &'static str,
    /// What it would have done.
    pub then: &'static str,
}

/// The message with words after its text. `None` where it has none.
fn disclaimed(message: &Message, words: &str) -> Option<Message> {
    let mut changed = message.clone();
    let said = format!("\n{words}");
    let mut any = false;
    for part in changed.parts.iter_mut().filter(|part| part.is_plain_text()) {
        any = true;
        if !part.body.ends_with(said.as_bytes()) {
            part.body = [part.body.as_ref(), said.as_bytes()].concat().into();
        }
    }
    changed
        .parts
        .retain(|part: &Part| part.is_plain_text() || !part.mime.to_ascii_lowercase().starts_with("text/"));
    changed.original = None;
    any.then_some(changed)
}
