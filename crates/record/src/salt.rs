use sha2::{Digest, Sha256};
use store::Trouble;

/// Salts for body digests: 32 bytes of the system's randomness, stretched by SHA-256, because asking the system for
/// each row would cost more than the rest of the seal.
///
/// The key moves on one way every few salts: who learns it later cannot compute the salts of bodies that were
/// erased since.
pub(crate) struct Salts {
    key: [u8; 32],
    count: u64,
    spare: Option<[u8; 16]>,
}

/// How many hashes one key serves.
const TURN: u64 = 512;

impl Salts {
    pub(crate) fn new() -> Result<Self, Trouble> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| Trouble::Failed(format!("no randomness: {e}")))?;
        Ok(Self { key, count: 0, spare: None })
    }

    pub(crate) fn next(&mut self) -> [u8; 16] {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        if self.count.is_multiple_of(TURN) {
            self.key = Self::hash(&self.key, b"turn", self.count);
        }
        self.count += 1;
        let (mut one, mut other) = ([0; 16], [0; 16]);
        let both = Self::hash(&self.key, b"salt", self.count);
        one.copy_from_slice(&both[..16]);
        other.copy_from_slice(&both[16..]);
        self.spare = Some(other);
        one
    }

    fn hash(key: &[u8; 32], purpose: &[u8; 4], count: u64) -> [u8; 32] {
        let mut input = [0; 44];
        input[..32].copy_from_slice(key);
        input[32..36].copy_from_slice(purpose);
        input[36..].copy_from_slice(&count.to_be_bytes());
        Sha256::digest(input).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_salt_comes_twice() {
        let (mut one, mut other) = (Salts::new().unwrap(), Salts::new().unwrap());
        let mut seen = std::collections::HashSet::new();
        for _ in 0..5_000 {
            assert!(seen.insert(one.next()) && seen.insert(other.next()));
        }
    }
}
