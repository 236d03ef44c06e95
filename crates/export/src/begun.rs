//! What an export is to hold.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A form that people or archives read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// JSON Lines: one message a line.
    Jsonl,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Mail: one message (RFC 5322) for each conversation and day.
    Eml,
    /// The XML that archives of financial companies read.
    Xml,
    /// Accounts with their keys, contacts and messages, for another server (XEP-0227).
    Xep0227,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Jsonl, Self::Csv, Self::Eml, Self::Xml, Self::Xep0227];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Eml => "eml",
            Self::Xml => "xml",
            Self::Xep0227 => "xep0227",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|form| form.name() == text)
            .ok_or_else(|| format!("{text:?} is no form: {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// An export that is on record, and not made yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The row of the journal that says so; it names the export.
    pub id: u64,
    /// The chain, node and epoch.
    pub chain: String,
    /// The last row that may be in it.
    pub to: u64,
    /// What was asked for, in words.
    pub selection: String,
    /// Who asked.
    pub who: String,
    /// When, RFC 3339.
    pub at: String,
    /// The server's version.
    pub version: String,
}

/// What the store knows of a file that a row links to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFact {
    /// The row that links to it.
    pub row: u64,
    /// Its name among uploaded files.
    pub id: String,
    /// Its name, as its owner had it.
    pub name: String,
    /// What its owner said it is.
    pub mime: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of its content, hexadecimal.
    pub sha256: String,
    /// How it stands with it: `clean`, `refused`...
    pub state: String,
    /// Is its content kept?
    pub kept: bool,
}
