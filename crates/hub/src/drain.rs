//! Handing rows to devices: directly from the ring while the mailbox keeps up, else from the store.

use crate::account::{Account, Posted, Slot, State};
use crate::choice::Choice;
use crate::house::Hub;
use crate::link::{Flight, HubEvent, LinkCore};
use crate::mailbox::{Verdict, WINDOW};
use crate::paths::{NOWHERE, path_of};
use crate::trace::{Tracer, Trail, now};
use model::{
    Delivery, DeliveryId, Device, Dialect, Endpoint, Envelope, Event, Outcome, Reason, Refusal, Role, Seq,
    Settlement, Timestamp,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::{MailboxCursor, SettledRow, Trouble};

/// Rows fetched from the store at a time.
const PAGE: usize = 200;
/// The number of a delivery nobody has to acknowledge.
pub(crate) const UNTRACKED: DeliveryId = DeliveryId(0);

/// The devices that should get something: the one addressed if it is there, else every ready one that does not
/// decline (RFC 6121 sections 8.5.2.1.1 and 8.5.3.2.1).
fn targets(state: &State, device: Option<&Device>) -> Vec<usize> {
    if let Some(device) = device {
        let exact = state.devices.iter().position(|s| &s.device == device && s.attend.is_some());
        if let Some(exact) = exact {
            return vec![exact];
        }
    }
    let willing = |s: &Slot| s.attend.is_some_and(|priority| priority >= 0);
    (0..state.devices.len()).filter(|i| willing(&state.devices[*i])).collect()
}

/// Sends a row to those of the targets that have room. How many that were.
fn hand_out(
    account: &Arc<Account>,
    state: &mut State,
    seq: Seq,
    envelope: &Arc<Envelope>,
    since: Option<Timestamp>,
    hub: &Hub,
) -> u32 {
    let tracer: Option<&Arc<dyn Tracer>> = hub.parts.tracer.as_ref();
    let mut forks = 0;
    let (path, chosen) = match &state.remote {
        Some(_) => {
            let path = path_of(envelope, &hub.hasher);
            (path, state.row_carrier(path).into_iter().collect())
        }
        None => (NOWHERE, targets(state, envelope.to.device.as_ref())),
    };
    for at in chosen {
        let slot = &mut state.devices[at];
        if slot.in_flight >= WINDOW || slot.link.closed.load(Ordering::Acquire) {
            continue;
        }
        slot.in_flight += 1;
        forks += 1;
        let trail = Trail::of(tracer, envelope.id).map(Box::new);
        let id = slot.link.fly(Flight {
            account: account.clone(),
            seq: seq.0,
            path,
            from: envelope.origin.dialect,
            choice: Choice::of(hub, account, state.remote.as_deref().map(|r| &r.way), seq, envelope),
            trail,
        });
        slot.link.send(HubEvent::Deliver(Delivery {
            id,
            device: Endpoint::full(account.address.clone(), slot.device.clone()),
            envelope: envelope.clone(),
            role: Role::Primary,
            delayed_since: since,
        }));
        if let Some(remote) = &mut state.remote {
            remote.paths.took(path, &slot.link);
        }
    }
    if forks > 0 {
        state.mailbox.hand_out(seq.0, forks);
    }
    forks
}

/// How far a mailbox is done.
pub(crate) fn cursor(account: &Account, state: &State) -> MailboxCursor {
    let mailbox = &state.mailbox;
    // A crash re-delivers what the bounded set cannot hold: at least once, with the same id.
    let above = mailbox.above.iter().take(1000).map(|s| Seq(*s)).collect();
    MailboxCursor { account: account.address.clone(), low: Seq(mailbox.low), above }
}

impl Hub {
    /// The bell rang for an account of this node: a row is on record for it.
    pub(crate) fn post(self: &Arc<Self>, address: &model::Address, posted: &Posted) {
        let Some(account) = self.account_at_hand(address) else { return };
        let mut state = account.state.lock();
        if posted.departing {
            state.mailbox.let_go(posted.seq.0);
        }
        if !posted.lasting {
            let sent = self.pass_to(&account, &mut state, &posted.envelope);
            drop(state);
            let outcome = if sent > 0 {
                Outcome::Delivered
            } else {
                Outcome::Refused(Refusal::new(Reason::Unavailable))
            };
            return self.settle_early(posted.seq, outcome.into());
        }
        // A drain that ran between commit and bell may have fetched the row already.
        if state.mailbox.is_settled(posted.seq.0) {
            let done = !state.mailbox.open.contains_key(&posted.seq.0);
            drop(state);
            if done {
                self.settle_early(posted.seq, Outcome::Delivered.into());
            }
            return;
        }
        let sent = if state.mailbox.keeps_up() {
            hand_out(&account, &mut state, posted.seq, &posted.envelope, None, self)
        } else {
            0
        };
        if sent > 0 {
            // Whoever has it now may come for it only in minutes: the sender need not wait to hear that.
            let devices = targets(&state, posted.envelope.to.device.as_ref());
            let away = devices.iter().all(|at| state.devices[*at].link.parked.load(Ordering::Acquire));
            drop(state);
            if away {
                self.settle_early(posted.seq, Outcome::Accepted.into());
            }
        } else {
            state.mailbox.behind = true;
            state.mailbox.missed = true;
            // A new message is a reason to try again.
            state.mailbox.stalled = false;
            self.note_waiting(&mut state);
            // For those elsewhere somebody may be had within the time a sender waits.
            let nobody = targets(&state, None).is_empty() && state.remote.is_none();
            self.consider_drain(&account, &mut state);
            drop(state);
            if nobody {
                self.settle_early(posted.seq, Outcome::Accepted.into());
            }
        }
    }

    /// Hands over what is not kept: to every target, whoever has room or not.
    pub(crate) fn pass_to(
        &self,
        account: &Arc<Account>,
        state: &mut State,
        envelope: &Arc<Envelope>,
    ) -> usize {
        let targets = targets(state, envelope.to.device.as_ref());
        for at in &targets {
            self.tell(account, &state.devices[*at], envelope);
        }
        targets.len()
    }

    /// Hands an envelope that needs no acknowledgement to one device.
    pub(crate) fn tell(&self, account: &Arc<Account>, slot: &Slot, envelope: &Arc<Envelope>) {
        slot.link.send(HubEvent::Deliver(Delivery {
            id: UNTRACKED,
            device: Endpoint::full(account.address.clone(), slot.device.clone()),
            envelope: envelope.clone(),
            role: Role::Primary,
            delayed_since: None,
        }));
    }

    /// Passes on an event that is neither journalled nor kept.
    pub(crate) fn pass_on(&self, account: &Arc<Account>, envelope: &Arc<Envelope>) -> Settlement {
        let mut state = account.state.lock();
        if let Event::Opaque(opaque) = &envelope.event {
            return self.pass_opaque(account, &state, envelope, opaque.original.dialect, opaque.wants_answer);
        }
        match self.pass_to(account, &mut state, envelope) {
            0 => Outcome::Accepted.into(),
            _ => Outcome::Delivered.into(),
        }
    }

    fn pass_opaque(
        &self,
        account: &Arc<Account>,
        state: &State,
        envelope: &Arc<Envelope>,
        dialect: Dialect,
        wants_answer: bool,
    ) -> Settlement {
        let slot = state.devices.iter().find(|s| Some(&s.device) == envelope.to.device.as_ref());
        let refusal = match slot {
            Some(slot) if slot.link.dialect == dialect => {
                self.tell(account, slot, envelope);
                return Outcome::Delivered.into();
            }
            Some(slot) => Refusal::new(Reason::Unsupported)
                .with_text(format!("a {} device cannot take part in this", slot.link.dialect)),
            None => Refusal::new(Reason::Unavailable).with_text("that device is not there"),
        };
        match wants_answer {
            true => Outcome::Refused(refusal).into(),
            false => Outcome::Accepted.into(),
        }
    }

    /// Starts a drain if rows wait, somebody could take them, and none is running.
    pub(crate) fn consider_drain(self: &Arc<Self>, account: &Arc<Account>, state: &mut State) {
        let mailbox = &state.mailbox;
        if mailbox.draining || mailbox.stalled || mailbox.keeps_up() {
            return;
        }
        let roomy = targets(state, None).iter().any(|at| state.devices[*at].in_flight < WINDOW / 2);
        if roomy {
            state.mailbox.draining = true;
            let (hub, account) = (self.clone(), account.clone());
            self.blocking(move || hub.drain(&account));
        }
    }

    fn drain(self: &Arc<Self>, account: &Arc<Account>) {
        if let Err(trouble) = self.drain_pages(account) {
            tracing::error!(account = %account.address, %trouble, "the mailbox cannot be read");
            let mut state = account.state.lock();
            state.mailbox.draining = false;
            self.rows_gone(account, &mut state);
        }
    }

    /// Reads how far a mailbox is done, once. Blocks.
    pub(crate) fn load_cursor(&self, account: &Account) -> Result<(), Trouble> {
        if account.state.lock().mailbox.loaded {
            return Ok(());
        }
        let cursor = self.parts.journal.cursor(&account.address)?;
        let mut state = account.state.lock();
        let mailbox = &mut state.mailbox;
        if !mailbox.loaded {
            mailbox.low = cursor.low.0;
            mailbox.above = cursor.above.iter().map(|s| s.0).collect();
            mailbox.fetched = cursor.low.0;
            mailbox.loaded = true;
            mailbox.behind = true;
        }
        Ok(())
    }

    fn drain_pages(self: &Arc<Self>, account: &Arc<Account>) -> Result<(), Trouble> {
        self.load_cursor(account)?;
        loop {
            let after = {
                let mut state = account.state.lock();
                // A device that just failed would fail again at once: wait for a reason to try.
                if state.mailbox.stalled {
                    state.mailbox.draining = false;
                    self.rows_gone(account, &mut state);
                    return Ok(());
                }
                state.mailbox.missed = false;
                Seq(state.mailbox.fetched)
            };
            let rows = self.parts.journal.waiting(&account.address, after, PAGE)?;
            let mut state = account.state.lock();
            // A row that went back meanwhile lies before `after`: start over from there.
            if state.mailbox.fetched < after.0 {
                continue;
            }
            if rows.is_empty() {
                if state.mailbox.missed {
                    continue;
                }
                // Whoever it was read for may have gone meanwhile: then no ring reaches the mailbox, and what comes waits.
                state.mailbox.behind = state.devices.is_empty();
                state.mailbox.draining = false;
                let low = state.mailbox.low;
                state.mailbox.settle_low();
                if state.mailbox.low > low {
                    self.parts.journal.advance(cursor(account, &state));
                }
                self.note_drained(&mut state);
                self.rows_gone(account, &mut state);
                return Ok(());
            }
            for row in rows {
                if state.mailbox.is_settled(row.seq.0) {
                    state.mailbox.fetched = state.mailbox.fetched.max(row.seq.0);
                    continue;
                }
                match model::codec::decode(&row.head, row.body.as_deref()) {
                    Ok(kept) if !kept.erased && self.is_stopped(account, &mut state, row.seq, &kept) => {}
                    Ok(kept) if !kept.erased => {
                        let since = kept.envelope.at;
                        if hand_out(account, &mut state, row.seq, &Arc::new(kept.envelope), Some(since), self)
                            == 0
                        {
                            state.mailbox.draining = false;
                            self.rows_gone(account, &mut state);
                            return Ok(());
                        }
                    }
                    // What was lawfully erased, or what we cannot read, is not delivered; it must not block the rest.
                    result => {
                        if let Err(error) = result {
                            tracing::error!(seq = row.seq.0, %error, "a row cannot be delivered");
                        }
                        state.mailbox.fetched = state.mailbox.fetched.max(row.seq.0);
                        state.mailbox.done(row.seq.0);
                    }
                }
            }
        }
    }

    /// A device answered a delivery.
    pub(crate) fn acknowledged(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        flight: &Flight,
        settlement: Settlement,
    ) {
        self.counting.answered(flight.from, link.dialect, &settlement.outcome);
        let begun = flight.trail.as_ref().map(|trail| {
            trail.span("deliver", trail.begun, Some(("to", link.dialect.name())));
            now()
        });
        let account = &flight.account;
        account.state.lock().landed(link, flight.path);
        match self.answered_over(link.dialect, flight, settlement) {
            Some(settlement) => self.answer_row(account, flight.seq, settlement),
            None => {
                let mut state = account.state.lock();
                self.consider_drain(account, &mut state);
            }
        }
        if let (Some(trail), Some(begun)) = (&flight.trail, begun) {
            trail.span("ack", begun, None);
        }
    }

    /// A row has its answer.
    pub(crate) fn answer_row(self: &Arc<Self>, account: &Arc<Account>, seq: u64, settlement: Settlement) {
        let mut state = account.state.lock();
        let losses_only = settlement.clone();
        let verdict = state.mailbox.answered(seq, Some(settlement));
        let cursor = self.after_answer(account, &mut state, &verdict);
        self.consider_drain(account, &mut state);
        drop(state);
        self.report(seq, verdict, losses_only, cursor);
    }

    /// Deliveries that will not be answered: their device ended, or never got them. All go back before any is handed
    /// out again, or the first would come behind the last.
    pub(crate) fn returned(self: &Arc<Self>, link: &Arc<LinkCore>, flights: &[Flight]) {
        let mut of_accounts: HashMap<*const Account, Vec<&Flight>> = HashMap::new();
        for flight in flights {
            of_accounts.entry(Arc::as_ptr(&flight.account)).or_default().push(flight);
        }
        for flights in of_accounts.into_values() {
            let account = &flights[0].account;
            let mut verdicts = Vec::with_capacity(flights.len());
            let mut state = account.state.lock();
            for flight in flights {
                state.landed(link, flight.path);
                if self.returns(flight) {
                    let verdict = state.mailbox.answered(flight.seq, None);
                    let cursor = self.after_answer(account, &mut state, &verdict);
                    verdicts.push((flight.seq, verdict, cursor));
                }
            }
            // Another device may be there to take it.
            state.mailbox.stalled = false;
            self.consider_drain(account, &mut state);
            let elsewhere = state.remote.is_some();
            drop(state);
            for (seq, verdict, cursor) in verdicts {
                self.report(seq, verdict, Outcome::Accepted.into(), cursor);
            }
            if elsewhere {
                self.call_for(account);
            }
        }
    }

    fn after_answer(&self, account: &Account, state: &mut State, verdict: &Verdict) -> Option<MailboxCursor> {
        match verdict {
            Verdict::Done(_) => {}
            Verdict::Back => {
                state.mailbox.stalled = true;
                self.note_waiting(state);
                return None;
            }
            Verdict::Waiting | Verdict::Late => return None,
        }
        Some(cursor(account, state))
    }

    fn report(
        self: &Arc<Self>,
        seq: u64,
        verdict: Verdict,
        answer: Settlement,
        cursor: Option<MailboxCursor>,
    ) {
        if let Some(cursor) = cursor {
            self.parts.journal.advance(cursor);
        }
        let seq = Seq(seq);
        match verdict {
            Verdict::Waiting => {}
            Verdict::Done(best) => self.settle(seq, best),
            Verdict::Back => {
                self.settle_early(seq, Settlement { outcome: Outcome::Accepted, losses: Vec::new() })
            }
            // A second device had it too: what its translation lost is still news for the ledger.
            Verdict::Late if !answer.losses.is_empty() => {
                self.parts.journal.settle(SettledRow { seq, outcome: answer.outcome, losses: answer.losses })
            }
            Verdict::Late => {}
        }
    }
}
