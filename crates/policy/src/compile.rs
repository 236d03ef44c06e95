//! From the text to what is asked.

use crate::condition::Condition;
use crate::content::{Builder, KINDS};
use crate::document::{Document, Then, Usual, Wall};
use crate::hours::Window;
use crate::index::{Bits, Index};
use crate::mistake::{Mistake, complaint, nearest};
use crate::policy::Policy;
use crate::rule::Rule;
use crate::who::Who;
use crate::{Feature, document};
use jiff::tz::TimeZone;
use std::collections::HashSet;
use std::ops::Range;
use toml::Spanned;

/// A policy has so many bytes at most.
const LONGEST: usize = 4 << 20;

struct Compiler<'a> {
    text: &'a str,
    detectors: Vec<String>,
    mistakes: Vec<Mistake>,
    names: HashSet<String>,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// What is wrong with it, each with its place; all that can be found at once.
    pub fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        if text.len() > LONGEST {
            return Err(vec![Mistake::at("", 0..0, format!("a policy has {LONGEST} bytes at most"))]);
        }
        let document: Document = toml::from_str(text)
            .map_err(|e| vec![Mistake::at(text, e.span().unwrap_or(0..0), complaint(e.message()))])?;
        let mut compiler = Compiler {
            text,
            detectors: Vec::new(),
            mistakes: Vec::new(),
            names: HashSet::new(),
            lines: line_starts(text),
        };
        let policy = compiler.policy(document);
        match policy {
            Some(policy) if compiler.mistakes.is_empty() => Ok(policy),
            _ => Err(compiler.mistakes),
        }
    }
}

