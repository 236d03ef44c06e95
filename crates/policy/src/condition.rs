//! Conditions in the Common Expression Language, for what the typed fields of a rule cannot say.

use crate::content::{Detectors, shown};
use crate::facts::Facts;
use crate::who::Belonging;
use cel::objects::Key;
use cel::{Context, Program, Value};
use jiff::tz::TimeZone;
use model::{Endpoint, Event};
use regex::Regex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// An expression has so many bytes at most, and so many brackets within brackets: its parser recurses.
const LONGEST: usize = 2048;
const DEEPEST: usize = 32;

/// What an expression may name.
const NAMES: &[&str] = &[
    "from",
    "to",
    "features",
    "direction",
    "protocol",
    "verified",
    "encrypted",
    "size",
    "found",
    "text",
    "hour",
    "weekday",
];

/// Names that an expression gives itself: `list.exists(x, ...)`.
static OWN: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"\.(?:all|exists|exists_one|filter|map)\(\s*([A-Za-z_][A-Za-z0-9_]*)\s*,";
    Regex::new(pattern).unwrap_or_else(|_| unreachable!("the pattern is ours"))
});

/// A condition, ready to be asked.
pub(crate) struct Condition {
    program: Program,
    /// What it names.
    names: Vec<&'static str>,
}

impl Condition {
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("an expression has {LONGEST} bytes at most"));
        }
        if depth(text) > DEEPEST {
            return Err(format!("an expression has {DEEPEST} brackets and signs within one another at most"));
        }
        let program = Program::compile(text).map_err(|e| e.to_string().trim().to_owned())?;
        let own: Vec<&str> =
            OWN.captures_iter(text).filter_map(|c| c.get(1)).map(|name| name.as_str()).collect();
        let mut names = Vec::new();
        for name in program.references().variables() {
            match NAMES.iter().find(|known| **known == name) {
                Some(known) => names.push(*known),
                None if own.contains(&name) => {}
                None => {
                    let all = NAMES.join(", ");
                    let meant = crate::nearest(name, NAMES.iter().copied());
                    let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
                    return Err(format!("there is no `{name}` here{meant} There are {all}"));
                }
            }
        }
        Ok(Self { program, names })
    }

    /// Does it hold?
    ///
    /// # Errors
    /// In words, why it cannot be told.
    pub fn holds(&self, facts: &Facts<'_>, detectors: &Detectors, zone: &TimeZone) -> Result<bool, String> {
        thread_local! {
            // A context with the functions of the language takes longer to make than a decision may.
            static LANGUAGE: Context<'static, 'static> = Context::default();
        }
        LANGUAGE.with(|language| {
            let mut context = language.new_inner_scope();
            for name in &self.names {
                context.add_variable_from_value(*name, value(name, facts, detectors, zone));
            }
            match self.program.execute(&context) {
                Ok(Value::Bool(holds)) => Ok(holds),
                Ok(_) => Err("it is neither true nor false".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

/// How deep its parser would recurse, at most: signs before a value count like brackets.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut signs, mut quote) = (0usize, 0, 0, None);
    for c in text.chars() {
        match (quote, c) {
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        signs = if matches!(c, '!' | '-' | '?') { signs + 1 } else { 0 };
        deepest = deepest.max(depth + signs);
    }
    deepest
}

fn value(name: &str, facts: &Facts<'_>, detectors: &Detectors, zone: &TimeZone) -> Value {
    let text = |text: &str| Value::String(Arc::new(text.to_owned()));
    let at = || jiff::Timestamp::from_millisecond(facts.envelope.at.unix_ms() as i64).unwrap_or_default();
    match name {
        "from" => person(&facts.envelope.from, &facts.from),
        "to" => person(&facts.envelope.to, &facts.to),
        "features" => Value::List(Arc::new(facts.features().iter().map(|f| text(f.name())).collect())),
        "direction" => text(facts.direction().name()),
        "protocol" => text(facts.envelope.origin.dialect.name()),
        "verified" => text(facts.verified().name()),
        "encrypted" => Value::Bool(facts.encrypted()),
        "size" => Value::Int(facts.size() as i64),
        "found" => {
            let found = facts.found(detectors);
            let names = detectors.names.iter().enumerate().filter(|(i, _)| found.has(*i));
            Value::List(Arc::new(names.map(|(_, name)| text(name)).collect()))
        }
        "text" => match &facts.envelope.event {
            Event::Message(message) => text(&shown(message)),
            _ => text(""),
        },
        "hour" => Value::Int(at().to_zoned(zone.clone()).hour().into()),
        "weekday" => Value::Int((at().to_zoned(zone.clone()).weekday().to_monday_one_offset()).into()),
        _ => Value::Null,
    }
}

fn person(who: &Endpoint, belonging: &Belonging) -> Value {
    let text = |text: &str| Value::String(Arc::new(text.to_owned()));
    let groups = belonging.groups.iter().map(|group| text(group)).collect();
    let fields = [
        ("address", text(who.address.as_str())),
        ("user", text(who.address.user().unwrap_or_default())),
        ("domain", text(who.address.domain())),
        ("device", text(who.device.as_ref().map_or("", |device| device.as_str()))),
        ("local", Value::Bool(belonging.local)),
        ("partner", text(belonging.partner.as_deref().unwrap_or_default())),
        ("groups", Value::List(Arc::new(groups))),
    ];
    let map: HashMap<Key, Value> =
        fields.into_iter().map(|(name, value)| (Key::String(Arc::new(name.to_owned())), value)).collect();
    Value::Map(cel::objects::Map { map: Arc::new(map) })
}
