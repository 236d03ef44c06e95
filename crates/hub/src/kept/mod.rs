//! Sessions that outlive the process: when it ends in order, each that waits for its client is written down as the hub
//! holds it, with what its client believes of others; the next process takes them up as if all connections had been cut.
//! Nobody sees anybody go, and whoever does not come back in time goes then.

mod paper;
mod restore;

use crate::drain::UNTRACKED;
use crate::house::Hub;
use crate::link::HubEvent;
use crate::sessions::Waiting;
use model::{
    Address, Basic, Delivery, Device, Endpoint, Event, LeaseKey, Notice, Notify, Outcome, Settlement,
    Timestamp, Tuple,
};
use paper::{Memory, News, Paper};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use store::Lease;

/// How the papers of sessions are called in the store, which keeps them as it keeps what doors leave.
const SESSION: &str = "hub:session:";
/// The same for what the clients of an account's watchers, and its own, believe besides.
const MEMORY: &str = "hub:memory:";
/// How long the end of the process waits for what sessions still had in line.
const PATIENCE: Duration = Duration::from_secs(2);

/// Is this a paper of ours, and no door's?
pub(crate) fn is_paper(key: &LeaseKey) -> bool {
    key.0.starts_with(SESSION) || key.0.starts_with(MEMORY)
}

impl Hub {
    /// The process ends in order, and all connections have: writes down the sessions that wait for their clients. How many
    /// that were. Blocks.
    pub fn keep_sessions(&self) -> usize {
        let mut waiting: Vec<(Waiting, Vec<HubEvent>)> =
            self.sessions.take_all_parked().into_iter().map(|session| (session, Vec::new())).collect();
        let patience = Instant::now() + PATIENCE;
        while !waiting.iter_mut().all(|(session, heard)| is_settled(session, heard))
            && Instant::now() < patience
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Who goes from here on is told to have gone by the next process.
        *self.ended.write() = true;
        let mut kept = BTreeSet::new();
        let mut until = 0;
        for (session, heard) in waiting {
            let (owner, ends) = (session.owner.clone(), session.until);
            let Some((endpoint, paper)) = self.paper(session, heard) else { continue };
            until = until.max(ends);
            let key = LeaseKey::new(format!("{SESSION}{}", kept.len()));
            self.keep(key, &owner, paper.to_bytes(&owner), ends);
            kept.insert((endpoint.address, endpoint.device));
        }
        if kept.is_empty() {
            return 0;
        }
        for account in self.accounts_at_hand() {
            let memory = {
                let state = account.state.lock();
                let lost =
                    |device: &Option<Device>| !kept.contains(&(account.address.clone(), device.clone()));
                let said = state.publications.iter().filter(|p| p.device.is_none() || lost(&p.device));
                let abroad = state.abroad.iter().map(|(who, known)| (who.clone(), open(&known.tuples)));
                Memory {
                    said: said.flat_map(|p| open(&p.tuples)).collect(),
                    abroad: abroad.filter(|(_, devices)| !devices.is_empty()).collect(),
                }
            };
            if !memory.is_empty() {
                let key = LeaseKey::new(format!("{MEMORY}{}", account.address));
                self.keep(key, &account.address, memory.to_bytes(), until);
            }
        }
        kept.len()
    }

    fn keep(&self, key: LeaseKey, owner: &Address, state: Vec<u8>, until: u64) {
        let (owner, state, until) = (owner.clone(), state.into(), Timestamp(until));
        self.parts.leases.keep(Lease { key, owner, state, until });
    }

