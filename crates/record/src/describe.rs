use crate::Act;
use model::codec::{Kept, decode, decode_outcomes};
use model::{Decision, Event, Judgement, Message, Outcome, Security, Subscribe, Term};
use std::fmt::Write;
use store::{Row, RowKind};

/// Puts a row in words, in one line: who, to whom, over which protocol, what, and how it was decided. Content only
/// where `with_content` asks for it.
pub fn describe(row: &Row, with_content: bool) -> String {
    let mut line = format!("{} {} ", row.seq, row.at);
    match row.kind {
        RowKind::Envelope => match decode(&row.head, row.body.as_deref()) {
            Ok(kept) => envelope(&mut line, row, &kept, with_content),
            Err(e) => line.push_str(&format!("envelope, unreadable: {e}")),
        },
        RowKind::Outcomes => outcomes(&mut line, row),
        RowKind::Admin => match Act::read(row) {
            Some(act) => line.push_str(&format!("admin {act}")),
            None => line.push_str(&format!("admin act, unreadable, {} bytes", row.head.len())),
        },
    }
    line
}

// Writing to a String cannot fail, hence the ignored results.

fn judged(line: &mut String, judged: &Judgement) {
    match (&judged.refused, &judged.held) {
        (Some(refusal), _) => {
            let _ = write!(line, " refused: {}", refusal.reason.name());
            if let Some(rule) = &refusal.rule {
                let _ = write!(line, " by {}", rule.escape_debug());
            }
        }
        (None, Some(hold)) => {
            let _ = write!(line, " held by {}", hold.rule.escape_debug());
        }
        (None, None) => line.push_str(" kept"),
    }
    if let Some(seq) = judged.released {
        let _ = write!(line, ", released from row {seq}");
    }
    for rule in &judged.rules {
        let _ = write!(line, ", {} had its say", rule.escape_debug());
    }
}

fn envelope(line: &mut String, row: &Row, kept: &Kept, with_content: bool) {
    let envelope = &kept.envelope;
    let security = if envelope.origin.security == Security::Tls { "" } else { ", in clear" };
    let _ = write!(
        line,
        "{}{security} {} {} > {}",
        envelope.origin.dialect,
        what(&envelope.event),
        envelope.from.to_string().escape_debug(),
        envelope.to.to_string().escape_debug(),
    );
    judged(line, &kept.judged);
    let _ = write!(line, " ({} of conversation {}", row.conversation_seq, row.conversation);
    if kept.erased {
        line.push_str(", content erased");
    }
    let _ = write!(line, ") {}", envelope.id);
    if let Event::Message(message) = &envelope.event
        && with_content
        && !kept.erased
    {
        content(line, message);
    }
}

fn content(line: &mut String, message: &Message) {
    if let Some(subject) = &message.subject {
        let _ = write!(line, " [{}]", subject.escape_debug());
    }
    match message.text() {
        Some(text) => {
            let _ = write!(line, " \"{}\"", text.escape_debug());
            if let more @ 1.. = message.parts.len() - 1 {
                let _ = write!(line, " and {more} more part(s)");
            }
        }
        None => {
            for part in &message.parts {
                let _ = write!(line, " {}, {} bytes", part.mime.escape_debug(), part.body.len());
            }
        }
    }
}

fn what(event: &Event) -> &'static str {
    match event {
        Event::Authorize(a) if a.decision == Decision::Granted => "authorize granted",
        Event::Authorize(_) => "authorize denied",
        Event::Subscribe(Subscribe { term: Term::Lasting, .. }) => "subscribe",
        Event::Subscribe(Subscribe { term: Term::End, .. }) => "unsubscribe",
        Event::Subscribe(Subscribe { term: Term::Lease { .. }, .. }) => "watch",
        Event::Subscribe(Subscribe { term: Term::Once { .. }, .. }) => "probe",
        Event::Publish(_) => "presence",
        other => other.kind(),
    }
}

/// So many entries are listed one by one.
const LISTED: usize = 8;

fn outcomes(line: &mut String, row: &Row) {
    let Ok(entries) = decode_outcomes(&row.head) else {
        line.push_str("outcomes, unreadable");
        return;
    };
    line.push_str("outcomes");
    for entry in entries.iter().take(LISTED) {
        let _ = write!(line, " {}:{}", entry.seq, entry.outcome.name());
        if let Outcome::Refused(refusal) = &entry.outcome {
            let _ = write!(line, "({})", refusal.reason.name());
        }
        if !entry.losses.is_empty() {
            let _ = write!(line, "[{} lost]", entry.losses.len());
        }
    }
    if entries.len() > LISTED {
        let _ = write!(line, " and {} more", entries.len() - LISTED);
    }
}
