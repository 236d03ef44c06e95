//! The router: what happens to an envelope once it is on record.
//!
//! Lanes are tasks, one per worker; all rows of one addressee go through the same lane, in journal order.

use crate::account::{Account, Posted};
use crate::house::Hub;
use crate::link::{HubEvent, Job, LinkCore};
use model::{Envelope, Event, Outcome, Reason, Refusal, Seq, Settlement, Ticket};
use std::hash::BuildHasher;
use std::sync::{Arc, Weak};
use store::Trouble;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where an envelope goes.
#[derive(Clone)]
pub(crate) enum Plan {
    /// To a local account's devices, and to its mailbox while there are none.
    Mailbox(Arc<Account>),
    /// To presence.
    Presence,
    /// Nowhere.
    Refuse(Refusal),
}

/// An envelope between journal and router.
pub(crate) struct Committed {
    pub result: Result<Seq, Trouble>,
    pub envelope: Arc<Envelope>,
    pub plan: Plan,
    pub link: Arc<LinkCore>,
    pub ticket: Ticket,
    pub outcome_wanted: bool,
}

/// The queues from the journal's writer to the routing tasks.
pub(crate) struct Lanes(Vec<UnboundedSender<Committed>>);

impl Lanes {
    pub fn new(count: usize) -> (Self, Vec<UnboundedReceiver<Committed>>) {
        let (senders, receivers) = (0..count.max(1)).map(|_| unbounded_channel()).unzip();
        (Self(senders), receivers)
    }

    pub async fn run(hub: Weak<Hub>, mut queue: UnboundedReceiver<Committed>) {
        let mut batch = Vec::with_capacity(256);
        while queue.recv_many(&mut batch, 256).await > 0 {
            let Some(hub) = hub.upgrade() else { return };
            for committed in batch.drain(..) {
                hub.route(committed);
            }
        }
    }
}

impl Hub {
    /// Gives a committed row to the lane of its addressee. Called by the journal's writer.
    pub(crate) fn to_lane(&self, committed: Committed) {
        let at = self.hasher.hash_one(&committed.envelope.to.address) as usize % self.lanes.0.len();
        // The lane ends only with the hub itself.
        let _ = self.lanes.0[at].send(committed);
    }

    fn route(self: &Arc<Self>, committed: Committed) {
        let Committed { result, envelope, plan, link, ticket, outcome_wanted } = committed;
        let seq = match result {
            Ok(seq) => seq,
            Err(trouble) => {
                // The store has said once, and louder, that it cannot be written.
                tracing::debug!(id = %envelope.id, %trouble, "not on record, so not delivered");
                return self.refuse(&link, ticket, &envelope, Refusal::unrecorded());
            }
        };
        link.send(HubEvent::Kept(ticket));
        match plan {
            Plan::Refuse(refusal) => self.refuse(&link, ticket, &envelope, refusal),
            Plan::Presence => self.enqueue(&link, Job::Apply { seq, ticket, envelope, outcome_wanted }),
            Plan::Mailbox(account) => {
                let lasting = !matches!(&envelope.event, Event::Message(m) if !m.lasting);
                self.awaiting.insert(seq, &link, ticket, outcome_wanted);
                let heard = self.parts.bus.ring(
                    account.address.as_str(),
                    Arc::new(Posted { seq, envelope: envelope.clone(), lasting }),
                );
                self.copy(&account, &envelope);
                if heard.0 == 0 {
                    let outcome = if lasting {
                        Outcome::Accepted
                    } else {
                        Outcome::Refused(
                            Refusal::new(Reason::Unavailable).with_text("nobody is there to read it"),
                        )
                    };
                    self.settle_early(seq, outcome.into());
                }
            }
        }
    }

    /// Tells the sender no. The reason is already in the row, if there is one.
    pub(crate) fn refuse(&self, link: &LinkCore, ticket: Ticket, envelope: &Envelope, refusal: Refusal) {
        self.counting.refused(refusal.reason);
        tracing::info!(id = %envelope.id, from = %envelope.from.address, to = %envelope.to.address,
            kind = envelope.event.kind(), reason = refusal.reason.name(), rule = refusal.rule.as_deref(), "refused");
        link.send(HubEvent::Settled(ticket, Settlement::from(Outcome::Refused(refusal))));
    }
}
