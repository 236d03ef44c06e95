//! Watching: lasting requests, leases and single looks.

use super::consent::Act;
use super::{Watch, from_hub};
use crate::account::{Account, State};
use crate::clock;
use crate::drain::UNTRACKED;
use crate::expiry::Expiry;
use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use crate::presence::compose::compose;
use model::{
    Address, Delivery, Endpoint, Envelope, Event, LeaseKey, Notify, Outcome, PresenceDoc, Reason, Refusal,
    Role, Subscribe, Term, WatchState,
};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use store::{Consent, Trouble};

impl Hub {
    /// A watcher's wish. Blocks.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        envelope: &Arc<Envelope>,
        subscribe: &Subscribe,
    ) -> Result<Outcome, Trouble> {
        let (watcher, presentity) = (&envelope.from.address, &envelope.to.address);
        if !self.hosts(presentity.domain()) {
            return match &subscribe.term {
                Term::Lease { key, secs } => self.lease_abroad(link, envelope, key, *secs),
                // Tells once what it is told within the moment; the lease's word for that is the shortest lease.
                Term::Once { key: Some(key) } => self.lease_abroad(link, envelope, key, 0),
                _ => Ok(Outcome::Refused(Refusal::new(Reason::BadRequest))),
            };
        }
        match &subscribe.term {
            Term::Lasting => {
                let consent = self.consent(presentity, watcher, Act::Ask, envelope)?;
                Ok(if consent == Some(Consent::Granted) { Outcome::Delivered } else { Outcome::Pending })
            }
            Term::End => {
                self.consent(presentity, watcher, Act::Leave, envelope)?;
                if let Some(account) = self.account(presentity)? {
                    self.tell_roster_devices(&account, envelope);
                }
                Ok(Outcome::Delivered)
            }
            Term::Once { key } => self.look_once(link, envelope, key.clone()),
            Term::Lease { key, secs: 0 } => self.end_lease(link, envelope, key),
            Term::Lease { key, secs } => self.lease_watch(link, envelope, key, *secs),
        }
    }

    /// May this watcher see this presentity? Everybody may see themselves.
    pub(crate) fn may_watch(&self, state: &State, presentity: &Address, watcher: &Address) -> bool {
        let consents = || state.book.watcher(watcher) == Some(Consent::Granted);
        presentity == watcher || (consents() && self.is_unveiled(watcher, presentity))
    }

    fn look_once(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        envelope: &Arc<Envelope>,
        key: Option<LeaseKey>,
    ) -> Result<Outcome, Trouble> {
        let (watcher, presentity) = (&envelope.from.address, &envelope.to.address);
        let Some(account) = self.account(presentity)? else {
            return Ok(Outcome::Refused(Refusal::new(Reason::NotFound)));
        };
        // Held while telling, so that an end of consent cannot be told before this.
        let held = account.state.lock();
        let doc = self.may_watch(&held, presentity, watcher).then(|| compose(presentity, &held.publications));
        // A look without consent learns nothing, not even that it may not look (RFC 6121 section 4.3.2).
        let doc = doc.unwrap_or_else(|| Arc::new(PresenceDoc::empty(presentity.clone())));
        let leased = key.is_some();
        if leased || doc.is_open() {
            let state = if leased { WatchState::Expired } else { WatchState::Active };
            let to = envelope.from.clone();
            let notify = Notify { key, state, doc, changed: None, gone: Vec::new() };
            // One who asked from elsewhere need not have asked over a connection that takes answers.
            if leased || self.hosts(watcher.domain()) {
                send_notify(link, to, notify);
            } else {
                self.tell_abroad(&from_hub(presentity.clone(), to, Event::Notify(notify)));
            }
        }
        Ok(Outcome::Delivered)
    }

    fn end_lease(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        envelope: &Arc<Envelope>,
        key: &LeaseKey,
    ) -> Result<Outcome, Trouble> {
        let Some(account) = self.account(&envelope.to.address)? else {
            return Ok(Outcome::Refused(Refusal::new(Reason::NotFound)));
        };
        // Held while telling, so that an end of consent cannot be told before this.
        let mut state = account.state.lock();
        let ends = |w: &Watch| &w.key == key && w.watcher == envelope.from.address && !w.is_anothers(link);
        let ended: Vec<_> = state.watches.extract_if(.., |w| ends(w)).collect();
        let expiry = Expiry::Watch { presentity: account.address.clone(), key: key.clone() };
        for watch in &ended {
            self.expiries.cancel(watch.until, &expiry);
            self.watched.forget(key);
        }
        if ended.is_empty() {
            return Ok(Outcome::Refused(Refusal::new(Reason::NotFound).with_text("no such subscription")));
        }
        let seen = self.may_watch(&state, &account.address, &envelope.from.address);
        let doc = if seen {
            compose(&account.address, &state.publications)
        } else {
            Arc::new(PresenceDoc::empty(account.address.clone()))
        };
        let notify = Notify {
            key: Some(key.clone()),
            state: WatchState::Expired,
            doc,
            changed: None,
            gone: Vec::new(),
        };
        send_notify(link, envelope.from.clone(), notify);
        Ok(Outcome::Delivered)
    }

    fn lease_watch(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        envelope: &Arc<Envelope>,
        key: &LeaseKey,
        secs: u32,
    ) -> Result<Outcome, Trouble> {
        let (watcher, presentity) = (&envelope.from.address, &envelope.to.address);
        let Some(account) = self.account(presentity)? else {
            return Ok(Outcome::Refused(Refusal::new(Reason::NotFound)));
        };
        let until = clock::wall().unix_ms() + u64::from(secs) * 1000;
        let (is_new, before) = {
            let mut state = account.state.lock();
            let watch = state.watches.iter_mut().find(|w| &w.key == key);
            match watch {
                Some(watch) if &watch.watcher == watcher => {
                    // What a machine said before it ended must not take the watch from the one that claimed it.
                    if !link.closed.load(Ordering::Acquire) {
                        watch.link = Arc::downgrade(link);
                    }
                    (false, Some(std::mem::replace(&mut watch.until, until)))
                }
                Some(_) => return Ok(Outcome::Refused(Refusal::new(Reason::Forbidden))),
                None => {
                    self.watched.note(key, presentity);
                    let (key, watcher) = (key.clone(), watcher.clone());
                    state.watches.push(Watch {
                        key,
                        watcher,
                        link: Arc::downgrade(link),
                        until,
                        owed: false,
                    });
                    (true, None)
                }
            }
        };
        let expiry = Expiry::Watch { presentity: presentity.clone(), key: key.clone() };
        if let Some(before) = before {
            self.expiries.cancel(before, &expiry);
        }
        self.expiries.add(until, expiry);
        let mut allowed = self.may_watch(&account.state.lock(), presentity, watcher);
        // One that began before this process did has asked and agreed then; what was decided since stands.
        let is_new = is_new && !self.leases.is_restored(key, watcher);
        if is_new && !allowed {
            allowed = self.consent(presentity, watcher, Act::Ask, envelope)? == Some(Consent::Granted);
        }
        if is_new && watcher != presentity {
            // A dialect that leases its watches has no verb to answer a request: whoever asks to see somebody
            // thereby lets themselves be seen by them.
            self.consent(
                watcher,
                presentity,
                Act::Grant,
                &from_hub(watcher.clone(), presentity.clone(), granted()),
            )?;
        }
        // A grant has told every watch of this watcher already; telling twice is harmless, not telling is not.
        self.tell_watch(&account, key);
        Ok(if allowed { Outcome::Delivered } else { Outcome::Pending })
    }

    /// Tells one leased watch how things stand.
    pub(crate) fn tell_watch(&self, account: &Arc<Account>, key: &LeaseKey) {
        let mut state = account.state.lock();
        let doc = compose(&account.address, &state.publications);
        let Some(at) = state.watches.iter().position(|w| &w.key == key) else { return };
        let allowed = self.may_watch(&state, &account.address, &state.watches[at].watcher);
        tell_one(&mut state.watches[at], allowed, &account.address, &doc);
    }

    /// Consent between two parties changed: the watcher's leases and sessions hear it.
    pub(crate) fn consent_changed(
        self: &Arc<Self>,
        (shown, watching): (&Option<Arc<Account>>, &Option<Arc<Account>>),
        presentity: &Address,
        watcher: &Address,
        seen: Option<Arc<PresenceDoc>>,
        consent: Option<Consent>,
    ) {
        let Some(account) = shown else { return self.consent_abroad(watching, presentity, consent) };
        let _in_order = account.telling.lock();
        let sees = self.is_unveiled(watcher, presentity);
        let doc = {
            let mut state = account.state.lock();
            let doc = compose(presentity, &state.publications);
            // What two people agree on is no more than the rules allow; a change of these is told like anybody's.
            match consent {
                Some(Consent::Granted) if !sees => drop(state.veiled.insert(watcher.clone())),
                _ => drop(state.veiled.remove(watcher)),
            }
            let mut rejected = Vec::new();
            for watch in state.watches.iter_mut().filter(|w| &w.watcher == watcher) {
                match consent {
                    Some(Consent::Granted) => tell_one(watch, sees, presentity, &doc),
                    Some(_) => {}
                    None => rejected.push(watch.key.clone()),
                }
            }
            for key in rejected {
                if let Some(at) = state.watches.iter().position(|w| w.key == key) {
                    let watch = state.watches.swap_remove(at);
                    self.watched.forget(&watch.key);
                    if !reject(&watch, presentity) {
                        // Whoever took over its dialog would ask anew.
                        self.void_lease(&watch.key);
                    }
                }
            }
            doc
        };
        match (consent, seen) {
            (Some(Consent::Granted), _) if doc.is_open() && sees => {
                self.notify_sessions(watcher, &doc, None, Vec::new());
            }
            // A request that is turned down shows nothing, not even that there are devices which go away.
            (None, Some(seen)) if seen.is_open() => {
                // Consent withdrawn: to this watcher every device goes away (RFC 6121 section 3.2.1).
                let gone = seen.tuples.iter().map(super::closed).collect();
                let empty = Arc::new(PresenceDoc::empty(presentity.clone()));
                self.notify_sessions(watcher, &empty, Some(Vec::new()), gone);
            }
            _ => {}
        }
    }

    /// A leased watch ran out.
    pub(crate) fn lapse_watch(self: &Arc<Self>, presentity: &Address, key: &LeaseKey, now: u64) {
        let Some(account) = self.account_at_hand(presentity) else { return self.watched.forget(key) };
        let mut state = account.state.lock();
        let Some(at) = state.watches.iter().position(|w| &w.key == key && w.until <= now) else { return };
        let watch = state.watches.swap_remove(at);
        self.watched.forget(key);
        if let Some(link) = watch.link.upgrade() {
            let doc = Arc::new(PresenceDoc::empty(presentity.clone()));
            let notify = Notify {
                key: Some(watch.key),
                state: WatchState::Expired,
                doc,
                changed: None,
                gone: Vec::new(),
            };
            send_notify(&link, Endpoint::bare(watch.watcher), notify);
        }
    }

    /// Another machine took a lease over: what was owed to it is told now.
    pub(crate) fn claim_watches(&self, link: &Arc<LinkCore>, key: &LeaseKey, owner: &Address) {
        let Some(account) = self.watched.by(key).and_then(|who| self.account_at_hand(&who)) else { return };
        let mut owed = false;
        for watch in account.state.lock().watches.iter_mut().filter(|w| &w.key == key && &w.watcher == owner)
        {
            if !link.closed.load(Ordering::Acquire) {
                watch.link = Arc::downgrade(link);
                owed |= std::mem::take(&mut watch.owed);
            }
        }
        if owed {
            self.tell_watch(&account, key);
        }
    }
}

