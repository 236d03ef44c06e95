//! What was handed to the hub and is not finished: the window, the handled count of XEP-0198, and the stanza
//! errors that go back when the hub says no.

use std::collections::VecDeque;
use std::time::Duration;

use compact_str::CompactString;
use connector::Output;
use model::{
    Answer, Ask, Dialect, Endpoint, Envelope, EnvelopeId, Event, MAX_HOPS, Origin, Outcome, Reason, Refusal,
    Security, Settlement, Tick, Ticket, Vouch,
};

use crate::jid;
use crate::translate::refusal::{self, StanzaError};
use crate::wire::Kind;

use super::C2s;
use super::inbound::Reply;

/// How long after `Kept` a refusal may still come.
const SETTLES: Duration = Duration::from_secs(6);
/// How many submissions are remembered for the sake of a late refusal.
const REMEMBERED: usize = 512;

/// What is needed to answer a stanza later.
#[derive(Clone, Debug)]
pub(crate) struct Stub {
    pub kind: Kind,
    pub id: Option<CompactString>,
    /// Who the answer comes from: the stanza's own `to`, empty if it had none.
    pub to: CompactString,
    /// Never answered: results, errors, broadcasts.
    pub quiet: bool,
}

/// Who waits for an answer of the hub.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The log-in.
    Login,
    /// A session to resume.
    Resume,
    /// A feature: the iq to answer, and what to do with the answer.
    Iq(Stub, fn(&mut C2s, Answer) -> Reply),
}

#[derive(Debug)]
enum Open {
    Submitted { stub: Stub, seq: u64, kept: Option<Tick> },
    Asked { asked: Asked, seq: u64 },
}

/// Stanzas the client sent, in order, and what of them is done.
#[derive(Debug, Default)]
pub(crate) struct Submissions {
    next_ticket: u64,
    open: VecDeque<(u64, Option<Open>)>,
    /// Number of the oldest stanza that is not done, and for it and all after it: done?
    first: u64,
    done: VecDeque<bool>,
    unkept: usize,
}

impl Submissions {
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

    fn ticket(&mut self, open: Open, now: Tick) -> Ticket {
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

    fn find(&mut self, ticket: Ticket) -> Option<&mut Option<Open>> {
        let i = self.open.binary_search_by_key(&ticket.0, |(t, _)| *t).ok()?;
        self.open.get_mut(i).map(|(_, open)| open)
    }
}

impl C2s {
    /// Hands an event to the hub. `seq` numbers the stanza it came in.
    pub(crate) fn submit(&mut self, event: Event, from: Endpoint, to: Endpoint, stub: Stub, seq: u64) {
        let Some(account) = self.account.clone() else { return };
        let envelope = Envelope {
            id: EnvelopeId::v7(self.now.wall.unix_ms(), self.dice.u128()),
            at: self.now.wall,
            origin: Origin {
                dialect: Dialect::Xmpp,
                security: if self.tls.is_some() { Security::Tls } else { Security::Plain },
                vouch: Vouch::Account(account),
            },
            from,
            to,
            hops: MAX_HOPS,
            event,
        };
        let ticket = self.submissions.ticket(Open::Submitted { stub, seq, kept: None }, self.now.tick);
        self.submissions.unkept += 1;
        self.out.push(Output::Submit { ticket, envelope: Box::new(envelope), outcome_wanted: false });
    }

    pub(super) fn ask(&mut self, ask: Ask, asked: Asked) {
        let seq = match &asked {
            Asked::Login | Asked::Resume => u64::MAX,
            Asked::Iq(..) => self.submissions.next().saturating_sub(1),
        };
        let ticket = self.submissions.ticket(Open::Asked { asked, seq }, self.now.tick);
        self.out.push(Output::Ask { ticket, ask });
    }

    /// Asks for a session.
    pub(crate) fn ask_to_resume(&mut self, ask: Ask) {
        self.ask(ask, Asked::Resume);
    }

    pub(super) fn kept(&mut self, ticket: Ticket) {
        let now = self.now.tick;
        let Some(Some(Open::Submitted { seq, kept, .. })) = self.submissions.find(ticket) else { return };
        if kept.replace(now).is_none() {
            let seq = *seq;
            self.submissions.unkept -= 1;
            self.finished(seq);
        }
    }

    pub(super) fn settled(&mut self, ticket: Ticket, settlement: Settlement) {
        let Some(slot) = self.submissions.find(ticket) else { return };
        let (stub, seq, kept) = match slot.take() {
            Some(Open::Submitted { stub, seq, kept }) => (stub, seq, kept),
            other => {
                *slot = other;
                return;
            }
        };
        if let Outcome::Refused(refusal) = settlement.outcome
            && !stub.quiet
        {
            let error = self.discreet(&stub, &refusal);
            self.answer_error(&stub, &error);
        }
        if kept.is_none() {
            self.submissions.unkept -= 1;
            self.finished(seq);
        }
    }

    /// Whether one of our own users exists or is online is nobody's business: RFC 6121 sections 8.5.1 and 8.5.3.2.
    fn discreet(&self, stub: &Stub, refusal: &Refusal) -> StanzaError {
        let local = || jid::parse(&stub.to).is_ok_and(|to| self.config.hosts(to.address.domain()));
        let hides = match refusal.reason {
            Reason::NotFound => true,
            Reason::Unavailable => stub.kind == Kind::Iq,
            _ => false,
        };
        if hides && local() { StanzaError::SERVICE_UNAVAILABLE } else { refusal::render(refusal) }
    }

    pub(super) fn answered(&mut self, ticket: Ticket, answer: Answer) {
        let Some(slot) = self.submissions.find(ticket) else { return };
        let (asked, seq) = match slot.take() {
            Some(Open::Asked { asked, seq }) => (asked, seq),
            other => {
                *slot = other;
                return;
            }
        };
        match asked {
            Asked::Login => self.login_answered(answer),
            Asked::Resume => self.not_resumed(answer),
            Asked::Iq(stub, then) => {
                let reply = then(self, answer);
                self.reply(&stub, reply);
                self.finished(seq);
            }
        }
    }

    /// A stanza is done; an acknowledgement may be due.
    pub(crate) fn finished(&mut self, seq: u64) {
        self.submissions.finish(seq);
        self.acknowledge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_contiguous_prefix_is_done() {
        let mut s = Submissions::default();
        let (a, b, c) = (s.begin(), s.begin(), s.begin());
        s.finish(b);
        assert_eq!(s.done_before(), 0);
        s.finish(a);
        assert_eq!(s.done_before(), 2);
        s.finish(c);
        assert_eq!((s.done_before(), s.next()), (3, 3));
    }
}
