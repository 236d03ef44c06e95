//! What a machine leaves with the hub that outlives it: dialogs, publications. Opaque to everybody but its door.

use crate::clock;
use crate::expiry::Expiry;
use crate::house::Hub;
use crate::link::LinkCore;
use bytes::Bytes;
use model::{Address, LeaseKey};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Leases one account may hold; more are forgotten at once, which only costs the client a new subscription.
const PER_OWNER: usize = 2_000;

struct Lease {
    owner: Address,
    state: Bytes,
    until: u64,
}

#[derive(Default)]
struct Table {
    leases: HashMap<LeaseKey, Lease>,
    held: HashMap<Address, usize>,
}

/// All leases.
#[derive(Default)]
pub(crate) struct Leases(Mutex<Table>);

impl Table {
    fn remove(&mut self, key: &LeaseKey) {
        if let Some(lease) = self.leases.remove(key)
            && let Some(held) = self.held.get_mut(&lease.owner)
        {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&lease.owner);
            }
        }
    }
}

impl Hub {
    pub(crate) fn set_lease(
        &self,
        _: &Arc<LinkCore>,
        key: LeaseKey,
        owner: Address,
        state: Bytes,
        secs: u32,
    ) {
        let until = clock::wall().unix_ms() + u64::from(secs) * 1000;
        let mut table = self.leases.0.lock();
        table.remove(&key);
        let held = table.held.get(&owner).copied().unwrap_or(0);
        if secs == 0 || held >= PER_OWNER {
            return;
        }
        *table.held.entry(owner.clone()).or_insert(0) += 1;
        table.leases.insert(key.clone(), Lease { owner, state, until });
        drop(table);
        self.expiries.add(until, Expiry::Lease(key));
    }

    /// What was left under a key. What waits for its holder follows with `claim_watches`, after the answer.
    pub(crate) fn claim(&self, key: &LeaseKey, owner: &Address) -> Option<Bytes> {
        let table = self.leases.0.lock();
        let lease = table.leases.get(key).filter(|l| &l.owner == owner)?;
        Some(lease.state.clone())
    }

    pub(crate) fn lapse_lease(&self, key: &LeaseKey, now: u64) {
        let mut table = self.leases.0.lock();
        if table.leases.get(key).is_some_and(|l| l.until <= now) {
            table.remove(key);
        }
    }
}
