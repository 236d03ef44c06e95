//! Chance from a number, the same each time.

use connector::Dice as Bytes;

pub(super) struct Dice(Bytes);

impl Dice {
    pub fn new(seed: u64) -> Self {
        let mut all = [0; 32];
        all[..8].copy_from_slice(&seed.to_be_bytes());
        Self(Bytes::new(all))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.u64() % end
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
