//! Sessions between two machines: what each of them hears, and what the mailbox gets back.

mod maker;

use hub::{Hub, HubEvent, Inbox, Link};
use maker::next;
use model::{
    Address, Answer, Ask, DeliveryId, Device, Dialect, Envelope, EnvelopeId, Event, LeaseKey, MAX_HOPS,
    Message, Origin, Part, Security, Ticket, Timestamp, Vouch,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use store::{Accounts as _, MemoryStore};

/// Deliveries that one device may have in hand.
const WINDOW: u64 = 512;

struct House {
    hub: Arc<Hub>,
    _runtime: tokio::runtime::Runtime,
}

fn ann() -> Address {
    Address::parse("ann@example.net").unwrap()
}

fn key() -> LeaseKey {
    LeaseKey::new("test-session")
}

/// The next delivery; everything else is passed over.
fn delivery(inbox: &mut Inbox) -> (DeliveryId, EnvelopeId) {
    loop {
        if let HubEvent::Deliver(delivery) = next(inbox) {
            return (delivery.id, delivery.envelope.id);
        }
    }
}

impl House {
    fn new() -> Self {
        let runtime = maker::runtime(1);
        let inside = runtime.enter();
        let store = Arc::new(MemoryStore::new());
        store.create(&ann(), &[]).unwrap();
        let hub = Hub::open(maker::parts(&store, "example.net")).unwrap();
        drop(inside);
        Self { hub, _runtime: runtime }
    }

    /// A connection of Ann's that is ready for messages.
    fn bound(&self) -> (Link, Inbox) {
        let (link, mut inbox) = self.hub.join(Dialect::Xmpp);
        let device = Some(Device::new("phone").unwrap());
        link.ask(Ticket(1), Ask::Bind { account: ann(), device, attend: Some(0) });
        assert!(matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Bound(_))));
        (link, inbox)
    }

    /// The same, and its session may be resumed.
    fn resumable(&self) -> (Link, Inbox) {
        let (link, inbox) = self.bound();
        link.resumable(key(), ann());
        (link, inbox)
    }

    fn ask_to_resume(&self) -> (Link, Inbox) {
        let (link, inbox) = self.hub.join(Dialect::Xmpp);
        link.ask(Ticket(1), Ask::Resume { key: key(), owner: ann() });
        (link, inbox)
    }

    /// Puts so many messages to Ann on record.
    fn send(&self, numbers: impl Iterator<Item = u64>) {
        let (link, mut inbox) = self.hub.join(Dialect::Sip);
        for n in numbers {
            let from = Address::parse("bob@example.com").unwrap();
            let parts = vec![Part::text("hello", None)];
            let message = Message { parts, lasting: true, ..Message::default() };
            let envelope = Envelope {
                id: EnvelopeId(u128::from(n)),
                at: Timestamp(n),
                origin: Origin {
                    dialect: Dialect::Sip,
                    security: Security::Tls,
                    vouch: Vouch::Account(from.clone()),
                },
                from: from.into(),
                to: ann().into(),
                hops: MAX_HOPS,
                event: Event::Message(message),
            };
            link.submit(Ticket(n), Box::new(envelope), false);
            while !matches!(next(&mut inbox), HubEvent::Kept(_)) {}
        }
    }
}

#[test]
fn what_was_never_written_leaves_the_window_free() {
    let house = House::new();
    let (mut link, mut inbox) = house.resumable();
    house.send(1..=WINDOW);
    let unwritten: Vec<_> = (0..WINDOW).map(|_| delivery(&mut inbox).0).collect();
    link.linger(Box::new(()), 600, &unwritten);
    let (_link, mut inbox) = house.ask_to_resume();
    let HubEvent::Resumed(_, handover) = next(&mut inbox) else { panic!("not handed over") };
    let (_link, mut inbox, _) = handover.take().unwrap();
    let again: BTreeSet<_> = (0..WINDOW).map(|_| delivery(&mut inbox).1).collect();
    assert_eq!(again.len() as u64, WINDOW);
}

#[test]
fn a_word_for_the_machine_that_left_is_not_heard_by_the_one_that_goes_on() {
    let house = House::new();
    let (mut first, mut old) = house.resumable();
    let (_link, mut inbox) = house.ask_to_resume();
    // The first machine is told, but its connection has ended by itself before it listens.
    let end = Instant::now() + Duration::from_secs(20);
    while old.poll_first(&mut Context::from_waker(Waker::noop())).is_pending() {
        assert!(Instant::now() < end, "nobody wants the session");
    }
    let (_other, mut other_inbox) = house.ask_to_resume();
    assert!(matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Claimed(None))));
    first.linger(Box::new(()), 600, &[]);
    let HubEvent::Resumed(_, handover) = next(&mut other_inbox) else { panic!("not handed over") };
    let (_link, mut inbox, _) = handover.take().unwrap();
    let first = inbox.poll_first(&mut Context::from_waker(Waker::noop()));
    assert!(first.is_pending(), "{first:?}");
}

#[test]
fn a_machine_that_never_heard_of_its_successor_keeps_nothing_from_it() {
    let house = House::new();
    let (mut old, mut inbox) = house.resumable();
    house.send(1..=3);
    for _ in 0..3 {
        delivery(&mut inbox);
    }
    // Its peer does not read any more, so it hears nothing; the client is back and binds anew.
    let (_link, mut inbox) = house.bound();
    old.linger(Box::new(()), 600, &[]);
    let again: BTreeSet<_> = (0..3).map(|_| delivery(&mut inbox).1).collect();
    assert_eq!(again.len(), 3);
    let (_link, mut inbox) = house.ask_to_resume();
    assert!(matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Claimed(None))));
}

#[test]
fn a_session_of_before_a_new_password_is_not_resumed() {
    let house = House::new();
    let (mut old, _inbox) = house.resumable();
    house.hub.revoke(&ann(), false);
    // It ends before it hears that.
    old.linger(Box::new(()), 600, &[]);
    let (_link, mut inbox) = house.ask_to_resume();
    assert!(matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Claimed(None))));
}
