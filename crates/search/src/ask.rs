//! What is searched for.

use crate::fields::Fields;
use crate::words::words;
use model::Seq;
use serde::{Deserialize, Serialize};
use std::ops::Bound;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, Occur, PhraseQuery, Query, RangeQuery, RegexQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

/// Most words of one question.
const WORDS: usize = 64;

/// A question. All that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// Words that must be there; `"a phrase"`, `-without`, `begin*`, `this OR that`. Case and accents do not matter.
    pub words: Option<String>,
    /// The sender: an address, or a domain.
    pub from: Option<String>,
    /// The addressee: an address, or a domain.
    pub to: Option<String>,
    /// Sender or addressee: all of these, each an address or a domain.
    pub with: Vec<String>,
    /// Sender or addressee: any of these; `*.example.com` is every domain below that one.
    pub among: Vec<String>,
    /// What it is: `message`, `receipt`, `subscribe`, `authorize`, `outcomes`, `admin`...
    pub kind: Option<String>,
    /// The dialect it came by.
    pub dialect: Option<String>,
    /// What the rules said: `passed`, `refused`, `held`, `changed`, `released`.
    pub verdict: Option<String>,
    /// The rule that said it.
    pub rule: Option<String>,
    /// What there is in it: a feature, such as `files` or `e2e`, or `loss`.
    pub has: Option<String>,
    /// A name of the message: the server's, or the one its sender gave it.
    pub id: Option<String>,
    /// The conversation's number.
    pub conversation: Option<u64>,
    /// Rows that say how this one ended, or release it.
    pub about: Option<u64>,
    /// Not earlier, Unix milliseconds.
    pub since: Option<u64>,
    /// Earlier than this, Unix milliseconds.
    pub until: Option<u64>,
    /// Only rows before this number: the cursor of a page.
    pub before: Option<u64>,
    /// Only rows after this number.
    pub after: Option<u64>,
    /// Only what passed between people: neither acts of administration, searches among them, nor outcomes.
    pub between_people: bool,
    /// Without presence, where that is on record.
    pub without_presence: bool,
    /// The oldest first, instead of the newest.
    pub oldest: bool,
}

/// A question that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// A quotation mark has no other.
    #[error("the quotation mark at character {0} has no other: write \"two words\"")]
    Open(usize),
    /// Nothing but exclusions.
    #[error("{0:?} says only what must not be there: name a word that must")]
    OnlyNot(String),
    /// `OR` without a word on both sides.
    #[error("OR stands between two words")]
    Or,
    /// A prefix that would match nearly everything.
    #[error("{0:?} is too short a beginning: write two letters or more before the *")]
    Short(String),
    /// Too many words.
    #[error("that are more than {WORDS} words")]
    Long,
}

