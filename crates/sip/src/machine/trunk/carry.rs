//! What the hub sends to the people behind the other server.

use std::time::Duration;

use connector::{Flow, Output};
use model::{Delivery, Endpoint, Event, Notify, Now, Outcome, Reason, Refusal, Subscribe, Term, Vouch};

use super::backend::Act;
use crate::machine::SipMachine;
use crate::machine::im::Road;
use crate::transaction::Hop;
use crate::translate::address;

/// People remembered by what their devices can read; past it one is forgotten.
const REMEMBERED: usize = 10_000;
/// How long it is trusted that nobody left anything.
const INHERIT_AGAIN: Duration = Duration::from_secs(10);

impl SipMachine {
    pub(in crate::machine) fn trunk_deliver(&mut self, now: Now, delivery: Delivery) {
        if let Some(trunk) = &mut self.trunk {
            trunk.used = now.tick;
        }
        let envelope = delivery.envelope.clone();
        match &envelope.event {
            Event::Message(_) | Event::Composing(_) | Event::Receipt(_) => self.send_message(now, delivery),
            Event::Notify(notify) => {
                self.out.push_back(Output::ack(delivery.id, Outcome::Delivered));
                self.overheard(now, &envelope.to, notify);
            }
            // Between domains: only that somebody connects, and goes on with what was left.
            Event::Subscribe(_) if envelope.to.address.user().is_none() => {
                self.out.push_back(Output::ack(delivery.id, Outcome::Delivered));
            }
            Event::Subscribe(Subscribe { term, .. }) => {
                let (watcher, presentity) = (&envelope.from, &envelope.to.address);
                let act = match term {
                    Term::Lasting => Act::Ask(delivery.id),
                    Term::End => Act::End(delivery.id),
                    // The hub asks for those who have consent; others look once.
                    Term::Once { .. } | Term::Lease { .. } => {
                        self.out.push_back(Output::ack(delivery.id, Outcome::Delivered));
                        let lasting = envelope.origin.vouch == Vouch::Server;
                        Act::Look { to: watcher.clone(), lasting }
                    }
                };
                self.claim_backend(now, &watcher.address, presentity, act);
            }
            // Consent shows itself in the next NOTIFY; SIP has no message for it (RFC 8048 5.3.1).
            Event::Authorize(_) => self.out.push_back(Output::ack(delivery.id, Outcome::Delivered)),
            Event::Publish(_) | Event::Opaque(_) | Event::Call(_) => {
                let no = Refusal::new(Reason::Unsupported);
                self.out.push_back(Output::ack(delivery.id, Outcome::Refused(no)));
            }
        }
    }

    /// Someone of ours changed, and a watcher elsewhere may know. Subscriptions hear it by themselves; this one may have
    /// been left by a connection that is gone.
    fn overheard(&mut self, now: Now, watcher: &Endpoint, notify: &Notify) {
        let presentity = &notify.doc.presentity;
        let Some(trunk) = &self.trunk else { return };
        let served = trunk.watching.contains_key(&(watcher.address.clone(), presentity.clone()));
        let recent = trunk.inherited.is_some_and(|at| now.tick.since(at) < INHERIT_AGAIN);
        if !served && !recent {
            let pair = model::DomainPair::between(presentity, &watcher.address);
            self.ask_for_left(now, &pair);
        }
    }

    /// How somebody behind the other server is reached.
    pub(in crate::machine) fn trunk_road(&self, to: &Endpoint) -> Option<Road> {
        let trunk = self.trunk.as_ref()?;
        Some(Road {
            target: address::endpoint_uri(to),
            hop: Hop::Stream(Flow::ACCEPTED),
            cpim: trunk.opens_cpim || trunk.cpim.contains(&to.address),
            composing: !trunk.silent.contains(&to.address),
        })
    }

    /// Learns whether somebody behind the other server reads CPIM.
    pub(in crate::machine) fn learn_cpim(&mut self, who: &model::Address, reads: bool) {
        let Some(trunk) = &mut self.trunk else { return };
        if reads && trunk.cpim.len() >= REMEMBERED {
            trunk.cpim.pop_first();
        }
        // One who does not shows that the server passes envelopes on as they are.
        trunk.opens_cpim &= reads;
        match reads {
            true => trunk.cpim.insert(who.clone()),
            false => trunk.cpim.remove(who),
        };
    }

    /// Somebody behind the other server does not want typing indications.
    pub(in crate::machine) fn learn_silence(&mut self, who: &model::Address) {
        let Some(trunk) = &mut self.trunk else { return };
        if trunk.silent.len() >= REMEMBERED {
            trunk.silent.pop_first();
        }
        trunk.silent.insert(who.clone());
    }
}
