//! Everything that is kept of one person, told to that person.

use matters::{Facts, Subject};
use model::codec::{Kept, decode};
use model::{Address, Event, Seq, Timestamp};
use record::Act;
use serde_json::{Value, json};
use store::{Accounts, Authorizations, FileState, Journal, Rosters, Row, RowKind, SqliteStore, Trouble};

const PAGE: usize = 500;
/// Files that are looked through.
const FILES: usize = 1_000_000;

/// Takes a line.
pub type Line<'a> = &'a mut dyn FnMut(Value) -> Result<(), String>;

/// Tells it. Of others there is no more than with whom the person had to do: what they wrote to the person, but not what
/// they call the person in their own lists, and of administrators what they did but not who they are.
///
/// # Errors
/// In words.
pub fn tell(
    store: &SqliteStore,
    files: Option<&files::Files>,
    subject: &Subject,
    blocked: &[Address],
    line: Line<'_>,
) -> Result<(), String> {
    let who = subject.address().map_err(|error| error.to_string())?;
    let wrong = |trouble: Trouble| trouble.to_string();
    line(json!({
        "kind": "person", "who": who.as_str(), "account": store.exists(&who).map_err(wrong)?,
        "since": subject.since.map(time), "until": subject.until.map(time),
    }))?;
    for entry in store.entries(&who).map_err(wrong)? {
        line(json!({
            "kind": "contact", "who": entry.contact.as_str(), "name": entry.name,
            "groups": entry.groups.iter().map(|group| group.as_str()).collect::<Vec<_>>(),
        }))?;
    }
    let permission = |sees: &Address, whom: &Address, consent: store::Consent, note: Option<&String>| {
        json!({ "kind": "permission", "sees": sees.as_str(), "presence_of": whom.as_str(),
                "state": format!("{consent:?}").to_lowercase(), "note": note })
    };
    for one in store.of_presentity(&who).map_err(wrong)? {
        line(permission(&one.watcher, &who, one.consent, one.note.as_ref()))?;
    }
    for one in store.of_watcher(&who).map_err(wrong)? {
        line(permission(&who, &one.presentity, one.consent, one.note.as_ref()))?;
    }
    for one in blocked {
        line(json!({ "kind": "blocked", "who": one.as_str() }))?;
    }
    let uploads = files.map_or(Ok(Vec::new()), |files| files.list(&FileState::ALL, FILES)).map_err(wrong)?;
    for file in uploads.into_iter().filter(|file| file.owner == who) {
        line(json!({
            "kind": "file", "at": time(file.at.0), "name": file.name, "type": file.mime, "bytes": file.size,
            "sha256": record::hex(&file.hash), "state": file.state.name(),
        }))?;
    }
    let mut next = Seq(1);
    loop {
        let page = store.rows(next, PAGE).map_err(wrong)?;
        let Some(last) = page.last().map(|row| row.seq) else { return Ok(()) };
        next = Seq(last.0 + 1);
        let in_time = |row: &&Row| {
            let Timestamp(said) = Facts::of(row).said;
            subject.since.is_none_or(|since| said >= since) && subject.until.is_none_or(|until| said < until)
        };
        for row in page.iter().filter(in_time) {
            if let Some(told) = of_row(row, &who) {
                line(told)?;
            }
        }
    }
}

/// How acts about somebody's account begin. Searches, holds and reviews name people too: who looks into what, and into whom, is
/// not told to any of them.
const ABOUT: [&str; 6] = ["user.", "subject.", "group.", "files.", "spim.", "outbreak."];

fn time(ms: u64) -> String {
    Timestamp(ms).to_string()
}

fn of_row(row: &Row, who: &Address) -> Option<Value> {
    match row.kind {
        RowKind::Envelope => {
            let kept = decode(&row.head, row.body.as_deref()).ok()?;
            let parties = (&kept.envelope.from.address, &kept.envelope.to.address);
            (parties.0 == who || parties.1 == who).then(|| of_envelope(row, &kept))
        }
        RowKind::Admin => {
            let act = Act::read(row)?;
            let on = act.on.as_deref().unwrap_or_default();
            let mut words = on.split(|c: char| c.is_whitespace() || ",;\"".contains(c));
            let own = act.who == who.as_str();
            let mut named = || words.any(|word| word.trim_end_matches(':') == who.as_str());
            let mine = own || ABOUT.iter().any(|about| act.act.starts_with(about)) && named();
            // Others may be named beside them.
            let on = act.on.as_deref().filter(|on| own || *on == who.as_str());
            mine.then(|| {
                json!({ "kind": "act", "row": row.seq.0, "at": time(row.at.0), "act": act.act, "on": on,
                        "result": act.result })
            })
        }
        RowKind::Outcomes => None,
    }
}

fn of_envelope(row: &Row, kept: &Kept) -> Value {
    let envelope = &kept.envelope;
    let mut told = json!({
        "kind": "message", "row": row.seq.0, "at": time(row.at.0), "what": envelope.event.kind(),
        "from": envelope.from.to_string(), "to": envelope.to.to_string(),
        "protocol": envelope.origin.dialect.name(), "erased": kept.erased,
    });
    if let Some(refused) = &kept.judged.refused {
        told["refused"] = refused.reason.name().into();
    }
    if let Some(held) = &kept.judged.held {
        told["held_by"] = held.rule.to_string().into();
    }
    if let Event::Message(message) = &envelope.event {
        told["subject"] = message.subject.clone().into();
    }
    let texts = match &envelope.event {
        Event::Message(message) if message.text().is_some() => policy::shown(message).into_owned(),
        event => policy::texts(event).join("\n"),
    };
    told["text"] = if kept.erased { Value::Null } else { texts.into() };
    told
}
