use crate::Rate;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A rate that may be changed while it is read.
#[derive(Debug, Default)]
pub struct Dial {
    units: AtomicU64,
    per: AtomicU64,
    burst: AtomicU64,
}

impl Dial {
    /// A dial at this rate.
    pub fn new(rate: Rate) -> Self {
        let dial = Self::default();
        dial.set(rate);
        dial
    }

    /// Turns it. Who reads it meanwhile may see a part of the old rate, once.
    pub fn set(&self, rate: Rate) {
        self.per.store(rate.per, Relaxed);
        self.burst.store(rate.burst, Relaxed);
        self.units.store(rate.units, Relaxed);
    }

    /// The rate.
    pub fn get(&self) -> Rate {
        let (units, per) = (self.units.load(Relaxed), self.per.load(Relaxed));
        Rate { units, per, burst: self.burst.load(Relaxed) }
    }
}
