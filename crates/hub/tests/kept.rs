//! Sessions that outlive the process: whatever happens in whatever order, whoever comes back over another connection or to
//! another process hears each message once, and believes of everybody's presence what is true.

mod maker;

use bytes::Bytes;
use hub::{Hub, HubEvent, Inbox, Link};
use maker::{next, poll};
use model::{
    Address, Answer, Ask, Basic, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, LeaseKey, MAX_HOPS,
    Message, Notice, Notify, Origin, Outcome, Part, Publish, Role, RosterEdit, Security, Ticket, Timestamp,
    Tuple, Vouch,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Accounts as _, Authorization, Authorizations as _, Consent, MemoryStore};

const PEOPLE: usize = 3;

fn address(who: usize) -> Address {
    Address::parse(&format!("p{who}@example.net")).unwrap()
}

fn device(who: usize) -> Endpoint {
    Endpoint::full(address(who), Device::new("here").unwrap())
}

fn session(who: usize) -> LeaseKey {
    LeaseKey::new(format!("test-session:{who}"))
}

/// What a machine leaves whose door can read it in the next process.
fn remains() -> Box<Bytes> {
    Box::new(Bytes::from_static(b"left"))
}

/// A device, or an application.
type Seen = (usize, Option<Device>);

/// A person's client.
struct Client {
    tie: Option<(Link, Inbox)>,
    /// It comes back to its session; others begin anew.
    resumes: bool,
    believes: BTreeSet<Seen>,
    heard: Vec<u64>,
    /// What its session and its application say: there, or not.
    says: bool,
    applies: bool,
}

struct World {
    store: Arc<MemoryStore>,
    hub: Arc<Hub>,
    clients: Vec<Client>,
    tickets: u64,
    /// By addressee.
    written: Vec<Vec<u64>>,
    runtime: tokio::runtime::Runtime,
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Publish(usize, bool),
    Apply(usize, bool),
    Write(usize, usize),
    Cut(usize),
    Back(usize),
    Restart,
}

fn open(store: &Arc<MemoryStore>, runtime: &tokio::runtime::Runtime) -> Arc<Hub> {
    let _inside = runtime.enter();
    let hub = Hub::open(maker::parts(store, "example.net")).unwrap();
    hub.restore_sessions().unwrap();
    hub
}

