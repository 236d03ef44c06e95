//! Whom each leased watch is of, so that who takes one over need not look at everybody.

use model::{Address, LeaseKey};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Presentities by the leases on them.
#[derive(Default)]
pub(crate) struct Watched(Mutex<HashMap<LeaseKey, Address>>);

impl Watched {
    pub fn note(&self, key: &LeaseKey, presentity: &Address) {
        self.0.lock().insert(key.clone(), presentity.clone());
    }

    pub fn forget(&self, key: &LeaseKey) {
        self.0.lock().remove(key);
    }

    pub fn by(&self, key: &LeaseKey) -> Option<Address> {
        self.0.lock().get(key).cloned()
    }
}
