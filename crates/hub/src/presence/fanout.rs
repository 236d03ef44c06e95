//! Telling everybody entitled.

use super::watch::{send_notify, tell_one};
use super::{closed, compose::compose, from_hub};
use crate::account::{Account, State};
use crate::house::Hub;
use crate::link::LinkCore;
use model::{Address, Basic, Endpoint, Event, Notify, PresenceDoc, Subscribe, Term, Tuple, WatchState};
use std::sync::Arc;
use store::Consent;

/// Who may see an account now.
pub(crate) fn granted(state: &State) -> Vec<Address> {
    let rows = state.book.rows().iter();
    rows.filter(|row| row.watcher == Some(Consent::Granted)).map(|row| row.who.clone()).collect()
}

impl Hub {
    /// An account's presence changed: its watchers, its leases and its own other sessions hear it. `watchers` are those
    /// at the moment of the change: whoever loses sight of the account after it must still hear that it went.
    pub(crate) fn fan_out(
        self: &Arc<Self>,
        account: &Arc<Account>,
        watchers: &[Address],
        fresh: &[Tuple],
        gone: Vec<Tuple>,
    ) {
        let _in_order = account.telling.lock();
        let doc = {
            let mut state = account.state.lock();
            let doc = compose(&account.address, &state.publications);
            for at in 0..state.watches.len() {
                let watcher = &state.watches[at].watcher;
                let allowed = watcher == &account.address
                    || (state.book.watcher(watcher) == Some(Consent::Granted)
                        && self.is_unveiled(watcher, &account.address));
                if allowed {
                    tell_one(&mut state.watches[at], true, &account.address, &doc);
                }
            }
            doc
        };
        let changed: Vec<usize> = (0..doc.tuples.len()).filter(|i| fresh.contains(&doc.tuples[*i])).collect();
        let seers = watchers.iter().filter(|watcher| self.is_unveiled(watcher, &account.address));
        for watcher in seers.chain(std::iter::once(&account.address)) {
            self.notify_sessions(watcher, &doc, Some(changed.clone()), gone.clone());
        }
    }

    /// Tells those sessions of an account which announced themselves.
    pub(crate) fn notify_sessions(
        self: &Arc<Self>,
        watcher: &Address,
        doc: &Arc<PresenceDoc>,
        changed: Option<Vec<usize>>,
        gone: Vec<Tuple>,
    ) {
        if !self.hosts(watcher.domain()) {
            let notify = Notify { key: None, state: WatchState::Active, doc: doc.clone(), changed, gone };
            return self.tell_abroad(&from_hub(
                doc.presentity.clone(),
                watcher.clone(),
                Event::Notify(notify),
            ));
        }
        let Some(account) = self.account_at_hand(watcher) else { return };
        let state = account.state.lock();
        if !state.devices.iter().any(|s| s.announces) {
            return;
        }
        // Consent may have ended since the watchers were counted; its end has been, or will be, told separately.
        let allowed =
            watcher == &doc.presentity || state.book.watching(&doc.presentity) == Some(Consent::Granted);
        let goodbye;
        let (doc, changed) = if allowed || !doc.is_open() {
            (doc, changed)
        } else if gone.is_empty() {
            return;
        } else {
            goodbye = Arc::new(PresenceDoc::empty(doc.presentity.clone()));
            (&goodbye, Some(Vec::new()))
        };
        let notify = Notify { key: None, state: WatchState::Active, doc: doc.clone(), changed, gone };
        let envelope = from_hub(doc.presentity.clone(), watcher.clone(), Event::Notify(notify));
        for slot in state.devices.iter().filter(|s| s.announces) {
            self.tell(&account, slot, &envelope);
        }
    }

