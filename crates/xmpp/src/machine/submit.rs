//! What was handed to the hub, and the stanza errors that go back when it says no.

use connector::Output;
use model::{
    Answer, Ask, Dialect, Endpoint, Envelope, EnvelopeId, Event, MAX_HOPS, Origin, Outcome, Reason, Refusal,
    Security, Settlement, Ticket, Vouch,
};

use crate::jid;
use crate::translate::refusal::{self, StanzaError};
use crate::wire::Kind;

use super::C2s;
use super::asked::{Asked, Stub};

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
        let ticket = self.submissions.submitted(stub, seq, self.now.tick);
        self.out.push(Output::Submit { ticket, envelope: Box::new(envelope), outcome_wanted: false });
    }

    pub(super) fn ask(&mut self, ask: Ask, asked: Asked) {
        let seq = match &asked {
            Asked::Login | Asked::Resume => u64::MAX,
            Asked::Iq(..) => self.submissions.next().saturating_sub(1),
        };
        let ticket = self.submissions.asked(asked, seq, self.now.tick);
        self.out.push(Output::Ask { ticket, ask });
    }

    /// Asks for a session.
    pub(crate) fn ask_to_resume(&mut self, ask: Ask) {
        self.ask(ask, Asked::Resume);
    }

    pub(super) fn kept(&mut self, ticket: Ticket) {
        if let Some(seq) = self.submissions.kept(ticket, self.now.tick) {
            self.finished(seq);
        }
    }

    pub(super) fn settled(&mut self, ticket: Ticket, settlement: Settlement) {
        let Some((stub, unkept)) = self.submissions.settled(ticket) else { return };
        if let Outcome::Refused(refusal) = settlement.outcome
            && !stub.quiet
        {
            let error = self.discreet(&stub, &refusal);
            self.answer_error(&stub, &error);
        }
        if let Some(seq) = unkept {
            self.finished(seq);
        }
    }

    fn discreet(&self, stub: &Stub, refusal: &Refusal) -> StanzaError {
        let local = jid::parse(&stub.to).is_ok_and(|to| self.config.hosts(to.address.domain()));
        if local { discreet(stub.kind, refusal) } else { refusal::render(refusal) }
    }

    pub(super) fn answered(&mut self, ticket: Ticket, answer: Answer) {
        let Some((asked, seq)) = self.submissions.answered(ticket) else { return };
        match asked {
            Asked::Login => self.login_answered(answer),
            Asked::Resume => self.not_resumed(),
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

/// Whether one of our own users exists or is online is nobody's business: RFC 6121 sections 8.5.1 and 8.5.3.2.
pub(crate) fn discreet(kind: Kind, refusal: &Refusal) -> StanzaError {
    match refusal.reason {
        Reason::NotFound => StanzaError::SERVICE_UNAVAILABLE,
        Reason::Unavailable if kind == Kind::Iq => StanzaError::SERVICE_UNAVAILABLE,
        _ => refusal::render(refusal),
    }
}
