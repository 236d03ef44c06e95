//! What goes to other companies' servers: one mailbox for each pair of domains, carried by whatever connection is
//! authorised for the pair. Rows wait in the store like anybody's; what is not recorded waits here for as long as it
//! takes to connect, and no longer.

use crate::account::{Account, Posted, Slot, State};
use crate::choice::Lent;
use crate::clock;
use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use crate::paths::{Paths, path_of};
use crate::router::Committed;
use model::{
    Answer, Dialect, DomainPair, Envelope, Event, Outcome, Reason, Refusal, Seq, Settlement, Subscribe, Term,
    Ticket, Way,
};
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use store::Trouble;

/// What may wait unrecorded for one pair; the oldest goes first.
const PASSING: usize = 1_000;
/// How often rows that wait are looked at: whether they are overdue, and whether to try again.
const LOOK: Duration = Duration::from_secs(2);
/// Rows read at a time.
pub(crate) const PAGE: usize = 200;

/// A pair's side of an account.
pub(crate) struct Remote {
    pub way: Way,
    passing: VecDeque<Passing>,
    /// Rows of the other protocol's mailbox that are to be tried here.
    pub lent: VecDeque<Lent>,
    /// Which connections have whose rows in hand.
    pub paths: Paths,
    /// Rows wait, as far as we know.
    pub waiting: bool,
    /// A connection has come, and the rows that waited for it are not all on their way yet.
    opening: bool,
    /// Why the last connection came to nothing.
    pub failure: Option<Refusal>,
}

/// Something that is not recorded, on its way.
struct Passing {
    envelope: Arc<Envelope>,
    /// Who wants to hear that it could not be passed on.
    sender: Option<(Weak<LinkCore>, Ticket)>,
    /// And also that it could.
    outcome_wanted: bool,
}

impl Passing {
    /// Nobody else asks again how somebody is.
    fn is_look(&self) -> bool {
        let look = Event::Subscribe(Subscribe { term: Term::Once { key: None }, note: None, original: None });
        self.sender.is_none() && self.envelope.event == look
    }
}

/// Why this connection cannot pass this on: talk within one dialect is nothing to another.
fn misfit(slot: &Slot, envelope: &Envelope) -> Option<Refusal> {
    let dialect = match &envelope.event {
        Event::Opaque(opaque) => opaque.original.dialect,
        Event::Call(call) => call.original.dialect,
        _ => return None,
    };
    (dialect != slot.link.dialect).then(|| {
        let text = format!("their server speaks {} with us, which has no word for this", slot.link.dialect);
        Refusal::new(Reason::Unsupported).with_text(text)
    })
}

/// Pairs for which rows wait.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<BTreeSet<Way>>);

impl Remote {
    pub fn new(way: Way) -> Self {
        Self {
            way,
            passing: VecDeque::new(),
            lent: VecDeque::new(),
            paths: Paths::default(),
            waiting: false,
            opening: false,
            failure: None,
        }
    }
}

/// Does this connection carry? One that has ended may still stand in the list for a moment.
fn is_ready(slot: &Slot) -> bool {
    slot.attend.is_some() && !slot.link.closed.load(Ordering::Acquire)
}

impl State {
    /// Does any connection carry for the pair?
    pub fn is_carried(&self) -> bool {
        self.devices.iter().any(is_ready)
    }

    /// Nothing would be lost if this were forgotten.
    pub fn is_idle_pair(&self) -> bool {
        let idle = |r: &Remote| r.passing.is_empty() && r.lent.is_empty() && !r.waiting;
        self.remote.as_deref().is_some_and(idle) && self.devices.is_empty() && self.mailbox.open.is_empty()
    }

    /// Which connection carries this: the one that has rows of the same two parties in hand, else any, but always the same.
    pub fn carrier(&self, envelope: &Envelope, hasher: &impl BuildHasher) -> Option<usize> {
        let path = path_of(envelope, hasher);
        self.holder(path).flatten().or_else(|| self.ready(path))
    }

    /// The same for a row, which must not overtake those in hand: none while they are on a connection that ends.
    pub fn row_carrier(&self, path: u64) -> Option<usize> {
        self.holder(path).unwrap_or_else(|| self.ready(path))
    }

    /// The connection that has rows of the path in hand, if one has; `Some(None)` while it takes no more.
    fn holder(&self, path: u64) -> Option<Option<usize>> {
        let link = self.remote.as_ref()?.paths.holder(path)?;
        let holds = |s: &Slot| is_ready(s) && std::ptr::eq(Arc::as_ptr(&s.link), link.as_ptr());
        Some(self.devices.iter().position(holds))
    }

    fn ready(&self, path: u64) -> Option<usize> {
        let ready: Vec<usize> = (0..self.devices.len()).filter(|at| is_ready(&self.devices[*at])).collect();
        match ready.len() {
            0 => None,
            n => Some(ready[path as usize % n]),
        }
    }
}