    /// A session as it is; `None` where its client must begin anew, because something of it cannot be written down.
    fn paper(&self, session: Waiting, mut heard: Vec<HubEvent>) -> Option<(Endpoint, Paper)> {
        let Waiting { key, core, left, .. } = session;
        heard.extend(core.take_all()?);
        let (left, news) = (left.to_bytes()?, news(heard)?);
        let bound = core.bound.lock().clone();
        let [endpoint] = bound.as_slice() else { return None };
        let account = self.account_at_hand(&endpoint.address)?;
        let mut state = account.state.lock();
        let slot = state.slot(&core, endpoint)?;
        let device = slot.device.clone();
        let mut paper = Paper {
            key,
            dialect: core.dialect,
            device: device.clone(),
            attend: slot.attend,
            announces: slot.announces,
            roster: slot.roster,
            blocks: slot.blocks,
            directed: slot.directed.clone(),
            said: None,
            left,
            news,
        };
        let said = state.publications.iter().find(|p| p.device.as_ref() == Some(&device));
        paper.said = said.map(|said| (said.key.clone(), said.tuples.clone()));
        Some((endpoint.clone(), paper))
    }
}

/// The devices of which it was said that they are there.
fn open(tuples: &[Tuple]) -> Vec<Option<Device>> {
    tuples.iter().filter(|t| t.basic == Basic::Open).map(|t| t.device.clone()).collect()
}

/// Is all that a session's machine had begun done? What it would have heard meanwhile is collected.
fn is_settled(session: &mut Waiting, heard: &mut Vec<HubEvent>) -> bool {
    for event in session.core.take_all().unwrap_or_else(|| vec![HubEvent::Overrun]) {
        match event {
            HubEvent::Kept(ticket) => session.left.kept(ticket),
            event => heard.push(event),
        }
    }
    session.core.is_quick() && session.left.to_bytes().is_some()
}

/// What waits for a session besides the rows of its mailbox, which wait by themselves. `None` where it has ended, or what
/// it has to hear can be told only by a machine of this process.
fn news(events: Vec<HubEvent>) -> Option<Vec<News>> {
    let mut news = Vec::new();
    let mut seen: BTreeMap<Address, BTreeSet<Option<Device>>> = BTreeMap::new();
    for event in events {
        match event {
            HubEvent::Deliver(delivery) if delivery.id != UNTRACKED => {}
            HubEvent::Deliver(delivery) => match &delivery.envelope.event {
                Event::Notify(Notify { doc, gone, .. }) => {
                    // How they are then is told then; who is there no longer can be told only by who was.
                    let of = seen.entry(doc.presentity.clone()).or_default();
                    of.extend(gone.iter().map(|tuple| tuple.device.clone()));
                }
                Event::Message(_)
                | Event::Receipt(_)
                | Event::Subscribe(_)
                | Event::Authorize(_)
                | Event::Publish(_) => {
                    let Delivery { role, delayed_since, envelope, .. } = delivery;
                    news.push(News::Told { role, since: delayed_since, envelope });
                }
                // True for the moment only, or asked by somebody who is gone by then.
                Event::Composing(_) | Event::Opaque(_) | Event::Call(_) => {}
            },
            HubEvent::Notice(_, Notice::Roster(item)) => news.push(News::Listed(item.contact)),
            HubEvent::Notice(_, Notice::RosterRemoved(contact)) => news.push(News::Listed(contact)),
            HubEvent::Notice(_, Notice::Blocked(who)) => news.push(News::Blocked(who)),
            HubEvent::Notice(_, Notice::Unblocked(who)) => news.push(News::Unblocked(who)),
            HubEvent::Notice(_, Notice::Replaced | Notice::Taken | Notice::Revoked)
            | HubEvent::Settled(_, Settlement { outcome: Outcome::Refused(_), .. })
            | HubEvent::Resumed(..)
            | HubEvent::Overrun => return None,
            // About what the machine that ended had begun; what it left says whether that matters.
            HubEvent::Line(_) | HubEvent::Kept(_) | HubEvent::Settled(..) | HubEvent::Answer(..) => {}
        }
    }
    news.extend(seen.into_iter().map(|(who, gone)| News::Seen(who, gone.into_iter().collect())));
    Some(news)
}
