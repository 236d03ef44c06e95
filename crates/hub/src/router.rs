//! The router: what happens to an envelope once it is on record.
//!
//! Lanes are tasks, one per worker; all rows of one mailbox go through the same lane, in journal order: a mailbox counts
//! on that, one that heard of a later row first would take the earlier one for done.

use crate::account::{Account, Posted};
use crate::house::Hub;
use crate::link::{HubEvent, Job, LinkCore};
use crate::trace::{ROOT, Trail, now};
use model::{Envelope, Event, Hold, Outcome, Reason, Refusal, Seq, Settlement, Ticket};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use store::{Draft, Trouble};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where an envelope goes.
#[derive(Clone)]
pub(crate) enum Plan {
    /// To a local account's devices, and to its mailbox while there are none.
    Mailbox(Arc<Account>),
    /// To the mailbox of a pair of domains.
    Remote(Arc<Account>),
    /// To presence.
    Presence,
    /// To the quarantine, until a person decides.
    Hold(Hold),
    /// Nowhere.
    Refuse(Refusal),
    /// Nowhere, and nobody hears it.
    Drop,
}

/// An envelope between journal and router.
pub(crate) struct Committed {
    pub result: Result<Seq, Trouble>,
    pub envelope: Arc<Envelope>,
    pub plan: Plan,
    pub link: Arc<LinkCore>,
    pub ticket: Ticket,
    pub outcome_wanted: bool,
    pub trail: Option<Trail>,
    /// The row once more, where it may pass without.
    pub late: Option<Box<Draft>>,
}

impl Committed {
    /// Not committed yet.
    pub fn of(
        link: &Arc<LinkCore>,
        ticket: Ticket,
        envelope: Arc<Envelope>,
        outcome_wanted: bool,
        plan: Plan,
        trail: Option<Trail>,
    ) -> Self {
        let result = Err(Trouble::Busy(String::new()));
        Self { result, envelope, plan, link: link.clone(), ticket, outcome_wanted, trail, late: None }
    }
}

/// The queues from the journal's writer to the routing tasks.
pub(crate) struct Lanes(Vec<(UnboundedSender<Committed>, Arc<AtomicU64>)>);

/// A lane's end: the rows, and how many there are.
pub(crate) type LaneEnd = (UnboundedReceiver<Committed>, Arc<AtomicU64>);

impl Lanes {
    pub fn new(count: usize) -> (Self, Vec<LaneEnd>) {
        let lane = |_| {
            let (sender, receiver) = unbounded_channel();
            let waiting = Arc::new(AtomicU64::new(0));
            ((sender, waiting.clone()), (receiver, waiting))
        };
        let (starts, ends) = (0..count.max(1)).map(lane).unzip();
        (Self(starts), ends)
    }

    /// Rows that wait in all lanes.
    pub fn waiting(&self) -> u64 {
        self.0.iter().map(|(_, waiting)| waiting.load(Ordering::Relaxed)).sum()
    }

    pub async fn run(hub: Weak<Hub>, (mut queue, waiting): LaneEnd) {
        let mut batch = Vec::with_capacity(256);
        while queue.recv_many(&mut batch, 256).await > 0 {
            let Some(hub) = hub.upgrade() else { return };
            waiting.fetch_sub(batch.len() as u64, Ordering::Relaxed);
            for mut committed in batch.drain(..) {
                let trail = committed.trail.take().map(|trail| (trail, now()));
                hub.route(committed);
                if let Some((trail, begun)) = trail {
                    trail.span("route", begun, None);
                    trail.span(ROOT, trail.begun, None);
                }
            }
        }
    }
}

impl Hub {
    /// Gives a committed row to the lane of its mailbox. Called by the journal's writer.
    pub(crate) fn to_lane(&self, committed: Committed) {
        let mailbox = match &committed.plan {
            Plan::Mailbox(account) | Plan::Remote(account) => &account.address,
            Plan::Presence | Plan::Hold(_) | Plan::Refuse(_) | Plan::Drop => &committed.envelope.to.address,
        };
        let at = self.hasher.hash_one(mailbox) as usize % self.lanes.0.len();
        let (lane, waiting) = &self.lanes.0[at];
        waiting.fetch_add(1, Ordering::Relaxed);
        // The lane ends only with the hub itself.
        let _ = lane.send(committed);
    }