impl Compiler<'_> {
    fn wrong(&mut self, span: Range<usize>, what: impl Into<String>) {
        self.mistakes.push(Mistake::at(self.text, span, what));
    }

    fn policy(&mut self, document: Document) -> Option<Policy> {
        let zone = document.timezone.and_then(|name| match TimeZone::get(name.get_ref()) {
            Ok(zone) => Some(zone),
            Err(_) => {
                let what = format!(
                    "there is no time zone {:?}; write one such as \"Europe/Zurich\"",
                    name.get_ref()
                );
                self.wrong(name.span(), what);
                None
            }
        });
        let mut builder = Builder::default();
        for (at, (name, detector)) in document.detect.into_iter().enumerate() {
            self.detector(&mut builder, at, &name, detector);
            self.detectors.push(name.into_inner());
        }
        let mut rules = Vec::new();
        document.wall.into_iter().for_each(|wall| self.wall(wall, &mut rules));
        document.rule.into_iter().for_each(|rule| self.rule(rule, &mut rules));
        let detectors = match builder.build(self.detectors.clone()) {
            Ok(detectors) => detectors,
            Err(what) => {
                self.wrong(0..0, what);
                return None;
            }
        };
        let bits = |holds: &dyn Fn(&Rule) -> bool| {
            let mut bits = Bits::none(rules.len());
            rules.iter().enumerate().filter(|(_, rule)| holds(rule)).for_each(|(at, _)| bits.insert(at));
            bits
        };
        let of = |feature| bits(&|rule: &Rule| rule.features.is_empty() || rule.features.contains(&feature));
        Some(Policy {
            text: self.text.to_owned(),
            blocks: document.default == Usual::Block,
            zone: zone.unwrap_or(TimeZone::UTC),
            from: Index::new(rules.iter().map(|rule| rule.from.as_slice())),
            to: Index::new(rules.iter().map(|rule| rule.to.as_slice())),
            by_feature: Feature::ALL.map(of),
            any_feature: bits(&|rule: &Rule| rule.features.is_empty()),
            detectors,
            rules,
        })
    }

    fn detector(
        &mut self,
        builder: &mut Builder,
        at: usize,
        name: &Spanned<String>,
        detector: document::Detector,
    ) {
        let document::Detector { words, disguised, regex, numbers } = detector;
        if words.is_empty() && regex.is_empty() && numbers.is_empty() {
            self.wrong(name.span(), "it looks for nothing; give it `words`, `regex` or `numbers`");
        }
        if let Some(disguised) = disguised.as_ref().filter(|_| words.is_empty()) {
            self.wrong(disguised.span(), "`disguised` is about `words`, and there are none");
        }
        let disguised = disguised.is_some_and(Spanned::into_inner);
        for word in words {
            if let Err(what) = builder.word(at, word.get_ref(), disguised) {
                self.wrong(word.span(), what);
            }
        }
        for pattern in regex {
            if let Err(what) = builder.regex(at, pattern.get_ref()) {
                self.wrong(pattern.span(), what);
            }
        }
        for number in numbers {
            if let Err(kinds) = builder.number(at, number.get_ref()) {
                let what = unknown("kind of number", number.get_ref(), &kinds);
                self.wrong(number.span(), what);
            }
        }
    }

    fn name(&mut self, name: &Spanned<String>, kind: &str) -> (String, usize) {
        let line = self.lines.partition_point(|start| *start <= name.span().start);
        let good = !name.get_ref().is_empty()
            && name.get_ref().len() <= 100
            && !name.get_ref().contains(|c: char| c.is_control() || c.is_whitespace());
        if !good {
            self.wrong(name.span(), "a name has 1 to 100 characters and no spaces");
        }
        let full = format!("{kind}:{}", name.get_ref());
        if !self.names.insert(full.clone()) {
            self.wrong(name.span(), format!("there is a {kind} of that name already"));
        }
        (full, line)
    }

    fn who(&mut self, words: &[Spanned<String>]) -> Vec<Who> {
        let mut all = Vec::new();
        for word in words {
            match Who::parse(word.get_ref()) {
                Ok(who) => all.push(who),
                Err(what) => self.wrong(word.span(), what),
            }
        }
        all
    }

    fn wall(&mut self, wall: Wall, rules: &mut Vec<Rule>) {
        let (name, line) = self.name(&wall.name, "wall");
        let sides = self.who(wall.between.get_ref());
        if wall.between.get_ref().len() < 2 {
            self.wrong(wall.between.span(), "a wall stands between two or more");
        }
        let except = self.who(&wall.except);
        for (at, side) in sides.iter().enumerate() {
            for (_, other) in sides.iter().enumerate().filter(|(other, _)| *other != at) {
                rules.push(Rule {
                    name: name.clone(),
                    line,
                    from: vec![side.clone()],
                    to: vec![other.clone()],
                    except_from: except.clone(),
                    except_to: except.clone(),
                    features: wall.features.clone(),
                    then: Some(Then::Block),
                    text: wall.text.clone(),
                    ..Rule::default()
                });
            }
        }
    }

    fn rule(&mut self, rule: document::Rule, rules: &mut Vec<Rule>) {
        let (name, line) = self.name(&rule.name, "rule");
        let then = *rule.then.get_ref();
        if then == Then::Disclaimer && rule.text.is_none() {
            self.wrong(rule.then.span(), "a disclaimer needs its `text`");
        }
        if then == Then::Mask && rule.content.is_empty() {
            self.wrong(rule.then.span(), "name in `content` what is to be masked");
        }
        if let Some(text) = rule.text.as_ref().filter(|text| text.get_ref().len() > 1000) {
            self.wrong(
                text.span(),
                "a text has 1000 bytes at most: it must fit into one message of any protocol",
            );
        }
        if let Some(at_least) = &rule.at_least
            && (rule.content.is_empty() || *at_least.get_ref() == 0)
        {
            self.wrong(at_least.span(), "it counts what `content` finds, from 1");
        }
        let (from, to, party) = (self.who(&rule.from), self.who(&rule.to), self.who(&rule.party));
        let ends = from.len() + to.len();
        if !party.is_empty() && ends > 0 {
            self.wrong(rule.name.span(), "`party` stands for `from` and `to`; give it or them");
        }
        let known = |what: &'static str, words: Vec<Spanned<String>>, names: &[&str], this: &mut Self| {
            let mut all = Vec::new();
            for word in words {
                match names.iter().position(|name| name == word.get_ref()) {
                    Some(at) => all.push(at),
                    None => this.wrong(word.span(), unknown(what, word.get_ref(), names)),
                }
            }
            all
        };
        let detectors = self.detectors.clone();
        let names: Vec<&str> = detectors.iter().map(String::as_str).collect();
        let mut time = Vec::new();
        for window in &rule.time {
            match Window::parse(window.get_ref()) {
                Ok(window) => time.push(window),
                Err(what) => self.wrong(window.span(), what),
            }
        }
        let mut condition = || match &rule.condition {
            None => None,
            Some(text) => match Condition::parse(text.get_ref()) {
                Ok(condition) => Some(condition),
                Err(what) => {
                    self.wrong(text.span(), what);
                    None
                }
            },
        };
        let ends = match party.is_empty() {
            true => vec![(from, to, condition())],
            false => vec![(party.clone(), Vec::new(), condition()), (Vec::new(), party, condition())],
        };
        let content = known("detector", rule.content, &names, self);
        let files = known("kind of file", rule.files, KINDS, self);
        let (except_from, except_to) = (self.who(&rule.except_from), self.who(&rule.except_to));
        if rule.off {
            return;
        }
        for (from, to, condition) in ends {
            rules.push(Rule {
                name: name.clone(),
                line,
                from,
                to,
                except_from: except_from.clone(),
                except_to: except_to.clone(),
                features: rule.features.clone(),
                direction: rule.direction.clone(),
                protocols: rule.protocols.clone(),
                devices: rule.devices.iter().map(|device| device.get_ref().to_lowercase()).collect(),
                verified: rule.verified.clone(),
                encrypted: rule.encrypted,
                content: content.clone(),
                at_least: rule.at_least.as_ref().map_or(1, |n| *n.get_ref() as usize),
                files: files.clone(),
                larger_than: rule.larger_than,
                time: time.clone(),
                condition,
                then: Some(then),
                text: rule.text.as_ref().map(|text| text.get_ref().clone()),
            });
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

fn unknown(what: &str, word: &str, names: &[&str]) -> String {
    match nearest(word, names.iter().copied()) {
        Some(meant) => format!("there is no {what} {word:?}; did you mean {meant:?}?"),
        None if names.is_empty() => format!("there is no {what} {word:?}; `[detect.{word}]` makes one"),
        None => format!("there is no {what} {word:?}; there are {}", names.join(", ")),
    }
}