impl Ask {
    /// The index's form of it.
    pub(crate) fn query(&self, fields: &Fields) -> Result<Box<dyn Query>, AskError> {
        let mut all: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        let mut must = |query: Box<dyn Query>| all.push((Occur::Must, query));
        if let Some(text) = self.words.as_deref().filter(|text| !text.trim().is_empty()) {
            must(written(text, fields.text)?);
        }
        let lower = |text: &String| text.trim().to_lowercase();
        for (field, value) in [(fields.from, &self.from), (fields.to, &self.to)] {
            value.as_ref().map(lower).into_iter().for_each(|who| must(term(field, &who)));
        }
        for who in self.with.iter().map(lower) {
            let either = [fields.from, fields.to].map(|field| (Occur::Should, term(field, &who)));
            must(Box::new(BooleanQuery::new(either.into())));
        }
        if !self.among.is_empty() {
            let any =
                self.among.iter().map(lower).flat_map(|who| {
                    [fields.from, fields.to].map(|field| (Occur::Should, below(field, &who)))
                });
            must(Box::new(BooleanQuery::new(any.collect())));
        }
        let exact = [
            (fields.kind, &self.kind),
            (fields.dialect, &self.dialect),
            (fields.verdict, &self.verdict),
            (fields.rule, &self.rule),
            (fields.has, &self.has),
            (fields.id, &self.id),
        ];
        for (field, value) in exact {
            value.iter().for_each(|value| must(term(field, value)));
        }
        for (field, value) in [(fields.conversation, self.conversation), (fields.about, self.about)] {
            value.into_iter().for_each(|value| must(number(field, value)));
        }
        if self.since.is_some() || self.until.is_some() {
            must(range(fields.at, self.since.map(Bound::Included), self.until.map(Bound::Excluded)));
        }
        if self.after.is_some() || self.before.is_some() {
            must(range(fields.seq, self.after.map(Bound::Excluded), self.before.map(Bound::Excluded)));
        }
        if self.between_people {
            all.push((Occur::Must, Box::new(AllQuery)));
            all.extend(["admin", "outcomes"].map(|kind| (Occur::MustNot, term(fields.kind, kind))));
        }
        if self.without_presence {
            all.push((Occur::Must, Box::new(AllQuery)));
            all.push((Occur::MustNot, term(fields.kind, "publish")));
        }
        Ok(if all.is_empty() { Box::new(AllQuery) } else { Box::new(BooleanQuery::new(all)) })
    }
}

pub(crate) fn term(field: Field, value: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, value), IndexRecordOption::Basic))
}

/// Outcomes rows about any of these.
pub(crate) fn ends(fields: &Fields, rows: &[Seq]) -> Box<dyn Query> {
    let any = TermSetQuery::new(rows.iter().map(|seq| Term::from_field_u64(fields.about, seq.0)));
    let all: Vec<(Occur, Box<dyn Query>)> =
        vec![(Occur::Must, Box::new(any)), (Occur::Must, term(fields.kind, "outcomes"))];
    Box::new(BooleanQuery::new(all))
}

/// A domain, or all below one.
fn below(field: Field, domain: &str) -> Box<dyn Query> {
    let Some(parent) = domain.strip_prefix("*.") else { return term(field, domain) };
    let plain: String =
        parent.chars().flat_map(|c| (!c.is_alphanumeric()).then_some('\\').into_iter().chain([c])).collect();
    match RegexQuery::from_pattern(&format!(".*\\.{plain}"), field) {
        Ok(query) => Box::new(query),
        // It was escaped, so this does not come to pass; and the name itself is nobody's.
        Err(_) => term(field, domain),
    }
}

pub(crate) fn number(field: Field, value: u64) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_u64(field, value), IndexRecordOption::Basic))
}

pub(crate) fn range(field: Field, low: Option<Bound<u64>>, high: Option<Bound<u64>>) -> Box<dyn Query> {
    let term = |bound: Option<Bound<u64>>| {
        bound.unwrap_or(Bound::Unbounded).map(|value| Term::from_field_u64(field, value))
    };
    Box::new(RangeQuery::new(term(low), term(high)))
}

/// One piece of what was written.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Must(Vec<String>),
    Not(Vec<String>),
    Begins(String),
    Or,
}

/// What was written, as alternatives of things that must hold together.
fn written(text: &str, field: Field) -> Result<Box<dyn Query>, AskError> {
    let mut ways: Vec<Vec<(Occur, Box<dyn Query>)>> = vec![Vec::new()];
    for piece in pieces(text)? {
        let Some(way) = ways.last_mut() else { break };
        match piece {
            Piece::Must(words) => way.push((Occur::Must, phrase(field, &words))),
            Piece::Not(words) => way.push((Occur::MustNot, phrase(field, &words))),
            Piece::Begins(word) => {
                // Words are letters and digits, so nothing in them means anything to the expression.
                let query = RegexQuery::from_pattern(&format!("{word}.*"), field);
                way.push((Occur::Must, Box::new(query.map_err(|_| AskError::Short(word))?)));
            }
            Piece::Or if way.is_empty() => return Err(AskError::Or),
            Piece::Or => ways.push(Vec::new()),
        }
    }
    let mut any: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    let alternatives = ways.len();
    for way in ways {
        if way.is_empty() && alternatives > 1 {
            return Err(AskError::Or);
        }
        if !way.iter().any(|(occur, _)| *occur == Occur::Must) {
            return Err(AskError::OnlyNot(text.trim().to_owned()));
        }
        any.push((Occur::Should, Box::new(BooleanQuery::new(way))));
    }
    Ok(Box::new(BooleanQuery::new(any)))
}

