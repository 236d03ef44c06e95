use crate::report::Report;
use crate::{csv, html, pdf, text};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A form in which a report is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A page that needs nothing else.
    Html,
    /// A4.
    Pdf,
    /// One table for spreadsheets.
    Csv,
    /// For programs.
    Json,
    /// For a terminal.
    Text,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Html, Self::Pdf, Self::Csv, Self::Json, Self::Text];

    /// As it is written; also how names of files end.
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Text => "text",
        }
    }

    /// Its media type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Pdf => "application/pdf",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    /// The report in this form.
    pub fn of(self, report: &Report) -> Vec<u8> {
        match self {
            Self::Html => html(report).into_bytes(),
            Self::Pdf => pdf(report),
            Self::Csv => csv(report).into_bytes(),
            // Texts and numbers alone: this does not fail.
            Self::Json => serde_json::to_vec_pretty(report).unwrap_or_default(),
            Self::Text => text(report).into_bytes(),
        }
    }
}

impl FromStr for Form {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|form| form.name() == name).ok_or("write html, pdf, csv, json or text")
    }
}
