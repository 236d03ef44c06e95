//! What a partner's server sends again because it was not sure that we have it: known again by the name that it gave it.

use crate::house::Hub;
use model::EnvelopeId;
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use store::{RowKind, Trouble};

/// Names remembered. A server repeats what it had not heard of when the connection broke: far less than this.
const REMEMBERED: usize = 65_536;
/// Rows of the record that are looked through at the start.
const LOOKED_THROUGH: u64 = 10_000;
const PAGE: usize = 1_000;

#[derive(Default)]
struct Names {
    known: HashSet<EnvelopeId>,
    order: VecDeque<EnvelopeId>,
}

/// Names of what has come.
#[derive(Default)]
pub(crate) struct Twice(Mutex<Names>);

impl Twice {
    /// Notes a name. `false`: it has come before.
    pub fn is_first(&self, id: EnvelopeId) -> bool {
        let mut names = self.0.lock();
        if !names.known.insert(id) {
            return false;
        }
        names.order.push_back(id);
        if names.order.len() > REMEMBERED
            && let Some(oldest) = names.order.pop_front()
        {
            names.known.remove(&oldest);
        }
        true
    }

    /// It did not get onto the record after all, so it may come again.
    pub fn forget(&self, id: EnvelopeId) {
        if id.is_named() {
            self.0.lock().known.remove(&id);
        }
    }
}

impl Hub {
    /// Remembers what came before this process began. Blocks.
    pub(crate) fn remember_names(&self) -> Result<(), Trouble> {
        let journal = &self.parts.journal;
        let mut next = model::Seq(journal.head().0.saturating_sub(LOOKED_THROUGH) + 1);
        loop {
            let rows = journal.rows(next, PAGE)?;
            let Some(last) = rows.last() else { return Ok(()) };
            next = model::Seq(last.seq.0 + 1);
            for row in rows.iter().filter(|row| row.kind == RowKind::Envelope) {
                if let Some(id) = model::codec::decode_id(&row.head).filter(|id| id.is_named()) {
                    self.twice.is_first(id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_names_go_first() {
        let twice = Twice::default();
        let id = |n: u32| {
            let mut hash = [0u8; 16];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            EnvelopeId::named(hash)
        };
        assert!(twice.is_first(id(0)) && !twice.is_first(id(0)));
        for n in 1..=REMEMBERED as u32 {
            assert!(twice.is_first(id(n)));
        }
        assert!(twice.is_first(id(0)), "it is forgotten");
        twice.forget(id(9));
        assert!(twice.is_first(id(9)));
    }
}
