//! A company whose people are reached over one of two protocols: whoever is not there over the first is tried over the
//! other before anybody hears of a failure, once, and in order.

mod maker;

use hub::pipeline::Pipeline;
use hub::stages::Identity;
use hub::{Hub, HubEvent, Inbox, Link, Parts};
use model::{
    Address, Admission, Ask, Delivery, Dialect, DomainPair, Endpoint, Envelope, EnvelopeId, Event, MAX_HOPS,
    Message, Origin, Outcome, Part, Reason, Receipt, ReceiptKind, Refusal, Security, Settlement, Ticket,
    Timestamp, Vouch, Way,
};
use parking_lot::Mutex;
use ports::{Applicant, Route, Told, Ways};
use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::{Accounts as _, MemoryStore};

/// A partner with both protocols, XMPP first, and what is known of its people.
#[derive(Default)]
struct Both(Mutex<HashMap<Address, Dialect>>);

impl ports::Partners for Both {
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
        Ok(vec![Route { dialect: Dialect::Xmpp, at: None }, Route { dialect: Dialect::Sip, at: None }])
    }

    fn ways(&self, _: &DomainPair, who: &Address) -> Ways {
        let known = self.0.lock().get(who).copied();
        let order = match known {
            Some(Dialect::Sip) => vec![Dialect::Sip, Dialect::Xmpp],
            _ => vec![Dialect::Xmpp, Dialect::Sip],
        };
        Ways { order, known }
    }

    fn heard(&self, who: &Address, over: Option<Dialect>) -> bool {
        match over {
            Some(dialect) => self.0.lock().insert(who.clone(), dialect) != over,
            None => self.0.lock().remove(who).is_some(),
        }
    }

    fn noted(&self, _: &DomainPair, _: Dialect, _: &Result<(), Refusal>) {}
}

/// Nobody opens connections: the test does.
struct Nobody;

impl ports::Dialler for Nobody {
    fn call(&self, _: &Way) {}

    fn confirm(&self, _: &DomainPair, _: Dialect, _: bytes::Bytes, told: Told) {
        told(Ok(()));
    }
}

struct World {
    hub: Arc<Hub>,
    partners: Arc<Both>,
    _runtime: tokio::runtime::Runtime,
}

/// A tie to the hub, and what it heard.
struct Side {
    link: Link,
    inbox: Inbox,
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

impl World {
    fn new() -> Self {
        let runtime = maker::runtime(2);
        let inside = runtime.enter();
        let store = Arc::new(MemoryStore::new());
        store.create(&address("juliet@example.com"), &[]).unwrap();
        let partners = Arc::new(Both::default());
        let hub = Hub::open(Parts {
            pipeline: Pipeline::new(vec![Box::new(Identity)]),
            partners: partners.clone(),
            lanes: 2,
            ..maker::parts(&store, "example.com")
        })
        .unwrap();
        hub.dial_with(Arc::new(Nobody)).unwrap();
        drop(inside);
        Self { hub, partners, _runtime: runtime }
    }

    fn side(&self, dialect: Dialect, account: Address) -> Side {
        let (link, inbox) = self.hub.join(dialect);
        link.ask(Ticket(0), Ask::Bind { account, device: None, attend: Some(0) });
        let mut side = Side { link, inbox };
        side.until("it is bound", |event| matches!(event, HubEvent::Answer(..)).then_some(()));
        side
    }

    /// A connection to the partner's server, as one that it opened.
    fn server(&self, dialect: Dialect) -> Side {
        self.side(dialect, DomainPair::between(&address("example.com"), &address("acme.example")).mailbox())
    }

    fn juliet(&self) -> Side {
        self.side(Dialect::Xmpp, address("juliet@example.com"))
    }
}

impl Side {
    fn until<T>(&mut self, what: &str, mut find: impl FnMut(HubEvent) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let mut events = Vec::new();
            let _ = self.inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut events, 1);
            if let Some(found) = events.pop().and_then(&mut find) {
                return found;
            }
            assert!(Instant::now() < end, "waited in vain until {what}");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn submit(&self, vouch: Vouch, ends: [&str; 2], event: Event) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let envelope = Envelope {
            id: EnvelopeId::v7(now.as_millis() as u64, now.as_nanos()),
            at: Timestamp(now.as_millis() as u64),
            origin: Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch },
            from: Endpoint::bare(address(ends[0])),
            to: Endpoint::bare(address(ends[1])),
            hops: MAX_HOPS,
            event,
        };
        self.link.submit(Ticket(1), Box::new(envelope), false);
    }

    fn write(&self, to: &str, id: &str) {
        let parts = vec![Part::text("hello", None)];
        let message = Message { id: id.into(), parts, lasting: true, ..Message::default() };
        let vouch = Vouch::Account(address("juliet@example.com"));
        self.submit(vouch, ["juliet@example.com", to], Event::Message(message));
    }

    /// The partner's server sends back a message to somebody it does not have.
    fn bounce(&self, who: &str, id: &str) {
        let kind = ReceiptKind::Failed(Refusal::new(Reason::NotFound).with_text("who is that?"));
        let event = Event::Receipt(Receipt { of: id.into(), kind, original: None });
        self.submit(
            Vouch::Domain(address("acme.example"), model::Proof::Certificate),
            [who, "juliet@example.com"],
            event,
        );
    }

    /// The next message handed out.
    fn next(&mut self) -> (String, Delivery) {
        self.until("a message is handed out", |event| match event {
            HubEvent::Deliver(delivery) => match &delivery.envelope.event {
                Event::Message(message) => Some((message.id.to_string(), delivery.clone())),
                _ => None,
            },
            _ => None,
        })
    }

    fn takes(&mut self, id: &str) -> Delivery {
        let (next, delivery) = self.next();
        assert_eq!(next, id);
        delivery
    }

    fn ack(&self, delivery: &Delivery, outcome: Outcome) {
        self.link.ack(delivery.id, Settlement::from(outcome));
    }

    /// What became of a message, as its sender hears it.
    fn failure(&mut self) -> (String, Reason) {
        self.until("a failure is told", |event| match event {
            HubEvent::Deliver(delivery) => match &delivery.envelope.event {
                Event::Receipt(Receipt { of, kind: ReceiptKind::Failed(no), .. }) => {
                    Some((of.to_string(), no.reason))
                }
                _ => None,
            },
            HubEvent::Settled(_, Settlement { outcome: Outcome::Refused(no), .. }) => {
                Some((String::new(), no.reason))
            }
            _ => None,
        })
    }
}

