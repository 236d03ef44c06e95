//! Two hubs of two companies, and a wire between them that carries envelopes as a door would, without any bytes.

use crate::maker;
use hub::pipeline::{self, Pipeline, Stage, Verdict};
use hub::stages::Identity;
use hub::{Hub, HubEvent, Inbox, Link, Parts, RuleSet, Rules};
use model::{
    Address, Admission, Ask, Basic, Decision, Device, Dialect, DomainPair, Endpoint, Envelope, EnvelopeId,
    Event, LeaseKey, MAX_HOPS, Message, Notify, Origin, Outcome, Part, Publish, Reason, Receipt, ReceiptKind,
    Refusal, Security, Settlement, Ticket, Timestamp, Tuple, Vouch, Way,
};
use parking_lot::Mutex;
use ports::{Applicant, Route, Told};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::{Accounts as _, MemoryStore};

/// Everybody is a partner, but for one.
struct Everybody;

impl ports::Partners for Everybody {
    fn admit(&self, _: &Applicant) -> Result<Admission, Refusal> {
        Ok(Admission { certified: Ok(()), dialback: false })
    }

    fn permit(&self, _: &Envelope) -> Result<(), Refusal> {
        Ok(())
    }

    fn carries(&self, _: &Address) -> bool {
        true
    }

    fn routes(&self, pair: &DomainPair) -> Result<Vec<Route>, Refusal> {
        match pair.remote.as_str() {
            "banned.example" => Err(Refusal::new(Reason::Policy)),
            _ => Ok(vec![Route { dialect: Dialect::Xmpp, at: None }]),
        }
    }

    fn noted(&self, _: &DomainPair, _: Dialect, _: &Result<(), Refusal>) {}
}

/// The wire from one company to the other.
pub struct Wire {
    pub from: Mutex<Option<Arc<Hub>>>,
    to: Mutex<Option<Arc<Hub>>>,
    pub up: AtomicBool,
    /// Everything is taken and nothing acknowledged.
    pub silent: AtomicBool,
    pub calls: AtomicUsize,
    runtime: tokio::runtime::Handle,
    carrying: Mutex<Vec<tokio::task::JoinHandle<()>>>,
    dialling: AtomicBool,
}

impl Wire {
    fn new(runtime: &tokio::runtime::Handle) -> Arc<Self> {
        Arc::new(Self {
            from: Mutex::default(),
            to: Mutex::default(),
            up: AtomicBool::new(true),
            silent: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            runtime: runtime.clone(),
            carrying: Mutex::default(),
            dialling: AtomicBool::new(false),
        })
    }

    /// The connections break.
    pub fn cut(&self) {
        for carrying in self.carrying.lock().drain(..) {
            carrying.abort();
            while !carrying.is_finished() {
                std::thread::yield_now();
            }
        }
        self.dialling.store(false, Ordering::Release);
    }
}

/// What a dialler gives the hub.
pub struct Dial(pub Arc<Wire>);

impl ports::Dialler for Dial {
    fn call(&self, way: &Way) {
        let wire = self.0.clone();
        wire.calls.fetch_add(1, Ordering::AcqRel);
        let (from, to) = (wire.from.lock().clone().unwrap(), wire.to.lock().clone().unwrap());
        let way = way.clone();
        if !wire.up.load(Ordering::Acquire) {
            self.0.runtime.spawn(async move {
                from.unreached(&way, &Refusal::new(Reason::RemoteTimeout).with_text("nobody is there"));
            });
        } else if !wire.dialling.swap(true, Ordering::AcqRel) {
            let silent = wire.silent.load(Ordering::Acquire);
            let task = self.0.runtime.spawn(carry(from, to, way.pair, silent));
            self.0.carrying.lock().push(task);
        }
    }

    fn confirm(&self, _: &DomainPair, _: Dialect, _: bytes::Bytes, told: Told) {
        told(Ok(()));
    }
}

