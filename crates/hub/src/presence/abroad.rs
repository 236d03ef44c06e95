//! The presence of people elsewhere, as one account of ours is told it. Kept with the one who is told, not with the
//! one it is about: their server tells each watcher what that watcher may see, and nobody else is to see it.

use super::consent::Act;
use super::watch::{granted, send_notify, tell_one};
use super::{Watch, closed, from_hub};
use crate::account::{Account, State};
use crate::clock;
use crate::expiry::Expiry;
use crate::house::Hub;
use crate::link::{Job, LinkCore};
use model::{
    Address, Basic, Device, Endpoint, Envelope, Event, LeaseKey, Notify, Outcome, PresenceDoc, Reason,
    Refusal, Subscribe, Term, Ticket, Tuple, WatchState,
};
use std::sync::Arc;
use store::{Consent, Trouble};

/// Devices of one person elsewhere that are remembered; a server that names more is not believed.
const DEVICES: usize = 64;

/// What one account knows of one person elsewhere.
#[derive(Default)]
pub(crate) struct Abroad {
    pub tuples: Vec<Tuple>,
    /// Leases of this account's phones on that person.
    pub watches: Vec<Watch>,
}

impl Abroad {
    fn doc(&self, presentity: &Address) -> Arc<PresenceDoc> {
        Arc::new(PresenceDoc { presentity: presentity.clone(), tuples: self.tuples.clone() })
    }
}

fn sees(state: &State, presentity: &Address) -> bool {
    state.book.watching(presentity) == Some(Consent::Granted)
}

impl Hub {
    /// Somebody elsewhere tells an account of ours how they are.
    pub(crate) fn hear_abroad(&self, presentity: &Address, to: &Account, tuples: &[Tuple]) {
        let mut state = to.state.lock();
        // Also while the request is open: the answer, which is recorded first, may be on its way behind this.
        if state.book.watching(presentity).is_none() {
            return;
        }
        let granted = sees(&state, presentity);
        let known = state.abroad.entry(presentity.clone()).or_default();
        for tuple in tuples {
            let all = tuple.device.is_none() && tuple.basic == Basic::Closed;
            known.tuples.retain(|t| !all && t.device != tuple.device);
            if tuple.basic == Basic::Open && known.tuples.len() < DEVICES {
                known.tuples.push(tuple.clone());
            }
        }
        let doc = known.doc(presentity);
        if granted {
            known.watches.iter_mut().for_each(|watch| tell_one(watch, true, presentity, &doc));
        }
    }

    /// What was known of somebody elsewhere is so no longer: consent ended, or it is about to be asked anew.
    pub(crate) fn forget_abroad(&self, state: &mut State, presentity: &Address) -> Vec<Tuple> {
        let Some(known) = state.abroad.get_mut(presentity) else { return Vec::new() };
        let gone = known.tuples.drain(..).map(|t| closed(&t)).collect();
        if known.watches.is_empty() {
            state.abroad.remove(presentity);
        }
        gone
    }

    /// A session hears what is known of somebody elsewhere, and their server is asked what is not. The first session of
    /// an account begins with nothing: what was true when the last one went may be so no longer.
    pub(super) fn greet_abroad(
        self: &Arc<Self>,
        link: &LinkCore,
        account: &Account,
        presentity: &Address,
        device: &Endpoint,
    ) {
        let known = {
            let mut state = account.state.lock();
            if is_alone(&state, device.device.as_ref()) {
                self.forget_abroad(&mut state, presentity);
            }
            known(&state, presentity)
        };
        match known {
            Some(doc) => {
                let notify =
                    Notify { key: None, state: WatchState::Active, doc, changed: None, gone: Vec::new() };
                send_notify(link, device.clone(), notify);
            }
            None => self.probe_abroad(presentity, device),
        }
    }

