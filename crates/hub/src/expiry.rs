//! What lapses by itself. Entries are never removed early: whoever renews adds another, and a lapse checks first
//! whether it is still due.

use crate::clock;
use crate::house::Hub;
use model::{Address, LeaseKey};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What may lapse.
pub(crate) enum Expiry {
    Watch { presentity: Address, key: LeaseKey },
    Publication { presentity: Address, key: LeaseKey },
    Lease(LeaseKey),
    Session(LeaseKey),
}

/// Everything that lapses, by Unix milliseconds.
#[derive(Default)]
pub(crate) struct Expiries(Mutex<BTreeMap<u64, Vec<Expiry>>>);

impl Expiries {
    pub fn add(&self, at: u64, what: Expiry) {
        self.0.lock().entry(at).or_default().push(what);
    }

    fn due(&self, now: u64) -> Vec<Expiry> {
        let mut table = self.0.lock();
        let later = table.split_off(&(now + 1));
        std::mem::replace(&mut *table, later).into_values().flatten().collect()
    }
}

impl Hub {
    pub(crate) fn expire(self: &Arc<Self>) {
        let now = clock::wall().unix_ms();
        for what in self.expiries.due(now) {
            match what {
                Expiry::Watch { presentity, key } => self.lapse_watch(&presentity, &key, now),
                Expiry::Publication { presentity, key } => self.lapse_publication(&presentity, &key, now),
                Expiry::Lease(key) => self.lapse_lease(&key, now),
                Expiry::Session(key) => self.lapse_session(&key, now),
            }
        }
    }
}
