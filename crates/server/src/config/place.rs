//! Where in the file something is written.

use super::Mistake;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file a configuration was read from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Which file.
    pub path: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// The whole of it, with what the environment set.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `file:line` of a dotted key; the file alone where the key is not written.
    pub fn place(&self, key: &str) -> String {
        let file = self.path.display();
        match self.find(key) {
            Some(span) => format!("{file}:{}", self.text[..span.start].matches('\n').count() + 1),
            None => file.to_string(),
        }
    }

    /// A mistake at a dotted key.
    pub fn mistake(&self, key: &str, what: impl Into<String>) -> Mistake {
        Mistake::at(&self.path, &self.text, self.find(key).unwrap_or(0..0), what)
    }

    /// A mistake at a value.
    pub fn mistake_at<T>(&self, value: &Spanned<T>, what: impl Into<String>) -> Mistake {
        Mistake::at(&self.path, &self.text, value.span(), what)
    }

    fn find(&self, key: &str) -> Option<Range<usize>> {
        let table = DeTable::parse(&self.text).ok()?;
        let mut table: &DeTable<'_> = table.get_ref();
        let mut span = None;
        for part in key.split('.') {
            let (name, value) = table.iter().find(|(name, _)| name.get_ref().as_ref() == part)?;
            span = Some(name.span());
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        span.filter(|span| span.start <= self.text.len())
    }
}
