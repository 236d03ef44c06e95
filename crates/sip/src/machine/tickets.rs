//! What the machine asks of the hub and hands to it, and who waits for the answers.

use connector::Output;
use model::{
    Answer, Ask, Dialect, Endpoint, Envelope, EnvelopeId, Event, MAX_HOPS, Now, Origin, Outcome, Proof,
    Security, Settlement, Ticket, Vouch,
};

use super::{PATIENCE, SipMachine, Waiting};

/// An event that is to be handed to the hub, without what the machine itself knows of it.
pub(super) struct Draft {
    id: Option<EnvelopeId>,
    from: Endpoint,
    to: Endpoint,
    hops: u8,
    event: Event,
}

impl Draft {
    /// Something of our own, as fresh as can be.
    pub(super) fn new(from: Endpoint, to: Endpoint, event: Event) -> Self {
        Self { id: None, from, to, hops: MAX_HOPS, event }
    }

    /// Something that came over others: so many hops are left to it.
    pub(super) fn after(self, hops: u8) -> Self {
        Self { hops, ..self }
    }

    /// What has an id already.
    pub(super) fn named(self, id: Option<EnvelopeId>) -> Self {
        Self { id, ..self }
    }
}

impl SipMachine {
    pub(super) fn ticket(&mut self, now: Now, waiting: Waiting) -> Ticket {
        // Tickets are numbered in time order, so the oldest stand first.
        while let Some((&old, (at, _))) = self.tickets.first_key_value() {
            if now.tick.since(*at) < PATIENCE {
                break;
            }
            self.tickets.remove(&old);
        }
        let ticket = Ticket(self.number());
        self.tickets.insert(ticket, (now.tick, waiting));
        ticket
    }

    pub(super) fn ask(&mut self, now: Now, ask: Ask, waiting: Waiting) {
        let ticket = self.ticket(now, waiting);
        self.out.push_back(Output::Ask { ticket, ask });
    }

    /// Hands something to the hub. Nobody waits for the outcome of `Waiting::Nothing`.
    pub(super) fn submit(&mut self, now: Now, draft: Draft, waiting: Waiting) {
        let vouch = match self.trunk.is_some() {
            false => Vouch::Account(draft.from.address.clone()),
            true if self.config.serves(draft.from.address.domain()) => Vouch::Server,
            // Servers that speak SIP are proved by certificate (RFC 5922) and in no other way.
            true => Vouch::Domain(draft.from.address.to_domain(), Proof::Certificate),
        };
        self.submit_by(vouch, now, draft, waiting);
    }

    /// What we conclude of somebody elsewhere, whoever this connection was proved to be: nobody else answers for it.
    pub(super) fn conclude(&mut self, now: Now, of: Endpoint, to: Endpoint, event: Event) {
        self.submit_by(Vouch::Server, now, Draft::new(of, to, event), Waiting::Nothing);
    }

    fn submit_by(&mut self, vouch: Vouch, now: Now, draft: Draft, waiting: Waiting) {
        // Of a call only a refusal comes so; what comes of it comes over its lines.
        let outcome_wanted = !matches!(waiting, Waiting::Nothing | Waiting::Call(_));
        let security = if self.tls { Security::Tls } else { Security::Plain };
        let Draft { id, from, to, hops, event } = draft;
        let envelope = Box::new(Envelope {
            id: id.unwrap_or_else(|| EnvelopeId::v7(now.wall.unix_ms(), self.dice.u128())),
            at: now.wall,
            origin: Origin { dialect: Dialect::Sip, security, vouch },
            from,
            to,
            hops,
            event,
        });
        let ticket = match waiting {
            Waiting::Nothing => Ticket(self.number()),
            waiting => self.ticket(now, waiting),
        };
        self.out.push_back(Output::Submit { ticket, envelope, outcome_wanted });
    }

    pub(super) fn settled(&mut self, now: Now, ticket: Ticket, settlement: Settlement) {
        let Some((_, waiting)) = self.tickets.remove(&ticket) else { return };
        match waiting {
            Waiting::Message { owed, full } => match settlement.outcome {
                Outcome::Delivered => self.answer_owed(now, &owed, 200, None, |_| {}),
                // It is on record and on its way (RFC 3428 7).
                Outcome::Accepted | Outcome::Pending | Outcome::Unknown => {
                    self.answer_owed(now, &owed, 202, None, |_| {});
                }
                Outcome::Refused(no) => self.answer_refusal(now, &owed, &no, full),
            },
            Waiting::Subscribe { owed, key } => self.subscribed(now, owed, &key, settlement.outcome),
            Waiting::Publish(publishing) => self.published(now, *publishing, settlement.outcome),
            Waiting::Trunk(asked) => self.trunk_settled(now, asked, &settlement.outcome),
            Waiting::Call(number) => {
                if let Outcome::Refused(no) = settlement.outcome {
                    self.call_refused(now, number, &no);
                }
            }
            // These are answered, not settled.
            Waiting::Credential(_)
            | Waiting::Bind { .. }
            | Waiting::ClaimWatch { .. }
            | Waiting::ClaimPublication { .. }
            | Waiting::Nothing => {}
        }
    }

    pub(super) fn answered(&mut self, now: Now, ticket: Ticket, answer: Answer) {
        let Some((_, waiting)) = self.tickets.remove(&ticket) else { return };
        match waiting {
            Waiting::Credential(proving) => self.proved(now, *proving, answer),
            Waiting::Bind { registering, binding } => self.bound(now, registering, *binding, answer),
            Waiting::ClaimWatch { job, account, key } => {
                let state = match answer {
                    Answer::Claimed(state) => state,
                    _ => None,
                };
                self.claimed_watch(now, *job, account, key, state);
            }
            Waiting::ClaimPublication { job, account, lineage } => {
                let state = match answer {
                    Answer::Claimed(state) => state,
                    _ => None,
                };
                self.claimed_publication(now, *job, account, lineage, state);
            }
            Waiting::Trunk(asked) => self.trunk_answered(now, asked, answer),
            Waiting::Message { .. }
            | Waiting::Subscribe { .. }
            | Waiting::Publish(_)
            | Waiting::Call(_)
            | Waiting::Nothing => {}
        }
    }
}
