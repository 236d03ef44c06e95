//! What the store knows of the files that a row links to.

use export::FileFact;
use files::Files;
use memchr::memmem;
use record::Act;
use store::{Row, RowKind, Trouble};

/// Files that a row links to, or is about. Blocks.
///
/// # Errors
/// [`Trouble`] when store or disk cannot be read.
pub fn file_facts(files: &Files, row: &Row) -> Result<Vec<FileFact>, Trouble> {
    let found = match row.kind {
        RowKind::Outcomes => return Ok(Vec::new()),
        RowKind::Admin => match Act::read(row).and_then(|act| act.file) {
            Some(file) => files.file(&file.id)?.into_iter().collect(),
            None => Vec::new(),
        },
        RowKind::Envelope => {
            // Every link of ours has this in it, and few other texts.
            let Some(body) = row.body.as_ref().filter(|body| memmem::find(body, b"/f/").is_some()) else {
                return Ok(Vec::new());
            };
            let Ok(kept) = model::codec::decode(&row.head, Some(body)) else { return Ok(Vec::new()) };
            files.linked_in(&policy::texts(&kept.envelope.event).join("\n"))?
        }
    };
    let mut facts = Vec::new();
    for file in found {
        let kept = file.state.has_content() && files.content(&file.hash)?.is_some();
        facts.push(FileFact {
            row: row.seq.0,
            id: file.id,
            name: file.name,
            mime: file.mime,
            size: file.size,
            sha256: record::hex(&file.hash),
            state: file.state.name().to_owned(),
            kept,
        });
    }
    Ok(facts)
}
