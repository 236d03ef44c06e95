//! History that other servers kept comes on record here: marked as imported, with the time it was said, never delivered. What is
//! there already is known again, so an import may be repeated, and goes on where it broke off.

use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Path, State};
use model::codec::{decode_id, encode_body, encode_head};
use model::{
    Address, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, Judgement, MAX_HOPS, Message, Origin,
    Original, Part, Security, Timestamp, Vouch,
};
use search::Ask;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Draft, RowKind};
use utoipa::ToSchema;

/// Two archives of one server have a message at nearly the same time.
const SAME_MS: u64 = 60_000;

/// Where history comes from.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportOrder {
    /// The system that kept it: `prosody`, `ejabberd`...
    pub source: String,
    /// The file or directory, for the record.
    pub place: String,
}

/// An import that is on record.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportBegun {
    /// The row that says so, which names the import.
    pub id: u64,
}

/// A message that somebody sent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImportedMessage {
    /// When, Unix milliseconds.
    pub at: u64,
    /// Sender, normalised.
    pub from: String,
    /// The sender's device.
    #[serde(default)]
    pub from_device: Option<String>,
    /// Addressee, normalised.
    pub to: String,
    /// The addressee's device.
    #[serde(default)]
    pub to_device: Option<String>,
    /// The name its sender gave it.
    #[serde(default)]
    pub message_id: String,
    /// The conversation's name among the clients.
    #[serde(default)]
    pub thread: Option<String>,
    /// Subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// The text.
    #[serde(default)]
    pub text: Option<String>,
    /// The stanza.
    pub stanza: String,
}

/// Some of the history.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportBatch {
    /// The messages.
    pub messages: Vec<ImportedMessage>,
}

/// What became of them.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ImportCounts {
    /// Not on record before.
    pub new: u64,
    /// On record already.
    pub known: u64,
    /// They cannot be read.
    pub bad: u64,
}

/// Names of what was imported, as far as they were asked for.
#[derive(Default)]
pub struct Imports(Mutex<Option<HashSet<EnvelopeId>>>);

impl ImportedMessage {
    /// Its name: the same from whichever archive it comes. `step` is how far in time it may be from another one.
    fn name(&self, step: i64) -> EnvelopeId {
        // Without a name of its sender only the second tells messages apart.
        let unit = if self.message_id.is_empty() { 1_000 } else { SAME_MS };
        let bucket = (self.at / unit).saturating_add_signed(step);
        let mut digest = Sha256::new_with_prefix(b"RialtoI1");
        for field in [&self.from, &self.to, &self.message_id] {
            digest.update((field.len() as u64).to_be_bytes());
            digest.update(field);
        }
        digest.update(bucket.to_be_bytes());
        for text in [&self.subject, &self.text] {
            digest.update(text.as_deref().unwrap_or_default());
            digest.update([0]);
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest.finalize()[..16]);
        EnvelopeId::named(hash)
    }

    fn is_among(&self, known: &HashSet<EnvelopeId>) -> bool {
        let near: &[i64] = if self.message_id.is_empty() { &[0] } else { &[0, -1, 1] };
        near.iter().any(|step| known.contains(&self.name(*step)))
    }

    fn envelope(&self) -> Result<Envelope, Problem> {
        let wrong = |what: &str| Problem::bad(format!("{what} of a message is none"));
        let end = |who: &str, device: &Option<String>| -> Result<Endpoint, Problem> {
            let address = Address::parse(who).map_err(|_| wrong("an address"))?;
            let device = device.as_deref().map(Device::new).transpose().map_err(|_| wrong("a device"))?;
            Ok(Endpoint { address, device })
        };
        let text = self.text.as_ref().map(|text| Part::text(text.clone().into_bytes(), None));
        Ok(Envelope {
            id: self.name(0),
            at: Timestamp(self.at),
            origin: Origin { dialect: Dialect::Xmpp, security: Security::Plain, vouch: Vouch::Nobody },
            from: end(&self.from, &self.from_device)?,
            to: end(&self.to, &self.to_device)?,
            hops: MAX_HOPS,
            event: Event::Message(Message {
                id: self.message_id.as_str().into(),
                thread: self.thread.as_deref().map(Into::into),
                subject: self.subject.clone(),
                parts: text.into_iter().collect(),
                lasting: true,
                original: Some(Original { dialect: Dialect::Xmpp, bytes: self.stanza.clone().into() }),
                ..Message::default()
            }),
        })
    }
}

impl Desk {
    /// Does something with the names of what was imported before. Blocks.
    fn imported<T>(
        &self,
        act: impl FnOnce(&mut HashSet<EnvelopeId>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut known = self.imports.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            let index = self.index()?;
            self.await_index(index, self.journal.head())?;
            let mut names = HashSet::new();
            for seq in index.every(&Ask { verdict: Some("imported".into()), ..Ask::default() })? {
                names.extend(self.row(seq)?.and_then(|row| decode_id(&row.head)));
            }
            *known = Some(names);
        }
        act(known.get_or_insert_default())
    }