fn phrase(field: Field, words: &[String]) -> Box<dyn Query> {
    match words {
        [word] => term(field, word),
        words => Box::new(PhraseQuery::new(words.iter().map(|w| Term::from_field_text(field, w)).collect())),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, AskError> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    let mut many = 0;
    while !rest.is_empty() {
        let (not, body) = match rest.strip_prefix('-') {
            Some(body) => (true, body),
            None => (false, rest),
        };
        let (word, quoted, after) = match body.strip_prefix('"') {
            Some(inner) => {
                let open = || AskError::Open(text.len() - body.len() + 1);
                let end = inner.find('"').ok_or_else(open)?;
                (&inner[..end], true, &inner[end + 1..])
            }
            None => {
                let end = body.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(body.len());
                (&body[..end], false, &body[end..])
            }
        };
        rest = after.trim_start();
        if !quoted && !not && word == "OR" {
            all.push(Piece::Or);
            continue;
        }
        let mut found = words(word);
        many += found.len();
        if many > WORDS {
            return Err(AskError::Long);
        }
        if !quoted && !not && word.ends_with('*') {
            let last = found.pop().filter(|last| last.chars().count() > 1);
            all.push(Piece::Begins(last.ok_or_else(|| AskError::Short(word.to_owned()))?));
        }
        match (found.is_empty(), not) {
            (true, _) => {}
            (false, false) => all.push(Piece::Must(found)),
            (false, true) => all.push(Piece::Not(found)),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let read =
            pieces("Budget \"next  Quarter\" -draft -\"not this\" off* OR http://x.example/a").unwrap();
        let expected = [
            Piece::Must(list(&["budget"])),
            Piece::Must(list(&["next", "quarter"])),
            Piece::Not(list(&["draft"])),
            Piece::Not(list(&["not", "this"])),
            Piece::Begins("off".into()),
            Piece::Or,
            Piece::Must(list(&["http", "x", "example", "a"])),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn whatever_is_written_is_read_or_refused() {
        let (_, fields) = crate::fields::schema();
        let bits = ["a", "bé", "会議", "OR", "-", "\"", "*", " ", " OR ", "\u{301}", "(", "\0", "x*", "²"];
        let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let mut words = String::new();
            for _ in 0..chance % 12 {
                chance ^= chance << 13;
                chance ^= chance >> 7;
                chance ^= chance << 17;
                words += bits[(chance >> 33) as usize % bits.len()];
            }
            chance = chance.wrapping_add(1);
            let _ = Ask { words: Some(words), ..Ask::default() }.query(&fields);
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let (_, fields) = crate::fields::schema();
        let ask = |words: &str| {
            let ask = Ask { words: Some(words.into()), ..Ask::default() };
            ask.query(&fields).err()
        };
        assert_eq!(ask("a \"b c"), Some(AskError::Open(3)));
        assert_eq!(ask("-a"), Some(AskError::OnlyNot("-a".into())));
        assert_eq!(ask("..."), Some(AskError::OnlyNot("...".into())));
        assert_eq!(ask("OR a"), Some(AskError::Or));
        assert_eq!(ask("a OR"), Some(AskError::Or));
        assert_eq!(ask("a*"), Some(AskError::Short("a*".into())));
        assert_eq!(ask(&"a ".repeat(65)), Some(AskError::Long));
        assert_eq!(ask(""), None);
    }
}