async fn carry(from: Arc<Hub>, to: Arc<Hub>, pair: DomainPair, silent: bool) {
    let (link, mut inbox) = from.join(Dialect::Xmpp);
    let (there, mut answers) = to.join(Dialect::Xmpp);
    link.ask(Ticket(0), Ask::Bind { account: pair.mailbox(), device: None, attend: Some(0) });
    let mut sent: Vec<Envelope> = Vec::new();
    loop {
        tokio::select! {
            event = inbox.next() => {
                let HubEvent::Deliver(delivery) = event else { continue };
                if silent {
                    continue;
                }
                let mut envelope = Envelope::clone(&delivery.envelope);
                envelope.event = as_heard(envelope.event);
                envelope.origin.vouch = Vouch::Domain(pair.local.clone(), model::Proof::Certificate);
                sent.push(envelope.clone());
                there.submit(Ticket(sent.len() as u64), Box::new(envelope), false);
                link.ack(delivery.id, Settlement::from(Outcome::Delivered));
            }
            answer = answers.next() => {
                if let HubEvent::Settled(Ticket(n), Settlement { outcome: Outcome::Refused(no), .. }) = answer {
                    bounce(&from, &sent[n as usize - 1], no);
                }
            }
        }
    }
}

/// A refusal comes back to the sender's server as an event of its own.
fn bounce(from: &Arc<Hub>, envelope: &Envelope, refusal: Refusal) {
    let Event::Message(message) = &envelope.event else { return };
    let (link, _inbox) = from.join(Dialect::Xmpp);
    let kind = ReceiptKind::Failed(refusal);
    let event = Event::Receipt(Receipt { of: message.id.clone(), kind, original: None });
    let (sender, addressee) = (envelope.from.clone(), envelope.to.clone());
    let origin = Origin {
        vouch: Vouch::Domain(addressee.address.to_domain(), model::Proof::Certificate),
        ..envelope.origin.clone()
    };
    let envelope = Envelope { from: addressee, to: sender, event, origin, ..envelope.clone() };
    link.submit(Ticket(1), Box::new(envelope), false);
}

/// What a notification is to the server that hears it.
fn as_heard(event: Event) -> Event {
    let Event::Notify(Notify { doc, gone, .. }) = event else { return event };
    let tuples = doc.tuples.iter().cloned().chain(gone).collect();
    Event::Publish(Publish { key: LeaseKey::new(format!("test:{}", doc.presentity)), tuples, secs: None })
}

pub struct Person {
    pub link: Link,
    pub inbox: Inbox,
    pub me: Endpoint,
    tickets: u64,
    /// What came while something else was waited for.
    heard: Vec<HubEvent>,
}

/// Deliveries and outcomes, which may be looked at twice.
fn copy(event: &HubEvent) -> Option<HubEvent> {
    match event {
        HubEvent::Deliver(delivery) => Some(HubEvent::Deliver(delivery.clone())),
        HubEvent::Settled(ticket, settlement) => Some(HubEvent::Settled(*ticket, settlement.clone())),
        _ => None,
    }
}

pub struct Company {
    pub hub: Arc<Hub>,
    pub store: Arc<MemoryStore>,
    pub wire: Arc<Wire>,
    pub rules: Arc<Rules>,
    pub veil: Arc<AtomicBool>,
    domain: &'static str,
}

pub struct World {
    pub net: Company,
    pub com: Company,
    pub runtime: tokio::runtime::Runtime,
}

impl World {
    pub fn new() -> Self {
        let runtime = maker::runtime(2);
        let inside = runtime.enter();
        let net = Company::new("example.net", runtime.handle());
        let com = Company::new("example.com", runtime.handle());
        for (here, there) in [(&net, &com), (&com, &net)] {
            here.tie(there);
            here.hub.dial_with(Arc::new(Dial(here.wire.clone()))).unwrap();
        }
        drop(inside);
        Self { net, com, runtime }
    }

    /// One of the two stops in order, after its farewell, and starts again.
    pub fn restart_net(&mut self) {
        let inside = self.runtime.enter();
        self.net.hub.keep_sessions();
        self.net.wire.cut();
        self.com.wire.cut();
        self.net.hub = open(&self.net.store, &self.net.rules, &self.net.veil, self.net.domain);
        self.net.hub.restore_sessions(600).unwrap();
        self.net.tie(&self.com);
        self.com.tie(&self.net);
        self.net.hub.dial_with(Arc::new(Dial(self.net.wire.clone()))).unwrap();
        drop(inside);
    }
}