    /// The system that an import is from, if this administrator began it and it is under way.
    pub(crate) fn import(&self, who: &Who, id: u64) -> Result<String, Problem> {
        let act = Some(self.under_way(who, "import", id, None)?).filter(|act| act.result == "begun");
        let source = act
            .and_then(|act| act.on)
            .and_then(|on| on.split_once(": ").map(|(source, _)| source.to_owned()));
        source.ok_or_else(|| Problem::missing(format!("you have begun no import {id}")))
    }
}

/// Begins an import: that it is done goes on record.
#[utoipa::path(post, path = "/v1/imports", request_body = ImportOrder, responses(
    (status = 200, body = ImportBegun), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn begin(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(order): Json<ImportOrder>,
) -> Result<Json<ImportBegun>, Problem> {
    blocking(move || {
        if order.source.is_empty() || !order.source.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Problem::bad("`source` is the name of a system: letters and digits"));
        }
        desk.imported(|_| Ok(()))?;
        let mut act = who.done("import").on(format!("{}: {}", order.source, order.place));
        act.result = "begun".into();
        tracing::info!(act = "import", who = who.as_str(), source = order.source, "administration");
        Ok(Json(ImportBegun { id: act.note(desk.journal.as_ref(), now())?.0 }))
    })
    .await
}

/// Which of these messages are on record already? Nothing is changed.
#[utoipa::path(post, path = "/v1/imports/look", request_body = ImportBatch, responses(
    (status = 200, body = ImportCounts), (status = 409, body = ProblemBody)))]
pub async fn look(
    State(desk): State<Arc<Desk>>,
    Json(batch): Json<ImportBatch>,
) -> Result<Json<ImportCounts>, Problem> {
    blocking(move || {
        desk.imported(|known| {
            let mut counts = ImportCounts::default();
            for message in &batch.messages {
                match message.is_among(known) {
                    true => counts.known += 1,
                    false => counts.new += 1,
                }
            }
            Ok(Json(counts))
        })
    })
    .await
}

/// Puts messages on record that are not there yet. When this answers, they are on the disk.
#[utoipa::path(post, path = "/v1/imports/{id}", request_body = ImportBatch, responses(
    (status = 200, body = ImportCounts), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn add(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<u64>,
    Json(batch): Json<ImportBatch>,
) -> Result<Json<ImportCounts>, Problem> {
    blocking(move || {
        let source = desk.import(&who, id)?;
        let judged = Judgement { imported: Some(source.into()), ..Judgement::default() };
        // Held to the end: two imports at once would not know of one another.
        desk.imported(|known| {
            let (mut counts, mut names) = (ImportCounts::default(), Vec::new());
            let (tell, hear) = sync_channel(batch.messages.len());
            for message in &batch.messages {
                if message.is_among(known) {
                    counts.known += 1;
                    continue;
                }
                let envelope = message.envelope()?;
                let draft = Draft {
                    kind: RowKind::Envelope,
                    at: now(),
                    mailbox: None,
                    parties: (envelope.from.address.clone(), envelope.to.address.clone()),
                    head: encode_head(&envelope, &judged),
                    body: encode_body(&envelope),
                };
                let tell = tell.clone();
                desk.journal.append(draft, Box::new(move |end| drop(tell.send(end))));
                known.insert(envelope.id);
                names.push(envelope.id);
                counts.new += 1;
            }
            drop(tell);
            let mut failed = None;
            for end in hear {
                failed = end.err().or(failed);
            }
            match failed {
                None => Ok(Json(counts)),
                Some(trouble) => {
                    // Which of them are there is not known now; the next look finds out.
                    known.retain(|name| !names.contains(name));
                    Err(trouble.into())
                }
            }
        })
    })
    .await
}

/// Ends an import: what came of it goes on record.
#[utoipa::path(post, path = "/v1/imports/{id}/done", request_body = ImportCounts, responses(
    (status = 200, description = "noted"), (status = 404, body = ProblemBody)))]
pub async fn done(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<u64>,
    Json(counts): Json<ImportCounts>,
) -> Result<Json<()>, Problem> {
    blocking(move || {
        let source = desk.import(&who, id)?;
        let ImportCounts { new, known, bad } = counts;
        let mut act = who.done("import.done").on(format!("row {id} ({source})"));
        act.result = format!("done: {new} new, {known} known, {bad} not readable");
        act.note(desk.journal.as_ref(), now())?;
        desk.closed.add(id, None);
        Ok(Json(()))
    })
    .await
}
