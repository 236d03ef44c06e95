//! The XML that archives of financial companies read (Actiance Vantage, Global Relay): a `FileDump` of `Conversation`s with
//! who entered, what was said, which files, who left.

use crate::book::{Book, Conversation};
use crate::entry::Entry;
use markup::xml::text;
use std::fmt::Write as _;

/// The file's first lines.
pub(crate) fn head(book: &Book) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<FileDump>\n<!-- ");
    // Two hyphens would end a comment.
    text(&format!("{}; chain {}", book.occasion, book.chain).replace("--", "- -"), &mut out);
    out.push_str(" -->\n");
    out
}

/// Its last one.
pub(crate) const FOOT: &str = "</FileDump>\n";

fn leaf(name: &str, value: &str, out: &mut String) {
    let _ = write!(out, "<{name}>");
    text(value, out);
    let _ = writeln!(out, "</{name}>");
}

fn person(name: &str, who: &str, time: &str, conversation: &str, out: &mut String) {
    let _ = writeln!(out, "<{name}>");
    leaf("LoginName", who, out);
    leaf("DateTimeUTC", time, out);
    leaf("ConversationID", conversation, out);
    leaf("CorporateEmailID", who, out);
    let _ = writeln!(out, "</{name}>");
}

/// One conversation of one day.
pub(crate) fn conversation(of: &Conversation, out: &mut String) {
    let (Some(first), Some(last)) = (of.entries.first(), of.entries.last()) else { return };
    let id = format!(
        "{}-{}{}",
        of.number,
        of.day,
        if of.parts > 1 { format!("-{}", of.part) } else { String::new() }
    );
    out.push_str("<Conversation>\n");
    leaf("ConversationID", &id, out);
    leaf("RoomID", &of.people().join(" "), out);
    leaf("StartTimeUTC", &first.time, out);
    for who in of.people() {
        person("ParticipantEntered", who, &first.time, &id, out);
    }
    for (entry, beside) in of.entries.iter().zip(of.remarks()) {
        for file in &entry.attachments {
            transfer(entry, file, &id, out);
        }
        let _ = writeln!(out, "<Message>");
        leaf("LoginName", &entry.from, out);
        leaf("DateTimeUTC", &entry.time, out);
        leaf("ConversationID", &id, out);
        leaf("MessageID", &entry.id, out);
        leaf("MessageType", entry.kind, out);
        if let Some(about) = &entry.about {
            leaf("InReferenceTo", about, out);
        }
        if let Some(subject) = &entry.subject {
            leaf("Subject", subject, out);
        }
        let said = match (&entry.text, entry.reactions.is_empty()) {
            (Some(said), true) => said.clone(),
            (Some(said), false) => format!("{} {said}", entry.reactions.join(" ")),
            (None, false) => entry.reactions.join(" "),
            (None, true) => String::new(),
        };
        leaf("Content", &said, out);
        for remark in beside.remarks {
            leaf("Disclaimer", &remark.text, out);
        }
        leaf("RecordRow", &entry.row.to_string(), out);
        leaf("RecordLink", &entry.link, out);
        let _ = writeln!(out, "</Message>");
    }
    for who in of.people() {
        person("ParticipantLeft", who, &last.time, &id, out);
    }
    leaf("EndTimeUTC", &last.time, out);
    out.push_str("</Conversation>\n");
}

fn transfer(entry: &Entry, file: &crate::Attachment, id: &str, out: &mut String) {
    for name in ["FileTransferStarted", "FileTransferEnded"] {
        let _ = writeln!(out, "<{name}>");
        leaf("LoginName", &entry.from, out);
        leaf("DateTimeUTC", &entry.time, out);
        leaf("ConversationID", id, out);
        leaf("UserFileName", &file.name, out);
        leaf("FileName", file.path.as_deref().or(file.url.as_deref()).unwrap_or(&file.name), out);
        if name == "FileTransferEnded" {
            leaf("Status", file.missing.as_deref().unwrap_or("Completed"), out);
            leaf("FileHash", file.sha256.as_deref().unwrap_or_default(), out);
        }
        let _ = writeln!(out, "</{name}>");
    }
}
