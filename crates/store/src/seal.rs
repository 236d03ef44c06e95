use crate::{RowKind, Trouble};
use model::{Seq, Timestamp};

/// The setting under which a store keeps what names its chain.
pub const CHAIN_SETTING: &str = "record.chain";

/// A row with everything but its seal.
pub struct Unsealed<'a> {
    /// Its number.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What it records.
    pub kind: RowKind,
    /// The conversation's number; 0 for none.
    pub conversation: u64,
    /// The place in the conversation; 0 for none.
    pub conversation_seq: u64,
    /// Link of the conversation's previous row; zeros for its first.
    pub conversation_prev: &'a [u8; 32],
    /// Link of the previous row, or the genesis.
    pub prev: &'a [u8; 32],
    /// Everything but the content.
    pub head: &'a [u8],
    /// The content.
    pub body: &'a [u8],
}

/// What a sealer adds to a row.
pub struct Seal {
    /// Makes the digest of a short, guessable body useless to whoever lacks the salt.
    pub salt: [u8; 16],
    /// SHA-256 of salt and content.
    pub body_digest: [u8; 32],
    /// Binds the row to everything before it.
    pub link: [u8; 32],
}

/// How a row gets its salt, digest and link. The record answers this; the store only calls it, on its writer's
/// thread, once for each row, in order. A row whose commit failed is sealed again under the same number.
pub trait Sealer: Send {
    /// Called once before the first row with what was stored under [`CHAIN_SETTING`], if anything; returns
    /// what is to be stored there.
    ///
    /// # Errors
    /// [`Trouble`] when the stored value names no chain this sealer can continue, or there is no randomness.
    fn attach(&mut self, stored: Option<&[u8]>) -> Result<Vec<u8>, Trouble>;

    /// What the first row has for a previous link.
    fn genesis(&self) -> [u8; 32];

    /// Seals a row.
    fn seal(&mut self, row: &Unsealed<'_>) -> Seal;
}

/// A sealer that seals nothing, for tests of rooms that do not look at the chain. Never wired into the server.
#[derive(Debug, Default, Clone, Copy)]
pub struct Blank;

impl Sealer for Blank {
    fn attach(&mut self, stored: Option<&[u8]>) -> Result<Vec<u8>, Trouble> {
        Ok(stored.map(<[u8]>::to_vec).unwrap_or_default())
    }

    fn genesis(&self) -> [u8; 32] {
        [0; 32]
    }

    fn seal(&mut self, row: &Unsealed<'_>) -> Seal {
        let mut link = [0; 32];
        link[..8].copy_from_slice(&row.seq.0.to_be_bytes());
        Seal { salt: [0; 16], body_digest: [0; 32], link }
    }
}
