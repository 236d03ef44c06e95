//! Sessions that outlive the process: when it ends in order, each that waits for its client is written down as the hub
//! holds it, with what its client believes of others; the next process takes them up as if all connections had been cut.
//! Nobody sees anybody go, and whoever does not come back in time goes then.

mod fields;
mod memory;
mod news;
mod paper;
mod restore;

use crate::account::Account;
use crate::house::Hub;
use crate::link::HubEvent;
use crate::sessions::Waiting;
use memory::Memory;
use model::{Address, Basic, Device, Endpoint, LeaseKey, Timestamp, Tuple};
use paper::Paper;
use std::collections::BTreeSet;
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
        let waits: Vec<_> =
            waiting.into_iter().filter_map(|(session, heard)| self.paper(session, heard)).collect();
        // Those whose time is over before the next process begins are taken up as well, and end then: nobody else could
        // say that they went.
        let Some(until) = waits.iter().map(|(_, paper)| paper.until).max() else { return 0 };
        for (number, (device, paper)) in waits.iter().enumerate() {
            let key = LeaseKey::new(format!("{SESSION}{number}"));
            self.keep(key, &device.address, paper.to_bytes(&device.address), until);
        }
        let kept: BTreeSet<Endpoint> = waits.into_iter().map(|(device, _)| device).collect();
        for account in self.accounts_at_hand() {
            let memory = memory(&account, &kept);
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
        let Waiting { key, core, left, until, .. } = session;
        heard.extend(core.take_all()?);
        let waits = |id| core.waits(id);
        let (left, news) = (left.to_bytes(&waits)?, news::of(heard, waits)?);
        let bound = core.bound.lock().clone();
        let [endpoint] = bound.as_slice() else { return None };
        let account = self.account_at_hand(&endpoint.address)?;
        let mut state = account.state.lock();
        let slot = state.slot(&core, endpoint)?;
        let device = slot.device.clone();
        let mut paper = Paper {
            key,
            until,
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

/// What of an account nobody says again.
fn memory(account: &Account, kept: &BTreeSet<Endpoint>) -> Memory {
    let state = account.state.lock();
    let full = |device: &Device| Endpoint::full(account.address.clone(), device.clone());
    let lost = |device: &Device| !kept.contains(&full(device));
    let said = state.publications.iter().filter(|p| p.device.as_ref().is_none_or(lost));
    let abroad = state.abroad.iter().map(|(who, known)| (who.clone(), open(&known.tuples)));
    let directed = state.devices.iter().filter(|s| lost(&s.device) && !s.directed.is_empty());
    Memory {
        said: said.flat_map(|p| open(&p.tuples)).collect(),
        abroad: abroad.filter(|(_, devices)| !devices.is_empty()).collect(),
        veiled: state.veiled.iter().cloned().collect(),
        directed: directed.map(|s| (full(&s.device), s.directed.clone())).collect(),
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
    session.core.is_quick() && session.left.to_bytes(&|_| true).is_some()
}
