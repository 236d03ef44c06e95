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

    pub(super) fn no_text(file: &Path, error: &std::string::FromUtf8Error) -> Self {
        let at = error.utf8_error().valid_up_to();
        let why = "this is no UTF-8: save the file as UTF-8, or write the line anew";
        Self::at(file, &String::from_utf8_lossy(error.as_bytes()), at..at, why)
    }

    pub(super) fn at(file: &Path, text: &str, span: Range<usize>, what: impl Into<String>) -> Self {
        let (line, column, shown) = policy::place(text, span.start);
        Self { file: file.to_owned(), place: Some((line, column)), what: what.into(), line: shown.to_owned() }
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
        Self::at(file, text, error.span().unwrap_or(0..0), policy::complaint(error.message()))
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