    /// A session came: it hears what is known, and those elsewhere are asked how they are (RFC 6121 section 4.3).
    pub(crate) fn probe_abroad(self: &Arc<Self>, presentity: &Address, device: &Endpoint) {
        let probe =
            Event::Subscribe(Subscribe { term: Term::Once { key: None }, note: None, original: None });
        self.tell_abroad(&from_hub(device.clone(), presentity.clone(), probe));
    }

    /// Is anybody there to hear how somebody elsewhere is? Whoever comes later asks anew.
    pub(crate) fn watches_abroad(&self, watcher: &Address, presentity: &Address) -> bool {
        if !self.hosts(watcher.domain()) {
            return true;
        }
        let Some(account) = self.account_at_hand(watcher) else { return false };
        let state = account.state.lock();
        state.devices.iter().any(|slot| slot.announces)
            || state.abroad.get(presentity).is_some_and(|known| !known.watches.is_empty())
    }

    /// A phone of ours watches somebody elsewhere. Blocks.
    pub(crate) fn lease_abroad(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        envelope: &Arc<Envelope>,
        key: &LeaseKey,
        secs: u32,
    ) -> Result<Outcome, Trouble> {
        let (watcher, presentity) = (&envelope.from.address, &envelope.to.address);
        let Some(account) = self.account(watcher)? else {
            return Ok(Outcome::Refused(Refusal::new(Reason::NotFound)));
        };
        let until = clock::wall().unix_ms() + u64::from(secs) * 1000;
        let expiry =
            Expiry::Abroad { watcher: watcher.clone(), presentity: presentity.clone(), key: key.clone() };
        let (is_new, asked) = {
            let mut state = account.state.lock();
            let granted = sees(&state, presentity);
            let asked = state.book.watching(presentity).is_some();
            let known = state.abroad.entry(presentity.clone()).or_default();
            let at = known.watches.iter().position(|w| &w.key == key);
            if secs == 0 && at.is_some_and(|at| known.watches[at].is_anothers(link)) {
                return Ok(Outcome::Delivered);
            }
            let before = at.map(|at| known.watches.swap_remove(at));
            if let Some(before) = &before {
                self.expiries.cancel(before.until, &expiry);
            }
            let mut watch = Watch {
                key: key.clone(),
                watcher: watcher.clone(),
                link: Arc::downgrade(link),
                until,
                owed: false,
            };
            let doc = known.doc(presentity);
            if secs == 0 {
                end(&watch, granted, presentity, &doc);
            } else {
                tell_one(&mut watch, granted, presentity, &doc);
                known.watches.push(watch);
            }
            (before.is_none(), asked)
        };
        if secs == 0 {
            return Ok(Outcome::Delivered);
        }
        self.expiries.add(until, expiry);
        if is_new && asked {
            self.probe_abroad(presentity, &envelope.from);
        } else if is_new {
            // Their server must be asked for consent, and that is a matter for the record.
            let request = Event::Subscribe(Subscribe { term: Term::Lasting, note: None, original: None });
            let envelope = from_hub(watcher.clone(), presentity.clone(), request);
            let envelope = Box::new(Arc::unwrap_or_clone(envelope));
            self.enqueue(&self.own, Job::Submit { ticket: Ticket(0), envelope, outcome_wanted: false });
        }
        if is_new && !self.leases.is_restored(key, watcher) {
            self.let_see(&account, presentity)?;
        }
        Ok(if asked { Outcome::Delivered } else { Outcome::Pending })
    }

    /// Whoever asks to see somebody elsewhere from a phone thereby lets themselves be seen by them: the phone has no verb
    /// to answer their request with. One that waits already is answered.
    fn let_see(self: &Arc<Self>, account: &Arc<Account>, presentity: &Address) -> Result<(), Trouble> {
        let pending = account.state.lock().book.watcher(presentity) == Some(Consent::Pending);
        let grant = from_hub(account.address.clone(), presentity.clone(), granted());
        if pending {
            let envelope = Box::new(Arc::unwrap_or_clone(grant));
            self.enqueue(&self.own, Job::Submit { ticket: Ticket(0), envelope, outcome_wanted: false });
        } else {
            self.consent(&account.address, presentity, Act::Grant, &grant)?;
        }
        Ok(())
    }

