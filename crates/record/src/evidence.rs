//! Rows as they leave the house: one line of JSON each, with everything that proves them. See FORMAT.md, "An export".

use crate::chain::ChainId;
use crate::hex::{fixed, list, maybe};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Seq, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::{Row, RowKind};

/// A row, whole, as a line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its number.
    pub seq: u64,
    /// The epoch of the chain that it is linked with.
    pub epoch: u64,
    /// 1 envelope, 2 outcomes, 3 act of an administrator.
    pub kind: u8,
    /// Unix milliseconds.
    pub at: u64,
    /// The conversation's number on its node; 0 for rows that belong to none.
    pub conversation: u64,
    /// Its place in the conversation, from 1; 0 for rows that belong to none.
    pub counter: u64,
    /// Link of the conversation's row before; zeros for none.
    #[serde(with = "fixed")]
    pub conversation_prev: [u8; 32],
    /// Link of the row before.
    #[serde(with = "fixed")]
    pub prev: [u8; 32],
    /// Its link.
    #[serde(with = "fixed")]
    pub link: [u8; 32],
    /// Digest of salt and body.
    #[serde(with = "fixed")]
    pub digest: [u8; 32],
    /// The salt; none where the content was destroyed, or is withheld.
    #[serde(with = "maybe")]
    pub salt: Option<[u8; 16]>,
    /// Everything but the content.
    #[serde(with = "bytes")]
    pub head: Vec<u8>,
    /// The content; none where it was destroyed, or is withheld.
    #[serde(serialize_with = "maybe_bytes", deserialize_with = "read_maybe_bytes")]
    pub body: Option<Vec<u8>>,
    /// The audit path to the root of the checkpoint that closes its segment (RFC 9162 section 2.1.3), from its own side
    /// up; where not all rows of the segment are there.
    #[serde(default, with = "list", skip_serializing_if = "Option::is_none")]
    pub proof: Option<Vec<[u8; 32]>>,
}

impl Evidence {
    /// A row of this chain.
    pub fn new(chain: ChainId, row: &Row) -> Self {
        Self {
            seq: row.seq.0,
            epoch: chain.epoch,
            kind: row.kind as u8,
            at: row.at.0,
            conversation: row.conversation,
            counter: row.conversation_seq,
            conversation_prev: row.conversation_prev,
            prev: row.prev,
            link: row.link,
            digest: row.body_digest,
            salt: row.salt,
            head: row.head.to_vec(),
            body: row.body.as_ref().map(|body| body.to_vec()),
            proof: None,
        }
    }

    /// Without its content, which its digest still stands for.
    #[must_use]
    pub fn withheld(self) -> Self {
        Self { salt: None, body: None, ..self }
    }

    /// With its audit path.
    #[must_use]
    pub fn proved(self, path: Vec<[u8; 32]>) -> Self {
        Self { proof: Some(path), ..self }
    }

    /// One line of JSON, without its end.
    pub fn to_line(&self) -> String {
        // Numbers and text: nothing that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads such a line. Members that are not known are left alone.
    ///
    /// # Errors
    /// In words, what it is not.
    pub fn parse(line: &str) -> Result<Self, String> {
        serde_json::from_str(line).map_err(|e| format!("this is no row: {e}"))
    }

    /// The row; `None` where it is of a kind that this program does not know.
    pub fn row(&self) -> Option<Row> {
        Some(Row {
            seq: Seq(self.seq),
            at: Timestamp(self.at),
            kind: RowKind::from_code(self.kind)?,
            conversation: self.conversation,
            conversation_seq: self.counter,
            conversation_prev: self.conversation_prev,
            prev: self.prev,
            link: self.link,
            body_digest: self.digest,
            salt: self.salt,
            head: self.head.clone().into(),
            body: self.body.clone().map(Into::into),
        })
    }
}

mod bytes {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

fn maybe_bytes<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => to.serialize_some(&STANDARD.encode(bytes)),
        None => to.serialize_none(),
    }
}

fn read_maybe_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    STANDARD.decode(text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{body_digest, link};

    #[test]
    fn a_row_comes_back_and_still_proves_itself() {
        let chain = ChainId { node: [7; 16], epoch: 3 };
        let mut row = Row {
            seq: Seq(7),
            at: Timestamp(1_794_744_000_000),
            kind: RowKind::Envelope,
            conversation: 3,
            conversation_seq: 2,
            conversation_prev: [0xaa; 32],
            prev: [0xbb; 32],
            link: [0; 32],
            body_digest: body_digest(b"saltsaltsaltsalt", b"Wherefore?"),
            salt: Some(*b"saltsaltsaltsalt"),
            head: b"head \xff"[..].into(),
            body: Some(b"Wherefore?"[..].into()),
        };
        row.link = link(chain, &row);
        let evidence = Evidence::new(chain, &row);
        let line = evidence.to_line();
        assert!(!line.contains('\n') && !line.contains("proof"));
        let back = Evidence::parse(&line).unwrap();
        assert_eq!(back, evidence);
        assert_eq!(link(ChainId { epoch: back.epoch, ..chain }, &back.row().unwrap()), row.link);
        let bare = evidence.clone().withheld().proved(vec![[1; 32], [2; 32]]);
        let back = Evidence::parse(&bare.to_line()).unwrap();
        assert_eq!((back.body.as_ref(), back.salt, back.proof.as_ref().unwrap().len()), (None, None, 2));
        assert_eq!(back, bare);
        for wrong in ["", "{}", &line.replace("\"seq\":7", "\"seq\":-7"), &line.replace("bbbb", "bbb")] {
            assert!(Evidence::parse(wrong).is_err(), "{wrong}");
        }
    }
}
