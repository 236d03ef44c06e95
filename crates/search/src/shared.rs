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

/// What has another content than the index has read.
#[derive(Debug, Clone)]
pub(crate) enum Anew {
    /// Some of the rows of these runs, first and last of each, have lost theirs.
    Rows(Vec<(u64, u64)>),
    /// The file of this name; is its content there?
    File(String, bool),
}

/// What is asked of the one who writes.
#[derive(Default)]
pub(crate) struct Orders {
    pub stop: bool,
    /// What must be read again.
    pub anew: Vec<Anew>,
    /// How many such orders were carried out.
    pub done: u64,
}
