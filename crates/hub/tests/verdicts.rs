//! What the rules refuse reaches nobody, by no way: not at once, not as a copy for other devices, not later from the
//! mailbox, not after a device has gone with it, and not on to another server.

mod maker;

use compact_str::CompactString;
use hub::pipeline::{Context, Pipeline, Stage, Verdict};
use hub::{Hub, HubEvent, Inbox, Link};
use maker::poll;
use model::{
    Address, Admission, Ask, Device, Dialect, DomainPair, Endpoint, Envelope, EnvelopeId, Event, Hold,
    MAX_HOPS, Message, Origin, Outcome, Part, Reason, Refusal, Role, Security, Ticket, Timestamp, Vouch,
};
use ports::{Applicant, Partners, Route};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use store::{Accounts as _, MemoryStore};

/// What is said of messages of each of four colours.
#[derive(Default)]
struct Colours([AtomicU8; 4]);

const PASS: u8 = 0;
const BLOCK: u8 = 1;
const HOLD: u8 = 2;

fn colour(envelope: &Envelope) -> usize {
    (envelope.id.0 % 4) as usize
}

struct Rule(Arc<Colours>);

fn no() -> Refusal {
    Refusal::new(Reason::Policy).by_rule("rule:colours")
}

impl Stage for Rule {
    fn name(&self) -> &'static str {
        "policy"
    }

    fn apply(&self, envelope: &mut Envelope, _: &Context) -> Verdict {
        match self.0.0[colour(envelope)].load(Ordering::SeqCst) {
            BLOCK => Verdict::Refuse(no()),
            HOLD => Verdict::Hold(Hold { rule: CompactString::const_new("rule:colours"), text: None }),
            _ => Verdict::Pass,
        }
    }

    fn still_passes(&self, envelope: &Envelope) -> Result<(), Refusal> {
        match self.0.0[colour(envelope)].load(Ordering::SeqCst) {
            BLOCK => Err(no()),
            _ => Ok(()),
        }
    }
}

/// Everybody elsewhere is a partner; connections come when the test says so.
struct Anybody;

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

/// Who may be there: two devices of juliet's, one of romeo's besides the one he writes with, and a wire to elsewhere.
const PLACES: [(&str, &str); 4] = [
    ("juliet@example.com", "desk"),
    ("juliet@example.com", "phone"),
    ("romeo@example.com", "phone"),
    (">", "wire"),
];

#[derive(Debug, Clone)]
enum Deed {
    /// Romeo writes a message of a colour: to a person, one of her devices, or elsewhere.
    Write(usize, usize),
    /// A colour is judged otherwise.
    Judge(usize, u8),
    /// A device comes, or goes with what it has in hand.
    Come(usize),
    Go(usize),
    /// The device acknowledges what it has in hand.
    Take(usize),
    /// A person lets pass, or ends, the oldest that is held.
    Release,
    Discard,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..4usize, 0..3usize).prop_map(|(colour, to)| Deed::Write(colour, to)),
        2 => (0..4usize, 0..3u8).prop_map(|(colour, verdict)| Deed::Judge(colour, verdict)),
        2 => (0..4usize).prop_map(Deed::Come),
        1 => (0..4usize).prop_map(Deed::Go),
        2 => (0..4usize).prop_map(Deed::Take),
        1 => Just(Deed::Release),
        1 => Just(Deed::Discard),
    ];
    prop::collection::vec(deed, 1..60)
}

struct World {
    hub: Arc<Hub>,
    rule: Arc<Colours>,
    romeo: (Link, Inbox),
    there: [Option<(Link, Inbox, Vec<model::DeliveryId>)>; 4],
    tickets: u64,
    /// Written, by ticket.
    written: BTreeMap<u64, EnvelopeId>,
    /// Which of them ended with a no, or must wait.
    stopped: BTreeSet<EnvelopeId>,
    /// Which of them waited when their colour was blocked: they end when somebody comes for them.
    doubtful: BTreeSet<EnvelopeId>,
    /// Which of them a person let pass, whatever the rules say.
    released: BTreeSet<EnvelopeId>,
    delivered: BTreeMap<EnvelopeId, usize>,
    _runtime: tokio::runtime::Runtime,
}

fn address(text: &str) -> Address {
    match text {
        ">" => DomainPair::between(&address("romeo@example.com"), &address("ann@example.net")).mailbox(),
        text => Address::parse(text).unwrap(),
    }
}

impl World {
    fn new() -> Self {
        let runtime = maker::runtime(1);
        let inside = runtime.enter();
        let store = Arc::new(MemoryStore::new());
        ["romeo@example.com", "juliet@example.com"]
            .iter()
            .for_each(|who| drop(store.create(&address(who), &[])));
        let rule = Arc::new(Colours::default());
        let pipeline = Pipeline::new(vec![Box::new(Rule(rule.clone()))]);
        let hub = Hub::open(hub::Parts {
            pipeline,
            partners: Arc::new(Anybody),
            ..maker::parts(&store, "example.com")
        })
        .unwrap();
        drop(inside);
        let romeo = hub.join(Dialect::Xmpp);
        romeo.0.ask(
            Ticket(u64::MAX),
            Ask::Bind {
                account: address("romeo@example.com"),
                device: Device::new("desk").ok(),
                attend: Some(-1),
            },
        );
        let mut world = Self {
            hub,
            rule,
            romeo,
            there: [None, None, None, None],
            tickets: 0,
            written: BTreeMap::new(),
            stopped: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            released: BTreeSet::new(),
            delivered: BTreeMap::new(),
            _runtime: runtime,
        };
        world.rest();
        world
    }

