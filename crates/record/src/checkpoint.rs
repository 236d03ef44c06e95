//! Checkpoints: what the operator has signed of the journal, so that whoever keeps one elsewhere notices what is cut off
//! or written anew afterwards. See FORMAT.md.

use crate::chain::ChainId;
use crate::hex::{fixed, hex};
use crate::signer::{Signer, is_signed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Seq, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// First bytes of what is signed.
const TAG: &[u8; 8] = b"RialtoC1";
/// Length of what is signed.
const SIGNED: usize = 152;

/// A segment of the chain, closed: which rows, where it ends, and the tree hash over their links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The chain; all rows of the segment are of this epoch.
    pub chain: ChainId,
    /// The first row of the segment: the one after the last of the checkpoint before.
    pub first: Seq,
    /// Its last row.
    pub last: Seq,
    /// Link of the last row, which stands for all rows before it.
    pub link: [u8; 32],
    /// Tree hash over the links of all rows of the segment (RFC 9162 section 2.1.1), which proves each by itself.
    pub root: [u8; 32],
    /// When it was made.
    pub at: Timestamp,
    /// [`Self::digest`] of the checkpoint before; zeros for the first.
    pub previous: [u8; 32],
}

impl Checkpoint {
    /// What is signed.
    pub fn to_bytes(&self) -> [u8; SIGNED] {
        let mut bytes = [0; SIGNED];
        let mut rest = &mut bytes[..];
        let mut put = |field: &[u8]| {
            let (here, after) = std::mem::take(&mut rest).split_at_mut(field.len());
            here.copy_from_slice(field);
            rest = after;
        };
        put(TAG);
        put(&self.chain.to_bytes());
        put(&self.first.0.to_be_bytes());
        put(&self.last.0.to_be_bytes());
        put(&self.link);
        put(&self.root);
        put(&self.at.0.to_be_bytes());
        put(&self.previous);
        bytes
    }

    /// What stands for it: SHA-256 of what is signed. Time stamps are on this.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// How many rows it closes.
    pub fn rows(&self) -> u64 {
        (self.last.0 + 1).saturating_sub(self.first.0)
    }

    /// With a signature.
    pub fn sign(self, signer: &Signer) -> Signed {
        let signature = signer.sign(&self.to_bytes());
        Signed { checkpoint: self, key: signer.key(), signature, stamps: Vec::new() }
    }
}

/// A checkpoint with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Line", try_from = "Line")]
pub struct Signed {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// The public key of who signed it.
    pub key: [u8; 32],
    /// The signature (Ed25519).
    pub signature: [u8; 64],
    /// Tokens of time-stamping authorities (RFC 3161), DER.
    pub stamps: Vec<Vec<u8>>,
}

/// The same as a line of JSON.
#[derive(Clone, Serialize, Deserialize)]
struct Line {
    format: String,
    #[serde(with = "fixed")]
    node: [u8; 16],
    epoch: u64,
    first: u64,
    last: u64,
    #[serde(with = "fixed")]
    link: [u8; 32],
    #[serde(with = "fixed")]
    root: [u8; 32],
    at: u64,
    #[serde(with = "fixed")]
    previous: [u8; 32],
    #[serde(with = "fixed")]
    key: [u8; 32],
    #[serde(with = "fixed")]
    signature: [u8; 64],
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stamps: Vec<String>,
}

impl Signed {
    /// Is the signature that of its key? Whose key that is, is another question.
    pub fn is_genuine(&self) -> bool {
        is_signed(&self.key, &self.checkpoint.to_bytes(), &self.signature)
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
        serde_json::from_str(line).map_err(|e| format!("this is no checkpoint: {e}"))
    }

    /// The same without time stamps, as it was when it was signed.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self { stamps: Vec::new(), ..*self }
    }
}

impl From<Signed> for Line {
    fn from(signed: Signed) -> Self {
        let Checkpoint { chain, first, last, link, root, at, previous } = signed.checkpoint;
        Self {
            format: String::from_utf8_lossy(TAG).into_owned(),
            node: chain.node,
            epoch: chain.epoch,
            first: first.0,
            last: last.0,
            link,
            root,
            at: at.0,
            previous,
            key: signed.key,
            signature: signed.signature,
            stamps: signed.stamps.iter().map(|token| STANDARD.encode(token)).collect(),
        }
    }
}

impl TryFrom<Line> for Signed {
    type Error = String;

    fn try_from(line: Line) -> Result<Self, String> {
        if line.format.as_bytes() != TAG {
            return Err(format!("{:?} is a format that this program does not know", line.format));
        }
        let stamps = line.stamps.iter().map(|text| STANDARD.decode(text)).collect::<Result<_, _>>();
        Ok(Self {
            checkpoint: Checkpoint {
                chain: ChainId { node: line.node, epoch: line.epoch },
                first: Seq(line.first),
                last: Seq(line.last),
                link: line.link,
                root: line.root,
                at: Timestamp(line.at),
                previous: line.previous,
            },
            key: line.key,
            signature: line.signature,
            stamps: stamps.map_err(|e| format!("a time stamp is no base64: {e}"))?,
        })
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checkpoint { chain, first, last, link, at, .. } = &self.checkpoint;
        let (epoch, link, key) = (chain.epoch, hex(link), hex(&self.key[..8]));
        write!(f, "rows {first} to {last} of epoch {epoch}, closed {at} with link {link}, key {key}...")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Checkpoint {
        Checkpoint {
            chain: ChainId { node: *b"0123456789abcdef", epoch: 1 },
            first: Seq(8),
            last: Seq(11),
            link: [0xaa; 32],
            root: [0xbb; 32],
            at: Timestamp(1_794_744_000_000),
            previous: [0xcc; 32],
        }
    }

    /// The format is for ever: computed from FORMAT.md by another program.
    #[test]
    fn the_format_is_frozen() {
        assert_eq!(hex(&one().digest()), "b463b4998e50423007facccd32abb27402acf2d9750c382b9dfe266dbfb7be16");
        assert_eq!(one().rows(), 4);
    }

    #[test]
    fn lines_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let signer = Signer::open(&dir.path().join("key")).unwrap();
        let mut signed = one().sign(&signer);
        assert!(signed.is_genuine());
        assert_eq!(Signed::parse(&signed.to_line()).as_ref(), Ok(&signed));
        signed.stamps = vec![b"token".to_vec()];
        let line = signed.to_line();
        assert_eq!(Signed::parse(&line).as_ref(), Ok(&signed));
        assert!(Signed::parse(&line.replace("RialtoC1", "RialtoC9")).is_err());
        assert!(Signed::parse(&line.replace("\"first\":8", "\"first\":\"8\"")).is_err());
        let more = line.replacen('{', "{\"later\":1,", 1);
        assert_eq!(Signed::parse(&more), Ok(signed.clone()));
        signed.checkpoint.last = Seq(12);
        assert!(!signed.is_genuine());
    }
}
