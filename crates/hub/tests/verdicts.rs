//! What the rules refuse reaches nobody, by no path: not at once and not on one of several devices, not as a copy for others,
//! not later from the mailbox, not after a device has gone with it or with a session that is resumed, and neither on to
//! another server, nor from one, nor through us from one to another.

mod maker;

use compact_str::CompactString;
use hub::pipeline::{Context, Pipeline, Stage, Verdict};
use hub::{Hub, HubEvent, Inbox, Link};
use maker::{Anybody, poll};
use model::{
    Address, Answer, Ask, Basic, Device, Dialect, DomainPair, Endpoint, Envelope, EnvelopeId, Event, Hold,
    LeaseKey, MAX_HOPS, Message, Origin, Outcome, Part, Proof, Publish, Reason, Refusal, Role, Security,
    Ticket, Timestamp, Tuple, Vouch,
};
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

/// Who may be there: a session of juliet's and two phones, a session of romeo's besides the one he writes with, and wires to
/// elsewhere, for ours and for those on the other side of us.
const PLACES: [(&str, &str, Dialect); 6] = [
    ("juliet@example.com", "desk", Dialect::Xmpp),
    ("juliet@example.com", "phone", Dialect::Sip),
    ("juliet@example.com", "car", Dialect::Sip),
    ("romeo@example.com", "phone", Dialect::Xmpp),
    ("romeo@example.com>ann@example.net", "wire", Dialect::Xmpp),
    ("cleo@example.org>ann@example.net", "wire", Dialect::Xmpp),
];
const DESK: usize = 0;
const PHONE: usize = 1;
const CAR: usize = 2;
const ROMEOS: usize = 3;
const WIRE: usize = 4;
const THROUGH: usize = 5;

/// Who writes to whom.
const LETTERS: [(&str, &str); 5] = [
    ("romeo@example.com", "juliet@example.com"),
    ("romeo@example.com", "juliet@example.com/phone"),
    ("romeo@example.com", "ann@example.net"),
    ("ann@example.net", "juliet@example.com"),
    ("cleo@example.org", "ann@example.net"),
];
const TO_HER: usize = 0;
const TO_HER_PHONE: usize = 1;
const AWAY: usize = 2;
const FROM_AWAY: usize = 3;
const THROUGH_US: usize = 4;

#[derive(Debug, Clone)]
enum Deed {
    /// Somebody writes a message of a colour.
    Write(usize, usize),
    /// A colour is judged otherwise.
    Judge(usize, u8),
    /// A device comes, or goes with what it has in hand.
    Come(usize),
    Go(usize),
    /// The connection of juliet's session is gone, and the session waits; or she is back and goes on with it.
    Cut,
    Resume,
    /// The device acknowledges what it has in hand.
    Take(usize),
    /// A person lets pass, or ends, the oldest that is held.
    Release,
    Discard,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..4usize, 0..LETTERS.len()).prop_map(|(colour, to)| Deed::Write(colour, to)),
        2 => (0..4usize, 0..3u8).prop_map(|(colour, verdict)| Deed::Judge(colour, verdict)),
        3 => (0..PLACES.len()).prop_map(Deed::Come),
        1 => (0..PLACES.len()).prop_map(Deed::Go),
        1 => Just(Deed::Cut),
        1 => Just(Deed::Resume),
        2 => (0..PLACES.len()).prop_map(Deed::Take),
        1 => Just(Deed::Release),
        1 => Just(Deed::Discard),
    ];
    prop::collection::vec(deed, 1..60)
}

