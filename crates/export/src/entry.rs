//! A row as the readable forms show it.

use crate::begun::FileFact;
use crate::line::{Line, LineError, Told};
use crate::stanza::{self, Turn};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::codec::{Kept, SettledEntry, decode};
use model::{
    Activity, Basic, Decision, Event, Judgement, Loss, LossKind, Outcome, Publish, ReceiptKind, Security,
    Term, Timestamp, Vouch,
};
use policy::Feature;
use record::Act;
use serde::{Deserialize, Serialize};
use store::{Row, RowKind};

/// A row: what somebody said or did, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Entry {
    /// The row of the journal.
    pub row: u64,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// When it was put on record, where that is another time: it was imported, or waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
    /// `message`, `edit`, `retraction`, `reaction`, `delivered`, `displayed`, `failed`, `subscribe`... `presence`, `act`.
    pub kind: &'static str,
    /// The server's name of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The name that its sender's client gave it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message_id: String,
    /// The conversation's number on the node; 0 for none.
    pub conversation: u64,
    /// Its place there.
    pub place: u64,
    /// Sender; of an act, who did it.
    pub from: String,
    /// The sender's device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_device: Option<String>,
    /// Addressee.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// The addressee's device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_device: Option<String>,
    /// The protocol it came by.
    pub protocol: &'static str,
    /// Was the connection that it came over encrypted?
    pub tls: bool,
    /// Who answers for the sender.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vouched: String,
    /// The system that it was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
    /// The conversation's name among the clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// Subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The earlier message that this is about, by the name its sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What a reaction says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<String>,
    /// Files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Encrypted between the people themselves: its text, if any, is what their client says to others.
    pub end_to_end: bool,
    /// Its content was destroyed by rule or by order.
    pub erased: bool,
    /// What the rules said: `passed`, `changed`, `held`, `released`, `refused`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub verdict: &'static str,
    /// Why it was refused or held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rules that said so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// The row as which it was held before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_from: Option<u64>,
    /// How it ended.
    pub outcomes: Vec<Settled>,
    /// Its link in the chain, hexadecimal.
    pub link: String,
}

/// A file that somebody sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// What its sender said it is.
    pub mime: String,
    /// Its bytes; none where we never had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256 of its content, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where it is in the export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Where it is, for what we never had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Why its content is not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Its content, where it stands in the message itself.
    #[serde(skip)]
    pub content: Option<Vec<u8>>,
}

/// How something ended, for one device or server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The row that says so.
    pub row: u64,
    /// When that was recorded, RFC 3339.
    pub time: String,
    /// `delivered`, `accepted`, `pending`, `refused`, `unknown`.
    pub outcome: String,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What translation lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Lost>,
}

/// One property that a translation lost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lost {
    /// Which.
    pub what: String,
    /// What it became; nothing where it was dropped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub became: String,
    /// Translated from.
    pub from: String,
    /// Translated to.
    pub to: String,
}

impl Settled {
    /// An entry of an outcomes row.
    pub fn of(row: u64, at: Timestamp, entry: &SettledEntry) -> Self {
        let reason = match &entry.outcome {
            Outcome::Refused(refusal) => Some(refusal.to_string()),
            _ => None,
        };
        let losses = entry.losses.iter().map(Lost::of).collect();
        Self { row, time: at.to_string(), outcome: entry.outcome.name().to_owned(), reason, losses }
    }
}

impl Lost {
    fn of(loss: &Loss) -> Self {
        let became = if loss.kind == LossKind::Changed { loss.became.to_string() } else { String::new() };
        Self { what: loss.what.to_string(), became, from: loss.from.to_string(), to: loss.to.to_string() }
    }
}

impl Entry {
    /// A line of the evidence, with the files it links to and how it ended; `None` for rows that are shown with others.
    ///
    /// # Errors
    /// [`LineError`] where the line is not as it must be.
    pub fn of(
        line: &Line<'_>,
        files: &[FileFact],
        outcomes: Vec<Settled>,
    ) -> Result<Option<Self>, LineError> {
        Self::told(line.row()?, files, outcomes)
    }

    /// The same of a row of the journal.
    ///
    /// # Errors
    /// [`LineError`] where the row cannot be read.
    pub fn of_row(row: &Row, files: &[FileFact], outcomes: Vec<Settled>) -> Result<Option<Self>, LineError> {
        Self::told(row.into(), files, outcomes)
    }