const TYBALT: &str = "tybalt@acme.example";

#[test]
fn one_who_is_not_there_is_tried_elsewhere_before_anybody_hears() {
    let world = World::new();
    let (mut xmpp, mut sip) = (world.server(Dialect::Xmpp), world.server(Dialect::Sip));
    let juliet = world.juliet();
    // The no comes before their server confirms that it has the message, or after.
    juliet.write(TYBALT, "one");
    juliet.write(TYBALT, "two");
    let (one, two) = (xmpp.takes("one"), xmpp.takes("two"));
    xmpp.bounce(TYBALT, "one");
    let lent = sip.takes("one");
    xmpp.ack(&one, Outcome::Delivered);
    sip.ack(&lent, Outcome::Delivered);
    xmpp.ack(&two, Outcome::Delivered);
    // While one of his is on its way the first way, none may overtake it, although it is known now where he is.
    assert_eq!(world.partners.0.lock().get(&address(TYBALT)), Some(&Dialect::Sip));
    juliet.write(TYBALT, "three");
    let three = xmpp.takes("three");
    xmpp.bounce(TYBALT, "two");
    xmpp.bounce(TYBALT, "three");
    for id in ["two", "three"] {
        let delivery = sip.takes(id);
        sip.ack(&delivery, Outcome::Delivered);
    }
    xmpp.ack(&three, Outcome::Delivered);
    // Somebody whom nobody has is refused once, and it is the first that she hears of any failure.
    let mut juliet = juliet;
    juliet.write("nobody@acme.example", "four");
    let four = xmpp.takes("four");
    xmpp.ack(&four, Outcome::Delivered);
    xmpp.bounce("nobody@acme.example", "four");
    let four = sip.takes("four");
    sip.ack(&four, Outcome::Refused(Refusal::new(Reason::Unavailable)));
    // The answer that says more.
    assert_eq!(juliet.failure(), ("four".to_owned(), Reason::Unavailable));
}

#[test]
fn a_row_that_was_lent_goes_back_when_the_connection_ends() {
    let world = World::new();
    let mut sip = world.server(Dialect::Sip);
    let juliet = world.juliet();
    world.partners.0.lock().insert(address(TYBALT), Dialect::Sip);
    juliet.write(TYBALT, "one");
    let one = sip.takes("one");
    // He is known here, and is here no more.
    sip.ack(&one, Outcome::Refused(Refusal::new(Reason::NotFound)));
    let mut xmpp = world.server(Dialect::Xmpp);
    xmpp.takes("one");
    drop(xmpp);
    let again = sip.takes("one");
    sip.ack(&again, Outcome::Refused(Refusal::new(Reason::NotFound)));
    let mut xmpp = world.server(Dialect::Xmpp);
    let one = xmpp.takes("one");
    xmpp.ack(&one, Outcome::Delivered);
    // What he says shows where he is.
    let message = Message {
        id: "here".into(),
        parts: vec![Part::text("here", None)],
        lasting: true,
        ..Message::default()
    };
    xmpp.submit(
        Vouch::Domain(address("acme.example"), model::Proof::Certificate),
        [TYBALT, "juliet@example.com"],
        Event::Message(message),
    );
    let mut juliet = juliet;
    assert_eq!(juliet.next().0, "here");
    assert_eq!(world.partners.0.lock().get(&address(TYBALT)), Some(&Dialect::Xmpp));
}

#[test]
fn one_protocol_that_cannot_be_reached_leaves_the_other() {
    let world = World::new();
    let juliet = world.juliet();
    let mut sip = world.server(Dialect::Sip);
    juliet.write(TYBALT, "one");
    let pair = DomainPair::between(&address("example.com"), &address(TYBALT));
    let way = Way { pair, by: Some(Dialect::Xmpp) };
    while !world.hub.wants(&way) {
        std::thread::yield_now();
    }
    world.hub.unreached(&way, &Refusal::new(Reason::RemoteTimeout));
    let one = sip.takes("one");
    sip.ack(&one, Outcome::Delivered);
    while world.partners.0.lock().get(&address(TYBALT)) != Some(&Dialect::Sip) {
        std::thread::yield_now();
    }
}
