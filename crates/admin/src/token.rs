//! Access tokens: 256 random bits, of which only a hash is kept.

use crate::AdminError;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use store::Trouble;

/// How every token begins, so that it is known for what it is where it should not be.
const PREFIX: &str = "rialto_";

/// A token as it is kept: without the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it is called in lists and on record.
    pub id: String,
    /// SHA-256 of the token, hex. The token itself has 256 random bits, so nothing slower is needed.
    pub hash: String,
    /// Made, Unix milliseconds.
    pub at: u64,
    /// It counts until then, Unix milliseconds.
    pub until: u64,
}

/// A token that was just made. This is the only time that it can be seen.
pub struct NewToken {
    /// The token.
    pub secret: String,
    /// What it is called.
    pub id: String,
    /// It counts until then, Unix milliseconds.
    pub until: u64,
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], AdminError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Trouble::Failed(format!("no randomness: {e}")))?;
    Ok(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

pub(crate) fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

impl Token {
    pub(crate) fn make(now: u64, until: u64) -> Result<(Self, NewToken), AdminError> {
        let secret = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random::<32>()?));
        let token = Self { id: hex(&random::<4>()?), hash: hash(&secret), at: now, until };
        let made = NewToken { secret, id: token.id.clone(), until };
        Ok((token, made))
    }
}
