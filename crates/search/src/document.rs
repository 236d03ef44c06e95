//! A row as the index sees it.

use crate::Contents;
use crate::fields::Fields;
use model::codec::{Kept, decode, decode_outcomes};
use model::{Event, Judgement};
use record::{Act, FileAct};
use store::{Row, RowKind};
use tantivy::TantivyDocument;

/// The document of a row. One that cannot be read is there by number and time alone.
pub(crate) fn document(row: &Row, fields: &Fields, contents: &dyn Contents) -> TantivyDocument {
    let mut doc = TantivyDocument::default();
    doc.add_u64(fields.seq, row.seq.0);
    doc.add_u64(fields.at, row.at.0);
    if row.conversation != 0 {
        doc.add_u64(fields.conversation, row.conversation);
    }
    match row.kind {
        RowKind::Envelope => {
            if let Ok(kept) = decode(&row.head, row.body.as_deref()) {
                envelope(&mut doc, row, &kept, fields);
            }
        }
        RowKind::Outcomes => {
            doc.add_text(fields.kind, "outcomes");
            for entry in decode_outcomes(&row.head).unwrap_or_default() {
                doc.add_u64(fields.about, entry.seq.0);
                if !entry.losses.is_empty() {
                    doc.add_text(fields.has, "loss");
                }
            }
        }
        RowKind::Admin => match Act::read(row) {
            Some(Act { act, who, file: Some(uploaded), .. }) if act == UPLOAD => {
                file(&mut doc, row, (&who, &uploaded), fields, contents);
            }
            act => {
                doc.add_text(fields.kind, "admin");
                doc.add_text(fields.text, act.map(|act| act.to_string()).unwrap_or_default());
            }
        },
    }
    doc
}

fn envelope(doc: &mut TantivyDocument, row: &Row, kept: &Kept, fields: &Fields) {
    let envelope = &kept.envelope;
    doc.add_text(fields.kind, envelope.event.kind());
    for (field, who) in [(fields.from, &envelope.from.address), (fields.to, &envelope.to.address)] {
        doc.add_text(field, who.as_str());
        if who.user().is_some() {
            doc.add_text(field, who.domain());
        }
    }
    doc.add_text(fields.dialect, envelope.origin.dialect.name());
    doc.add_text(fields.id, envelope.id.to_string());
    doc.add_text(fields.verdict, verdict(&kept.judged));
    for rule in rules(&kept.judged) {
        doc.add_text(fields.rule, rule);
    }
    if let Some(before) = kept.judged.released {
        doc.add_u64(fields.about, before.0);
    }
    for feature in policy::features(envelope).iter() {
        doc.add_text(fields.has, feature.name());
    }
    if let Event::Message(message) = &envelope.event
        && !message.id.is_empty()
    {
        doc.add_text(fields.id, &message.id);
    }
    if kept.erased {
        return;
    }
    if row.body.as_ref().is_some_and(|body| !body.is_empty()) {
        doc.add_u64(fields.content, 1);
    }
    for text in policy::texts(&envelope.event) {
        doc.add_text(fields.text, text);
    }
}

/// The act by which a file comes.
const UPLOAD: &str = "upload";

/// A file that somebody uploaded: its name, and what can be read in it.
fn file(
    doc: &mut TantivyDocument,
    row: &Row,
    (who, file): (&str, &FileAct),
    fields: &Fields,
    contents: &dyn Contents,
) {
    doc.add_text(fields.kind, "file");
    doc.add_text(fields.has, "files");
    doc.add_text(fields.id, &file.id);
    doc.add_text(fields.from, who);
    if let Some((_, domain)) = who.split_once('@') {
        doc.add_text(fields.from, domain);
    }
    doc.add_text(
        fields.verdict,
        match file.verdict.as_str() {
            "clean" | "unseen" => "passed",
            "waiting" | "held" => "held",
            _ => "refused",
        },
    );
    // Where its name was destroyed, what is in it is not told either.
    let Some(name) = row.body.as_ref().filter(|name| !name.is_empty()) else { return };
    doc.add_u64(fields.content, 1);
    doc.add_text(fields.text, String::from_utf8_lossy(name));
    if let Some(text) = contents.text(file) {
        doc.add_text(fields.text, text);
    }
}

/// The word for what the pipeline said.
pub(crate) fn verdict(judged: &Judgement) -> &'static str {
    match judged {
        Judgement { imported: Some(_), .. } => "imported",
        Judgement { refused: Some(_), .. } => "refused",
        Judgement { held: Some(_), .. } => "held",
        Judgement { released: Some(_), .. } => "released",
        Judgement { rules, .. } if !rules.is_empty() => "changed",
        _ => "passed",
    }
}

fn rules(judged: &Judgement) -> impl Iterator<Item = &str> {
    let refused = judged.refused.as_ref().and_then(|refusal| refusal.rule.as_deref());
    let held = judged.held.as_ref().map(|hold| &*hold.rule);
    refused.into_iter().chain(held).chain(judged.rules.iter().map(|rule| &**rule))
}
