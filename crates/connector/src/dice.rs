use sha2::{Digest, Sha256};

/// Chance, as given to a machine when it is made. The driver draws it from the operating system; tests fix it.
pub type Seed = [u8; 32];

/// A deterministic source of unpredictable bytes: SHA-256 over a seed and a counter. Small (40 bytes), because every
/// connection holds one; not for bulk.
#[derive(Clone)]
pub struct Dice {
    seed: Seed,
    counter: u64,
}

impl Dice {
    /// Starts from a seed.
    pub fn new(seed: Seed) -> Self {
        Self { seed, counter: 0 }
    }

    /// The next 32 bytes.
    pub fn bytes(&mut self) -> [u8; 32] {
        self.counter += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.counter.to_be_bytes());
        hash.finalize().into()
    }

    /// The next 128 bits.
    pub fn u128(&mut self) -> u128 {
        let b = self.bytes();
        let mut half = [0u8; 16];
        half.copy_from_slice(&b[..16]);
        u128::from_be_bytes(half)
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.u128() as u64
    }

    /// A fresh token of `len` lower-case letters and digits (5 bits each; at most 32).
    pub fn token(&mut self, len: usize) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        self.bytes().iter().take(len.min(32)).map(|b| ALPHABET[usize::from(b & 31)] as char).collect()
    }
}

impl std::fmt::Debug for Dice {
    // The seed predicts nonces: never print it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dice(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_rolls() {
        let (mut a, mut b) = (Dice::new([7; 32]), Dice::new([7; 32]));
        assert_eq!(a.u128(), b.u128());
        assert_ne!(a.token(20), a.token(20));
        assert_eq!(a.token(5).len(), 5);
    }
}
