//! What the searchers and the one who writes share.

use crate::part::Part;
use parking_lot::{Condvar, Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The months, how far they have come, and what is asked.
pub(crate) struct Shared {
    pub parts: RwLock<Vec<Arc<Part>>>,
    pub indexed: AtomicU64,
    pub trouble: Mutex<Option<String>>,
    pub orders: Mutex<Orders>,
    pub bell: Condvar,
}

/// What is asked of the one who writes.
#[derive(Default)]
pub(crate) struct Orders {
    pub stop: bool,
    /// Runs of rows, first and last of each, among which some have lost their content.
    pub gone: Vec<Vec<(u64, u64)>>,
    /// How many such orders were carried out.
    pub done: u64,
}