/// Nobody elsewhere sees anybody of ours while it is drawn.
struct Veil(Arc<AtomicBool>);

impl Stage for Veil {
    fn name(&self) -> &'static str {
        "veil"
    }

    fn apply(&self, _: &mut Envelope, _: &pipeline::Context) -> Verdict {
        Verdict::Pass
    }

    fn may_see(&self, watcher: &Address, presentity: &Address) -> bool {
        !self.0.load(Ordering::Acquire) || watcher.domain() == presentity.domain()
    }
}

fn open(store: &Arc<MemoryStore>, rules: &Arc<Rules>, veil: &Arc<AtomicBool>, domain: &str) -> Arc<Hub> {
    Hub::open(Parts {
        pipeline: Pipeline::new(vec![Box::new(Identity), Box::new(Veil(veil.clone()))]),
        partners: Arc::new(Everybody),
        rules: rules.clone(),
        lanes: 2,
        ..maker::parts(store, domain)
    })
    .unwrap()
}

impl Company {
    fn new(domain: &'static str, runtime: &tokio::runtime::Handle) -> Self {
        let store = Arc::new(MemoryStore::new());
        store.create(&Address::new("romeo", domain).unwrap(), &[]).unwrap();
        store.create(&Address::new("juliet", domain).unwrap(), &[]).unwrap();
        let rules = Arc::new(Rules::new(RuleSet::default()));
        let veil = Arc::new(AtomicBool::new(false));
        let hub = open(&store, &rules, &veil, domain);
        Self { hub, store, wire: Wire::new(runtime), rules, veil, domain }
    }

    /// The wire goes from this hub to that one.
    fn tie(&self, there: &Self) {
        *self.wire.from.lock() = Some(self.hub.clone());
        *self.wire.to.lock() = Some(there.hub.clone());
    }

    /// A connection is gone, and the hub has noticed.
    pub fn lose(&self, person: Person) {
        let address = person.address();
        drop(person);
        let end = Instant::now() + Duration::from_secs(20);
        while self.hub.online().iter().any(|report| report.account == address) {
            assert!(Instant::now() < end, "{address} never goes");
            std::thread::yield_now();
        }
    }

    /// A session that announces itself and keeps a contact list.
    pub fn log_in(&self, name: &str, device: &str) -> Person {
        let mut person = self.quiet(name, device);
        person.publish(Basic::Open);
        person
    }

    /// One that does not announce itself.
    pub fn quiet(&self, name: &str, device: &str) -> Person {
        let (link, inbox) = self.hub.join(Dialect::Xmpp);
        let address = Address::new(name, self.domain).unwrap();
        let me = Endpoint::full(address, Device::new(device).unwrap());
        let mut person = Person { link, inbox, me, tickets: 0, heard: Vec::new() };
        let bind = Ask::Bind {
            account: person.me.address.clone(),
            device: person.me.device.clone(),
            attend: Some(0),
        };
        person.link.ask(Ticket(1_000_001), bind);
        person.link.ask(Ticket(1_000_002), Ask::Roster { device: person.me.clone() });
        person.until("its contact list", |event| match event {
            HubEvent::Answer(Ticket(1_000_002), _) => Some(()),
            _ => None,
        });
        person
    }
}

fn wall() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64)
}

impl Person {
    pub fn address(&self) -> Address {
        self.me.address.clone()
    }