    fn route(self: &Arc<Self>, mut committed: Committed) {
        let seq = match &committed.result {
            Ok(seq) => *seq,
            Err(trouble) => {
                if let Some(draft) = committed.late.take()
                    && self.pass_unrecorded(&committed, trouble, *draft)
                {
                    self.repeats_end(&committed.envelope, None);
                    return;
                }
                // The store has said once, and louder, that it cannot be written.
                tracing::debug!(id = %committed.envelope.id, %trouble, "not on record, so not delivered");
                let Committed { link, ticket, envelope, .. } = &committed;
                self.repeats_end(envelope, Some(&Refusal::unrecorded()));
                self.presence_unrecorded(envelope);
                return self.refuse(link, *ticket, envelope, Refusal::unrecorded());
            }
        };
        self.repeats_end(&committed.envelope, None);
        let kept = HubEvent::Kept(committed.ticket);
        match committed.outcome_wanted {
            // The outcome follows.
            true => committed.link.send_along(kept),
            false => committed.link.send(kept),
        }
        if let Plan::Remote(account) = &committed.plan {
            let account = account.clone();
            return match committed.envelope.event {
                // What two people agree on is noted here before it leaves.
                Event::Subscribe(_) | Event::Authorize(_) => {
                    let link = committed.link.clone();
                    // What comes behind it must not pass for all there was.
                    let kept_back = account.state.lock().mailbox.keep_back(seq.0);
                    self.enqueue(
                        &link,
                        Job::Depart { seq, account, committed: Box::new(committed), kept_back },
                    )
                }
                _ => self.post_abroad(seq, &account, committed, false),
            };
        }
        let Committed { envelope, plan, link, ticket, outcome_wanted, .. } = committed;
        match plan {
            Plan::Refuse(refusal) => self.refuse(&link, ticket, &envelope, refusal),
            Plan::Remote(_) => {}
            Plan::Drop => self.drop_silently(&link, ticket, &envelope, outcome_wanted),
            Plan::Hold(hold) => {
                self.counting.held();
                self.parts.pipeline.held(&envelope, &hold, seq);
                tracing::info!(id = %envelope.id, from = %envelope.from.address, to = %envelope.to.address, %seq, "held");
                if outcome_wanted {
                    link.send(HubEvent::Settled(ticket, Outcome::Pending.into()));
                }
            }
            Plan::Presence => self.enqueue(&link, Job::Apply { seq, ticket, envelope, outcome_wanted }),
            Plan::Mailbox(account) => {
                let lasting = !matches!(&envelope.event, Event::Message(m) if !m.lasting);
                self.awaiting.insert(seq, &link, ticket, outcome_wanted);
                let heard = self.parts.bus.ring(
                    account.address.as_str(),
                    Arc::new(Posted { seq, envelope: envelope.clone(), lasting, departing: false }),
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

    /// Tells the sender nothing that would tell it from what passes.
    pub(crate) fn drop_silently(&self, link: &LinkCore, ticket: Ticket, envelope: &Envelope, wanted: bool) {
        self.counting.dropped();
        tracing::info!(id = %envelope.id, from = %envelope.from.address, to = %envelope.to.address,
            kind = envelope.event.kind(), "dropped");
        if wanted {
            link.send(HubEvent::Settled(ticket, Outcome::Accepted.into()));
        }
    }

    /// Tells the sender no. The reason is already in the row, if there is one.
    pub(crate) fn refuse(&self, link: &LinkCore, ticket: Ticket, envelope: &Envelope, refusal: Refusal) {
        self.counting.refused(&refusal);
        tracing::info!(id = %envelope.id, from = %envelope.from.address, to = %envelope.to.address,
            kind = envelope.event.kind(), reason = refusal.reason.name(), rule = refusal.rule.as_deref(), "refused");
        link.send(HubEvent::Settled(ticket, Settlement::from(Outcome::Refused(refusal))));
    }
}
