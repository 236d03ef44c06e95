//! What a partner's server sends again because it was not sure that we have it: known again by the name that it gave it.

use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use model::{Envelope, EnvelopeId, Outcome, Refusal, Ticket};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Weak;
use store::{RowKind, Trouble};

/// Names remembered. A server repeats what it had not heard of when the connection broke: far less than this.
const REMEMBERED: usize = 65_536;
/// Rows of the record that are looked through at the start.
const LOOKED_THROUGH: u64 = 10_000;
const PAGE: usize = 1_000;

#[derive(Default)]
struct Names {
    known: HashMap<EnvelopeId, Mark>,
    order: VecDeque<EnvelopeId>,
}

/// How it stands with what has come.
enum Mark {
    /// It is on its way to the record; those who sent it again wait for that too.
    Entering(Vec<Repeat>),
    Kept,
}

/// Somebody who sent it again.
pub(crate) struct Repeat {
    pub link: Weak<LinkCore>,
    pub ticket: Ticket,
    pub outcome_wanted: bool,
}

/// What a name means that comes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It has not come before.
    First,
    /// It has, and hears of its end together with the first.
    Entering,
    /// It has, and is on record.
    Kept,
}

/// Names of what has come.
#[derive(Default)]
pub(crate) struct Twice(Mutex<Names>);

impl Twice {
    /// Notes a name; `repeat` waits where it has come before and is not on record yet.
    pub fn came(&self, id: EnvelopeId, repeat: Repeat) -> Came {
        let mut names = self.0.lock();
        match names.known.get_mut(&id) {
            Some(Mark::Kept) => return Came::Kept,
            Some(Mark::Entering(repeats)) => {
                repeats.push(repeat);
                return Came::Entering;
            }
            None => {}
        }
        names.remember(id, Mark::Entering(Vec::new()));
        Came::First
    }

    /// It is on record, or need not be: it is known from now on. Gives those who sent it again meanwhile.
    pub fn kept(&self, id: EnvelopeId) -> Vec<Repeat> {
        let mut names = self.0.lock();
        match names.known.get_mut(&id) {
            Some(mark) => match std::mem::replace(mark, Mark::Kept) {
                Mark::Entering(repeats) => repeats,
                Mark::Kept => Vec::new(),
            },
            None => {
                names.remember(id, Mark::Kept);
                Vec::new()
            }
        }
    }

    /// It did not get onto the record after all, so it may come again. Gives those who sent it again meanwhile.
    pub fn forget(&self, id: EnvelopeId) -> Vec<Repeat> {
        match self.0.lock().known.remove(&id) {
            Some(Mark::Entering(repeats)) => repeats,
            _ => Vec::new(),
        }
    }
}

impl Names {
    fn remember(&mut self, id: EnvelopeId, mark: Mark) {
        self.known.insert(id, mark);
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
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
                    self.twice.kept(id);
                }
            }
        }
    }

    /// What came is on record, or is not: those who sent it again hear it as the first did.
    pub(crate) fn repeats_end(&self, envelope: &Envelope, refusal: Option<&Refusal>) {
        if !envelope.id.is_named() {
            return;
        }
        let repeats = match refusal {
            None => self.twice.kept(envelope.id),
            Some(_) => self.twice.forget(envelope.id),
        };
        for Repeat { link, ticket, outcome_wanted } in repeats {
            let Some(link) = link.upgrade() else { continue };
            match refusal {
                Some(refusal) => self.refuse(&link, ticket, envelope, refusal.clone()),
                None => {
                    link.send(HubEvent::Kept(ticket));
                    if outcome_wanted {
                        link.send(HubEvent::Settled(ticket, Outcome::Accepted.into()));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_waits_for_the_first() {
        let twice = Twice::default();
        let repeat = |n| Repeat { link: Weak::new(), ticket: Ticket(n), outcome_wanted: true };
        let id = |n: u32| {
            let mut hash = [0u8; 16];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            EnvelopeId::named(hash)
        };
        assert_eq!(twice.came(id(0), repeat(1)), Came::First);
        assert_eq!(twice.came(id(0), repeat(2)), Came::Entering);
        let tickets: Vec<_> = twice.forget(id(0)).iter().map(|r| r.ticket.0).collect();
        assert_eq!((tickets, twice.came(id(0), repeat(3))), (vec![2], Came::First));
        assert!(twice.kept(id(0)).is_empty());
        assert_eq!(twice.came(id(0), repeat(4)), Came::Kept);
        for n in 1..=REMEMBERED as u32 {
            assert_eq!(twice.came(id(n), repeat(5)), Came::First);
        }
        assert_eq!(twice.came(id(0), repeat(6)), Came::First, "the oldest names go first");
    }
}
