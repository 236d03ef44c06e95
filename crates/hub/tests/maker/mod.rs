//! What every test of the hub begins with. Each uses its part of it.
#![allow(dead_code)]

pub mod slow;

use hub::pipeline::Pipeline;
use hub::{HubEvent, Inbox, Parts, RuleSet, Rules, Secluded};
use model::{Address, Admission, Credential, Dialect, DomainPair, Envelope, Refusal, Scheme, Secret};
use ports::{Applicant, Credentials, Partners, PortError, Route};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use store::MemoryStore;

/// Nobody can prove anything, and nobody has to.
pub struct NoKeys;

impl Credentials for NoKeys {
    fn credential(&self, _: &Address, _: Scheme) -> Result<Option<Credential>, PortError> {
        Ok(None)
    }

    fn verify(&self, _: &Address, _: &Secret) -> Result<bool, PortError> {
        Ok(false)
    }
}

/// Threads for a hub.
pub fn runtime(workers: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_time().build().unwrap()
}

/// The parts of a hub of this domain: no stages, no partners, one lane.
pub fn parts(store: &Arc<MemoryStore>, domain: &str) -> Parts {
    Parts {
        domains: [Address::parse(domain).unwrap()].into(),
        pipeline: Pipeline::new(Vec::new()),
        journal: store.clone(),
        accounts: store.clone(),
        rosters: store.clone(),
        authorizations: store.clone(),
        leases: store.clone(),
        credentials: Arc::new(NoKeys),
        bus: Arc::new(bus::LocalBus::default()),
        rules: Arc::new(Rules::new(RuleSet::default())),
        partners: Arc::new(Secluded),
        blocking: None,
        unrecorded: None,
        presence: false,
        tracer: None,
        lanes: 1,
    }
}

/// The next event, if there is one.
pub fn poll(inbox: &mut Inbox) -> Option<HubEvent> {
    let mut one = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    inbox.poll_take(&mut cx, &mut one, 1).is_ready().then(|| one.remove(0))
}

/// The next event.
pub fn next(inbox: &mut Inbox) -> HubEvent {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(event) = poll(inbox) {
            return event;
        }
        assert!(Instant::now() < end, "the hub says nothing");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Everybody elsewhere is a partner; connections come when the test says so.
pub struct Anybody;

impl Partners for Anybody {
    fn admit(&self, _: &Applicant) -> Result<Admission, Refusal> {
        Ok(Admission { certified: Ok(()), dialback: false })
    }

    fn permit(&self, _: &Envelope) -> Result<(), Refusal> {
        Ok(())
    }

    fn carries(&self, _: &Address) -> bool {
        false
    }

    fn routes(&self, _: &DomainPair) -> Result<Vec<Route>, Refusal> {
        Ok(vec![Route { dialect: Dialect::Xmpp, at: None }])
    }

    fn noted(&self, _: &DomainPair, _: Dialect, _: &Result<(), Refusal>) {}
}
