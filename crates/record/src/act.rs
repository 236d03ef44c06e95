//! Acts of administrators and of the server itself, as rows of the journal.

use crate::{ChainId, GapAct, Ranges, Signed, Signer, hex, is_signed, unhex};
use model::{Address, Seq, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::mpsc::sync_channel;
use store::{Draft, Journal, Row, RowKind, Trouble};

/// Something an administrator or the server did that changes what the server is or holds. The row's head is this as
/// JSON; never a secret in it. See FORMAT.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// What: `user.add`, `backup`, `retention`...
    pub act: String,
    /// Who: an administrator's name, `uid 1000 (alice)` as the server's owner, `server` by itself.
    pub who: String,
    /// In which role, where an administrator did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How it was known that it was them: a token, the user of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// Set where two were needed: the request, and who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// On what: an account, a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// `done`, or why not.
    pub result: String,
    /// Set where content was destroyed by rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Set where the content of single rows is destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destruction: Option<Destruction>,
    /// Set where a file was uploaded, or what was decided of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileAct>,
    /// Set where rows were exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<ExportAct>,
    /// Set where messages passed that could not be put on record, and where their rows are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<GapAct>,
    /// Set on the first row after a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
    /// Set where rows were closed with a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Signed>,
}

/// An export: on record before it is made, and again when it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportAct {
    /// What was asked for: the question and the forms, as JSON.
    pub order: String,
    /// The row with which it began; on that row itself there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<u64>,
    /// Rows in it, once it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// SHA-256 of its manifest, hexadecimal, once it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// That a second administrator has said yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// The request.
    pub request: String,
    /// Who said yes, in which role, and how that was known.
    pub by: String,
}

/// Content that is destroyed by rule. The row comes before the destruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// The rule, as configured.
    pub rule: String,
    /// The content of rows up to this one is destroyed, except of messages that still wait for somebody.
    pub to: u64,
}

/// The content of single rows that is destroyed. The row comes before the destruction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destruction {
    /// The rule or the request, in words.
    pub rule: String,
    /// The rows, such as `1-5,9`; all of them before this one.
    pub rows: String,
    /// How many they are.
    pub count: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Rows that keep their content although the rule or the request fits them, by the matter that keeps them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, u64>,
    /// Rows that keep it while they still wait for somebody.
    #[serde(default, skip_serializing_if = "is_none")]
    pub waiting: u64,
    /// The public key of the checkpoints, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The signature with it, hexadecimal; see FORMAT.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

fn is_none(number: &u64) -> bool {
    *number == 0
}

impl Destruction {
    /// The same with a signature, on a chain and at a time.
    #[must_use]
    pub fn sign(self, signer: &Signer, chain: ChainId, at: Timestamp) -> Self {
        let signature = signer.sign(&self.signed_bytes(chain, at));
        Self { key: Some(hex(&signer.key())), signature: Some(hex(&signature)), ..self }
    }

    /// Is it signed by the key that it names, on that chain and at that time?
    pub fn is_genuine(&self, chain: ChainId, at: Timestamp) -> bool {
        let key = self.key.as_deref().and_then(unhex);
        let signature = self.signature.as_deref().and_then(unhex);
        let (Some(key), Some(signature)) = (key, signature) else { return false };
        is_signed(&key, &self.signed_bytes(chain, at), &signature)
    }

    fn signed_bytes(&self, chain: ChainId, at: Timestamp) -> Vec<u8> {
        let mut all = b"RialtoD1".to_vec();
        all.extend(chain.to_bytes());
        all.extend(at.0.to_be_bytes());
        for text in [&self.rule, &self.rows] {
            all.extend((text.len() as u64).to_be_bytes());
            all.extend(text.as_bytes());
        }
        all.extend(self.count.to_be_bytes());
        all
    }

    /// The rows; none where they cannot be read.
    pub fn rows(&self) -> Ranges {
        self.rows.parse().unwrap_or_default()
    }
}

