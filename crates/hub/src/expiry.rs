//! What lapses by itself. Whoever renews or ends something takes its entry away, or a client that renews all the time
//! would fill the table with what is due in hours; where two do so at once one entry may stay, so a lapse checks first
//! whether it is still due.

use crate::clock;
use crate::house::Hub;
use model::{Address, LeaseKey};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// What may lapse.
#[derive(PartialEq)]
pub(crate) enum Expiry {
    Watch { presentity: Address, key: LeaseKey },
    Abroad { watcher: Address, presentity: Address, key: LeaseKey },
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

    /// It is not due then: it was renewed, or has ended.
    pub fn cancel(&self, at: u64, what: &Expiry) {
        let mut table = self.0.lock();
        let Entry::Occupied(mut then) = table.entry(at) else { return };
        if let Some(i) = then.get().iter().position(|w| w == what) {
            then.get_mut().swap_remove(i);
        }
        if then.get().is_empty() {
            then.remove();
        }
    }

    fn due(&self, now: u64) -> Vec<Expiry> {
        let mut table = self.0.lock();
        let later = table.split_off(&(now + 1));
        std::mem::replace(&mut *table, later).into_values().flatten().collect()
    }
}

impl Hub {
    pub(crate) fn expire(self: &Arc<Self>) {
        let Some(_unended) = self.unended() else { return };
        let now = clock::wall().unix_ms();
        for what in self.expiries.due(now) {
            match what {
                Expiry::Watch { presentity, key } => self.lapse_watch(&presentity, &key, now),
                Expiry::Abroad { watcher, presentity, key } => {
                    self.lapse_abroad(&watcher, &presentity, &key, now)
                }
                Expiry::Publication { presentity, key } => self.lapse_publication(&presentity, &key, now),
                Expiry::Lease(key) => self.lapse_lease(&key, now),
                Expiry::Session(key) => self.lapse_session(&key, now),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::Parts;
    use crate::link::LinkCore;
    use model::{
        Basic, Credential, Dialect, Envelope, EnvelopeId, Event, MAX_HOPS, Origin, Publish, Scheme, Secret,
        Security, Subscribe, Term, Ticket, Timestamp, Tuple, Vouch,
    };
    use std::collections::BTreeSet;
    use store::{Accounts as _, MemoryStore};

    struct NoKeys;

    impl ports::Credentials for NoKeys {
        fn credential(&self, _: &Address, _: Scheme) -> Result<Option<Credential>, ports::PortError> {
            Ok(None)
        }

        fn verify(&self, _: &Address, _: &Secret) -> Result<bool, ports::PortError> {
            Ok(false)
        }
    }

    fn ann() -> Address {
        Address::parse("ann@example.net").unwrap()
    }

    fn hub() -> Arc<Hub> {
        let store = Arc::new(MemoryStore::new());
        store.create(&ann(), &[]).unwrap();
        Hub::open(Parts {
            domains: BTreeSet::from([Address::parse("example.net").unwrap()]),
            pipeline: crate::pipeline::Pipeline::new(Vec::new()),
            journal: store.clone(),
            accounts: store.clone(),
            rosters: store.clone(),
            authorizations: store.clone(),
            leases: store,
            credentials: Arc::new(NoKeys),
            bus: Arc::new(bus::LocalBus::default()),
            rules: Arc::default(),
            partners: Arc::new(crate::Secluded),
            blocking: None,
            unrecorded: None,
            presence: false,
            tracer: None,
            lanes: 1,
        })
        .unwrap()
    }

    fn apply(hub: &Arc<Hub>, link: &Arc<LinkCore>, event: Event) {
        let envelope = Envelope {
            id: EnvelopeId(1),
            at: clock::wall(),
            origin: Origin { dialect: Dialect::Sip, security: Security::Tls, vouch: Vouch::Account(ann()) },
            from: ann().into(),
            to: ann().into(),
            hops: MAX_HOPS,
            event,
        };
        hub.apply(link, Ticket(1), &Arc::new(envelope), false);
    }

    /// Leases, watches and publications, over and over: each has one time at which it lapses, and none when it ended.
    #[tokio::test]
    async fn what_is_renewed_all_the_time_fills_nothing() {
        let (hub, link) = (hub(), LinkCore::new(Dialect::Sip));
        let pending = || hub.expiries.0.lock().values().map(Vec::len).sum::<usize>();
        let key = LeaseKey::new("key");
        let all = |secs: u32| {
            hub.set_lease(&link, key.clone(), ann(), "state".into(), secs);
            let term = Term::Lease { key: key.clone(), secs };
            apply(&hub, &link, Event::Subscribe(Subscribe { term, note: None, original: None }));
            let tuples = match secs {
                0 => Vec::new(),
                _ => vec![Tuple::plain(None, Basic::Open, Timestamp(0))],
            };
            apply(&hub, &link, Event::Publish(Publish { key: key.clone(), tuples, secs: Some(secs) }));
        };
        for secs in 3600..3700 {
            all(secs);
            assert_eq!(pending(), 3);
        }
        all(0);
        assert_eq!(pending(), 0);
    }
}
