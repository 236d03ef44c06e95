//! Publishing: what a device or application says of its user.

use super::closed;
use super::fanout::granted;
use super::{Publication, from_hub};
use crate::account::{Account, State};
use crate::clock;
use crate::expiry::Expiry;
use crate::house::Hub;
use crate::link::LinkCore;
use model::{
    Address, Basic, Device, Endpoint, Envelope, Event, LeaseKey, Notify, Outcome, PresenceDoc, Publish,
    Reason, Refusal, Tuple, WatchState,
};
use std::sync::Arc;
use store::Trouble;

impl Hub {
    /// Takes a publication. Blocks.
    pub(crate) fn publish(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        envelope: &Arc<Envelope>,
        publish: &Publish,
    ) -> Result<Outcome, Trouble> {
        if envelope.to.address != envelope.from.address {
            return self.publish_directed(link, envelope, publish);
        }
        let Some(account) = self.account(&envelope.from.address)? else {
            return Ok(Outcome::Refused(Refusal::new(Reason::NotFound)));
        };
        let session = publish.secs.is_none();
        let ends =
            publish.tuples.iter().all(|t| t.basic == Basic::Closed) && (session || publish.tuples.is_empty());
        let until = publish.secs.map(|s| clock::wall().unix_ms() + u64::from(s) * 1000);
        let expiry = || Expiry::Publication { presentity: account.address.clone(), key: publish.key.clone() };
        let (gone, first, watchers) = {
            let mut state = account.state.lock();
            // The words of a session live and die with its device: one that is no longer bound by this machine
            // would leave words nobody takes back.
            if session && state.slot(link, &envelope.from).is_none() {
                return Ok(Outcome::Refused(Refusal::new(Reason::Unavailable)));
            }
            let before = remove(&mut state.publications, &publish.key);
            if let Some(until) = before.as_ref().and_then(|p| p.until) {
                self.expiries.cancel(until, &expiry());
            }
            let before = before.map(|p| p.tuples).unwrap_or_default();
            if !ends {
                state.publications.push(Publication {
                    key: publish.key.clone(),
                    device: if session { envelope.from.device.clone() } else { None },
                    tuples: publish.tuples.clone(),
                    until,
                });
            }
            let slot = if session { state.slot(link, &envelope.from) } else { None };
            let first = slot.is_some_and(|s| !std::mem::replace(&mut s.announces, !ends) && !ends);
            (vanished(before, publish, ends), first, granted(&state))
        };
        if let Some(until) = until.filter(|_| !ends) {
            self.expiries.add(until, expiry());
        }
        if first {
            self.welcome(link, &account, &envelope.from);
        }
        let fresh = if ends { &[][..] } else { &publish.tuples[..] };
        self.fan_out(&account, &watchers, fresh, gone);
        if ends && session {
            self.end_directed(link, &account, &envelope.from);
        }
        Ok(Outcome::Delivered)
    }

    /// Presence to one addressee (RFC 6121 section 4.6): the sender's own choice, so no consent is asked.
    fn publish_directed(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        envelope: &Arc<Envelope>,
        publish: &Publish,
    ) -> Result<Outcome, Trouble> {
        if let Some(sender) = self.account(&envelope.from.address)? {
            let mut state = sender.state.lock();
            if let Some(slot) = state.slot(link, &envelope.from) {
                slot.directed.retain(|to| to != &envelope.to);
                // Bounded: who sends to thousands one by one is not told goodbye for by us.
                if publish.tuples.iter().any(|t| t.basic == Basic::Open) && slot.directed.len() < 256 {
                    slot.directed.push(envelope.to.clone());
                }
            }
        }
        self.show(&envelope.from.address, &envelope.to, &publish.tuples);
        Ok(Outcome::Delivered)
    }

    pub(crate) fn show(self: &Arc<Self>, presentity: &Address, to: &Endpoint, tuples: &[Tuple]) {
        let account = self.account_at_hand(&to.address);
        if account.is_none() && self.hosts(to.address.domain()) {
            return;
        }
        if let Some(account) = account.as_ref().filter(|_| !self.hosts(presentity.domain())) {
            self.hear_abroad(presentity, account, tuples);
        }
        let (open, gone): (Vec<_>, Vec<_>) = tuples.iter().cloned().partition(|t| t.basic == Basic::Open);
        let doc = Arc::new(PresenceDoc { presentity: presentity.clone(), tuples: open });
        let notify = Notify { key: None, state: WatchState::Active, doc, changed: None, gone };
        let envelope = from_hub(presentity.clone(), to.clone(), Event::Notify(notify));
        let Some(account) = account else { return self.tell_abroad(&envelope) };
        let state = account.state.lock();
        for slot in &state.devices {
            let addressed = to.device.as_ref().is_none_or(|d| d == &slot.device);
            if addressed && (slot.announces || to.device.is_some()) {
                self.tell(&account, slot, &envelope);
            }
        }
    }

    /// Those who got presence directly hear that it ended.
    pub(crate) fn end_directed(self: &Arc<Self>, link: &Arc<LinkCore>, account: &Account, device: &Endpoint) {
        let directed = match account.state.lock().slot(link, device) {
            Some(slot) => std::mem::take(&mut slot.directed),
            None => return,
        };
        let last = Tuple::plain(device.device.clone(), Basic::Closed, clock::wall());
        for to in directed {
            self.show(&account.address, &to, std::slice::from_ref(&last));
        }
    }

    /// A publication ran out.
    pub(crate) fn lapse_publication(self: &Arc<Self>, presentity: &Address, key: &LeaseKey, now: u64) {
        let Some(account) = self.account_at_hand(presentity) else { return };
        let (gone, watchers): (Vec<Tuple>, _) = {
            let mut state = account.state.lock();
            let lapsed = |p: &Publication| &p.key == key && p.until.is_some_and(|u| u <= now);
            let Some(at) = state.publications.iter().position(lapsed) else { return };
            let lapsed = state.publications.remove(at);
            state.recorded.forget(&lapsed.key);
            (lapsed.tuples.iter().map(closed).collect(), granted(&state))
        };
        self.record_silence(presentity, &gone);
        self.fan_out(&account, &watchers, &[], gone);
    }
}

/// A session ended without a word: takes back what it said, and gives its goodbye and those who must hear it. Under
/// the lock that takes its device away, or a session that comes back at once would lose its own words.
pub(crate) fn silence(state: &mut State, device: &Device) -> (Vec<Tuple>, Vec<Address>) {
    let at = state.publications.iter().position(|p| p.device.as_ref() == Some(device));
    let silent = at.map(|at| state.publications.remove(at));
    silent.iter().for_each(|publication| state.recorded.forget(&publication.key));
    let gone = silent.iter().flat_map(|publication| &publication.tuples).map(closed).collect();
    (gone, granted(state))
}

fn remove(publications: &mut Vec<Publication>, key: &LeaseKey) -> Option<Publication> {
    let at = publications.iter().position(|p| &p.key == key)?;
    Some(publications.remove(at))
}

/// Which devices the change took away, with their last words.
fn vanished(before: Vec<Tuple>, publish: &Publish, ends: bool) -> Vec<Tuple> {
    let said = |device| publish.tuples.iter().find(|t| t.device == device);
    before
        .into_iter()
        .filter(|old| ends || said(old.device.clone()).is_none())
        .map(|old| said(old.device.clone()).cloned().unwrap_or_else(|| closed(&old)))
        .collect()
}
