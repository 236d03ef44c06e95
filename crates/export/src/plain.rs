//! A conversation as plain text.

use crate::book::{Book, Conversation, called, in_words};
use crate::words::named;
use std::fmt::Write as _;

/// The transcript, in lines for a mail's reader.
pub(crate) fn transcript(book: &Book, of: &Conversation) -> String {
    let mut out = String::with_capacity(of.entries.len() * 160 + 512);
    let (first, last) = of.span();
    let _ = writeln!(out, "Conversation of {} (UTC)", in_words(&of.day));
    for who in of.people() {
        let _ = writeln!(out, "  {who}");
    }
    let _ = writeln!(out, "{} messages, rows {first} to {last}{}\n", of.messages(), part(of));
    for (entry, beside) in of.entries.iter().zip(of.remarks()) {
        if beside.folded {
            continue;
        }
        let _ = write!(out, "{}  {}", entry.clock(), entry.from);
        if let Some(called) = called(entry.kind) {
            let of = beside.of.map(|row| format!(" of row {row}")).unwrap_or_default();
            let _ = write!(out, "  [{called}{of}]");
        }
        let _ = writeln!(out, "  (row {})", entry.row);
        if let Some(subject) = &entry.subject {
            let _ = writeln!(out, "    Subject: {}", subject.replace(['\r', '\n'], " "));
        }
        if !entry.reactions.is_empty() {
            let _ = writeln!(out, "    {}", entry.reactions.join(" "));
        }
        for line in entry.text.iter().flat_map(|text| text.lines()) {
            let _ = writeln!(out, "    {line}");
        }
        for file in &entry.attachments {
            let _ = writeln!(out, "    [file] {}", named(file));
        }
        for remark in beside.remarks {
            let _ = writeln!(out, "    -- {}", remark.text);
        }
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "{}\nChain {}, conversation {}. SHA-256 over the links of these {} rows: {}",
        book.occasion,
        book.chain,
        of.number,
        of.entries.len(),
        of.digest()
    );
    out
}

pub(crate) fn part(of: &Conversation) -> String {
    if of.parts > 1 { format!(", part {} of {}", of.part, of.parts) } else { String::new() }
}
