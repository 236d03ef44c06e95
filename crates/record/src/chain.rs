use crate::salt::Salts;
use model::{Seq, Timestamp};
use sha2::{Digest, Sha256};
use std::fmt;
use store::{Row, RowKind, Seal, Sealer, Trouble, Unsealed};

/// First bytes of what a link is the digest of; a later format gets another one.
const TAG: &[u8; 8] = b"RialtoR1";
/// First bytes of what the genesis is the digest of.
const GENESIS_TAG: &[u8; 8] = b"RialtoG1";
/// Length of the fields before a row's head; see FORMAT.md.
const FIXED: usize = 169;

/// Names a chain: the node that writes it, and which of its chains it is (a node that was put back from a backup
/// starts a new epoch instead of writing a second continuation of the same chain).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ChainId {
    /// Random, made when the store is created.
    pub node: [u8; 16],
    /// Counted from 1.
    pub epoch: u64,
}

impl ChainId {
    /// The form kept in the store's setting [`store::CHAIN_SETTING`]: node, then epoch, big-endian.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.node);
        bytes[16..].copy_from_slice(&self.epoch.to_be_bytes());
        bytes
    }

    /// Reads that form; `None` if it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (node, epoch) = bytes.split_at_checked(16)?;
        let epoch = u64::from_be_bytes(epoch.try_into().ok()?);
        Some(Self { node: node.try_into().ok()?, epoch }).filter(|id| id.epoch > 0)
    }

    /// What the first row of the chain has for a previous link.
    pub fn genesis(self) -> [u8; 32] {
        let mut input = [0; 32];
        input[..8].copy_from_slice(GENESIS_TAG);
        input[8..].copy_from_slice(&self.to_bytes());
        Sha256::digest(input).into()
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.node {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "/{}", self.epoch)
    }
}

/// The digest that stands for a body: SHA-256 of salt and body.
pub fn body_digest(salt: &[u8; 16], body: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(salt).chain_update(body).finalize().into()
}

/// The fields of a row that its link is computed from, apart from the head.
struct Fields<'a> {
    seq: Seq,
    prev: &'a [u8; 32],
    kind: RowKind,
    at: Timestamp,
    conversation: u64,
    conversation_seq: u64,
    conversation_prev: &'a [u8; 32],
    body_digest: &'a [u8; 32],
}

impl Fields<'_> {
    fn link(&self, chain: ChainId, head: &[u8]) -> [u8; 32] {
        let mut fixed = [0u8; FIXED];
        let mut rest = &mut fixed[..];
        let mut put = |bytes: &[u8]| {
            let (here, after) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            here.copy_from_slice(bytes);
            rest = after;
        };
        put(TAG);
        put(&chain.to_bytes());
        put(&self.seq.0.to_be_bytes());
        put(self.prev);
        put(&[self.kind as u8]);
        put(&self.at.0.to_be_bytes());
        put(&self.conversation.to_be_bytes());
        put(&self.conversation_seq.to_be_bytes());
        put(self.conversation_prev);
        put(self.body_digest);
        put(&(head.len() as u64).to_be_bytes());
        Sha256::new_with_prefix(fixed).chain_update(head).finalize().into()
    }
}

/// The link a row of this chain must have, given its other fields.
pub fn link(chain: ChainId, row: &Row) -> [u8; 32] {
    Fields {
        seq: row.seq,
        prev: &row.prev,
        kind: row.kind,
        at: row.at,
        conversation: row.conversation,
        conversation_seq: row.conversation_seq,
        conversation_prev: &row.conversation_prev,
        body_digest: &row.body_digest,
    }
    .link(chain, &row.head)
}

/// Seals rows for the store.
pub struct Chain {
    id: ChainId,
    salts: Salts,
    /// Begin an epoch that is at least this one.
    later: Option<u64>,
}

impl Chain {
    /// A sealer that continues the store's chain, or starts one in an empty store.
    ///
    /// # Errors
    /// [`Trouble`] when the system has no randomness.
    pub fn new() -> Result<Self, Trouble> {
        Ok(Self { id: ChainId::default(), salts: Salts::new()?, later: None })
    }
}

impl Chain {
    /// A sealer that continues the store's chain in a new epoch, for a store that was put back from a backup: at least
    /// this one, in any case a later one. The first row must be the act that says so.
    ///
    /// # Errors
    /// [`Trouble`] when the system has no randomness.
    pub fn in_new_epoch(at_least: u64) -> Result<Self, Trouble> {
        Ok(Self { later: Some(at_least), ..Self::new()? })
    }
}

impl Sealer for Chain {
    fn attach(&mut self, stored: Option<&[u8]>) -> Result<Vec<u8>, Trouble> {
        let mut id = match stored {
            Some(stored) => ChainId::from_bytes(stored)
                .ok_or_else(|| Trouble::Damaged("the chain's name is not as it was written".into()))?,
            None => {
                let mut node = [0; 16];
                getrandom::fill(&mut node).map_err(|e| Trouble::Failed(format!("no randomness: {e}")))?;
                ChainId { node, epoch: 1 }
            }
        };
        if let Some(later) = self.later.take() {
            id.epoch = later.max(id.epoch + 1);
        }
        self.id = id;
        Ok(self.id.to_bytes().to_vec())
    }

    fn genesis(&self) -> [u8; 32] {
        self.id.genesis()
    }

    fn seal(&mut self, row: &Unsealed<'_>) -> Seal {
        let salt = self.salts.next();
        let body_digest = body_digest(&salt, row.body);
        let link = Fields {
            seq: row.seq,
            prev: row.prev,
            kind: row.kind,
            at: row.at,
            conversation: row.conversation,
            conversation_seq: row.conversation_seq,
            conversation_prev: row.conversation_prev,
            body_digest: &body_digest,
        }
        .link(self.id, row.head);
        Seal { salt, body_digest, link }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The format is for ever: these digests were computed from FORMAT.md by another program and never change.
    #[test]
    fn the_format_is_frozen() {
        let id = ChainId { node: *b"0123456789abcdef", epoch: 1 };
        let row = Row {
            seq: Seq(7),
            at: Timestamp(1_794_744_000_000),
            kind: RowKind::Envelope,
            conversation: 3,
            conversation_seq: 2,
            conversation_prev: [0xaa; 32],
            prev: [0xbb; 32],
            link: [0; 32],
            body_digest: body_digest(b"saltsaltsaltsalt", b"Wherefore art thou?"),
            salt: None,
            head: b"who, when, which way"[..].into(),
            body: None,
        };
        assert_eq!(hex(&id.genesis()), "7dbb25c781070c37512a06429a8b3a2bfedce9bf28be1b423c8e10260e431ad7");
        assert_eq!(hex(&row.body_digest), "ff18b02ebd07f5a2c3d83edc82d01ea925f8a8e60915a2b256bd325c05b9d0fc");
        assert_eq!(hex(&link(id, &row)), "443dae45d3bb75be48b0f1861783dc9d916b9367939350e94cd4ad9b12f780ff");
    }

    #[test]
    fn ids_come_back() {
        let id = ChainId { node: [7; 16], epoch: 9 };
        assert_eq!(ChainId::from_bytes(&id.to_bytes()), Some(id));
        assert_eq!(ChainId::from_bytes(&[0; 24]), None);
        assert_eq!(ChainId::from_bytes(&[1; 23]), None);
        assert_eq!(ChainId::from_bytes(&[1; 25]), None);
    }
}