impl Hub {
    /// Gives the hub somebody who opens connections, and calls those for whom rows have waited since before this
    /// process began. Blocks.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn dial_with(self: &Arc<Self>, dialler: Arc<dyn ports::Dialler>) -> Result<(), Trouble> {
        if self.dialler.set(dialler).is_err() {
            return Ok(());
        }
        for mailbox in self.parts.journal.pairs_waiting()? {
            if let Some(way) = Way::of_mailbox(&mailbox) {
                let account = self.way_account(&way);
                self.note_waiting(&mut account.state.lock());
                self.call(&way);
            }
        }
        Ok(())
    }

    pub(crate) fn call(&self, way: &Way) {
        match self.dialler.get() {
            Some(dialler) => dialler.call(way),
            None => tracing::debug!(%way, "nobody opens connections"),
        }
    }

    /// Does anything wait for a connection that carries this way?
    pub fn wants(&self, way: &Way) -> bool {
        let Some(account) = self.account_at_hand(&way.mailbox()) else { return false };
        let state = account.state.lock();
        let waits = |r: &Remote| r.waiting || !r.passing.is_empty() || !r.lent.is_empty();
        state.remote.as_deref().is_some_and(waits) && !state.is_carried()
    }

    /// Notes that rows wait for a pair.
    pub(crate) fn note_waiting(&self, state: &mut State) {
        if let Some(remote) = &mut state.remote
            && !remote.waiting
        {
            remote.waiting = true;
            self.waiting.0.lock().insert(remote.way.clone());
        }
    }

    /// Notes that none wait any more.
    pub(crate) fn note_drained(&self, state: &mut State) {
        if let Some(remote) = &mut state.remote
            && remote.waiting
            && remote.lent.is_empty()
        {
            remote.waiting = false;
            self.waiting.0.lock().remove(&remote.way);
        }
    }

    /// Rows went back to a mailbox; if it is a pair's that nobody carries for now, somebody must.
    pub(crate) fn call_for(&self, account: &Account) {
        let way = {
            let mut state = account.state.lock();
            if state.is_carried() {
                return;
            }
            self.note_waiting(&mut state);
            state.remote.as_ref().map(|r| r.way.clone())
        };
        if let Some(way) = way {
            self.call(&way);
        }
    }

    /// A recorded row for another company's server; `departing` if its mailbox kept it back until now.
    pub(crate) fn post_abroad(
        self: &Arc<Self>,
        seq: Seq,
        account: &Arc<Account>,
        committed: Committed,
        departing: bool,
    ) {
        let Committed { envelope, link, ticket, outcome_wanted, .. } = committed;
        if matches!(&envelope.event, Event::Message(m) if !m.lasting)
            || matches!(envelope.event, Event::Publish(_))
        {
            return self.pass_abroad(&link, ticket, account, &envelope, outcome_wanted);
        }
        self.awaiting.insert(seq, &link, ticket, outcome_wanted);
        let posted = Arc::new(Posted { seq, envelope: envelope.clone(), lasting: true, departing });
        let heard = self.parts.bus.ring(account.address.as_str(), posted);
        self.copy(account, &envelope);
        if heard.0 == 0 {
            if departing {
                account.state.lock().mailbox.let_go(seq.0);
            }
            self.call_for(account);
        }
    }

    /// Passes on what is not recorded, or keeps it while a connection is opened. Blocks for what changes presence.
    pub(crate) fn pass_abroad(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        ticket: Ticket,
        account: &Arc<Account>,
        envelope: &Arc<Envelope>,
        outcome_wanted: bool,
    ) {
        let applied = match &envelope.event {
            Event::Publish(_) => true,
            Event::Subscribe(Subscribe { term: Term::Lease { .. }, .. }) => true,
            Event::Subscribe(Subscribe { term: Term::Once { key }, .. }) => key.is_some(),
            _ => false,
        };
        if applied {
            self.apply(link, ticket, envelope, outcome_wanted);
            return;
        }
        let answer = matches!(&envelope.event, Event::Opaque(o) if o.wants_answer)
            || matches!(&envelope.event, Event::Message(_) | Event::Call(_));
        let sender = (answer || outcome_wanted).then(|| (Arc::downgrade(link), ticket));
        if self.carry(account, envelope, sender, outcome_wanted) && outcome_wanted {
            link.send(HubEvent::Settled(ticket, Outcome::Delivered.into()));
        }
    }

    /// Sends what the hub itself has to tell somebody elsewhere, if it may be told.
    pub(crate) fn tell_abroad(self: &Arc<Self>, envelope: &Arc<Envelope>) {
        if let Err(refusal) = self.parts.partners.permit(envelope) {
            return tracing::debug!(to = %envelope.to.address, %refusal, "not told");
        }
        let pair = DomainPair::between(&envelope.from.address, &envelope.to.address);
        if self.parts.partners.routes(&pair).is_ok() {
            self.carry(&self.way_account(&self.way_of(envelope)), envelope, None, false);
        }
    }

    /// `true` if a connection has it now; else it waits for one, or was refused.
    fn carry(
        &self,
        account: &Arc<Account>,
        envelope: &Arc<Envelope>,
        sender: Option<(Weak<LinkCore>, Ticket)>,
        outcome_wanted: bool,
    ) -> bool {
        let mut state = account.state.lock();
        let carrier = state.carrier(envelope, &self.hasher);
        let Some(remote) = &mut state.remote else { return false };
        if let Some(at) = carrier.filter(|_| !remote.opening) {
            if let Some(refusal) = misfit(&state.devices[at], envelope) {
                self.give_up(Passing { envelope: envelope.clone(), sender, outcome_wanted }, &refusal);
                return false;
            }
            self.pass_over(account, &state.devices[at], envelope, sender.as_ref());
            return true;
        }
        remote.passing.push_back(Passing { envelope: envelope.clone(), sender, outcome_wanted });
        let crowded = if remote.passing.len() > PASSING { remote.passing.pop_front() } else { None };
        let way = remote.way.clone();
        drop(state);
        if let Some(crowded) = crowded {
            self.give_up(crowded, &Refusal::new(Reason::Overloaded));
        }
        if carrier.is_none() {
            self.call(&way);
        }
        false
    }

    fn give_up(&self, passing: Passing, refusal: &Refusal) {
        if let Some((link, ticket)) = passing.sender
            && let Some(link) = link.upgrade()
        {
            self.refuse(&link, ticket, &passing.envelope, refusal.clone());
        }
    }

    /// A connection carries for a pair now. What waited unrecorded goes after the rows: whom somebody has just accepted
    /// must hear that before they hear how they are.
    pub(crate) fn carried(&self, account: &Arc<Account>, state: &mut State) {
        let Some(remote) = &mut state.remote else { return };
        remote.failure = None;
        remote.opening = state.mailbox.draining;
        self.flush_passing(account, state);
    }

    /// The rows that waited are on their way.
    pub(crate) fn rows_gone(&self, account: &Arc<Account>, state: &mut State) {
        if let Some(remote) = &mut state.remote {
            remote.opening = false;
            self.flush_passing(account, state);
        }
    }

    fn flush_passing(&self, account: &Arc<Account>, state: &mut State) {
        let Some(remote) = state.remote.as_mut().filter(|r| !r.opening) else { return };
        let passing = std::mem::take(&mut remote.passing);
        let mut kept = VecDeque::new();
        for (at, passing) in passing.into_iter().map(|p| (state.carrier(&p.envelope, &self.hasher), p)) {
            match at {
                Some(at) => {
                    if let Some(refusal) = misfit(&state.devices[at], &passing.envelope) {
                        self.give_up(passing, &refusal);
                        continue;
                    }
                    self.pass_over(account, &state.devices[at], &passing.envelope, passing.sender.as_ref());
                    if let Some((link, ticket)) = passing.sender
                        && passing.outcome_wanted
                        && let Some(link) = link.upgrade()
                    {
                        link.send(HubEvent::Settled(ticket, Outcome::Delivered.into()));
                    }
                }
                // It went while this was on its way.
                None => kept.push_back(passing),
            }
        }
        if let Some(remote) = &mut state.remote {
            remote.passing = kept;
        }
    }

    /// No connection could be had for a pair. Whoever waits for an answer hears it now; rows wait on for as long as
    /// they may, unless nobody can expect that trying again would help.
    pub fn unreached(self: &Arc<Self>, way: &Way, refusal: &Refusal) {
        let Some(account) = self.account_at_hand(&way.mailbox()) else { return };
        let (passing, lent) = {
            let mut state = account.state.lock();
            if state.is_carried() {
                return;
            }
            let Some(remote) = &mut state.remote else { return };
            remote.failure = Some(refusal.clone());
            let since = clock::wall().unix_ms().saturating_sub(self.parts.rules.federation_patience_ms());
            let waits = |p: &Passing| p.is_look() && p.envelope.at.unix_ms() >= since;
            let (looks, passing): (Vec<_>, Vec<_>) = remote.passing.drain(..).partition(waits);
            remote.passing = looks.into();
            (passing, self.lent_in_vain(remote, refusal))
        };
        for passing in passing {
            self.give_up(passing, refusal);
        }
        lent.into_iter().for_each(|lent| self.take_back(lent));
        let hub = self.clone();
        if !refusal.reason.is_transient() {
            self.blocking(move || hub.give_up_rows(&account, u64::MAX));
        } else if way.by.is_some() {
            let refusal = refusal.clone();
            self.blocking(move || hub.lend_rows(&account, &refusal));
        }
    }

    /// Rows that waited too long are given up, so that their senders hear; and what went back is tried again.
    pub(crate) async fn look_after_pairs(hub: Weak<Self>) {
        let mut interval = tokio::time::interval(LOOK);
        loop {
            interval.tick().await;
            let Some(hub) = hub.upgrade() else { return };
            hub.forget_idle_pairs();
            let waiting = hub.waiting.0.lock().clone();
            if waiting.is_empty() {
                continue;
            }
            let looked = hub.clone();
            let _ = hub.runtime.spawn_blocking(move || looked.look_after(&waiting)).await;
        }
    }

    fn look_after(self: &Arc<Self>, waiting: &BTreeSet<Way>) {
        let patience = self.parts.rules.federation_patience_ms();
        let before = clock::wall().unix_ms().saturating_sub(patience);
        for way in waiting {
            let account = self.way_account(way);
            self.give_up_rows(&account, before);
            self.give_up_lent(&account, before);
            let carried = {
                let mut state = account.state.lock();
                state.mailbox.stalled = false;
                self.consider_drain(&account, &mut state);
                state.is_carried()
            };
            if !carried {
                self.call(way);
            }
        }
    }

    /// Gives up rows that entered before this time, Unix milliseconds, and are with nobody. Blocks.
    fn give_up_rows(self: &Arc<Self>, account: &Arc<Account>, before: u64) {
        if let Err(trouble) = self.try_give_up(account, before) {
            tracing::error!(mailbox = %account.address, %trouble, "the mailbox cannot be read");
        }
    }

    fn try_give_up(self: &Arc<Self>, account: &Arc<Account>, before: u64) -> Result<(), Trouble> {
        self.load_cursor(account)?;
        let mut after = Seq(account.state.lock().mailbox.low);
        // All before a row are done, or with somebody: then the low mark may pass it.
        let mut all_done = true;
        loop {
            let rows = self.parts.journal.waiting(&account.address, after, PAGE)?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            for row in rows {
                let Ok(kept) = model::codec::decode(&row.head, row.body.as_deref()) else {
                    all_done = false;
                    continue;
                };
                if kept.envelope.at.unix_ms() >= before {
                    return Ok(());
                }
                let (refusal, cursor) = {
                    let mut state = account.state.lock();
                    if state.mailbox.is_settled(row.seq.0) {
                        continue;
                    }
                    if all_done {
                        state.mailbox.fetched = state.mailbox.fetched.max(row.seq.0);
                    }
                    state.mailbox.done(row.seq.0);
                    let failure = state.remote.as_ref().and_then(|r| r.failure.clone());
                    (overdue(failure), crate::drain::cursor(account, &state))
                };
                let envelope = &kept.envelope;
                tracing::info!(id = %envelope.id, from = %envelope.from.address, to = %envelope.to.address,
                    kind = envelope.event.kind(), %refusal, "given up");
                self.parts.journal.advance(cursor);
                self.settle(row.seq, Settlement::from(Outcome::Refused(refusal)));
            }
        }
        let mut state = account.state.lock();
        if state.mailbox.open.is_empty() && !state.mailbox.draining && !state.mailbox.missed {
            self.note_drained(&mut state);
        }
        Ok(())
    }

    /// Asks somebody's own server whether it said this.
    pub(crate) fn confirm(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        ticket: Ticket,
        pair: &DomainPair,
        proof: bytes::Bytes,
    ) {
        let Some(dialler) = self.dialler.get() else {
            let refusal = Refusal::new(Reason::RemoteNotFound);
            return link.send(HubEvent::Answer(ticket, Answer::Refused(refusal)));
        };
        let dialect: Dialect = link.dialect;
        let link = Arc::downgrade(link);
        let told = move |told: Result<(), Refusal>| {
            let answer = match told {
                Ok(()) => Answer::Verified(true),
                Err(refusal) if refusal.reason == Reason::NotAuthorized => Answer::Verified(false),
                Err(refusal) => Answer::Refused(refusal),
            };
            if let Some(link) = link.upgrade() {
                link.send(HubEvent::Answer(ticket, answer));
            }
        };
        dialler.confirm(pair, dialect, proof, Box::new(told));
    }
}

/// What a sender hears of a row that waited too long.
pub(crate) fn overdue(failure: Option<Refusal>) -> Refusal {
    let mut refusal = failure.unwrap_or_else(|| {
        Refusal::new(Reason::RemoteTimeout).with_text("their server could not be reached in time")
    });
    refusal.rule.get_or_insert_with(|| "deadline".into());
    refusal
}
