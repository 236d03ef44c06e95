//! What a row's head says of whose it is.

use model::codec::decode;
use model::{Address, Event, Seq, Timestamp};
use policy::{Belonging, Society};
use record::Act;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use store::{Bare, Row, RowKind, StoredFile};
use utoipa::ToSchema;

/// What kind of content a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A message.
    Chat,
    /// An uploaded file: its name in the record, and its content beside it.
    File,
    /// That a message arrived or was read.
    Receipt,
    /// Asking to see somebody's presence, the answer, and presence itself where that is on record.
    Presence,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::File => "file",
            Self::Receipt => "receipt",
            Self::Presence => "presence",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What decides about a row's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its number.
    pub seq: Seq,
    /// When it came on record.
    pub at: Timestamp,
    /// When it was said: what was imported, somewhere else and long before.
    pub said: Timestamp,
    /// What kind; `None` for what cannot be told, which every hold keeps and only the general rule fits.
    pub kind: Option<Kind>,
    /// Who sent or uploaded it.
    pub from: Option<Address>,
    /// Whom it was for.
    pub to: Option<Address>,
    /// The file that it is about.
    pub file: Option<String>,
    /// Bytes of content.
    pub bytes: u64,
}

impl Facts {
    /// Those of a row.
    pub fn read(row: &Bare) -> Self {
        let mut facts = Self {
            seq: row.seq,
            at: row.at,
            said: row.at,
            kind: None,
            from: None,
            to: None,
            file: None,
            bytes: row.content.unwrap_or_default(),
        };
        match row.kind {
            RowKind::Envelope => {
                let Ok(kept) = decode(&row.head, None) else { return facts };
                if kept.judged.imported.is_some() {
                    facts.said = kept.envelope.at;
                }
                facts.kind = match kept.envelope.event {
                    Event::Receipt(_) => Some(Kind::Receipt),
                    Event::Subscribe(_) | Event::Authorize(_) | Event::Publish(_) => Some(Kind::Presence),
                    _ => Some(Kind::Chat),
                };
                facts.from = Some(kept.envelope.from.address);
                facts.to = Some(kept.envelope.to.address);
            }
            RowKind::Admin => {
                let act: Option<Act> = serde_json::from_slice(&row.head).ok();
                let Some(file) = act.and_then(|act| act.file) else { return facts };
                facts.from = file.owner.and_then(|owner| Address::parse(&owner).ok());
                facts.kind = facts.from.is_some().then_some(Kind::File);
                facts.file = Some(file.id);
            }
            RowKind::Outcomes => {}
        }
        facts
    }

    /// Those of a whole row.
    pub fn of(row: &Row) -> Self {
        let content = row.body.as_ref().map(|body| body.len() as u64);
        let head = row.head.clone();
        Self::read(&Bare { seq: row.seq, at: row.at, kind: row.kind, head, content, waits: false })
    }

    /// Those of an uploaded file.
    pub fn of_file(file: &StoredFile) -> Self {
        Self {
            seq: Seq(0),
            at: file.at,
            said: file.at,
            kind: Some(Kind::File),
            from: Some(file.owner.clone()),
            to: None,
            file: Some(file.id.clone()),
            bytes: file.size,
        }
    }

    /// Who sent it and whom it was for.
    pub fn parties(&self) -> impl Iterator<Item = &Address> {
        self.from.iter().chain(&self.to)
    }
}

/// Where people belong, remembered for as long as one looks through many rows.
pub(crate) struct Places<'a> {
    society: &'a dyn Society,
    known: HashMap<Address, Belonging>,
}

/// So many people are remembered.
const KNOWN: usize = 50_000;

impl<'a> Places<'a> {
    pub fn new(society: &'a dyn Society) -> Self {
        Self { society, known: HashMap::new() }
    }

    pub fn of(&mut self, who: &Address) -> &Belonging {
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        let society = self.society;
        self.known.entry(who.clone()).or_insert_with(|| society.belonging(who))
    }
}
