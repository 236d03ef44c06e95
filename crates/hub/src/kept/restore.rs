//! The next process takes up what the last one wrote down.

use super::memory::Memory;
use super::paper::{News, Paper};
use super::{MEMORY, SESSION};
use crate::account::{Account, Slot};
use crate::clock;
use crate::drain::UNTRACKED;
use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use crate::presence::{Publication, closed, compose, from_hub, granted};
use crate::roster::listed;
use model::{
    Address, Basic, Delivery, Device, Endpoint, Event, Notice, Notify, PresenceDoc, Role, Tuple, WatchState,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{Consent, Lease, Trouble};

/// A session that waits again.
struct Revived {
    account: Arc<Account>,
    core: Arc<LinkCore>,
    device: Endpoint,
    news: Vec<News>,
}

impl Hub {
    /// Takes up the sessions that the last process kept, for so many seconds at most: to be called once the house is whole, and
    /// before anybody comes. How many that were. Blocks.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read; sessions that were not taken up by then are lost.
    pub fn restore_sessions(self: &Arc<Self>, secs: u32) -> Result<usize, Trouble> {
        let papers = std::mem::take(&mut *self.papers.lock());
        self.read_accounts(&papers);
        let latest = clock::wall().unix_ms() + u64::from(secs) * 1000;
        let (mut revived, mut lost, mut memories) = (Vec::new(), Vec::new(), Vec::new());
        for Lease { key, owner, state, .. } in papers {
            // Whatever comes of it, it is true only now.
            self.parts.leases.forget(&key);
            if key.0.starts_with(SESSION) {
                let Some(mut paper) = Paper::parse(&state) else { continue };
                paper.until = paper.until.min(latest);
                let device = Endpoint::full(owner, paper.device.clone());
                match self.account(&device.address)? {
                    Some(account) => revived.extend(self.revive(account, device, paper)),
                    None => lost.push(device),
                }
            } else if key.0.starts_with(MEMORY) {
                memories.extend(Memory::parse(&state).map(|memory| (owner, memory)));
            }
        }
        if revived.is_empty() {
            return Ok(0);
        }
        // What clients believe comes before what is news to them, and what waits in mailboxes last.
        for (owner, memory) in memories {
            match self.account(&owner)? {
                Some(account) => self.forget_gone(&account, memory),
                None => lost.extend(
                    memory.said.into_iter().map(|device| Endpoint { address: owner.clone(), device }),
                ),
            }
        }
        for Endpoint { address, device } in lost {
            self.forget_lost(&address, device);
        }
        for session in &mut revived {
            for news in std::mem::take(&mut session.news) {
                self.tell_again(session, news)?;
            }
        }
        for session in &revived {
            let mut state = session.account.state.lock();
            self.consider_drain(&session.account, &mut state);
        }
        // They may have changed since.
        self.rules_changed();
        Ok(revived.len())
    }

    /// Reads the accounts of all papers on several threads: an account of many contacts takes half a millisecond, and nobody can
    /// come before all are there. What cannot be read is told to whoever asks for it next.
    fn read_accounts(self: &Arc<Self>, papers: &[Lease]) {
        let next = AtomicUsize::new(0);
        let read = || {
            while let Some(paper) = papers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let _ = self.account(&paper.owner);
            }
        };
        std::thread::scope(|scope| (0..self.parts.lanes).for_each(|_| drop(scope.spawn(read))));
    }

    fn revive(self: &Arc<Self>, account: Arc<Account>, device: Endpoint, paper: Paper) -> Option<Revived> {
        let core = LinkCore::new(paper.dialect);
        {
            let mut state = account.state.lock();
            if state.devices.iter().any(|s| s.device == paper.device) {
                return None;
            }
            if state.devices.is_empty() {
                self.parts.bus.attend(account.address.as_str(), account.clone());
            }
            // What the last process kept from whom follows from its memory.
            state.veiled.clear();
            state.devices.push(Slot {
                device: paper.device.clone(),
                link: core.clone(),
                attend: paper.attend,
                announces: paper.announces,
                roster: paper.roster,
                blocks: paper.blocks,
                in_flight: 0,
                directed: paper.directed,
            });
            if let Some((key, tuples)) = paper.said {
                let device = Some(paper.device);
                state.publications.push(Publication { key, device, tuples, until: None });
            }
        }
        core.bound.lock().push(device.clone());
        let owner = account.address.clone();
        self.revive_session(paper.key, owner, core.clone(), Box::new(paper.left), paper.until);
        Some(Revived { account, core, device, news: paper.news })
    }

    /// Devices that clients believe to be there, and that are there no more or must be asked anew.
    fn forget_gone(self: &Arc<Self>, account: &Arc<Account>, memory: Memory) {
        let owner = &account.address;
        let (gone, watchers) = {
            let mut state = account.state.lock();
            state.veiled = memory.veiled.into_iter().collect();
            let there = compose(owner, &state.publications);
            (not_there(&memory.said, &there), granted(&state))
        };
        // Those elsewhere heard it from the last process.
        let ours = |who: &Address| self.hosts(who.domain());
        if !gone.is_empty() {
            let watchers: Vec<Address> = watchers.into_iter().filter(ours).collect();
            self.fan_out(account, &watchers, &[], gone);
        }
        for (device, to) in memory.directed {
            let last = Tuple::plain(device.device, Basic::Closed, clock::wall());
            for to in to.iter().filter(|to| ours(&to.address)) {
                self.show(owner, to, std::slice::from_ref(&last));
            }
        }
        for (who, devices) in memory.abroad {
            let doc = Arc::new(PresenceDoc::empty(who));
            let gone = not_there(&devices, &doc);
            self.notify_sessions(owner, &doc, Some(Vec::new()), gone);
        }
    }

    /// There is no such account any more, or it is not ours: whoever was told of its device hears that it went.
    fn forget_lost(self: &Arc<Self>, owner: &Address, device: Option<Device>) {
        let doc = Arc::new(PresenceDoc::empty(owner.clone()));
        let gone = not_there(&[device], &doc);
        for watcher in self.accounts_at_hand() {
            if watcher.state.lock().book.watching(owner).is_some() {
                self.notify_sessions(&watcher.address, &doc, Some(Vec::new()), gone.clone());
            }
        }
    }

    fn tell_again(self: &Arc<Self>, session: &Revived, news: News) -> Result<(), Trouble> {
        let Revived { account, core, device, .. } = session;
        let notice = |notice| core.send(HubEvent::Notice(device.clone(), notice));
        match news {
            News::Told { role, since, envelope } => core.send(HubEvent::Deliver(Delivery {
                id: UNTRACKED,
                device: device.clone(),
                envelope,
                role,
                delayed_since: since,
            })),
            News::Listed(contact) => notice(listed(&account.state.lock(), &contact)),
            News::Blocked(who) => notice(Notice::Blocked(who)),
            News::Unblocked(who) => notice(Notice::Unblocked(who)),
            News::Seen(who, words) => {
                let (doc, gone) = self.seen(account, &who, words)?;
                if doc.is_open() || !gone.is_empty() {
                    let notify = Notify { key: None, state: WatchState::Active, doc, changed: None, gone };
                    core.send(HubEvent::Deliver(Delivery {
                        id: UNTRACKED,
                        device: device.clone(),
                        envelope: from_hub(who, device.clone(), Event::Notify(notify)),
                        role: Role::Primary,
                        delayed_since: None,
                    }));
                }
            }
        }
        Ok(())
    }

    /// How somebody is, of whom a session was to hear these words: who is there, and who went.
    fn seen(
        self: &Arc<Self>,
        watcher: &Account,
        who: &Address,
        words: Vec<Tuple>,
    ) -> Result<(Arc<PresenceDoc>, Vec<Tuple>), Trouble> {
        let devices: Vec<Option<Device>> = words.iter().map(|tuple| tuple.device.clone()).collect();
        if self.hosts(who.domain())
            && let Some(account) = self.account(who)?
        {
            let state = account.state.lock();
            if self.may_watch(&state, who, &watcher.address) {
                let doc = compose(who, &state.publications);
                let gone = not_there(&devices, &doc);
                return Ok((doc, gone));
            }
        }
        let (mut open, gone): (Vec<Tuple>, Vec<Tuple>) =
            words.into_iter().partition(|t| t.basic == Basic::Open);
        if watcher.state.lock().book.watching(who) == Some(Consent::Granted) {
            // Their server is asked anew when the client is back.
            open.clear();
        }
        // Shown by their own choice, whoever may watch them: there is no more to it than what was said.
        Ok((Arc::new(PresenceDoc { presentity: who.clone(), tuples: open }), gone))
    }

    /// The client of a session that was taken up is back: those elsewhere, who were told that it goes, hear of it again,
    /// and are asked how they are.
    pub(crate) fn greet_elsewhere(self: &Arc<Self>, core: &Arc<LinkCore>) {
        let bound = core.bound.lock().clone();
        for device in bound {
            let Some(account) = self.account_at_hand(&device.address) else { continue };
            let watching = {
                // In the order in which things happen, as everybody who tells of the account does.
                let _in_order = account.telling.lock();
                let (doc, watching, watchers) = {
                    let mut state = account.state.lock();
                    if !state.slot(core, &device).is_some_and(|slot| slot.announces) {
                        continue;
                    }
                    let doc = compose(&account.address, &state.publications);
                    (doc, state.watching(), granted(&state))
                };
                let elsewhere = watchers.iter().filter(|w| !self.hosts(w.domain()));
                for watcher in elsewhere.filter(|w| self.is_unveiled(w, &account.address)) {
                    self.notify_sessions(watcher, &doc, None, Vec::new());
                }
                watching
            };
            for presentity in watching.iter().filter(|p| !self.hosts(p.domain())) {
                self.probe_abroad(presentity, &device);
            }
        }
    }
}

/// The last words of those devices that are not in the document.
fn not_there(devices: &[Option<Device>], doc: &PresenceDoc) -> Vec<Tuple> {
    let there = |device: &Option<Device>| doc.tuples.iter().any(|t| &t.device == device);
    let gone = devices.iter().filter(|device| !there(device));
    gone.map(|device| closed(&Tuple::plain(device.clone(), Basic::Closed, clock::wall()))).collect()
}