struct World {
    hub: Arc<Hub>,
    rule: Arc<Colours>,
    romeo: (Link, Inbox),
    /// The server of those elsewhere.
    abroad: (Link, Inbox),
    there: [Option<(Link, Inbox, Vec<model::DeliveryId>)>; PLACES.len()],
    /// Under which name juliet's session waits, and what she had in hand when her connection went.
    session: LeaseKey,
    cut: Option<Vec<model::DeliveryId>>,
    tickets: u64,
    /// Written, by ticket.
    written: BTreeMap<u64, EnvelopeId>,
    /// Which of them ended with a no, or must wait.
    stopped: BTreeSet<EnvelopeId>,
    /// Which of them waited when their colour was blocked: they end when somebody comes for them.
    doubtful: BTreeSet<EnvelopeId>,
    /// Which of them a person let pass, whatever the rules say.
    released: BTreeSet<EnvelopeId>,
    /// What the hub has answered for, by ticket: it is on record, or will not be; and of what its sender knows the end.
    kept: BTreeSet<u64>,
    settled: BTreeSet<u64>,
    /// Which questions and words of devices the hub has answered, by ticket.
    answered: BTreeSet<u64>,
    /// Where each has arrived.
    delivered: BTreeMap<EnvelopeId, BTreeSet<usize>>,
    _runtime: tokio::runtime::Runtime,
}

fn address(text: &str) -> Address {
    match text.split_once('>') {
        Some((from, to)) => DomainPair::between(&address(from), &address(to)).mailbox(),
        None => Address::parse(text).unwrap(),
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis() as u64)
}

