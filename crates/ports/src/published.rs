//! What a domain publishes about the certificates of its servers.

use crate::Hop;
use model::{Address, Dialect};

/// One TLSA record (RFC 6698 section 2.1), as it is on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE (RFC 7218).
    pub usage: u8,
    /// 0: the whole certificate, 1: its SubjectPublicKeyInfo.
    pub selector: u8,
    /// 0: as it is, 1: its SHA-256, 2: its SHA-512.
    pub matching: u8,
    /// What must match.
    pub data: Vec<u8>,
}

/// A server of a domain, found by signed records only, and the signed TLSA records of its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Empty where the host's zone is not signed, or has none.
    pub records: Vec<Tlsa>,
}

/// Whoever can look up what domains publish. Calls block, for seconds at most.
pub trait Published: Send + Sync {
    /// The servers of a domain, or those at these hops if there are any, with their TLSA records (RFC 7673). Empty where
    /// the way there is not signed (RFC 4035): then nothing is published that could be believed.
    ///
    /// # Errors
    /// In words, where DNS does not answer, or what it answers is forged.
    fn tlsa(&self, domain: &Address, dialect: Dialect, hops: &[Hop]) -> Result<Vec<Signed>, String>;

    /// The certificates that a domain names over HTTPS (POSH, RFC 7711), by their SHA-256 or SHA-512. None for a protocol
    /// that has no such thing.
    ///
    /// # Errors
    /// In words, where there is no such document that can be believed.
    fn posh(&self, domain: &Address, dialect: Dialect) -> Result<Vec<Vec<u8>>, String>;
}
