//! What is wrong with a text that somebody wrote, where, and what was meant.

use std::fmt;
use std::ops::Range;

/// A mistake in a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub what: String,
    /// The line itself.
    pub shown: String,
}

impl Mistake {
    /// A mistake at this place of a text.
    pub fn at(text: &str, span: Range<usize>, what: impl Into<String>) -> Self {
        let (line, column, shown) = place(text, span.start);
        Self { line, column, what: what.into(), shown: shown.to_owned() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)?;
        if !self.shown.trim().is_empty() {
            write!(f, "\n  {}\n  {:>width$}", self.shown, "^", width = self.column)?;
        }
        Ok(())
    }
}

/// Line and column of a byte, both from 1, and the line.
pub fn place(text: &str, at: usize) -> (usize, usize, &str) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").chars().count();
    (line + 1, column + 1, text.lines().nth(line).unwrap_or(""))
}

/// The name that was meant, if one is near enough.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = names.into_iter().map(|name| (distance(wrong, name), name)).min()?;
    (nearest.0 <= 3.max(wrong.len() / 3)).then_some(nearest.1)
}

/// What a TOML reader complains of, with the name that was meant where it lists names.
pub fn complaint(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let wrong = names.next().filter(|_| message.starts_with("unknown"));
    match wrong.and_then(|wrong| nearest(wrong, names)) {
        Some(meant) => format!("{message}; did you mean `{meant}`?"),
        None => match number(message) {
            Some((said, most)) => format!("{said}expected a whole number from 0 to {most}"),
            None => message.to_owned(),
        },
    }
}

/// What stands before the name of a type that only programmers know, and its greatest number.
fn number(message: &str) -> Option<(&str, u64)> {
    let (said, kind) = message.split_at(message.rfind("expected ")?);
    let most = match kind.strip_prefix("expected ")? {
        "u8" => u8::MAX.into(),
        "u16" => u16::MAX.into(),
        "u32" => u32::MAX.into(),
        "u64" | "usize" => i64::MAX.cast_unsigned(),
        _ => return None,
    };
    Some((said, most))
}

/// Edits between two words, a swap of neighbours counting as two.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
