use super::intern::ById;
use crate::varint::{get, put};

/// The end of the journal that the stream table does not hold yet: for each account the numbers of its rows,
/// ascending. Kept in memory, written behind, and read again from the journal at start.
#[derive(Default)]
pub(super) struct Tail {
    accounts: ById<Vec<u64>>,
    /// How many journal rows lie behind the stream table, with or without a mailbox.
    pub(super) rows: usize,
}

impl Tail {
    pub(super) fn push(&mut self, account: Option<u64>, seq: u64) {
        self.rows += 1;
        if let Some(account) = account {
            self.accounts.entry(account).or_default().push(seq);
        }
    }

    /// The account's numbers above `after`, at most `limit`.
    pub(super) fn of(&self, account: u64, after: u64) -> &[u64] {
        let Some(seqs) = self.accounts.get(&account) else { return &[] };
        &seqs[seqs.partition_point(|&s| s <= after)..]
    }

    /// Accounts in key order, so that the stream table is written from left to right.
    pub(super) fn sorted(&self) -> Vec<(u64, &[u64])> {
        let mut all: Vec<_> = self.accounts.iter().map(|(&a, s)| (a, s.as_slice())).collect();
        all.sort_unstable_by_key(|&(a, _)| a);
        all
    }

    pub(super) fn clear(&mut self) {
        self.accounts.clear();
        self.rows = 0;
    }
}

/// Writes ascending numbers as differences.
pub(super) fn encode_run(seqs: &[u64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(seqs.len() * 2 + 8);
    let mut before = 0;
    for &seq in seqs {
        put(&mut out, seq.wrapping_sub(before));
        before = seq;
    }
    out
}

/// Reads what [`encode_run`] wrote; `None` if it is something else.
pub(super) fn decode_run(mut run: &[u8]) -> Option<Vec<u64>> {
    let (mut seqs, mut before) = (Vec::new(), 0u64);
    while !run.is_empty() {
        before = before.checked_add(get(&mut run)?)?;
        seqs.push(before);
    }
    Some(seqs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_back() {
        for run in [vec![], vec![1], vec![3, 4, 900, u64::from(u32::MAX)]] {
            assert_eq!(decode_run(&encode_run(&run)), Some(run));
        }
        assert_eq!(decode_run(&[0x80]), None);
    }

    #[test]
    fn tail_answers_what_lies_above() {
        let mut tail = Tail::default();
        for seq in 1..=10 {
            tail.push((seq % 2 == 0).then_some(7), seq);
        }
        assert_eq!(tail.of(7, 4), [6, 8, 10]);
        assert_eq!(tail.of(8, 0), [0u64; 0]);
        assert_eq!(tail.rows, 10);
    }
}