    pub fn say(&mut self, to: impl Into<Endpoint>, event: Event) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let envelope = Envelope {
            id: EnvelopeId::v7(wall().unix_ms(), u128::from(self.tickets)),
            at: wall(),
            origin: Origin {
                dialect: Dialect::Xmpp,
                security: Security::Tls,
                vouch: Vouch::Account(self.address()),
            },
            from: self.me.clone(),
            to: to.into(),
            hops: MAX_HOPS,
            event,
        };
        self.link.submit(ticket, Box::new(envelope), true);
        ticket
    }

    pub fn write(&mut self, to: &Address, id: &str) -> Ticket {
        let parts = vec![Part::text(format!("hello {id}"), None)];
        let message = Message { id: id.into(), parts, lasting: true, ..Message::default() };
        self.say(to.clone(), Event::Message(message))
    }

    pub fn publish(&mut self, basic: Basic) {
        let tuples = vec![Tuple::plain(self.me.device.clone(), basic, Timestamp(self.tickets))];
        let publish = Publish { key: LeaseKey::new(format!("test:{}", self.me)), tuples, secs: None };
        self.say(self.address(), Event::Publish(publish));
    }

    /// The next events until one is what is waited for.
    pub fn until<T>(&mut self, what: &str, mut find: impl FnMut(HubEvent) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(20);
        for at in 0..self.heard.len() {
            let again = copy(&self.heard[at]);
            if let Some(found) = again.and_then(&mut find) {
                self.heard.remove(at);
                return found;
            }
        }
        loop {
            let mut events = Vec::new();
            let _ = self.inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut events, 1);
            for event in events {
                if let HubEvent::Deliver(delivery) = &event {
                    self.link.ack(delivery.id, Settlement::from(Outcome::Delivered));
                }
                let news =
                    matches!(&event, HubEvent::Deliver(d) if matches!(d.envelope.event, Event::Notify(_)));
                // What is recorded comes later than what is not: it may be waited for in either order.
                let kept = (!news).then(|| copy(&event)).flatten();
                match find(event) {
                    Some(found) => return found,
                    None => self.heard.extend(kept),
                }
            }
            assert!(Instant::now() < end, "{} never sees {what}", self.me);
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    pub fn outcome_of(&mut self, wanted: Ticket) -> Outcome {
        self.until("an outcome", |event| match event {
            HubEvent::Settled(ticket, settlement) if ticket == wanted => Some(settlement.outcome),
            _ => None,
        })
    }

    /// The next envelope of a kind.
    pub fn envelope(&mut self, what: &str, find: impl Fn(&Event) -> bool) -> Arc<Envelope> {
        self.until(what, |event| match event {
            HubEvent::Deliver(delivery) if find(&delivery.envelope.event) => Some(delivery.envelope),
            _ => None,
        })
    }

    pub fn message(&mut self, id: &str) -> Arc<Envelope> {
        self.envelope(id, |event| matches!(event, Event::Message(m) if m.id == id))
    }

    /// Hears the answer and sees its giver, in either order: the answer is put on record first.
    pub fn is_granted_and_sees(&mut self, whom: &Address) {
        let (mut granted, mut seen) = (false, false);
        self.until("an answer and its giver", |event| {
            let HubEvent::Deliver(delivery) = event else { return None };
            match &delivery.envelope.event {
                Event::Authorize(a) => granted |= a.decision == Decision::Granted,
                Event::Notify(n) => seen |= &n.doc.presentity == whom && n.doc.is_open(),
                _ => {}
            }
            (granted && seen).then_some(())
        });
    }

    /// Sees that somebody is there, or that they went.
    pub fn sees(&mut self, whom: &Address, open: bool) {
        let shows = |notify: &Notify| {
            let tuples = notify.doc.tuples.iter().chain(&notify.gone);
            &notify.doc.presentity == whom && tuples.last().is_some_and(|t| (t.basic == Basic::Open) == open)
        };
        self.envelope("a contact", |event| matches!(event, Event::Notify(n) if shows(n)));
    }

    /// Is there news of somebody before this message?
    pub fn hears_of_before(&mut self, whom: &Address, id: &str) -> bool {
        let mut heard = false;
        self.until("a message", |event| {
            let HubEvent::Deliver(delivery) = event else { return None };
            match &delivery.envelope.event {
                Event::Notify(notify) => heard |= &notify.doc.presentity == whom,
                Event::Message(message) if message.id == id => return Some(()),
                _ => {}
            }
            None
        });
        heard
    }
}
