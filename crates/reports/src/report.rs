//! A report without a form: figures, tables and charts.

use serde::Serialize;

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What it is, such as `Messaging in November 2026`.
    pub title: String,
    /// The period's name, such as `2026-11`.
    pub period: String,
    /// From when to when, in words.
    pub stretch: String,
    /// Whose server.
    pub house: String,
    /// When it was made, RFC 3339.
    pub made: String,
    /// Does it leave out people's names?
    pub aggregates: bool,
    /// Has the period not ended yet?
    pub unfinished: bool,
    /// The figures at the top.
    pub figures: Vec<Figure>,
    /// The rest.
    pub sections: Vec<Section>,
}

/// One number that matters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it counts.
    pub name: String,
    /// How much.
    pub value: Cell,
    /// How much it was in the period before, if there is something to compare with.
    pub before: Option<Cell>,
}

/// A table with what it says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// Its name in files, such as `partners`.
    pub key: &'static str,
    /// Its heading.
    pub title: String,
    /// What a reader must know of it.
    pub about: String,
    /// How it is drawn.
    pub chart: Chart,
    /// What its columns are.
    pub columns: Vec<Column>,
    /// Its rows; each as long as there are columns.
    pub rows: Vec<Vec<Cell>>,
    /// Said where it has no rows.
    pub empty: &'static str,
}

/// How a table is drawn, besides being a table. It is always the first column of numbers that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Chart {
    /// Not at all.
    None,
    /// A column for each row: a course of time. On paper there is no table beside it.
    Columns,
    /// A bar beside each row.
    Bars,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
}

/// One thing in a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// In words.
    Text(String),
    /// So many.
    Number(u64),
    /// So long.
    Time {
        /// Milliseconds; `None` where nothing was measured.
        ms: Option<u64>,
    },
}

impl Cell {
    /// The number, where it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Text(_) => None,
            Self::Number(n) => Some(*n),
            Self::Time { ms } => *ms,
        }
    }

    /// As people read it.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(n) => grouped(*n),
            Self::Time { ms: None } => "\u{2013}".into(),
            Self::Time { ms: Some(ms) } => match *ms {
                ms if ms < 1_000 => format!("{ms} ms"),
                ms if ms < 60_000 => format!("{:.1} s", ms as f64 / 1e3),
                ms => format!("{} min {:02} s", ms / 60_000, ms / 1_000 % 60),
            },
        }
    }
}

impl Section {
    /// The column that is drawn.
    pub(crate) fn drawn(&self) -> Option<usize> {
        (0..self.columns.len()).find(|at| self.rows.iter().any(|row| row[*at].number().is_some()))
    }

    /// The greatest number that is drawn, at least 1.
    pub(crate) fn most(&self) -> u64 {
        let numbers =
            self.drawn().into_iter().flat_map(|at| self.rows.iter().filter_map(move |row| row[at].number()));
        numbers.max().unwrap_or_default().max(1)
    }
}

impl Figure {
    /// How it compares, in words: `+12 %`.
    pub fn change(&self) -> Option<String> {
        let (now, before) = (self.value.number()?, self.before.as_ref()?.number()?);
        Some(match before {
            0 if now == 0 => "as before".into(),
            0 => "none before".into(),
            _ => match ((now as f64 / before as f64 - 1.0) * 100.0).round() {
                0.0 => "as before".into(),
                percent => format!("{}{} %", if percent > 0.0 { "+" } else { "\u{2212}" }, percent.abs()),
            },
        })
    }
}

/// A number with a thin space between thousands.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(Cell::Time { ms: Some(61_000) }.shown(), "1 min 01 s");
        assert_eq!(Cell::Time { ms: Some(1_500) }.shown(), "1.5 s");
        let figure = |now, before| Figure {
            name: String::new(),
            value: Cell::Number(now),
            before: Some(Cell::Number(before)),
        };
        assert_eq!(figure(112, 100).change().as_deref(), Some("+12 %"));
        assert_eq!(figure(50, 100).change().as_deref(), Some("\u{2212}50 %"));
        assert_eq!(figure(5, 0).change().as_deref(), Some("none before"));
    }
}
