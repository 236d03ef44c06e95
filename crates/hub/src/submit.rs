//! The way in: plan, pipeline, journal.

use crate::account::Account;
use crate::clock;
use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use crate::pipeline::Context;
use crate::router::{Committed, Plan};
use crate::trace::{Trail, now};
use crate::twice::{Came, Repeat};
use model::codec::{encode_body, encode_head};
use model::{
    Address, DomainPair, Envelope, Event, Judgement, Outcome, Reason, Refusal, Seq, Settlement, Term, Ticket,
};
use std::sync::Arc;
use store::{Draft, RowKind, Trouble};

/// What whoever asked hears of a store that failed: a disk that is full or ill now may be well again in a while.
pub(crate) fn broken(trouble: &Trouble) -> Refusal {
    match trouble {
        Trouble::Damaged(_) => Refusal::new(Reason::Internal),
        _ => Refusal::unrecorded(),
    }
}

impl Hub {
    /// Takes an envelope that needs nothing from the disk and no stage that takes time; gives it back if it does, or if
    /// something of the same link already waits and must not be overtaken.
    pub(crate) fn submit_quick(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        ticket: Ticket,
        envelope: Box<Envelope>,
        outcome_wanted: bool,
    ) -> Result<(), Box<Envelope>> {
        let quick = matches!(
            envelope.event,
            Event::Message(_) | Event::Receipt(_) | Event::Composing(_) | Event::Opaque(_) | Event::Call(_)
        );
        if !quick || !link.is_quick() || self.parts.pipeline.waits(&envelope) {
            return Err(envelope);
        }
        let to = &envelope.to.address;
        let plan = match self.hosts(to.domain()) {
            true => self.account_at_hand(to).map(Plan::Mailbox),
            false => self.account_at_hand(&self.way_of(&envelope).mailbox()).map(Plan::Remote),
        };
        let Some(plan) = plan else { return Err(envelope) };
        self.enter(link, ticket, envelope, outcome_wanted, plan);
        Ok(())
    }

    /// Takes any envelope. Blocks.
    pub(crate) fn submit_slow(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        ticket: Ticket,
        envelope: Box<Envelope>,
        outcome_wanted: bool,
    ) {
        match self.plan(&envelope) {
            Ok(plan) => self.enter(link, ticket, envelope, outcome_wanted, plan),
            Err(trouble) => {
                tracing::error!(id = %envelope.id, %trouble, "cannot plan");
                self.refuse(link, ticket, &envelope, broken(&trouble));
            }
        }
    }

    pub(crate) fn plan(self: &Arc<Self>, envelope: &Envelope) -> Result<Plan, Trouble> {
        let to = &envelope.to.address;
        if !self.hosts(to.domain()) {
            let pair = DomainPair::between(&envelope.from.address, to);
            return Ok(match self.parts.partners.routes(&pair) {
                Ok(_) => Plan::Remote(self.way_account(&self.way_of(envelope))),
                Err(refusal) => Plan::Refuse(refusal),
            });
        }
        if to.user().is_none() {
            return Ok(Plan::Refuse(
                Refusal::new(Reason::Unavailable).with_text("the server itself reads no messages"),
            ));
        }
        let Some(account) = self.account(to)? else {
            return Ok(Plan::Refuse(Refusal::new(Reason::NotFound).with_text("there is no such user")));
        };
        Ok(match envelope.event {
            Event::Publish(_) | Event::Subscribe(_) | Event::Authorize(_) => Plan::Presence,
            Event::Notify(_) => Plan::Refuse(Refusal::new(Reason::BadRequest)),
            _ => Plan::Mailbox(account),
        })
    }

