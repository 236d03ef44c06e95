//! Turns: so many at a time, and others wait, but not for ever.

use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// Places for so many at a time.
pub(crate) struct Turns {
    most: usize,
    busy: Mutex<usize>,
    free: Condvar,
}

/// One's turn, until it is dropped.
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    pub fn new(most: usize) -> Self {
        Self { most, busy: Mutex::new(0), free: Condvar::new() }
    }

    /// Waits for a place; `None` where none came free in time.
    pub fn take(&self, patience: Duration) -> Option<Turn<'_>> {
        let mut busy = self.busy.lock();
        while *busy >= self.most {
            if self.free.wait_for(&mut busy, patience).timed_out() {
                return None;
            }
        }
        *busy += 1;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock() -= 1;
        self.0.free.notify_one();
    }
}
