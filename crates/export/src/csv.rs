//! Rows of comma-separated values (RFC 4180), safe to open in a spreadsheet.

use crate::entry::{Attachment, Entry, Lost, Settled};
use crate::words::{lost, named};
use std::borrow::Cow;

/// Spreadsheets take the file for UTF-8 by this.
pub(crate) const MARK: &[u8] = b"\xef\xbb\xbf";

/// What the columns hold.
const COLUMNS: [&str; 27] = [
    "row",
    "time",
    "kind",
    "conversation",
    "place",
    "from",
    "from_device",
    "to",
    "to_device",
    "protocol",
    "subject",
    "text",
    "about",
    "reactions",
    "attachments",
    "end_to_end",
    "erased",
    "verdict",
    "reason",
    "rules",
    "outcomes",
    "losses",
    "message_id",
    "id",
    "imported",
    "recorded",
    "link",
];

/// A spreadsheet runs what begins so as a formula; with an apostrophe before it, it is text.
fn safe(cell: &str) -> Cow<'_, str> {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%', '＝', '＋', '－', '＠']) {
        true => Cow::Owned(format!("'{cell}")),
        false => Cow::Borrowed(cell),
    }
}

type Table = csv::Writer<Vec<u8>>;

fn table(out: Vec<u8>) -> Table {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out)
}

/// A record in memory: nothing that could fail.
fn line(cells: &[&str], table: &mut Table) {
    for cell in cells {
        let _ = table.write_field(safe(cell).as_bytes());
    }
    let _ = table.write_record(None::<&[u8]>);
}

/// The head of the table.
pub(crate) fn head() -> Vec<u8> {
    let mut table = table(MARK.to_vec());
    line(&COLUMNS, &mut table);
    table.into_inner().unwrap_or_default()
}

/// Rows of the table.
pub(crate) fn rows<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<u8> {
    let mut table = table(Vec::new());
    entries.for_each(|entry| row(entry, &mut table));
    table.into_inner().unwrap_or_default()
}

fn file(file: &Attachment) -> String {
    named(file)
}

fn settled(settled: &Settled) -> String {
    let reason = settled.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{} {}{reason}", settled.outcome, settled.time)
}

fn joined<T>(all: &[T], show: impl Fn(&T) -> String) -> String {
    all.iter().map(show).collect::<Vec<_>>().join("\n")
}

fn row(entry: &Entry, table: &mut Table) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let yes = |value: bool| if value { "yes" } else { "no" };
    let (number, conversation, place) =
        (entry.row.to_string(), entry.conversation.to_string(), entry.place.to_string());
    let losses: Vec<&Lost> = entry.outcomes.iter().flat_map(|settled| &settled.losses).collect();
    line(
        &[
            &number,
            &entry.time,
            entry.kind,
            &conversation,
            &place,
            &entry.from,
            &text(&entry.from_device),
            &entry.to,
            &text(&entry.to_device),
            entry.protocol,
            &text(&entry.subject),
            &text(&entry.text),
            &text(&entry.about),
            &entry.reactions.join(" "),
            &joined(&entry.attachments, file),
            yes(entry.end_to_end),
            yes(entry.erased),
            entry.verdict,
            &text(&entry.reason),
            &entry.rules.join("\n"),
            &joined(&entry.outcomes, settled),
            &joined(&losses, |loss| lost(loss)),
            &entry.message_id,
            &entry.id,
            &text(&entry.imported),
            &text(&entry.recorded),
            &entry.link,
        ],
        table,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_run_nothing() {
        let entry = Entry {
            row: 7,
            text: Some("=HYPERLINK(\"http://x\")".into()),
            subject: Some("two\nlines, \"quoted\"".into()),
            ..Entry::default()
        };
        let line = String::from_utf8(rows([entry].iter())).unwrap();
        assert!(
            line.contains(",\"two\nlines, \"\"quoted\"\"\",\"'=HYPERLINK(\"\"http://x\"\")\","),
            "{line}"
        );
        assert!(line.starts_with("7,") && line.ends_with("\r\n"));
    }
}