    /// Pipeline, then journal.
    fn enter(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        ticket: Ticket,
        mut envelope: Box<Envelope>,
        outcome_wanted: bool,
        plan: Plan,
    ) {
        self.counting.entered(envelope.origin.dialect, &envelope.event);
        let (acquainted, listed) = self.acquainted(&envelope, &plan);
        let is_here = !matches!(plan, Plan::Remote(_)) && self.hosts(envelope.to.address.domain());
        let context = Context { now: clock::wall(), acquainted, listed, is_here };
        let trail = Trail::of(self.parts.tracer.as_ref(), envelope.id);
        let mut judged = self.parts.pipeline.judge_on(&mut envelope, &context, trail.as_ref());
        if let Some(trail) = &trail {
            trail.span("pipeline", trail.begun, None);
        }
        // It has come as far as it may (RFC 3261 16.3): to us, and to nobody else's server.
        if envelope.hops == 0 && matches!(plan, Plan::Remote(_)) && judged.refused.is_none() {
            let refusal = Refusal::new(Reason::Loop).with_text("too many hops").by_rule("limits");
            judged.refused = Some(refusal);
        }
        let recorded = match &envelope.event {
            Event::Publish(p) => self.is_presence_recorded(&envelope, p, judged.refused.is_none()),
            _ => self.is_recorded(&envelope),
        };
        // What is not recorded has nowhere to wait, and what somebody is doing now is no news tomorrow.
        let may_wait = recorded && !matches!(envelope.event, Event::Publish(_));
        if let Some(hold) = judged.held.take_if(|_| !may_wait) {
            let text = "it would have to be looked at first, which is done with messages only";
            judged.refused = Some(Refusal::new(Reason::Policy).with_text(text).by_rule(hold.rule));
        }
        let plan = match (&judged.refused, &judged.held) {
            (Some(_), _) if judged.silent => Plan::Drop,
            (Some(refusal), _) => Plan::Refuse(refusal.clone()),
            (None, Some(hold)) => Plan::Hold(hold.clone()),
            (None, None) => plan,
        };
        if let Some(refusal) = &judged.refused {
            self.parts.pipeline.settled(&envelope, &Outcome::Refused(refusal.clone()), &context);
        }
        let envelope = Arc::<Envelope>::from(envelope);
        if envelope.id.is_named() {
            let repeat = Repeat { link: Arc::downgrade(link), ticket, outcome_wanted };
            let came = self.twice.came(envelope.id, repeat);
            if came != Came::First {
                tracing::info!(id = %envelope.id, from = %envelope.from.address, ?came, "came again");
            }
            match came {
                Came::First => {}
                // It hears of its end when the first does.
                Came::Entering => return,
                Came::Kept => {
                    link.send(HubEvent::Kept(ticket));
                    if outcome_wanted {
                        link.send(HubEvent::Settled(ticket, Outcome::Accepted.into()));
                    }
                    return;
                }
            }
            if !recorded {
                self.repeats_end(&envelope, None);
            }
        }
        if self.heard_back(link.dialect, &envelope, &plan) {
            self.repeats_end(&envelope, None);
            link.send(HubEvent::Kept(ticket));
            if outcome_wanted {
                link.send(HubEvent::Settled(ticket, Outcome::Accepted.into()));
            }
            return;
        }
        if recorded {
            // A plan that knew no way is a refusal of its own.
            if let (Plan::Refuse(refusal), None) = (&plan, &judged.refused) {
                judged.refused = Some(refusal.clone());
            }
            self.record(Committed::of(link, ticket, envelope, outcome_wanted, plan, trail), &judged);
            return;
        }
        link.send(HubEvent::Kept(ticket));
        match plan {
            Plan::Refuse(refusal) => self.refuse(link, ticket, &envelope, refusal),
            Plan::Presence => {
                self.apply(link, ticket, &envelope, outcome_wanted);
            }
            Plan::Hold(_) => {}
            Plan::Drop => self.drop_silently(link, ticket, &envelope, outcome_wanted),
            Plan::Remote(account) => self.pass_abroad(link, ticket, &account, &envelope, outcome_wanted),
            Plan::Mailbox(account) if matches!(envelope.event, Event::Call(_)) => {
                if let Err(refusal) = self.connect(link, ticket, &account, &envelope) {
                    self.refuse(link, ticket, &envelope, refusal);
                }
            }
            Plan::Mailbox(account) => {
                let settlement = self.pass_on(&account, &envelope);
                if outcome_wanted || matches!(settlement.outcome, Outcome::Refused(_)) {
                    link.send(HubEvent::Settled(ticket, settlement));
                }
            }
        }
    }

    /// Have the two consented to one another in any direction, and does the addressee list the sender?
    pub(crate) fn acquainted(&self, envelope: &Envelope, plan: &Plan) -> (bool, bool) {
        let of = |account: &Account| {
            let state = account.state.lock();
            (state.knows(&envelope.from.address), state.book.lists(&envelope.from.address))
        };
        match plan {
            Plan::Mailbox(account) => of(account),
            // Their server knows, and decides.
            Plan::Remote(_) => (true, true),
            Plan::Presence => self.account_at_hand(&envelope.to.address).map_or((false, false), |a| of(&a)),
            _ => (false, false),
        }
    }

