//! Rows of the journal as mails, for an archive that wants them while they are young.

use crate::begun::FileFact;
use crate::book::Conversation;
use crate::entry::{Entry, Settled};
use crate::line::LineError;
use model::codec::decode_outcomes;
use std::collections::{BTreeMap, HashMap};
use store::{Row, RowKind};

/// What was said in these rows, by conversation and day (UTC). What was imported was never said here, and is left out, and so
/// is presence.
/// `files` tells the files that a row links to.
///
/// # Errors
/// [`LineError`] where a row cannot be read.
pub fn letters(
    rows: &[Row],
    mut files: impl FnMut(&Row) -> Vec<FileFact>,
) -> Result<Vec<Conversation>, LineError> {
    let mut ends: HashMap<u64, Vec<Settled>> = HashMap::new();
    for row in rows.iter().filter(|row| row.kind == RowKind::Outcomes) {
        for entry in decode_outcomes(&row.head).unwrap_or_default() {
            ends.entry(entry.seq.0).or_default().push(Settled::of(row.seq.0, row.at, &entry));
        }
    }
    let mut days: BTreeMap<(String, u64), Vec<Entry>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.kind == RowKind::Envelope && row.conversation != 0) {
        let outcomes = ends.remove(&row.seq.0).unwrap_or_default();
        let entry = Entry::of_row(row, &files(row), outcomes)?;
        if let Some(entry) = entry.filter(|entry| entry.imported.is_none() && entry.kind != "presence") {
            days.entry((entry.day().to_owned(), row.conversation)).or_default().push(entry);
        }
    }
    let whole = |((day, number), entries)| Conversation { day, number, part: 1, parts: 1, entries };
    Ok(days.into_iter().map(whole).collect())
}