    /// What a phone of ours watched elsewhere ran out.
    pub(crate) fn lapse_abroad(&self, watcher: &Address, presentity: &Address, key: &LeaseKey, now: u64) {
        let Some(account) = self.account_at_hand(watcher) else { return };
        let mut state = account.state.lock();
        let Some(known) = state.abroad.get_mut(presentity) else { return };
        let lapsed = |w: &Watch| &w.key == key && w.until <= now;
        if let Some(at) = known.watches.iter().position(lapsed) {
            let watch = known.watches.swap_remove(at);
            end(&watch, false, presentity, &known.doc(presentity));
        }
    }

    /// Consent from elsewhere came or went: leases and sessions of ours hear it.
    pub(crate) fn consent_abroad(
        self: &Arc<Self>,
        watching: &Option<Arc<Account>>,
        presentity: &Address,
        consent: Option<Consent>,
    ) {
        let Some(account) = watching else { return };
        let gone = {
            let mut state = account.state.lock();
            let gone = if consent == Some(Consent::Granted) {
                Vec::new()
            } else {
                self.forget_abroad(&mut state, presentity)
            };
            if let Some(known) = state.abroad.get_mut(presentity) {
                let doc = known.doc(presentity);
                match consent {
                    Some(Consent::Granted) => {
                        known.watches.iter_mut().for_each(|watch| tell_one(watch, true, presentity, &doc));
                    }
                    Some(_) => {}
                    None => {
                        for watch in known.watches.drain(..) {
                            super::watch::reject(&watch, presentity);
                        }
                    }
                }
            }
            gone
        };
        if !gone.is_empty() {
            let doc = Arc::new(PresenceDoc::empty(presentity.clone()));
            let notify =
                Notify { key: None, state: WatchState::Active, doc, changed: Some(Vec::new()), gone };
            let envelope = from_hub(presentity.clone(), account.address.clone(), Event::Notify(notify));
            let state = account.state.lock();
            for slot in state.devices.iter().filter(|s| s.announces) {
                self.tell(account, slot, &envelope);
            }
        }
    }

    /// What two people agree on is noted before it leaves for the other's server. Blocks.
    pub(crate) fn note_departing(self: &Arc<Self>, envelope: &Arc<Envelope>) {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        if !self.hosts(from.domain()) {
            // On its way from one partner to another: not ours to know.
            return;
        }
        let noted = match &envelope.event {
            Event::Subscribe(Subscribe { term: Term::Lasting, .. }) => {
                self.consent(to, from, Act::Ask, envelope)
            }
            Event::Subscribe(Subscribe { term: Term::End, .. }) => {
                self.consent(to, from, Act::Leave, envelope)
            }
            Event::Authorize(a) => self.consent(from, to, Act::of(a.decision), envelope),
            _ => return,
        };
        if let Err(trouble) = noted {
            tracing::error!(id = %envelope.id, %trouble, "what was agreed could not be kept");
        }
    }
}

fn end(watch: &Watch, seen: bool, presentity: &Address, doc: &Arc<PresenceDoc>) {
    let Some(link) = watch.link.upgrade() else { return };
    let doc = if seen { doc.clone() } else { Arc::new(PresenceDoc::empty(presentity.clone())) };
    let key = Some(watch.key.clone());
    let notify = Notify { key, state: WatchState::Expired, doc, changed: None, gone: Vec::new() };
    send_notify(&link, Endpoint::bare(watch.watcher.clone()), notify);
}

/// The devices that a session may be greeted with.
fn known(state: &State, presentity: &Address) -> Option<Arc<PresenceDoc>> {
    let known = state.abroad.get(presentity).filter(|k| !k.tuples.is_empty())?;
    Some(known.doc(presentity))
}

/// Is anybody of this account there to hear besides this device?
fn is_alone(state: &State, device: Option<&Device>) -> bool {
    !state.devices.iter().any(|s| s.announces && Some(&s.device) != device)
}