    /// A lease that merely renews what consent already allows is no news for the record; one that asks is.
    fn is_recorded(&self, envelope: &Envelope) -> bool {
        match &envelope.event {
            Event::Subscribe(s) if matches!(s.term, Term::Lease { secs, .. } if secs > 0) => {
                let presentity = &envelope.to.address;
                presentity != &envelope.from.address
                    && self
                        .account_at_hand(presentity)
                        .is_some_and(|a| a.state.lock().book.watcher(&envelope.from.address).is_none())
            }
            // A look, or the end of a lease on somebody elsewhere, is between this server and its own phone.
            Event::Subscribe(s) if matches!(s.term, Term::Once { .. }) => false,
            Event::Subscribe(s) if matches!(s.term, Term::Lease { .. }) => {
                self.hosts(envelope.to.address.domain())
            }
            event => event.is_journalled(),
        }
    }

    /// To the journal, and from there to the router.
    pub(crate) fn record(self: &Arc<Self>, entering: Committed, judged: &Judgement) {
        self.record_and_then(entering, judged, |_| true);
    }

    /// The same; `then` hears how it ended, on the writer's thread, and says whether the router shall.
    fn record_and_then(
        self: &Arc<Self>,
        entering: Committed,
        judged: &Judgement,
        then: impl FnOnce(&Result<Seq, Trouble>) -> bool + Send + 'static,
    ) {
        let envelope = &entering.envelope;
        let mailbox = match &entering.plan {
            Plan::Mailbox(account) | Plan::Remote(account) => self.waits_for(envelope, &account.address),
            Plan::Hold(_) => Some(Address::quarantine()),
            Plan::Presence | Plan::Refuse(_) | Plan::Drop => None,
        };
        let draft = Draft {
            kind: RowKind::Envelope,
            // When it goes on record, also where it waited for somebody's decision: when it was said stands in its head.
            at: clock::wall(),
            mailbox,
            parties: (envelope.from.address.clone(), envelope.to.address.clone()),
            head: encode_head(envelope, judged),
            body: encode_body(envelope),
        };
        let late = self.late_row(envelope, &entering.plan, judged, &draft);
        let hub = self.clone();
        let queued = entering.trail.as_ref().map_or(0, |_| now());
        self.parts.journal.append(
            draft,
            Box::new(move |result| {
                let lane = hub.clone();
                if let Some(trail) = &entering.trail {
                    trail.span("journal", queued, None);
                }
                if then(&result) {
                    lane.to_lane(Committed { result, late, ..entering });
                }
            }),
        );
    }

    /// The same for what nobody waits for but whoever calls. Blocks until it is on record.
    ///
    /// # Errors
    /// [`Trouble`] where it is not; then it goes nowhere.
    pub(crate) fn record_now(
        self: &Arc<Self>,
        entering: Committed,
        judged: &Judgement,
    ) -> Result<Seq, Trouble> {
        let (end, ended) = std::sync::mpsc::sync_channel(1);
        self.record_and_then(entering, judged, move |result| {
            // Whoever waits is there until it has heard.
            let _ = end.send(result.clone());
            result.is_ok()
        });
        ended.recv().unwrap_or_else(|_| Err(Trouble::Failed("the journal gave no answer".into())))
    }

    fn waits_for(&self, envelope: &Envelope, account: &Address) -> Option<Address> {
        let lasting = match &envelope.event {
            Event::Message(m) => m.lasting,
            Event::Publish(_) => false,
            _ => true,
        };
        lasting.then(|| account.clone())
    }

    /// An act of the presence kind that is on record, or need not be. Gives how it ended. Blocks.
    pub(crate) fn apply(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        ticket: Ticket,
        envelope: &Arc<Envelope>,
        wanted: bool,
    ) -> Outcome {
        let result = match &envelope.event {
            Event::Publish(p) => self.publish(link, envelope, p),
            Event::Subscribe(s) => self.subscribe(link, envelope, s),
            Event::Authorize(a) => self.authorize(envelope, a),
            _ => Ok(Outcome::Refused(Refusal::new(Reason::BadRequest))),
        };
        let outcome = result.unwrap_or_else(|trouble| {
            tracing::error!(id = %envelope.id, %trouble, "presence could not be kept");
            Outcome::Refused(broken(&trouble))
        });
        match &outcome {
            Outcome::Refused(refusal) => self.refuse(link, ticket, envelope, refusal.clone()),
            outcome if wanted => link.send(HubEvent::Settled(ticket, Settlement::from(outcome.clone()))),
            _ => {}
        }
        outcome
    }
}