/// Anything that somebody says; an account of ours, or their own domain, answers for them.
fn envelope(id: EnvelopeId, from: Endpoint, to: Endpoint, event: Event) -> Envelope {
    let vouch = match from.address.domain() {
        "example.com" => Vouch::Account(from.address.clone()),
        _ => Vouch::Domain(from.address.to_domain(), Proof::Certificate),
    };
    let origin = Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch };
    Envelope { id, at: now(), origin, from, to, hops: MAX_HOPS, event }
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
        let (romeo, abroad) = (hub.join(Dialect::Xmpp), hub.join(Dialect::Xmpp));
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
            abroad,
            there: Default::default(),
            session: LeaseKey::new("none"),
            cut: None,
            tickets: 0,
            written: BTreeMap::new(),
            stopped: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            released: BTreeSet::new(),
            kept: BTreeSet::new(),
            settled: BTreeSet::new(),
            answered: BTreeSet::new(),
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
            Deed::Come(at) => self.come(at),
            Deed::Go(at) => self.there[at] = None,
            Deed::Cut => {
                if let Some((mut link, _, in_hand)) = self.there[DESK].take() {
                    link.linger(Box::new(()), 600, &[]);
                    self.cut = Some(in_hand);
                }
            }
            Deed::Resume => self.resume(),
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

    fn come(&mut self, at: usize) {
        let (account, device, dialect) = PLACES[at];
        let (account, device) = (address(account), Device::new(device).unwrap());
        let (link, inbox) = self.hub.join(dialect);
        self.tickets += 1;
        let bound = self.tickets;
        link.ask(
            Ticket(bound),
            Ask::Bind { account: account.clone(), device: Some(device.clone()), attend: Some(0) },
        );
        let mut told_as = bound;
        if dialect == Dialect::Xmpp && at < WIRE {
            // Who tells that they are there gets copies.
            self.tickets += 1;
            let tuple = Tuple::plain(Some(device.clone()), Basic::Open, now());
            let publish = Publish { key: LeaseKey::new(format!("at {at}")), tuples: vec![tuple], secs: None };
            let (id, me) =
                (EnvelopeId(u128::from(self.tickets) << 64), Endpoint::full(account.clone(), device));
            let told = envelope(id, me, Endpoint::bare(account.clone()), Event::Publish(publish));
            link.submit(Ticket(self.tickets), Box::new(told), true);
            told_as = self.tickets;
        }
        if at == DESK {
            self.session = LeaseKey::new(format!("session {}", self.tickets));
            link.resumable(self.session.clone(), account);
            // Whoever binds anew does not go on.
            self.cut = None;
        }
        self.there[at] = Some((link, inbox, Vec::new()));
        // It is there when the hub says so: what comes before that is not for it.
        self.until("a place", |world| world.answered.contains(&bound) && world.answered.contains(&told_as));
    }

    fn resume(&mut self) {
        let Some(in_hand) = self.cut.take() else { return };
        let (link, mut inbox) = self.hub.join(Dialect::Xmpp);
        link.ask(Ticket(u64::MAX), Ask::Resume { key: self.session.clone(), owner: address(PLACES[DESK].0) });
        match maker::next(&mut inbox) {
            HubEvent::Resumed(_, handover) => {
                let (link, inbox, _) = handover.take().unwrap();
                self.there[DESK] = Some((link, inbox, in_hand));
            }
            HubEvent::Answer(_, Answer::Claimed(None)) => {}
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, colour: usize, letter: usize) {
        self.tickets += 1;
        let id = EnvelopeId((u128::from(self.tickets) << 2) + colour as u128);
        let (from, to) = LETTERS[letter];
        let to = match to.split_once('/') {
            Some((to, device)) => Endpoint::full(address(to), Device::new(device).unwrap()),
            None => Endpoint::bare(address(to)),
        };
        let from = Endpoint::full(address(from), Device::new("desk").unwrap());
        let message = Message { parts: vec![Part::text("x", None)], lasting: true, ..Message::default() };
        let envelope = envelope(id, from, to, Event::Message(message));
        if self.rule.0[colour].load(Ordering::SeqCst) != PASS {
            self.stopped.insert(id);
        }
        self.written.insert(self.tickets, id);
        let writer = if matches!(letter, FROM_AWAY | THROUGH_US) { &self.abroad } else { &self.romeo };
        writer.0.submit(Ticket(self.tickets), Box::new(envelope), true);
        let ticket = self.tickets;
        self.until("an answer", |world| world.kept.contains(&ticket) || world.settled.contains(&ticket));
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !is_so(self) {
            assert!(Instant::now() < end, "never: {what}");
            self.rest();
        }
    }

    /// Hears everything until nothing more is said for a moment.
    fn rest(&mut self) {
        let mut quiet = Instant::now();
        while quiet.elapsed() < Duration::from_millis(8) {
            let mut heard = false;
            while let Some(event) = poll(&mut self.romeo.1).or_else(|| poll(&mut self.abroad.1)) {
                heard = true;
                match event {
                    HubEvent::Kept(ticket) => drop(self.kept.insert(ticket.0)),
                    HubEvent::Settled(ticket, settlement) => {
                        self.settled.insert(ticket.0);
                        if let Outcome::Refused(no) = &settlement.outcome
                            && no.rule.as_deref() == Some("rule:colours")
                            && let Some(id) = self.written.get(&ticket.0)
                        {
                            self.stopped.insert(*id);
                        }
                    }
                    _ => {}
                }
            }
            for (at, (place, there)) in PLACES.iter().zip(&mut self.there).enumerate() {
                let Some((link, inbox, in_hand)) = there else { continue };
                while let Some(event) = poll(inbox) {
                    heard = true;
                    let delivery = match event {
                        HubEvent::Deliver(delivery) => delivery,
                        HubEvent::Answer(ticket, _) | HubEvent::Settled(ticket, _) => {
                            self.answered.insert(ticket.0);
                            continue;
                        }
                        _ => continue,
                    };
                    let id = delivery.envelope.id;
                    assert!(!self.stopped.contains(&id), "{id} reached {place:?}, which the rules stopped");
                    let blocked = self.rule.0[colour(&delivery.envelope)].load(Ordering::SeqCst) == BLOCK;
                    let written = self.written.values().any(|written| *written == id);
                    assert!(
                        !(blocked && written) || self.released.contains(&id),
                        "{id} was handed to {place:?} after its colour was blocked"
                    );
                    self.delivered.entry(id).or_default().insert(at);
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
        world.act(&Deed::Resume);
        for at in 0..PLACES.len() {
            if world.there[at].is_none() {
                world.act(&Deed::Come(at));
            }
        }
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            (0..PLACES.len()).for_each(|at| world.act(&Deed::Take(at)));
            let gone = |id: &&EnvelopeId| !world.stopped.contains(id) && !world.doubtful.contains(id);
            let missing = world.written.values().filter(gone).find(|id| !world.delivered.contains_key(id));
            let Some(missing) = missing else { break };
            prop_assert!(Instant::now() < end, "{missing} passed and never came");
        }
    }
}

/// One path: what is so before somebody writes, what happens then, and where it arrives.
struct Path {
    name: &'static str,
    before: &'static [Deed],
    letter: usize,
    after: &'static [Deed],
    arrives: &'static [usize],
    /// What is refused only after it was written, but before it was handed out there, does not arrive either.
    waits: bool,
}

const PATHS: [Path; 13] = {
    use Deed::{Come, Cut, Go, Resume};
    const fn path(
        name: &'static str,
        letter: usize,
        before: &'static [Deed],
        arrives: &'static [usize],
    ) -> Path {
        Path { name, before, letter, after: &[], arrives, waits: false }
    }
    const fn later(mut path: Path, after: &'static [Deed]) -> Path {
        path.after = after;
        path.waits = true;
        path
    }
    [
        path("at once", TO_HER, &[Come(DESK)], &[DESK]),
        path("SIP fork: two phones of one person", TO_HER, &[Come(PHONE), Come(CAR)], &[PHONE, CAR]),
        path("every device", TO_HER, &[Come(DESK), Come(PHONE), Come(CAR)], &[DESK, PHONE, CAR]),
        path("carbon of what was sent", TO_HER, &[Come(ROMEOS), Come(DESK)], &[ROMEOS]),
        path("carbon of what one device got", TO_HER_PHONE, &[Come(DESK), Come(PHONE)], &[DESK]),
        later(path("from the mailbox", TO_HER, &[], &[DESK]), &[Come(DESK)]),
        later(
            path("after a device has gone with it", TO_HER, &[Come(DESK)], &[PHONE]),
            &[Go(DESK), Come(PHONE)],
        ),
        later(path("resumed session", TO_HER, &[Come(DESK), Cut], &[DESK]), &[Resume]),
        path("to another server", AWAY, &[Come(WIRE)], &[WIRE]),
        later(path("later to another server", AWAY, &[], &[WIRE]), &[Come(WIRE)]),
        path("from another server", FROM_AWAY, &[Come(DESK)], &[DESK]),
        path("transit", THROUGH_US, &[Come(THROUGH)], &[THROUGH]),
        later(path("transit, later", THROUGH_US, &[], &[THROUGH]), &[Come(THROUGH)]),
    ]
};

#[test]
fn each_path_delivers_what_passes_and_nothing_else() {
    for path in PATHS {
        // When the rule comes that refuses it: never, before it is written, or before it is handed out.
        let later = path.waits.then_some((Some(true), false));
        for (when, arrives) in [(None, true), (Some(false), false)].into_iter().chain(later) {
            let mut world = World::new();
            path.before.iter().for_each(|deed| world.act(deed));
            if when == Some(false) {
                world.act(&Deed::Judge(0, BLOCK));
            }
            world.act(&Deed::Write(0, path.letter));
            let (&ticket, &id) = world.written.last_key_value().unwrap();
            if when == Some(true) {
                // By now it waits where it will: elsewhere nobody is told so soon that it does.
                let elsewhere = matches!(path.letter, AWAY | THROUGH_US);
                world.until("it waits", |world| {
                    elsewhere || world.settled.contains(&ticket) || world.delivered.contains_key(&id)
                });
                world.act(&Deed::Judge(0, BLOCK));
            }
            path.after.iter().for_each(|deed| world.act(deed));
            let arrived = |world: &World| {
                let places = world.delivered.get(&id).cloned().unwrap_or_default();
                path.arrives.iter().all(|at| places.contains(at))
            };
            match arrives {
                true => world.until(path.name, arrived),
                false => assert!(!arrived(&world), "{}, {when:?}", path.name),
            }
        }
    }
}
