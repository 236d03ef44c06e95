//! What is wrong with a configuration, where, and what to do.

use super::overrides::Overrides;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A mistake in the configuration.
#[derive(Debug)]
pub struct Mistake {
    file: PathBuf,
    /// Line and column from 1; `None` where the file cannot be read at all.
    place: Option<(usize, usize)>,
    what: String,
    line: String,
}

impl Mistake {
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let what = format!("cannot be read: {error}; `rialto init` makes one, `--config FILE` names another");
        Self { file: file.to_owned(), place: None, what, line: String::new() }
    }

    pub(super) fn at(file: &Path, text: &str, span: Range<usize>, what: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or("").chars().count();
        let shown = text.lines().nth(line).unwrap_or("").to_owned();
        Self { file: file.to_owned(), place: Some((line + 1, column + 1)), what: what.into(), line: shown }
    }

    /// The same mistake, wherever it was found.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.what == other.what
    }

    /// It is not in the file, but in what the environment sets.
    pub(super) fn because_of(self, overrides: &Overrides) -> Self {
        let file = PathBuf::from(format!("environment ({overrides})"));
        Self { file, place: None, ..self }
    }

    pub(super) fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let mut what = error.message().to_owned();
        if let Some(meant) = suggestion(&what) {
            what.push_str(&format!("; did you mean `{meant}`?"));
        }
        Self::at(file, text, error.span().unwrap_or(0..0), what)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((line, column)) = self.place else {
            return write!(f, "{}: {}", self.file.display(), self.what);
        };
        write!(f, "{}:{line}:{column}: {}", self.file.display(), self.what)?;
        if !self.line.trim().is_empty() {
            write!(f, "\n  {}\n  {:>width$}", self.line, "^", width = column)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistake {}

/// The nearest of the names the message says were expected, if it is near enough to have been meant.
fn suggestion(message: &str) -> Option<&str> {
    let mut names = message.split('`').skip(1).step_by(2);
    let wrong = names.next().filter(|_| message.starts_with("unknown"))?;
    let nearest = names.map(|name| (distance(wrong, name), name)).min()?;
    (nearest.0 <= 3.max(wrong.len() / 3)).then_some(nearest.1)
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