/// An uploaded file, and what was decided of it. What it is called is content: it is the row's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAct {
    /// Its name among uploaded files.
    pub id: String,
    /// SHA-256 of its content, hexadecimal.
    pub sha256: String,
    /// Its bytes.
    pub size: u64,
    /// What its owner said it is.
    pub mime: String,
    /// How it stands with it: `clean`, `unseen`, `waiting`, `held`, `malware`, `refused`.
    pub verdict: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Where a journal was put back from a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The backup's name.
    pub backup: String,
    /// When the backup was made, RFC 3339.
    pub made: String,
    /// The last row in the backup.
    pub head: u64,
    /// The chain's epoch from this row on.
    pub epoch: u64,
}

impl Act {
    /// An act that succeeded.
    pub fn done(act: &str, who: &str) -> Self {
        Self {
            act: act.to_owned(),
            who: who.to_owned(),
            role: None,
            how: None,
            approved: None,
            on: None,
            result: "done".to_owned(),
            retention: None,
            destruction: None,
            file: None,
            export: None,
            gap: None,
            restore: None,
            checkpoint: None,
        }
    }

    /// The same on something.
    #[must_use]
    pub fn on(self, what: impl Into<String>) -> Self {
        Self { on: Some(what.into()), ..self }
    }

    /// The act of a row; `None` where it is no such row.
    pub fn read(row: &Row) -> Option<Self> {
        (row.kind == RowKind::Admin).then(|| serde_json::from_slice(&row.head).ok()).flatten()
    }

    /// Puts it on record and waits until it is there. Blocks.
    ///
    /// # Errors
    /// [`Trouble`] when the journal cannot take it.
    pub fn note<J: Journal + ?Sized>(&self, journal: &J, at: Timestamp) -> Result<Seq, Trouble> {
        self.note_with(journal, at, Vec::new())
    }

    /// The same with content, which the rule of retention may destroy.
    ///
    /// # Errors
    /// [`Trouble`] when the journal cannot take it.
    pub fn note_with<J: Journal + ?Sized>(
        &self,
        journal: &J,
        at: Timestamp,
        body: Vec<u8>,
    ) -> Result<Seq, Trouble> {
        let fail = |e: &dyn fmt::Display| Trouble::Failed(format!("an act cannot be recorded: {e}"));
        let head = serde_json::to_vec(self).map_err(|e| fail(&e))?;
        let nobody = Address::parse("localhost").map_err(|e| fail(&e))?;
        let draft =
            Draft { kind: RowKind::Admin, at, mailbox: None, parties: (nobody.clone(), nobody), head, body };
        let (tell, hear) = sync_channel(1);
        journal.append(draft, Box::new(move |end| drop(tell.send(end))));
        hear.recv().unwrap_or_else(|_| Err(Trouble::Busy("the journal has stopped".into())))
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = format!("{} ", self.act);
        if let Some(on) = &self.on {
            write!(line, "{on} ")?;
        }
        write!(line, "by {}", self.who)?;
        match (&self.role, &self.how) {
            (Some(role), Some(how)) => write!(line, " ({role}; {how})")?,
            (Some(one), None) | (None, Some(one)) => write!(line, " ({one})")?,
            (None, None) => {}
        }
        if let Some(Approved { request, by }) = &self.approved {
            write!(line, ", approved by {by} (request {request})")?;
        }
        write!(line, ": {}", self.result)?;
        if let Some(retention) = &self.retention {
            write!(line, "; content up to row {} by the rule {:?}", retention.to, retention.rule)?;
        }
        if let Some(gone) = &self.destruction {
            write!(line, "; content of {} row(s), {} bytes, by {:?}", gone.count, gone.bytes, gone.rule)?;
            for (matter, rows) in &gone.kept {
                write!(line, ", {rows} kept by {matter:?}")?;
            }
        }
        if let Some(file) = &self.file {
            write!(line, "; file {}, {} bytes, sha256 {}", file.id, file.size, file.sha256)?;
        }
        if let Some(ExportAct { rows: Some(rows), manifest: Some(manifest), .. }) = &self.export {
            write!(line, "; {rows} rows, manifest sha256 {manifest}")?;
        }
        if let Some(restore) = &self.restore {
            write!(
                line,
                "; from backup {} of {} with {} rows, epoch {}",
                restore.backup, restore.made, restore.head, restore.epoch
            )?;
        }
        if let Some(checkpoint) = &self.checkpoint {
            write!(line, "; {checkpoint}")?;
        }
        f.write_str(&line.replace(char::is_control, " "))
    }
}
