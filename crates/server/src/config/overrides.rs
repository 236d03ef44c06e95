//! Keys that the environment sets: `RIALTO__LIMITS__BURST=500` is `burst = 500` in `[limits]`.
//!
//! For containers and unit files, where one value differs and the file does not. Lists of tables (listeners) are the
//! file's alone.

use std::fmt;
use toml_edit::{DocumentMut, Item, Table, Value};

const PREFIX: &str = "RIALTO__";

/// What the environment says, in the order of the names.
#[derive(Debug, Default)]
pub(super) struct Overrides(Vec<(String, String)>);

impl Overrides {
    /// Those among these variables. A value that is not Unicode is left out: no key could take it.
    pub fn among(variables: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let mut found: Vec<_> = variables.filter_map(text).filter(|(n, _)| n.starts_with(PREFIX)).collect();
        found.sort();
        Self(found)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The file's text with these keys set; `None` where the text is no TOML, which the file's own reader explains.
    pub fn applied_to(&self, text: &str) -> Option<String> {
        let mut document: DocumentMut = text.parse().ok()?;
        for (name, value) in &self.0 {
            let path = name[PREFIX.len()..].to_ascii_lowercase();
            // `500`, `true` and `["a"]` are TOML; what is not, is a string.
            let value: Value = value.parse().unwrap_or_else(|_| value.as_str().into());
            set(document.as_table_mut(), &path, value);
        }
        Some(document.to_string())
    }
}

fn set(table: &mut Table, path: &str, value: Value) {
    match path.split_once("__") {
        None => {
            table.insert(path, Item::Value(value));
        }
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| Item::Table(Table::new()));
            // A key that is no section: what is said of it is then said by the reader, for the value is in its place.
            match section.as_table_mut() {
                Some(section) => set(section, rest, value),
                None => *section = Item::Value(value),
            }
        }
    }
}

impl fmt::Display for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names alone: a value may be somebody's secret.
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}
