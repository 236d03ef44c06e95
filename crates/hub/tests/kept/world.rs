//! A house with three people, whose machines are this test. The first of them begins anew each time, the others resume.

use crate::maker::{self, next, poll};
use bytes::Bytes;
use hub::pipeline::{Context, Pipeline, Stage, Verdict};
use hub::{Hub, HubEvent, Inbox, Link};
use model::{
    Address, Answer, Ask, Basic, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, LeaseKey, MAX_HOPS,
    Message, Notify, Origin, Outcome, Part, Publish, Security, Ticket, Timestamp, Tuple, Vouch,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Accounts as _, Authorization, Authorizations as _, Consent, MemoryStore};

pub const PEOPLE: usize = 3;

pub fn address(who: usize) -> Address {
    Address::parse(&format!("p{who}@example.net")).unwrap()
}

pub fn device(who: usize) -> Endpoint {
    Endpoint::full(address(who), Device::new("here").unwrap())
}

pub fn session(who: usize) -> LeaseKey {
    LeaseKey::new(format!("test-session:{who}"))
}

/// What a machine leaves whose door can read it in the next process.
pub fn remains() -> Box<Bytes> {
    Box::new(Bytes::from_static(b"left"))
}

/// A device, or an application.
pub type Seen = (usize, Option<Device>);

/// A person's client.
pub struct Client {
    pub tie: Option<(Link, Inbox)>,
    /// It comes back to its session; others begin anew.
    pub resumes: bool,
    pub believes: BTreeSet<Seen>,
    pub heard: Vec<u64>,
    /// What its session and its application say: there, or not.
    pub says: bool,
    pub applies: bool,
}

pub struct World {
    pub store: Arc<MemoryStore>,
    pub hub: Arc<Hub>,
    pub clients: Vec<Client>,
    tickets: u64,
    /// By addressee.
    written: Vec<Vec<u64>>,
    pub runtime: tokio::runtime::Runtime,
}

#[derive(Debug, Clone, Copy)]
pub enum Deed {
    Publish(usize, bool),
    Apply(usize, bool),
    Write(usize, usize),
    Cut(usize),
    Back(usize),
    Restart,
}

/// Nobody called `hidden` is seen by anybody.
struct Veil;

impl Stage for Veil {
    fn name(&self) -> &'static str {
        "veil"
    }

    fn apply(&self, _: &mut Envelope, _: &Context) -> Verdict {
        Verdict::Pass
    }

    fn may_see(&self, _: &Address, presentity: &Address) -> bool {
        presentity.user() != Some("hidden")
    }
}

pub fn open(store: &Arc<MemoryStore>, runtime: &tokio::runtime::Runtime) -> Arc<Hub> {
    let _inside = runtime.enter();
    let pipeline = Pipeline::new(vec![Box::new(Veil)]);
    let hub = Hub::open(hub::Parts { pipeline, ..maker::parts(store, "example.net") }).unwrap();
    hub.restore_sessions(600).unwrap();
    hub
}

impl World {
    /// The first of the people begins anew each time, the others resume.
    pub fn new() -> Self {
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

    pub fn log_in(&mut self, who: usize) {
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

    /// Somebody else, or another device of one of them, who speaks for themselves.
    pub fn bind(&self, device: &Endpoint) -> (Link, Inbox) {
        let (link, mut inbox) = self.hub.join(Dialect::Xmpp);
        let bind =
            Ask::Bind { account: device.address.clone(), device: device.device.clone(), attend: Some(0) };
        link.ask(Ticket(0), bind);
        while !matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Bound(_))) {}
        (link, inbox)
    }

    /// All connections end, the process does, and another begins; so many sessions were left.
    pub fn restart(&mut self) -> usize {
        (0..PEOPLE).for_each(|who| self.cut(who));
        let kept = self.hub.keep_sessions();
        self.hub = open(&self.store, &self.runtime);
        kept
    }

    /// Hears what a client is told, until it is what is looked for.
    pub fn until_told(&mut self, who: usize, is: impl Fn(&Notify) -> bool) -> bool {
        self.come_back(who);
        let (_, inbox) = self.clients[who].tie.as_mut().unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            match poll(inbox) {
                Some(HubEvent::Deliver(delivery)) => {
                    if matches!(&delivery.envelope.event, Event::Notify(notify) if is(notify)) {
                        return true;
                    }
                }
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        false
    }

    /// Says something, and waits until it is done.
    pub fn say(&mut self, who: usize, from: Endpoint, to: Address, event: Event) -> u64 {
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
    pub fn hear(&mut self, who: usize) -> Vec<u64> {
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

    pub fn perform(&mut self, deed: Deed) {
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

    pub fn cut(&mut self, who: usize) {
        let Some((mut link, _)) = self.clients[who].tie.take() else { return };
        if self.clients[who].resumes {
            link.linger(remains(), 600, &[]);
        } else {
            self.clients[who].says = false;
        }
    }

    pub fn come_back(&mut self, who: usize) {
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
    pub fn truth(&self) -> BTreeSet<Seen> {
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
    pub fn settle(&mut self) -> Result<(), String> {
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

    pub fn wrong(&self, who: usize) -> Option<String> {
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
pub fn believe(believes: &mut BTreeSet<Seen>, notify: &Notify) {
    let Ok(who) = notify.doc.presentity.as_str()[1..2].parse() else { return };
    for tuple in &notify.gone {
        believes.remove(&(who, tuple.device.clone()));
    }
    for tuple in notify.doc.tuples.iter().filter(|t| t.basic == Basic::Open) {
        believes.insert((who, tuple.device.clone()));
    }
}