    fn told(row: Told, files: &[FileFact], outcomes: Vec<Settled>) -> Result<Option<Self>, LineError> {
        let mut entry = Self {
            row: row.seq,
            conversation: row.conversation,
            place: row.counter,
            link: row.link,
            outcomes,
            ..Self::default()
        };
        match row.kind {
            RowKind::Outcomes => return Ok(None),
            RowKind::Admin => {
                entry.kind = "act";
                entry.protocol = "hub";
                entry.time = Timestamp(row.at).to_string();
                let act = serde_json::from_slice::<Act>(&row.head).ok();
                entry.from = act.as_ref().map(|act| act.who.clone()).unwrap_or_default();
                entry.text = act.map(|act| act.to_string());
                entry.attachments = files.iter().map(Attachment::stored).collect();
            }
            RowKind::Envelope => {
                let kept = decode(&row.head, row.body.as_deref()).map_err(|e| LineError::row(row.seq, e))?;
                entry.envelope(&kept, row.at, files);
            }
        }
        Ok(Some(entry))
    }

    fn envelope(&mut self, kept: &Kept, recorded: u64, files: &[FileFact]) {
        let envelope = &kept.envelope;
        self.time = envelope.at.to_string();
        // The record is written within a moment; what is later says something.
        if envelope.at.0.abs_diff(recorded) > 60_000 {
            self.recorded = Some(Timestamp(recorded).to_string());
        }
        self.id = envelope.id.to_string();
        self.from = envelope.from.address.to_string();
        self.from_device = envelope.from.device.as_ref().map(|d| d.as_str().to_owned());
        self.to = envelope.to.address.to_string();
        self.to_device = envelope.to.device.as_ref().map(|d| d.as_str().to_owned());
        self.protocol = envelope.origin.dialect.name();
        self.tls = envelope.origin.security == Security::Tls;
        self.vouched = match &envelope.origin.vouch {
            Vouch::Nobody => String::new(),
            Vouch::Account(account) => account.to_string(),
            Vouch::Domain(domain, _) => domain.to_string(),
            Vouch::Server => "server".into(),
        };
        self.imported = kept.judged.imported.as_ref().map(ToString::to_string);
        self.erased = kept.erased;
        self.end_to_end = policy::features(envelope).contains(&Feature::E2e);
        self.judged(&kept.judged);
        self.kind = envelope.event.kind();
        match &envelope.event {
            Event::Message(message) => self.message(message, files),
            Event::Receipt(receipt) => {
                self.about = Some(receipt.of.to_string()).filter(|of| !of.is_empty());
                self.kind = match &receipt.kind {
                    ReceiptKind::Delivered => "delivered",
                    ReceiptKind::Displayed => "displayed",
                    ReceiptKind::Failed(refusal) => {
                        self.reason = Some(refusal.to_string());
                        "failed"
                    }
                };
            }
            Event::Subscribe(subscribe) => {
                self.text.clone_from(&subscribe.note);
                self.kind = match subscribe.term {
                    Term::Lasting => "subscribe",
                    Term::End => "unsubscribe",
                    Term::Lease { .. } => "watch",
                    Term::Once { .. } => "probe",
                };
            }
            Event::Publish(publish) => {
                self.kind = "presence";
                self.text = (!kept.erased).then(|| presence(publish));
            }
            Event::Authorize(authorize) => {
                self.kind = match authorize.decision {
                    Decision::Granted => "authorized",
                    Decision::Denied => "denied",
                };
            }
            _ => {}
        }
    }

    fn judged(&mut self, judged: &Judgement) {
        self.verdict = match judged {
            Judgement { imported: Some(_), .. } => "imported",
            Judgement { refused: Some(_), .. } => "refused",
            Judgement { held: Some(_), .. } => "held",
            Judgement { released: Some(_), .. } => "released",
            Judgement { rules, .. } if !rules.is_empty() => "changed",
            _ => "passed",
        };
        let rule = judged.refused.as_ref().and_then(|refusal| refusal.rule.as_ref());
        let held = judged.held.as_ref().map(|hold| &hold.rule);
        self.rules = rule.into_iter().chain(held).chain(&judged.rules).map(ToString::to_string).collect();
        self.reason = judged.refused.as_ref().map(ToString::to_string);
        if let Some(hold) = &judged.held {
            self.reason = hold.text.as_ref().map(ToString::to_string);
        }
        self.released_from = judged.released.map(|seq| seq.0);
    }

