//! Rows that are tried over another protocol than the one whose mailbox they are in.

use super::{Choice, First, is_tried};
use crate::account::{Account, Slot, State};
use crate::house::Hub;
use crate::link::{Flight, HubEvent};
use crate::paths::NOWHERE;
use crate::remote::{PAGE, Remote};
use model::{Delivery, Endpoint, Envelope, Outcome, Reason, Refusal, Role, Seq, Way};
use std::collections::VecDeque;
use std::sync::Arc;
use store::Trouble;

/// Rows that wait to be lent to one mailbox.
const LENT: usize = 1_000;

/// A row of another protocol's mailbox.
pub(crate) struct Lent {
    /// The mailbox it is in.
    pub account: Arc<Account>,
    pub seq: u64,
    pub envelope: Arc<Envelope>,
    pub first: First,
}

impl Hub {
    pub(super) fn lend(self: &Arc<Self>, way: Way, lent: Lent) {
        let account = self.way_account(&way);
        let crowded = {
            let mut state = account.state.lock();
            let Some(remote) = &mut state.remote else { return };
            if remote.lent.len() < LENT {
                remote.lent.push_back(lent);
                self.note_waiting(&mut state);
                self.pass_on_lent(&account, &mut state);
                None
            } else {
                Some(lent)
            }
        };
        match crowded {
            Some(lent) => self.take_back(lent),
            None if !account.state.lock().is_carried() => self.call(&way),
            None => {}
        }
    }

    /// Hands out what is lent to this mailbox, if a connection carries.
    pub(crate) fn pass_on_lent(&self, account: &Arc<Account>, state: &mut State) {
        while let Some(lent) = state.remote.as_mut().and_then(|remote| remote.lent.pop_front()) {
            let carrier = state.carrier(&lent.envelope, &self.hasher);
            let (Some(at), Some(remote)) = (carrier, &mut state.remote) else {
                if let Some(remote) = &mut state.remote {
                    remote.lent.push_front(lent);
                }
                return;
            };
            let way = remote.way.clone();
            self.hand_lent(account, &state.devices[at], &way, lent);
        }
    }

    fn hand_lent(&self, account: &Account, slot: &Slot, way: &Way, lent: Lent) {
        let Lent { account: owner, seq, envelope, first } = lent;
        let choice = Choice { envelope: envelope.clone(), first: Some(first), watched: false };
        let choice = Some(Box::new(choice.watching(self, &owner, seq, way)));
        let from = envelope.origin.dialect;
        let id = slot.link.fly(Flight { account: owner, seq, path: NOWHERE, from, choice, trail: None });
        slot.link.send(HubEvent::Deliver(Delivery {
            id,
            device: Endpoint::full(account.address.clone(), slot.device.clone()),
            delayed_since: Some(envelope.at),
            envelope,
            role: Role::Primary,
        }));
    }

    /// What was lent to a mailbox that no connection could be had for, as far as waiting would not help.
    pub(crate) fn lent_in_vain(&self, remote: &mut Remote, refusal: &Refusal) -> Vec<Lent> {
        let hopeless = !refusal.reason.is_transient() || refusal.reason == Reason::RemoteNotFound;
        let (out, left) = std::mem::take(&mut remote.lent)
            .into_iter()
            .partition(|lent| hopeless || lent.first.is_passing());
        remote.lent = left;
        VecDeque::into(out)
    }

    /// A row was not tried elsewhere after all: what was said first holds.
    pub(crate) fn take_back(self: &Arc<Self>, lent: Lent) {
        self.let_answer(&lent.first);
        self.answer_row(&lent.account, lent.seq, lent.first.said.into());
    }

    /// What was lent and has waited since before this time, Unix milliseconds.
    pub(crate) fn give_up_lent(self: &Arc<Self>, account: &Arc<Account>, before: u64) {
        let overdue: VecDeque<Lent> = {
            let mut state = account.state.lock();
            let Some(remote) = &mut state.remote else { return };
            let lent = std::mem::take(&mut remote.lent).into_iter();
            let (out, left) = lent.partition(|lent| lent.envelope.at.unix_ms() < before);
            remote.lent = left;
            out
        };
        overdue.into_iter().for_each(|lent| self.take_back(lent));
    }

    /// One protocol cannot be reached for now: rows for those who are not known to be there are tried over the other.
    pub(crate) fn lend_rows(self: &Arc<Self>, account: &Arc<Account>, refusal: &Refusal) {
        if let Err(trouble) = self.try_lend(account, refusal) {
            tracing::error!(mailbox = %account.address, %trouble, "the mailbox cannot be read");
        }
    }

    fn try_lend(self: &Arc<Self>, account: &Arc<Account>, refusal: &Refusal) -> Result<(), Trouble> {
        let Some(Way { pair, by: Some(by) }) = Way::of_mailbox(&account.address) else { return Ok(()) };
        self.load_cursor(account)?;
        let mut after = Seq(account.state.lock().mailbox.low);
        let mut lent = 0;
        loop {
            let rows = self.parts.journal.waiting(&account.address, after, PAGE)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.seq;
            for row in rows {
                let Ok(kept) = model::codec::decode(&row.head, row.body.as_deref()) else { continue };
                let envelope = Arc::new(kept.envelope);
                let ways = self.parts.partners.ways(&pair, &envelope.to.address);
                let other = ways.order.iter().copied().find(|other| *other != by);
                let (Some(other), true) = (other, is_tried(&envelope.event) && ways.known != Some(by)) else {
                    continue;
                };
                {
                    let mut state = account.state.lock();
                    if kept.erased || state.mailbox.is_settled(row.seq.0) || state.is_carried() {
                        continue;
                    }
                    state.mailbox.lend(row.seq.0);
                }
                let first = First { said: Outcome::Refused(refusal.clone()), answer: None };
                let way = Way { pair: pair.clone(), by: Some(other) };
                self.lend(way, Lent { account: account.clone(), seq: row.seq.0, envelope, first });
                lent += 1;
                if lent >= LENT {
                    return Ok(());
                }
            }
        }
    }
}
