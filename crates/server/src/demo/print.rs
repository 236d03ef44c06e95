//! The conversation as a table, and whatever else is said to the person who watches.

use std::io::{IsTerminal, Write};

/// The columns: heading and width. The last but one holds what the server made of it.
const COLUMNS: [(&str, usize); 6] = [
    ("#", 2),
    ("who -> whom", 16),
    ("protocol in -> out", 19),
    ("what", 42),
    ("verdict", 24),
    ("journal", 7),
];
/// Which column is the verdict.
const VERDICT: usize = 4;

/// How a line ended, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It got there.
    Good,
    /// It waits.
    Waiting,
    /// The server said no, as it should.
    No,
    /// It did not go as it should.
    Wrong,
}

/// One line of the conversation.
#[derive(Debug, Clone)]
pub struct Line {
    /// Who.
    pub who: &'static str,
    /// Whom.
    pub whom: &'static str,
    /// By which protocols.
    pub way: &'static str,
    /// What.
    pub what: String,
    /// What became of it.
    pub verdict: String,
    /// How that is to be taken.
    pub tone: Tone,
    /// Its number in the journal.
    pub journal: Option<u64>,
}

/// The table on standard output.
pub struct Table {
    lines: usize,
    colour: bool,
}

impl Table {
    /// Prints the heading.
    pub fn begin() -> Self {
        let table = Self { lines: 0, colour: std::io::stdout().is_terminal() };
        let heading = COLUMNS.map(|(name, _)| name.to_owned());
        let rule = COLUMNS.map(|(_, width)| "-".repeat(width));
        table.row(&heading, "1");
        table.row(&rule, "2");
        table
    }

    /// So many lines were printed.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Prints a line.
    pub fn line(&mut self, line: &Line) {
        self.lines += 1;
        let colour = match line.tone {
            Tone::Good => "32",
            Tone::Waiting => "33",
            Tone::No => "35",
            Tone::Wrong => "1;31",
        };
        let cells = [
            self.lines.to_string(),
            format!("{} -> {}", line.who, line.whom),
            line.way.to_owned(),
            line.what.clone(),
            line.verdict.clone(),
            line.journal.map_or_else(|| "-".to_owned(), |n| n.to_string()),
        ];
        self.row(&cells, colour);
    }

    fn row(&self, cells: &[String; 6], colour: &str) {
        let wrapped: Vec<Vec<String>> =
            cells.iter().zip(COLUMNS).map(|(c, (_, width))| wrap(c, width)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(1);
        for at in 0..height {
            let mut out = String::new();
            for (column, (lines, (_, width))) in wrapped.iter().zip(COLUMNS).enumerate() {
                let cell = lines.get(at).map_or("", String::as_str);
                let pad = " ".repeat(width - cell.chars().count().min(width));
                // Numbers stand to the right.
                let right = column == 0 || column == 5;
                let cell = if right { format!("{pad}{cell}") } else { format!("{cell}{pad}") };
                let painted = self.colour && (column == VERDICT || self.lines == 0);
                out.push_str(&if painted { paint(&cell, colour) } else { cell });
                out.push_str("  ");
            }
            say(out.trim_end());
        }
    }
}

/// Words in the colour of a tone, where there are colours.
pub fn toned(text: &str, good: bool) -> String {
    if std::io::stdout().is_terminal() {
        paint(text, if good { "1;32" } else { "1;31" })
    } else {
        text.to_owned()
    }
}

fn paint(text: &str, colour: &str) -> String {
    format!("\x1b[{colour}m{text}\x1b[0m")
}

/// One line on standard output. A reader that has gone away is no reason to fail.
pub fn say(text: &str) {
    if cfg!(test) {
        // Tests keep what is printed this way for when they fail.
        return println!("{text}");
    }
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Breaks text between words into lines of at most `width` characters; a longer word stands out.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("müßig", 3), ["müßig"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
