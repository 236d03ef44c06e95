//! The two halves of a handshake: an invitation and its answer, each signed by the server that wrote it.
//!
//! Written as one word: `rialto1.`, then payload (JSON), public key and signature (Ed25519, RFC 8032), each in
//! base64url (RFC 4648 section 5), with dots between them.

use crate::agreement::{Protocol, StaticRoute};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::Feature;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{Settings, Trouble};
use utoipa::ToSchema;

/// Before the payload, so that what is signed here is nothing else anywhere.
const CONTEXT: &[u8] = b"rialto handshake 1\0";
const BEGIN: &str = "rialto1.";
/// No paper is longer.
const LONGEST: usize = 64 * 1024;
/// The name of the server's key in the store.
const KEY: &str = "partner.signing-key";

/// What one side tells the other of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Half {
    /// Its domains.
    pub domains: Vec<String>,
    /// What it speaks, best first.
    #[serde(default)]
    pub protocols: Vec<Protocol>,
    /// Where its servers are, if DNS does not say.
    #[serde(default)]
    pub routes: Vec<StaticRoute>,
    /// SHA-256 of its certificate's key, 64 hexadecimal digits.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Its own authority, PEM, where its certificate is by one.
    #[serde(default)]
    pub authority: Option<String>,
    /// Its certificate is by nobody but itself.
    #[serde(default)]
    pub self_signed: bool,
    /// What its people may do with the other's.
    pub features: BTreeSet<Feature>,
    /// Whom to call there.
    #[serde(default)]
    pub contacts: Vec<String>,
}

/// A half, with what makes it one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Paper {
    Invitation {
        /// Random; whoever does not have the invitation does not know it.
        id: String,
        /// For whom.
        whom: Vec<String>,
        /// Unix milliseconds.
        expires: u64,
        /// Where the answer may be sent, `https://...`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<String>,
        half: Half,
    },
    Answer {
        /// Which invitation it answers.
        id: String,
        /// SHA-256 of the invitation as it was received.
        digest: String,
        half: Half,
    },
}

/// A paper that was signed by whoever has this key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub paper: Paper,
    /// SHA-256 of the signer's key.
    pub fingerprint: String,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// The server's own key, made when it is first needed.
pub struct Signer(Arc<dyn Settings>);

impl Signer {
    /// A signer whose key is kept in this store.
    pub fn new(store: Arc<dyn Settings>) -> Self {
        Self(store)
    }

    fn key(&self) -> Result<Ed25519KeyPair, Trouble> {
        let failed = |what: &str| Trouble::Failed(format!("the server's signing key: {what}"));
        if let Some(kept) = self.0.value(KEY)? {
            return Ed25519KeyPair::from_pkcs8(&kept).map_err(|e| failed(&e.to_string()));
        }
        let fresh =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| failed("no randomness"))?;
        self.0.set_value(KEY, fresh.as_ref())?;
        Ed25519KeyPair::from_pkcs8(fresh.as_ref()).map_err(|e| failed(&e.to_string()))
    }

    /// What others compare over the telephone: SHA-256 of the public key. Blocks.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn fingerprint(&self) -> Result<String, Trouble> {
        Ok(hex(&Sha256::digest(self.key()?.public_key().as_ref())))
    }

    pub(crate) fn sign(&self, paper: &Paper) -> Result<String, Trouble> {
        let payload = serde_json::to_vec(paper).map_err(|e| Trouble::Failed(e.to_string()))?;
        let key = self.key()?;
        let signature = key.sign(&[CONTEXT, &payload].concat());
        let word = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (payload, public) = (word(&payload), word(key.public_key().as_ref()));
        Ok(format!("{BEGIN}{payload}.{public}.{}", word(signature.as_ref())))
    }
}

/// The word of a file or a link: what is around it is for people.
pub(crate) fn word(text: &str) -> Option<&str> {
    let at = text.find(BEGIN)?;
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let length = text.as_bytes()[at..].iter().take_while(|b| part(b)).count();
    Some(text[at..at + length].trim_end_matches('.'))
}

/// Reads a word and proves its signature.
pub(crate) fn read(word: &str) -> Result<Signed, String> {
    let no = || "this is neither an invitation nor an answer to one; is it whole?".to_owned();
    let rest = word.strip_prefix(BEGIN).filter(|_| word.len() <= LONGEST).ok_or_else(no)?;
    let parts: Vec<Vec<u8>> = rest
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part))
        .collect::<Result<_, _>>()
        .map_err(|_| no())?;
    let [payload, key, signature] = parts.as_slice() else { return Err(no()) };
    let signed = [CONTEXT, payload].concat();
    if UnparsedPublicKey::new(&ED25519, key).verify(&signed, signature).is_err() {
        return Err("its signature does not hold: it was altered on the way, or forged".into());
    }
    let paper = serde_json::from_slice(payload)
        .map_err(|e| format!("it is signed, but this version cannot read it: {e}"))?;
    Ok(Signed { paper, fingerprint: hex(&Sha256::digest(key)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::MemoryStore;

    #[test]
    fn what_is_signed_is_read_again() {
        let half = Half {
            domains: vec!["example.com".into()],
            protocols: vec![Protocol::Xmpp],
            routes: Vec::new(),
            keys: Vec::new(),
            authority: None,
            self_signed: false,
            features: Feature::ALL.into(),
            contacts: Vec::new(),
        };
        let (id, whom, expires) = ("0".repeat(32), vec!["acme.example".into()], 1_577_836_800_000);
        let old = Paper::Invitation { id, whom, expires, answer: None, half };
        let signed = Signer::new(Arc::new(MemoryStore::new())).sign(&old).unwrap();
        assert_eq!(read(&signed).unwrap().paper, old);
    }
}