    fn act(&mut self, deed: &Deed) {
        match *deed {
            Deed::Write(colour, to) => self.write(colour, to),
            Deed::Judge(colour, verdict) => {
                self.rule.0[colour].store(verdict, Ordering::SeqCst);
                if verdict == BLOCK {
                    let waits =
                        |id: &&EnvelopeId| id.0 % 4 == colour as u128 && !self.delivered.contains_key(id);
                    self.doubtful.extend(self.written.values().filter(waits));
                }
            }
            Deed::Come(at) => {
                let (account, device) = (address(PLACES[at].0), Device::new(PLACES[at].1).ok());
                let (link, inbox) = self.hub.join(if at == 1 { Dialect::Sip } else { Dialect::Xmpp });
                link.ask(Ticket(u64::MAX), Ask::Bind { account, device, attend: Some(0) });
                self.there[at] = Some((link, inbox, Vec::new()));
            }
            Deed::Go(at) => self.there[at] = None,
            Deed::Take(at) => {
                if let Some((link, _, in_hand)) = &mut self.there[at] {
                    in_hand.drain(..).for_each(|id| link.ack(id, Outcome::Delivered.into()));
                }
            }
            Deed::Release | Deed::Discard => {
                let Some(row) = self.hub.held(model::Seq(0), 1).unwrap().pop() else { return };
                if matches!(deed, Deed::Release) {
                    self.stopped.remove(&row.kept.envelope.id);
                    self.released.insert(row.kept.envelope.id);
                    self.hub.release_held(row.seq).unwrap();
                } else {
                    self.hub.discard_held(row.seq, true).unwrap();
                }
                assert!(self.hub.release_held(row.seq).is_err(), "decided once");
            }
        }
        self.rest();
    }

    fn write(&mut self, colour: usize, to: usize) {
        self.tickets += 1;
        let id = EnvelopeId((u128::from(self.tickets) << 2) + colour as u128);
        let to = match to {
            0 => Endpoint::bare(address("juliet@example.com")),
            1 => Endpoint::full(address("juliet@example.com"), Device::new("phone").unwrap()),
            _ => Endpoint::bare(address("ann@example.net")),
        };
        let from = address("romeo@example.com");
        let part = Part::text("x", None);
        let envelope = Envelope {
            id,
            at: Timestamp(
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
                    as u64,
            ),
            origin: Origin {
                dialect: Dialect::Xmpp,
                security: Security::Tls,
                vouch: Vouch::Account(from.clone()),
            },
            from: Endpoint::full(from, Device::new("desk").unwrap()),
            to,
            hops: MAX_HOPS,
            event: Event::Message(Message { parts: vec![part], lasting: true, ..Message::default() }),
        };
        if self.rule.0[colour].load(Ordering::SeqCst) != PASS {
            self.stopped.insert(id);
        }
        self.written.insert(self.tickets, id);
        self.romeo.0.submit(Ticket(self.tickets), Box::new(envelope), true);
    }

    /// Hears everything until nothing more is said for a moment.
    fn rest(&mut self) {
        let mut quiet = Instant::now();
        while quiet.elapsed() < Duration::from_millis(8) {
            let mut heard = false;
            while let Some(event) = poll(&mut self.romeo.1) {
                heard = true;
                if let HubEvent::Settled(ticket, settlement) = event
                    && matches!(&settlement.outcome, Outcome::Refused(no) if no.rule.as_deref() == Some("rule:colours"))
                    && let Some(id) = self.written.get(&ticket.0)
                {
                    self.stopped.insert(*id);
                }
            }
            for (place, there) in PLACES.iter().zip(&mut self.there) {
                let Some((link, inbox, in_hand)) = there else { continue };
                while let Some(event) = poll(inbox) {
                    heard = true;
                    let HubEvent::Deliver(delivery) = event else { continue };
                    let id = delivery.envelope.id;
                    assert!(!self.stopped.contains(&id), "{id} reached {place:?}, which the rules stopped");
                    let blocked = self.rule.0[colour(&delivery.envelope)].load(Ordering::SeqCst) == BLOCK;
                    let written = self.written.values().any(|written| *written == id);
                    assert!(
                        !(blocked && written) || self.released.contains(&id),
                        "{id} was handed to {place:?} after its colour was blocked"
                    );
                    *self.delivered.entry(id).or_default() += 1;
                    match delivery.role {
                        Role::Primary if written => in_hand.push(delivery.id),
                        Role::Primary => link.ack(delivery.id, Outcome::Delivered.into()),
                        Role::Copy => {}
                    }
                }
            }
            if heard {
                quiet = Instant::now();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_refused_reaches_nobody(deeds in deeds()) {
        let mut world = World::new();
        deeds.iter().for_each(|deed| world.act(deed));
        // At last everybody comes and takes what there is: what passed arrives, what was stopped does not.
        for colour in &world.rule.0 {
            colour.store(PASS, Ordering::SeqCst);
        }
        for at in [0, 1, 3] {
            if world.there[at].is_none() {
                world.act(&Deed::Come(at));
            }
        }
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            (0..4).for_each(|at| world.act(&Deed::Take(at)));
            let gone = |id: &&EnvelopeId| !world.stopped.contains(id) && !world.doubtful.contains(id);
            let missing = world.written.values().filter(gone).find(|id| !world.delivered.contains_key(id));
            let Some(missing) = missing else { break };
            prop_assert!(Instant::now() < end, "{missing} passed and never came");
        }
    }
}