    /// A session announced itself for the first time: it hears how its contacts are, and who asked to see it
    /// while it was away.
    pub(crate) fn welcome(self: &Arc<Self>, link: &Arc<LinkCore>, account: &Arc<Account>, device: &Endpoint) {
        let (watching, requests, own) = {
            let state = account.state.lock();
            let requests: Vec<(Address, Option<String>)> = state
                .book
                .rows()
                .iter()
                .filter(|row| row.watcher == Some(Consent::Pending))
                .map(|row| (row.who.clone(), row.note.as_deref().map(ToOwned::to_owned)))
                .collect();
            (state.watching(), requests, compose(&account.address, &state.publications))
        };
        for presentity in &watching {
            if !self.hosts(presentity.domain()) {
                self.greet_abroad(link, account, presentity, device);
                continue;
            }
            let Some(other) = self.account_at_hand(presentity) else { continue };
            let mut told: Option<Arc<PresenceDoc>> = None;
            loop {
                let doc = {
                    let held = other.state.lock();
                    // The end of a consent is noted here first: what comes after it is not to be shown.
                    match self.may_watch(&held, presentity, &account.address) {
                        true => compose(presentity, &held.publications),
                        false => Arc::new(PresenceDoc::empty(presentity.clone())),
                    }
                };
                // News that came while this was told may have overtaken it: then tell that again.
                if told.as_ref() == Some(&doc) || (told.is_none() && !doc.is_open()) {
                    break;
                }
                // Under the lock that an end of consent needs, so that the end cannot be told before this.
                let state = account.state.lock();
                if state.book.watching(presentity) != Some(Consent::Granted) {
                    // Whoever ended it may have seen nothing left to take back: what was told here is.
                    if let Some(told) = told {
                        goodbye(link, device, &told);
                    }
                    break;
                }
                if let Some(told) = &told {
                    goodbye(link, device, told);
                }
                greet(link, device, doc.clone(), None);
                told = Some(doc);
            }
        }
        let others: Vec<usize> =
            (0..own.tuples.len()).filter(|i| own.tuples[*i].device != device.device).collect();
        if !others.is_empty() {
            greet(link, device, own, Some(others));
        }
        let state = account.state.lock();
        let Some(slot) = state.devices.iter().find(|s| Some(&s.device) == device.device.as_ref()) else {
            return;
        };
        for (watcher, note) in requests {
            let request = Event::Subscribe(Subscribe { term: Term::Lasting, note, original: None });
            self.tell(account, slot, &from_hub(watcher, account.address.clone(), request));
        }
    }

    /// The process ends, and the sessions of clients with it: those elsewhere whom a connection reaches hear that their
    /// devices go. What was published for a time outlives us, and is not taken back.
    pub fn farewell(self: &Arc<Self>) {
        self.let_go_of_all_watched();
        for account in self.accounts_at_hand() {
            let (watchers, gone) = {
                let state = account.state.lock();
                let sessions = state.publications.iter().filter(|p| p.device.is_some());
                let open = sessions.flat_map(|p| &p.tuples).filter(|t| t.basic == Basic::Open);
                (granted(&state), open.map(closed).collect::<Vec<_>>())
            };
            if gone.is_empty() {
                continue;
            }
            let elsewhere = watchers.into_iter().filter(|w| !self.hosts(w.domain()));
            for watcher in elsewhere.filter(|w| self.is_unveiled(w, &account.address)) {
                if self.is_reached(&account.address, &watcher) {
                    let doc = Arc::new(PresenceDoc::empty(account.address.clone()));
                    let (state, changed) = (WatchState::Active, Some(Vec::new()));
                    let notify = Notify { key: None, state, doc, changed, gone: gone.clone() };
                    self.tell_abroad(&from_hub(account.address.clone(), watcher, Event::Notify(notify)));
                }
            }
        }
    }

    fn is_reached(&self, from: &Address, to: &Address) -> bool {
        let account = self.account_at_hand(&self.way_between(from, to).mailbox());
        account.is_some_and(|a| a.state.lock().devices.iter().any(|s| s.attend.is_some()))
    }
}

/// Takes back what was told of somebody.
fn goodbye(link: &LinkCore, device: &Endpoint, told: &PresenceDoc) {
    let doc = Arc::new(PresenceDoc::empty(told.presentity.clone()));
    let gone = told.tuples.iter().map(closed).collect();
    let notify = Notify { key: None, state: WatchState::Active, doc, changed: Some(Vec::new()), gone };
    send_notify(link, device.clone(), notify);
}

fn greet(link: &LinkCore, device: &Endpoint, doc: Arc<PresenceDoc>, changed: Option<Vec<usize>>) {
    send_notify(
        link,
        device.clone(),
        Notify { key: None, state: WatchState::Active, doc, changed, gone: Vec::new() },
    );
}