impl World {
    /// The first of the people begins anew each time, the others resume.
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        for who in 0..PEOPLE {
            store.create(&address(who), &[]).unwrap();
            for watcher in (0..PEOPLE).filter(|watcher| *watcher != who) {
                let (presentity, watcher) = (address(who), address(watcher));
                let consent = Consent::Granted;
                store.set(&Authorization { presentity, watcher, consent, note: None }).unwrap();
            }
        }
        let runtime = maker::runtime(1);
        let hub = open(&store, &runtime);
        let clients = (0..PEOPLE).map(|who| Client {
            tie: None,
            resumes: who > 0,
            believes: BTreeSet::new(),
            heard: Vec::new(),
            says: false,
            applies: false,
        });
        let clients = clients.collect();
        let mut world = Self { store, hub, clients, tickets: 0, written: vec![Vec::new(); PEOPLE], runtime };
        (0..PEOPLE).for_each(|who| world.log_in(who));
        world
    }

    fn log_in(&mut self, who: usize) {
        let (link, mut inbox) = self.hub.join(Dialect::Xmpp);
        let bind = Ask::Bind { account: address(who), device: device(who).device, attend: Some(0) };
        link.ask(Ticket(0), bind);
        while !matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Bound(_))) {}
        if self.clients[who].resumes {
            link.resumable(session(who), address(who));
        }
        self.clients[who].tie = Some((link, inbox));
        self.clients[who].believes.clear();
        self.clients[who].says = false;
        self.perform(Deed::Publish(who, true));
    }

    /// Says something, and waits until it is done.
    fn say(&mut self, who: usize, from: Endpoint, to: Address, event: Event) -> u64 {
        self.tickets += 1;
        let number = self.tickets;
        let vouch = Vouch::Account(from.address.clone());
        let origin = Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch };
        let (id, at) = (EnvelopeId(number.into()), Timestamp(number));
        let envelope = Envelope { id, at, origin, from, to: to.into(), hops: MAX_HOPS, event };
        let (link, _) = self.clients[who].tie.as_ref().unwrap();
        link.submit(Ticket(number), Box::new(envelope), true);
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            // The sender hears the end once the addressee has answered.
            let done: Vec<u64> = (0..PEOPLE).flat_map(|who| self.hear(who)).collect();
            if done.contains(&number) {
                return number;
            }
            assert!(Instant::now() < end, "the hub does not answer");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Hears what there is; the tickets that are on record or settled.
    fn hear(&mut self, who: usize) -> Vec<u64> {
        let client = &mut self.clients[who];
        let Some((link, inbox)) = &mut client.tie else { return Vec::new() };
        let mut done = Vec::new();
        while let Some(event) = poll(inbox) {
            match event {
                HubEvent::Settled(ticket, _) => done.push(ticket.0),
                HubEvent::Deliver(delivery) => match &delivery.envelope.event {
                    Event::Notify(notify) => believe(&mut client.believes, notify),
                    Event::Message(_) => {
                        client.heard.push(delivery.envelope.id.0 as u64);
                        link.ack(delivery.id, Outcome::Delivered.into());
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        done
    }

    fn perform(&mut self, deed: Deed) {
        let connected = |world: &Self, who: usize| world.clients[who].tie.is_some();
        match deed {
            Deed::Publish(who, there) if connected(self, who) => {
                let basic = if there { Basic::Open } else { Basic::Closed };
                let tuples = vec![Tuple::plain(device(who).device, basic, Timestamp(self.tickets))];
                let publish = Publish { key: LeaseKey::new(format!("test:{who}")), tuples, secs: None };
                self.say(who, device(who), address(who), Event::Publish(publish));
                self.clients[who].says = there;
                if !there {
                    // Whoever is away hears nothing of others.
                    self.clients[who].believes.clear();
                }
            }
            Deed::Apply(who, there) if connected(self, who) => {
                let app = Device::new("app").unwrap();
                let tuples = match there {
                    true => vec![Tuple::plain(Some(app), Basic::Open, Timestamp(self.tickets))],
                    false => Vec::new(),
                };
                let publish = Publish { key: LeaseKey::new(format!("app:{who}")), tuples, secs: Some(600) };
                self.say(who, address(who).into(), address(who), Event::Publish(publish));
                self.clients[who].applies = there;
            }
            Deed::Write(who, whom) if who != whom && connected(self, who) => {
                let parts = vec![Part::text("hello", None)];
                let message = Message { parts, lasting: true, ..Message::default() };
                let number = self.say(who, device(who), address(whom), Event::Message(message));
                self.written[whom].push(number);
            }
            Deed::Cut(who) => self.cut(who),
            Deed::Back(who) => {
                self.cut(who);
                self.come_back(who);
            }
            Deed::Restart => {
                (0..PEOPLE).for_each(|who| self.cut(who));
                let kept = self.hub.keep_sessions();
                let resume = self.clients.iter().filter(|c| c.resumes).count();
                assert_eq!(kept, resume);
                self.hub = open(&self.store, &self.runtime);
                for who in 0..PEOPLE {
                    self.clients[who].applies = false;
                    self.come_back(who);
                }
            }
            _ => {}
        }
    }

    fn cut(&mut self, who: usize) {
        let Some((mut link, _)) = self.clients[who].tie.take() else { return };
        if self.clients[who].resumes {
            link.linger(remains(), 600, &[]);
        } else {
            self.clients[who].says = false;
        }
    }

    fn come_back(&mut self, who: usize) {
        if !self.clients[who].resumes {
            return self.log_in(who);
        }
        let (link, mut inbox) = self.hub.join(Dialect::Xmpp);
        link.ask(Ticket(0), Ask::Resume { key: session(who), owner: address(who) });
        let HubEvent::Resumed(_, handover) = next(&mut inbox) else { panic!("p{who} cannot resume") };
        let (link, inbox, _) = handover.take().unwrap();
        self.clients[who].tie = Some((link, inbox));
    }

    /// Who is there.
    fn truth(&self) -> BTreeSet<Seen> {
        let mut truth = BTreeSet::new();
        for (who, client) in self.clients.iter().enumerate() {
            if client.says {
                truth.insert((who, device(who).device));
            }
            if client.applies {
                truth.insert((who, Some(Device::new("app").unwrap())));
            }
        }
        truth
    }

    /// Everybody is back: what they believe is true, and they have each message once, in order.
    fn settle(&mut self) -> Result<(), String> {
        (0..PEOPLE).filter(|who| self.clients[*who].tie.is_none()).collect::<Vec<_>>().into_iter().for_each(
            |who| {
                self.come_back(who);
            },
        );
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            (0..PEOPLE).for_each(|who| _ = self.hear(who));
            let wrong = (0..PEOPLE).find_map(|who| self.wrong(who));
            match wrong {
                None => return Ok(()),
                Some(wrong) if Instant::now() > end => return Err(wrong),
                Some(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn wrong(&self, who: usize) -> Option<String> {
        let client = &self.clients[who];
        if client.heard != self.written[who] {
            return Some(format!("p{who} heard {:?} of {:?}", client.heard, self.written[who]));
        }
        let others = |seen: &&Seen| seen.0 != who;
        let truth = self.truth();
        let (believes, true_): (Vec<_>, Vec<_>) =
            (client.believes.iter().filter(others).collect(), truth.iter().filter(others).collect());
        (client.says && believes != true_).then(|| format!("p{who} believes {believes:?}, not {true_:?}"))
    }
}

/// As a client keeps it, device by device.
fn believe(believes: &mut BTreeSet<Seen>, notify: &Notify) {
    let who = notify.doc.presentity.as_str()[1..2].parse().unwrap();
    for tuple in &notify.gone {
        believes.remove(&(who, tuple.device.clone()));
    }
    for tuple in notify.doc.tuples.iter().filter(|t| t.basic == Basic::Open) {
        believes.insert((who, tuple.device.clone()));
    }
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let who = 0..PEOPLE;
    let deed = prop_oneof![
        4 => (who.clone(), any::<bool>()).prop_map(|(who, there)| Deed::Publish(who, there)),
        3 => (who.clone(), any::<bool>()).prop_map(|(who, there)| Deed::Apply(who, there)),
        4 => (who.clone(), who.clone()).prop_map(|(who, whom)| Deed::Write(who, whom)),
        3 => who.clone().prop_map(Deed::Cut),
        3 => who.prop_map(Deed::Back),
        2 => Just(Deed::Restart),
    ];
    prop::collection::vec(deed, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_wrong_about_anybody(deeds in deeds()) {
        let mut world = World::new();
        for deed in deeds {
            world.perform(deed);
        }
        if let Err(wrong) = world.settle() {
            prop_assert!(false, "{wrong}");
        }
    }
}

/// Everything else that a session was to hear, and of which nobody asks again.
#[test]
fn news_outlives_the_process_too() {
    let mut world = World::new();
    let desk = Device::new("desk").unwrap();
    let (link, mut inbox) = world.hub.join(Dialect::Xmpp);
    link.ask(Ticket(1), Ask::Bind { account: address(1), device: Some(desk.clone()), attend: Some(-1) });
    while !matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Bound(_))) {}
    let (first, mut heard) = world.clients[1].tie.take().unwrap();
    first.ask(Ticket(2), Ask::Roster { device: device(1) });
    while !matches!(next(&mut heard), HubEvent::Answer(Ticket(2), _)) {}
    world.clients[1].tie = Some((first, heard));
    world.cut(1);
    // From her other device: a contact, and words that the first is to see as well.
    let name = Some("Pete".to_owned());
    let edit = RosterEdit::Set { contact: address(2), name, groups: Vec::new() };
    let from = Endpoint::full(address(1), desk);
    link.ask(Ticket(3), Ask::EditRoster { device: from.clone(), edit });
    while !matches!(next(&mut inbox), HubEvent::Answer(Ticket(3), _)) {}
    world.clients[1].tie = Some((link, inbox));
    let message = Message { parts: vec![Part::text("hello", None)], lasting: true, ..Message::default() };
    let number = world.say(1, from, address(0), Event::Message(message));
    world.clients[1].tie = None;
    world.perform(Deed::Restart);
    let (_, inbox) = world.clients[1].tie.as_mut().unwrap();
    let (mut copies, mut lists) = (Vec::new(), BTreeMap::new());
    let end = Instant::now() + Duration::from_secs(20);
    while copies.is_empty() || lists.is_empty() {
        match poll(inbox) {
            Some(HubEvent::Deliver(delivery)) if delivery.role == Role::Copy => {
                copies.push(delivery.envelope.id);
            }
            Some(HubEvent::Notice(_, Notice::Roster(item))) => _ = lists.insert(item.contact, item.name),
            _ => assert!(Instant::now() < end, "{copies:?} {lists:?}"),
        }
    }
    assert_eq!(copies, [EnvelopeId(number.into())]);
    assert_eq!(lists[&address(2)].as_deref(), Some("Pete"));
}

/// Where something cannot be told by another process the client begins anew, and hears the truth then.
#[test]
fn a_session_that_cannot_be_kept_is_not() {
    let mut world = World::new();
    let (mut link, _inbox) = world.clients[1].tie.take().unwrap();
    // Its door cannot write down what it leaves.
    link.linger(Box::new(()), 600, &[]);
    world.cut(2);
    assert_eq!(world.hub.keep_sessions(), 1);
    world.hub = open(&world.store, &world.runtime);
    let (link, mut inbox) = world.hub.join(Dialect::Xmpp);
    link.ask(Ticket(0), Ask::Resume { key: session(1), owner: address(1) });
    assert!(matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Claimed(None))));
    // Whoever saw it there hears that it went.
    world.come_back(2);
    let end = Instant::now() + Duration::from_secs(20);
    while world.clients[2].believes.iter().any(|(who, _)| *who == 1) {
        world.hear(2);
        assert!(Instant::now() < end, "{:?}", world.clients[2].believes);
        std::thread::sleep(Duration::from_millis(1));
    }
    // Nothing is left for a third process.
    let third = open(&world.store, &world.runtime);
    let (link, mut inbox) = third.join(Dialect::Xmpp);
    link.ask(Ticket(0), Ask::Resume { key: session(2), owner: address(2) });
    assert!(matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Claimed(None))));
}