/// The words of somebody who lets themselves be seen.
pub(super) fn granted() -> Event {
    Event::Authorize(model::Authorize { decision: model::Decision::Granted, original: None })
}

/// Tells a watch the document, or that it must wait for consent.
pub(super) fn tell_one(watch: &mut Watch, allowed: bool, presentity: &Address, doc: &Arc<PresenceDoc>) {
    let Some(link) = Weak::upgrade(&watch.link).filter(|l| !l.closed.load(Ordering::Acquire)) else {
        watch.owed = true;
        return;
    };
    let (state, doc) = if allowed {
        (WatchState::Active, doc.clone())
    } else {
        (WatchState::Pending, Arc::new(PresenceDoc::empty(presentity.clone())))
    };
    let notify = Notify { key: Some(watch.key.clone()), state, doc, changed: None, gone: Vec::new() };
    send_notify(&link, Endpoint::bare(watch.watcher.clone()), notify);
}

/// Tells a watch that it is refused; `false` if nobody is there to hear it.
pub(super) fn reject(watch: &Watch, presentity: &Address) -> bool {
    let Some(link) = watch.link.upgrade().filter(|l| !l.closed.load(Ordering::Acquire)) else { return false };
    let doc = Arc::new(PresenceDoc::empty(presentity.clone()));
    let key = Some(watch.key.clone());
    let notify = Notify { key, state: WatchState::Rejected, doc, changed: None, gone: Vec::new() };
    send_notify(&link, Endpoint::bare(watch.watcher.clone()), notify);
    true
}

/// Sends a notification to the machine behind a link.
pub(super) fn send_notify(link: &LinkCore, to: Endpoint, notify: Notify) {
    let envelope = from_hub(notify.doc.presentity.clone(), to.clone(), Event::Notify(notify));
    link.send(HubEvent::Deliver(Delivery {
        id: UNTRACKED,
        device: to,
        envelope,
        role: Role::Primary,
        delayed_since: None,
    }));
}
