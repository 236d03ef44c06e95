//! What was handed to the hub and is not finished: the window, and the handled count of XEP-0198.

use std::collections::VecDeque;
use std::time::Duration;

use model::{Tick, Ticket};

/// How long after `Kept` a refusal may still come.
const SETTLES: Duration = Duration::from_secs(6);
/// How many submissions are remembered for the sake of a late refusal.
const REMEMBERED: usize = 512;

#[derive(Debug)]
enum Open<S, A> {
    Submitted { stub: S, seq: u64, kept: Option<Tick> },
    Asked { asked: A, seq: u64 },
}

/// Stanzas the peer sent, in order, and what of them is done. `S`: what is needed to answer one later; `A`: who waits for an
/// answer of the hub.
#[derive(Debug)]
pub(crate) struct Submissions<S, A> {
    next_ticket: u64,
    open: VecDeque<(u64, Option<Open<S, A>>)>,
    /// Number of the oldest stanza that is not done, and for it and all after it: done?
    first: u64,
    done: VecDeque<bool>,
    unkept: usize,
}

impl<S, A> Default for Submissions<S, A> {
    fn default() -> Self {
        Self { next_ticket: 0, open: VecDeque::new(), first: 0, done: VecDeque::new(), unkept: 0 }
    }
}

impl<S, A> Submissions<S, A> {
    /// As many are done, and nothing is open.
    pub fn after(done: u64) -> Self {
        Self { first: done, ..Self::default() }
    }

    /// Submissions the journal has not taken yet.
    pub fn unkept(&self) -> usize {
        self.unkept
    }

    /// Numbers a stanza that just arrived.
    pub fn begin(&mut self) -> u64 {
        self.done.push_back(false);
        self.first + self.done.len() as u64 - 1
    }

    /// A stanza is done: answered, or on record.
    pub fn finish(&mut self, seq: u64) {
        if let Some(i) = seq.checked_sub(self.first)
            && let Some(done) = self.done.get_mut(i as usize)
        {
            *done = true;
        }
        while self.done.front() == Some(&true) {
            self.done.pop_front();
            self.first += 1;
        }
    }

    /// All stanzas before this number are done.
    pub fn done_before(&self) -> u64 {
        self.first
    }

    /// The number the next stanza will have.
    pub fn next(&self) -> u64 {
        self.first + self.done.len() as u64
    }

    fn ticket(&mut self, open: Open<S, A>, now: Tick) -> Ticket {
        // Let go of what can no longer be refused.
        while let Some((_, front)) = self.open.front() {
            let over = match front {
                None => true,
                Some(Open::Submitted { kept: Some(at), .. }) => {
                    now.since(*at) > SETTLES || self.open.len() > REMEMBERED
                }
                _ => false,
            };
            if !over {
                break;
            }
            self.open.pop_front();
        }
        self.next_ticket += 1;
        self.open.push_back((self.next_ticket, Some(open)));
        Ticket(self.next_ticket)
    }

    fn find(&mut self, ticket: Ticket) -> Option<&mut Option<Open<S, A>>> {
        let i = self.open.binary_search_by_key(&ticket.0, |(t, _)| *t).ok()?;
        self.open.get_mut(i).map(|(_, open)| open)
    }

    /// The ticket of what is submitted now.
    pub fn submitted(&mut self, stub: S, seq: u64, now: Tick) -> Ticket {
        self.unkept += 1;
        self.ticket(Open::Submitted { stub, seq, kept: None }, now)
    }

    /// The ticket of what is asked now.
    pub fn asked(&mut self, asked: A, seq: u64, now: Tick) -> Ticket {
        self.ticket(Open::Asked { asked, seq }, now)
    }

    /// The journal has it: the number of the stanza, where that is news.
    pub fn kept(&mut self, ticket: Ticket, now: Tick) -> Option<u64> {
        let Some(Some(Open::Submitted { seq, kept, .. })) = self.find(ticket) else { return None };
        if kept.replace(now).is_some() {
            return None;
        }
        let seq = *seq;
        self.unkept -= 1;
        Some(seq)
    }

    /// It ended: whom to tell, and the number of the stanza where the journal never had it.
    pub fn settled(&mut self, ticket: Ticket) -> Option<(S, Option<u64>)> {
        let slot = self.find(ticket)?;
        match slot.take() {
            Some(Open::Submitted { stub, seq, kept }) => {
                if kept.is_none() {
                    self.unkept -= 1;
                }
                Some((stub, kept.is_none().then_some(seq)))
            }
            other => {
                *slot = other;
                None
            }
        }
    }

    /// The hub answered: who asked, and the number of the stanza.
    pub fn answered(&mut self, ticket: Ticket) -> Option<(A, u64)> {
        let slot = self.find(ticket)?;
        match slot.take() {
            Some(Open::Asked { asked, seq }) => Some((asked, seq)),
            other => {
                *slot = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_contiguous_prefix_is_done() {
        let mut s = Submissions::<(), ()>::default();
        let (a, b, c) = (s.begin(), s.begin(), s.begin());
        s.finish(b);
        assert_eq!(s.done_before(), 0);
        s.finish(a);
        assert_eq!(s.done_before(), 2);
        s.finish(c);
        assert_eq!((s.done_before(), s.next()), (3, 3));
    }
}
