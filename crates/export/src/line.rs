//! A line of `rows.jsonl`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::codec::CodecError;
use serde::Deserialize;
use store::{Row, RowKind};

/// A row as the evidence has it; FORMAT.md, "An export". Only what the readable forms need.
#[derive(Debug, Deserialize)]
pub struct Line<'a> {
    /// Its number.
    pub seq: u64,
    /// 1 envelope, 2 outcomes, 3 act.
    pub kind: u8,
    /// When it was recorded, Unix milliseconds.
    pub at: u64,
    /// The conversation's number, 0 for none.
    pub conversation: u64,
    /// Its place there.
    pub counter: u64,
    /// Its link, hexadecimal.
    pub link: &'a str,
    head: &'a str,
    #[serde(default)]
    body: Option<&'a str>,
}

/// A line that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LineError(String);

impl LineError {
    pub(crate) fn row(seq: u64, error: CodecError) -> Self {
        Self(format!("row {seq}: {error}"))
    }
}

impl<'a> Line<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// [`LineError`]
    pub fn read(line: &'a [u8]) -> Result<Self, LineError> {
        serde_json::from_slice(line).map_err(|e| LineError(format!("a line of the evidence: {e}")))
    }

    /// What it records.
    ///
    /// # Errors
    /// [`LineError`]
    pub fn row_kind(&self) -> Result<RowKind, LineError> {
        RowKind::from_code(self.kind)
            .ok_or_else(|| LineError(format!("row {} is of no known kind", self.seq)))
    }

    /// Everything but the content.
    ///
    /// # Errors
    /// [`LineError`]
    pub fn head(&self) -> Result<Vec<u8>, LineError> {
        self.bytes(self.head)
    }

    /// The content; `None` where it was destroyed.
    ///
    /// # Errors
    /// [`LineError`]
    pub fn body(&self) -> Result<Option<Vec<u8>>, LineError> {
        self.body.map(|body| self.bytes(body)).transpose()
    }

    /// The whole row.
    ///
    /// # Errors
    /// [`LineError`]
    pub(crate) fn row(&self) -> Result<Told, LineError> {
        Ok(Told {
            seq: self.seq,
            kind: self.row_kind()?,
            at: self.at,
            conversation: self.conversation,
            counter: self.counter,
            link: self.link.to_owned(),
            head: self.head()?.into(),
            body: self.body()?.map(Bytes::from),
        })
    }

    fn bytes(&self, text: &str) -> Result<Vec<u8>, LineError> {
        STANDARD.decode(text).map_err(|e| LineError(format!("row {}: {e}", self.seq)))
    }
}

/// A row, as far as the readable forms need it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub seq: u64,
    pub kind: RowKind,
    pub at: u64,
    pub conversation: u64,
    pub counter: u64,
    pub link: String,
    pub head: Bytes,
    pub body: Option<Bytes>,
}

impl From<&Row> for Told {
    fn from(row: &Row) -> Self {
        Self {
            seq: row.seq.0,
            kind: row.kind,
            at: row.at.0,
            conversation: row.conversation,
            counter: row.conversation_seq,
            link: record::hex(&row.link),
            head: row.head.clone(),
            body: row.body.clone(),
        }
    }
}
