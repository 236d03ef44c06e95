//! Which answers are kept for retransmissions, the oldest first: bounded by number and by bytes, for an answer repeats
//! all Via headers of its request.

use std::collections::VecDeque;

/// How many.
const MAX: usize = 50_000;
/// How large all of them together.
const MAX_BYTES: usize = 32 << 20;

/// The transactions with kept answers, and the bytes of each.
#[derive(Debug, Default)]
pub(super) struct Kept {
    order: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Kept {
    pub fn push(&mut self, id: u64, bytes: usize) {
        self.order.push_back((id, bytes));
        self.bytes += bytes;
    }

    /// The one to forget, if there are too many.
    pub fn excess(&mut self) -> Option<u64> {
        (self.order.len() > MAX || self.bytes > MAX_BYTES).then(|| self.pop())?
    }

    /// Lets go of what has ended.
    pub fn trim(&mut self, lives: impl Fn(u64) -> bool) {
        while self.order.front().is_some_and(|(id, _)| !lives(*id)) {
            self.pop();
        }
    }

    fn pop(&mut self) -> Option<u64> {
        let (id, bytes) = self.order.pop_front()?;
        self.bytes -= bytes;
        Some(id)
    }
}
