//! What is counted: uploads by how they ended, and what was fetched.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use store::FileState;

#[derive(Default)]
pub(crate) struct Tally {
    by_state: [AtomicU64; FileState::ALL.len()],
    broken: AtomicU64,
    bytes: AtomicU64,
    fetched: AtomicU64,
    slots: [AtomicU64; 2],
}

/// Counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Slots that were given, and refused.
    pub slots: [u64; 2],
    /// Uploads by the verdict that they ended with, at once or later.
    pub uploads: Vec<(&'static str, u64)>,
    /// Uploads that broke off.
    pub broken: u64,
    /// Bytes of the others.
    pub bytes: u64,
    /// Bytes that were handed out.
    pub fetched: u64,
}

impl Tally {
    pub fn slot(&self, given: bool) {
        self.slots[usize::from(!given)].fetch_add(1, Relaxed);
    }

    pub fn ended(&self, state: FileState) {
        if let Some(at) = FileState::ALL.iter().position(|s| *s == state) {
            self.by_state[at].fetch_add(1, Relaxed);
        }
    }

    pub fn came(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub fn broke(&self) {
        self.broken.fetch_add(1, Relaxed);
    }

    pub fn fetched(&self, bytes: u64) {
        self.fetched.fetch_add(bytes, Relaxed);
    }

    pub fn read(&self) -> Counts {
        let states = FileState::ALL.iter().zip(&self.by_state);
        Counts {
            slots: [0, 1].map(|i: usize| self.slots[i].load(Relaxed)),
            uploads: states.map(|(state, n)| (state.name(), n.load(Relaxed))).collect(),
            broken: self.broken.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            fetched: self.fetched.load(Relaxed),
        }
    }
}
