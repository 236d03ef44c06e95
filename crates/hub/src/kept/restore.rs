//! The next process takes up what the last one wrote down.

use super::paper::{Memory, News, Paper};
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
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Lease, Trouble};

/// A session that waits again.
struct Revived {
    account: Arc<Account>,
    core: Arc<LinkCore>,
    device: Endpoint,
    news: Vec<News>,
}

impl Hub {
    /// Takes up the sessions that the last process kept: to be called once the house is whole, and before anybody comes. How many
    /// that were. Blocks.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read; sessions that were not taken up by then are lost.
    pub fn restore_sessions(self: &Arc<Self>) -> Result<usize, Trouble> {
        let papers = std::mem::take(&mut *self.papers.lock());
        let (mut revived, mut memories) = (Vec::new(), Vec::new());
        for Lease { key, owner, state, until } in papers {
            // Whatever comes of it, it is true only now.
            self.parts.leases.forget(&key);
            if key.0.starts_with(SESSION) {
                let Some(paper) = Paper::parse(&state) else { continue };
                revived.extend(self.revive(&owner, paper, until.unix_ms())?);
            } else if key.0.starts_with(MEMORY) {
                memories.extend(Memory::parse(&state).map(|memory| (owner, memory)));
            }
        }
        if revived.is_empty() {
            return Ok(0);
        }
        // What clients believe comes before what is news to them, and what waits in mailboxes last.
        for (owner, memory) in memories {
            self.forget_gone(&owner, memory)?;
        }
        let accounts: BTreeMap<Address, Arc<Account>> =
            revived.iter().map(|r| (r.account.address.clone(), r.account.clone())).collect();
        for session in &mut revived {
            for news in std::mem::take(&mut session.news) {
                self.tell_again(session, news)?;
            }
        }
        for account in accounts.values() {
            let mut state = account.state.lock();
            self.consider_drain(account, &mut state);
        }
        // They may have changed since.
        self.rules_changed();
        Ok(revived.len())
    }

    fn revive(
        self: &Arc<Self>,
        owner: &Address,
        paper: Paper,
        until: u64,
    ) -> Result<Option<Revived>, Trouble> {
        let Some(account) = self.account(owner)? else { return Ok(None) };
        let core = LinkCore::new(paper.dialect);
        let device = Endpoint::full(owner.clone(), paper.device.clone());
        {
            let mut state = account.state.lock();
            if state.devices.iter().any(|s| s.device == paper.device) {
                return Ok(None);
            }
            if state.devices.is_empty() {
                self.parts.bus.attend(owner.as_str(), account.clone());
            }
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
        self.revive_session(paper.key, owner.clone(), core.clone(), Box::new(paper.left), until);
        Ok(Some(Revived { account, core, device, news: paper.news }))
    }

    /// Devices that clients believe to be there, and that are there no more or must be asked anew.
    fn forget_gone(self: &Arc<Self>, owner: &Address, memory: Memory) -> Result<(), Trouble> {
        let Some(account) = self.account(owner)? else { return Ok(()) };
        let (gone, watchers) = {
            let state = account.state.lock();
            let there = compose(owner, &state.publications);
            (not_there(&memory.said, &there), granted(&state))
        };
        if !gone.is_empty() {
            // Those elsewhere heard it from the last process.
            let ours: Vec<Address> = watchers.into_iter().filter(|w| self.hosts(w.domain())).collect();
            self.fan_out(&account, &ours, &[], gone);
        }
        for (who, devices) in memory.abroad {
            let doc = Arc::new(PresenceDoc::empty(who));
            let gone = not_there(&devices, &doc);
            self.notify_sessions(owner, &doc, Some(Vec::new()), gone);
        }
        Ok(())
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
            News::Seen(who, gone) => {
                let doc = self.seen(&account.address, &who)?;
                let gone = not_there(&gone, &doc);
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

    /// How somebody is, as far as this watcher may see it and we know it.
    fn seen(self: &Arc<Self>, watcher: &Address, who: &Address) -> Result<Arc<PresenceDoc>, Trouble> {
        if self.hosts(who.domain())
            && let Some(account) = self.account(who)?
        {
            let state = account.state.lock();
            if self.may_watch(&state, who, watcher) {
                return Ok(compose(who, &state.publications));
            }
        }
        Ok(Arc::new(PresenceDoc::empty(who.clone())))
    }

    /// The client of a session that was taken up is back: those elsewhere, who were told that it goes, hear of it again,
    /// and are asked how they are.
    pub(crate) fn greet_elsewhere(self: &Arc<Self>, core: &Arc<LinkCore>) {
        let bound = core.bound.lock().clone();
        for device in bound {
            let Some(account) = self.account_at_hand(&device.address) else { continue };
            let (doc, watching, watchers) = {
                let mut state = account.state.lock();
                if !state.slot(core, &device).is_some_and(|slot| slot.announces) {
                    continue;
                }
                let doc = compose(&account.address, &state.publications);
                (doc, state.watching(), granted(&state))
            };
            for presentity in watching.iter().filter(|p| !self.hosts(p.domain())) {
                self.greet_abroad(core, &account, presentity, &device);
            }
            for watcher in watchers.iter().filter(|w| !self.hosts(w.domain())) {
                self.notify_sessions(watcher, &doc, None, Vec::new());
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
