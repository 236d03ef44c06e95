//! Short names for pairs and parties, so that memory holds nobody's address.

use model::Address;
use sha2::{Digest, Sha256};

/// Of somebody of ours and somebody else.
pub(crate) fn pair(ours: &Address, other: &Address) -> u64 {
    key(ours.as_str(), other.as_str())
}

/// Of one party, or a domain.
pub(crate) fn party(who: &str) -> u64 {
    key("", who)
}

fn key(one: &str, other: &str) -> u64 {
    let digest = Sha256::new().chain_update(one).chain_update([0]).chain_update(other).finalize();
    digest.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}
