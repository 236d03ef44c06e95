//! What a machine leaves with the hub that outlives it: registrations, dialogs, publications. Opaque to everybody but
//! its door. Each is in the store too, so it outlives the process as well.

use crate::clock;
use crate::expiry::{Expiries, Expiry};
use crate::house::Hub;
use crate::link::{Link, LinkCore};
use bytes::Bytes;
use model::{Address, LeaseKey, Left, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// Leases one account may hold; more are forgotten at once, which only costs the client a new subscription.
const PER_OWNER: usize = 2_000;

struct Lease {
    owner: Address,
    state: Bytes,
    until: u64,
    /// The machine that left or took it last: only that one may end it while it lives.
    holder: Weak<LinkCore>,
    /// It began before this process did.
    restored: bool,
}

impl Lease {
    fn is_held_by_other(&self, link: &Arc<LinkCore>) -> bool {
        let holder = self.holder.upgrade().filter(|h| !h.closed.load(Ordering::Acquire));
        holder.is_some_and(|holder| !Arc::ptr_eq(&holder, link))
    }
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
    fn insert(&mut self, key: LeaseKey, lease: Lease) {
        *self.held.entry(lease.owner.clone()).or_insert(0) += 1;
        self.leases.insert(key, lease);
    }

    fn remove(&mut self, key: &LeaseKey) -> Option<Lease> {
        let lease = self.leases.remove(key)?;
        if let Some(held) = self.held.get_mut(&lease.owner) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&lease.owner);
            }
        }
        Some(lease)
    }
}

impl Leases {
    /// What the last process left.
    pub fn restore(rows: Vec<store::Lease>, expiries: &Expiries) -> Self {
        let mut table = Table::default();
        for store::Lease { key, owner, state, until } in rows {
            let until = until.unix_ms();
            expiries.add(until, Expiry::Lease(key.clone()));
            table.insert(key, Lease { owner, state, until, holder: Weak::new(), restored: true });
        }
        Self(Mutex::new(table))
    }

    /// Was this left by an earlier process, for this owner?
    pub fn is_restored(&self, key: &LeaseKey, owner: &Address) -> bool {
        self.0.lock().leases.get(key).is_some_and(|l| l.restored && &l.owner == owner)
    }
}

impl Hub {
    /// Takes a lease out, and with it the time at which it would lapse.
    fn take_lease(&self, table: &mut Table, key: &LeaseKey) -> Option<Lease> {
        let lease = table.remove(key)?;
        self.expiries.cancel(lease.until, &Expiry::Lease(key.clone()));
        Some(lease)
    }

    pub(crate) fn set_lease(
        &self,
        link: &Arc<LinkCore>,
        key: LeaseKey,
        owner: Address,
        state: Bytes,
        secs: u32,
    ) {
        let until = clock::wall().unix_ms() + u64::from(secs) * 1000;
        let mut table = self.leases.0.lock();
        if secs == 0 {
            // A machine's late word must not end what another one goes on with.
            let ours = table.leases.get(&key).is_some_and(|l| l.owner == owner && !l.is_held_by_other(link));
            if ours {
                self.take_lease(&mut table, &key);
                self.parts.leases.forget(&key);
            }
            return;
        }
        let old = self.take_lease(&mut table, &key);
        let held = table.held.get(&owner).copied().unwrap_or(0);
        if held >= PER_OWNER {
            self.parts.leases.forget(&key);
            return;
        }
        let restored = old.is_some_and(|l| l.restored && l.owner == owner);
        let lease = Lease {
            owner: owner.clone(),
            state: state.clone(),
            until,
            holder: Arc::downgrade(link),
            restored,
        };
        table.insert(key.clone(), lease);
        // Under the table's lock: words on one key reach the store in their order.
        self.parts.leases.keep(store::Lease { key: key.clone(), owner, state, until: Timestamp(until) });
        drop(table);
        self.expiries.add(until, Expiry::Lease(key));
    }

    /// What was left under a key. What waits for its holder follows with `claim_watches`, after the answer.
    pub(crate) fn claim(&self, link: &Arc<LinkCore>, key: &LeaseKey, owner: &Address) -> Option<Bytes> {
        let mut table = self.leases.0.lock();
        let lease = table.leases.get_mut(key).filter(|l| &l.owner == owner)?;
        lease.holder = Arc::downgrade(link);
        Some(lease.state.clone())
    }

    pub(crate) fn lapse_lease(&self, key: &LeaseKey, now: u64) {
        let mut table = self.leases.0.lock();
        if table.leases.get(key).is_some_and(|l| l.until <= now) {
            table.remove(key);
            self.parts.leases.forget(key);
        }
    }

    /// What it was left for has ended.
    pub(crate) fn void_lease(&self, key: &LeaseKey) {
        let mut table = self.leases.0.lock();
        if self.take_lease(&mut table, key).is_some() {
            self.parts.leases.forget(key);
        }
    }

    /// An account was removed or its password changed: nothing it left may be gone on with.
    pub(crate) fn end_leases(&self, owner: &Address) {
        let mut table = self.leases.0.lock();
        let keys: Vec<LeaseKey> =
            table.leases.iter().filter(|(_, l)| &l.owner == owner).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.take_lease(&mut table, &key);
            self.parts.leases.forget(&key);
        }
    }

    /// Gives a machine those leases nobody holds that it chooses, and with them the right to end them.
    pub fn inherit(&self, link: &Link, choose: impl Fn(&LeaseKey, &[u8]) -> bool) -> Vec<Left> {
        self.take_over(&link.core, choose)
    }

    pub(crate) fn take_over(
        &self,
        link: &Arc<LinkCore>,
        choose: impl Fn(&LeaseKey, &[u8]) -> bool,
    ) -> Vec<Left> {
        let now = clock::wall().unix_ms();
        let mut table = self.leases.0.lock();
        let mut orphans = Vec::new();
        for (key, lease) in &mut table.leases {
            if lease.until <= now || lease.is_held_by_other(link) || !choose(key, &lease.state) {
                continue;
            }
            lease.holder = Arc::downgrade(link);
            let secs = (lease.until - now).div_ceil(1000).try_into().unwrap_or(u32::MAX);
            let (owner, state) = (lease.owner.clone(), lease.state.clone());
            orphans.push(Left { key: key.clone(), owner, state, secs });
        }
        orphans
    }
}