    fn message(&mut self, message: &model::Message, files: &[FileFact]) {
        self.message_id = message.id.to_string();
        self.thread = message.thread.as_ref().map(ToString::to_string);
        self.subject.clone_from(&message.subject);
        // Also where it stands beside a reaction or a retraction: whoever knows neither is shown it.
        self.text = Some(policy::shown(message).into_owned()).filter(|text| !text.is_empty());
        self.attachments = files.iter().map(Attachment::stored).collect();
        for part in message.parts.iter().filter(|part| !part.mime.to_ascii_lowercase().starts_with("text/")) {
            self.attachments.push(Attachment::inline(
                String::new(),
                part.mime.to_string(),
                part.body.to_vec(),
            ));
        }
        let Some(original) = message.original.as_ref().filter(|o| o.bytes.starts_with(b"<")) else { return };
        let beside = stanza::read(&original.bytes);
        match beside.turn {
            Turn::None => {}
            Turn::Edit(of) => (self.kind, self.about) = ("edit", Some(of)),
            Turn::Retract(of) => {
                (self.kind, self.about) = ("retraction", Some(of));
            }
            Turn::React(of, all) => {
                (self.kind, self.about, self.reactions) = ("reaction", Some(of), all);
            }
        }
        for (mime, data) in beside.data {
            if let Ok(content) = STANDARD.decode(data.split_ascii_whitespace().collect::<String>()) {
                self.attachments.push(Attachment::inline(String::new(), mime, content));
            }
        }
        for url in beside.links {
            // Ours are known by what the store has.
            if !files.iter().any(|file| url.contains(&file.id)) {
                let name = url.rsplit('/').next().unwrap_or_default().to_owned();
                let missing = Some("only its link was sent".to_owned());
                self.attachments.push(Attachment { name, url: Some(url), missing, ..Attachment::default() });
            }
        }
    }

    /// The day of it, such as `2026-11-22`.
    pub fn day(&self) -> &str {
        self.time.get(..10).unwrap_or_default()
    }

    /// The time of day with its milliseconds.
    pub fn clock(&self) -> &str {
        self.time.get(11..23).unwrap_or_default()
    }
}

/// What somebody's devices say, in words.
fn presence(publish: &Publish) -> String {
    let said = publish.tuples.iter().map(|tuple| {
        let device = tuple.device.as_ref().map(|device| format!("{}: ", device.as_str())).unwrap_or_default();
        let state = match (tuple.basic, tuple.activity) {
            (Basic::Closed, _) => "not there",
            (_, Activity::Available) => "there",
            (_, Activity::Chatty) => "ready to chat",
            (_, Activity::Away) => "away",
            (_, Activity::ExtendedAway) => "away for long",
            (_, Activity::Busy) => "busy",
            (_, Activity::OnThePhone) => "on the phone",
            (_, Activity::InMeeting) => "in a meeting",
        };
        let notes: String = tuple.notes.iter().map(|(_, note)| format!(", \"{note}\"")).collect();
        format!("{device}{state}{notes}")
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() { "nothing any more".into() } else { said.join("; ") }
}

impl Attachment {
    fn stored(fact: &FileFact) -> Self {
        let missing = (!fact.kept).then(|| format!("its content is not kept: {}", fact.state));
        Self {
            name: fact.name.clone(),
            mime: fact.mime.clone(),
            size: Some(fact.size),
            sha256: Some(fact.sha256.clone()),
            path: fact.kept.then(|| format!("blobs/{}", fact.sha256)),
            missing,
            ..Self::default()
        }
    }

    fn inline(name: String, mime: String, content: Vec<u8>) -> Self {
        let sha256 = crate::disk::sha256(&content);
        let name = if name.is_empty() { format!("in-message-{}", &sha256[..8]) } else { name };
        Self {
            name,
            mime,
            size: Some(content.len() as u64),
            sha256: Some(sha256),
            content: Some(content),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Dialect, Message, Original, Part};

    #[test]
    fn words_beside_a_reaction_or_a_retraction_are_told() {
        let beside = |turn: &str| {
            let xml = format!("<message><body>secret</body>{turn}</message>");
            let original = Some(Original { dialect: Dialect::Xmpp, bytes: xml.into_bytes().into() });
            let parts = vec![Part::text("secret", None)];
            let mut entry = Entry::default();
            entry.message(&Message { parts, original, ..Message::default() }, &[]);
            (entry.kind, entry.text)
        };
        let said = || Some("secret".to_owned());
        assert_eq!(beside("<reactions xmlns='urn:xmpp:reactions:0' id='z'/>"), ("reaction", said()));
        assert_eq!(beside("<retract xmlns='urn:xmpp:message-retract:1' id='z'/>"), ("retraction", said()));
    }
}
