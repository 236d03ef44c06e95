//! Exact book-keeping of one direction of one pair: what is missing, came twice, came out of order.

use std::collections::BTreeSet;

/// What an arriving sequence number turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Higher than all before.
    New,
    /// Not seen before, but a higher one was: out of order.
    Late,
    /// Seen before.
    Twice,
}

/// The sequence numbers (from 0) that have arrived.
#[derive(Default, Clone)]
pub struct Tracker {
    next: u64,
    missing: BTreeSet<u64>,
    /// Arrivals of a number already seen.
    pub duplicates: u64,
    /// First arrivals overtaken by a higher number.
    pub out_of_order: u64,
}

impl Tracker {
    /// Notes an arrival.
    pub fn see(&mut self, seq: u64) -> Seen {
        if seq >= self.next {
            self.missing.extend(self.next..seq);
            self.next = seq + 1;
            Seen::New
        } else if self.missing.remove(&seq) {
            self.out_of_order += 1;
            Seen::Late
        } else {
            self.duplicates += 1;
            Seen::Twice
        }
    }

    /// How many of the first `sent` numbers have not arrived.
    pub fn lost(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.next) + self.missing.range(..sent).count() as u64
    }

    /// One past the highest number seen.
    pub fn next(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_loss_duplicate_and_reorder_apart() {
        let mut t = Tracker::default();
        let seen: Vec<_> = [0, 1, 4, 2, 2, 0, 5].into_iter().map(|s| t.see(s)).collect();
        use Seen::*;
        assert_eq!(seen, [New, New, New, Late, Twice, Twice, New]);
        assert_eq!((t.duplicates, t.out_of_order), (2, 1));
        assert_eq!(t.lost(6), 1);
        assert_eq!(t.lost(9), 4);
    }
}
