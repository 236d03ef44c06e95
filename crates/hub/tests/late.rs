//! What comes late: a store that is slow or ill, a device that goes meanwhile, a machine that has not heard yet that another
//! goes on in its place. Nothing is lost over it, and nobody is told what is not so.

mod maker;

use hub::pipeline::{Context, Pipeline, Stage, Verdict};
use hub::{Hub, HubEvent, Inbox, Link, Parts, QuarantineError};
use maker::slow::Slow;
use maker::{Anybody, next, poll};
use model::{
    Address, Answer, Ask, Basic, Device, Dialect, DomainPair, Endpoint, Envelope, EnvelopeId, Event, Hold,
    LeaseKey, MAX_HOPS, Message, Origin, Outcome, Part, Proof, Publish, Security, Seq, Subscribe, Term,
    Ticket, Timestamp, Tuple, Vouch, WatchState,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::{Accounts as _, Journal as _, Trouble};

/// Messages wait for a person, while this is so.
struct Holding(Arc<AtomicBool>);

impl Stage for Holding {
    fn name(&self) -> &'static str {
        "policy"
    }

    fn apply(&self, envelope: &mut Envelope, _: &Context) -> Verdict {
        match (&envelope.event, self.0.load(Ordering::Acquire)) {
            (Event::Message(_), true) => Verdict::Hold(Hold { rule: "rule:all".into(), text: None }),
            _ => Verdict::Pass,
        }
    }
}

struct World {
    hub: Arc<Hub>,
    slow: Arc<Slow>,
    holding: Arc<AtomicBool>,
    _runtime: tokio::runtime::Runtime,
}

fn address(user: &str) -> Address {
    Address::new(user, "example.com").unwrap()
}

fn ann() -> Address {
    Address::parse("ann@example.net").unwrap()
}

fn said(from: Endpoint, to: Address, id: EnvelopeId, event: Event) -> Box<Envelope> {
    let vouch = match from.address.domain() {
        "example.com" => Vouch::Account(from.address.clone()),
        _ => Vouch::Domain(from.address.to_domain(), Proof::Certificate),
    };
    let origin = Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch };
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = Timestamp(at.as_millis() as u64);
    Box::new(Envelope { id, at, origin, from, to: to.into(), hops: MAX_HOPS, event })
}

fn message(id: &str) -> Event {
    let parts = vec![Part::text("hello", None)];
    Event::Message(Message { id: id.into(), parts, lasting: true, ..Message::default() })
}

fn is_message(event: &Event, id: &str) -> bool {
    matches!(event, Event::Message(message) if message.id == id)
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How it ended.
fn outcome(inbox: &mut Inbox, ticket: u64) -> Outcome {
    loop {
        if let HubEvent::Settled(Ticket(n), settlement) = next(inbox)
            && n == ticket
        {
            return settlement.outcome;
        }
    }
}

/// The next that is handed out and is no news of presence.
fn delivered(inbox: &mut Inbox) -> (model::DeliveryId, Event) {
    loop {
        if let HubEvent::Deliver(delivery) = next(inbox)
            && !matches!(delivery.envelope.event, Event::Notify(_))
        {
            return (delivery.id, delivery.envelope.event.clone());
        }
    }
}

impl World {
    fn new() -> Self {
        let runtime = maker::runtime(2);
        let inside = runtime.enter();
        let slow = Arc::new(Slow::default());
        for user in ["romeo", "juliet"] {
            slow.store.create(&address(user), &[]).unwrap();
        }
        let holding = Arc::new(AtomicBool::new(false));
        let hub = Hub::open(Parts {
            journal: slow.clone(),
            authorizations: slow.clone(),
            partners: Arc::new(Anybody),
            pipeline: Pipeline::new(vec![Box::new(Holding(holding.clone()))]),
            ..maker::parts(&slow.store, "example.com")
        })
        .unwrap();
        drop(inside);
        Self { hub, slow, holding, _runtime: runtime }
    }

    fn bound(&self, account: &Address, device: &str) -> (Link, Inbox) {
        let (link, mut inbox) = self.hub.join(Dialect::Xmpp);
        let device = Device::new(device).ok();
        link.ask(Ticket(1), Ask::Bind { account: account.clone(), device, attend: Some(0) });
        while !matches!(next(&mut inbox), HubEvent::Answer(Ticket(1), _)) {}
        (link, inbox)
    }

    fn me(&self, user: &str) -> Endpoint {
        Endpoint::full(address(user), Device::new("desk").unwrap())
    }
}

#[test]
fn a_device_that_goes_while_its_mailbox_is_read_costs_nobody_a_message() {
    let world = World::new();
    let (romeo, mut answers) = world.bound(&address("romeo"), "desk");
    world.slow.looks.shut();
    let juliet = world.bound(&address("juliet"), "desk");
    until("somebody looks", || world.slow.looks.waiting() > 0);
    drop(juliet);
    until("she is gone", || world.hub.online().iter().all(|report| report.account != address("juliet")));
    world.slow.looks.open();
    until("it was looked at", || world.slow.looks.waiting() == 0);
    std::thread::sleep(Duration::from_millis(50));
    romeo.submit(Ticket(5), said(world.me("romeo"), address("juliet"), EnvelopeId(5), message("m1")), true);
    assert_eq!(outcome(&mut answers, 5), Outcome::Accepted);
    let (link, mut inbox) = world.bound(&address("juliet"), "desk");
    romeo.submit(Ticket(6), said(world.me("romeo"), address("juliet"), EnvelopeId(6), message("m2")), true);
    for id in ["m1", "m2"] {
        let (delivery, event) = delivered(&mut inbox);
        assert!(is_message(&event, id), "{id}: {event:?}");
        link.ack(delivery, Outcome::Delivered.into());
    }
}

#[test]
fn what_is_noted_before_it_leaves_is_not_passed_over() {
    let world = World::new();
    let pair = DomainPair::between(&address("romeo"), &ann());
    let (link, mut inbox) = world.bound(&pair.mailbox(), "wire");
    let (romeo, _answers) = world.bound(&address("romeo"), "desk");
    *world.slow.consent.lock() = Duration::from_millis(100);
    let request = Event::Subscribe(Subscribe { term: Term::Lasting, note: None, original: None });
    romeo.submit(Ticket(5), said(Endpoint::bare(address("romeo")), ann(), EnvelopeId(5), request), false);
    romeo.submit(Ticket(6), said(world.me("romeo"), ann(), EnvelopeId(6), message("m1")), false);
    let mut came = Vec::new();
    while came.len() < 2 {
        let (delivery, event) = delivered(&mut inbox);
        link.ack(delivery, Outcome::Delivered.into());
        came.push(event.kind());
    }
    came.sort_unstable();
    assert_eq!(came, ["message", "subscribe"]);
    until("nothing waits", || world.slow.pairs_waiting().unwrap().is_empty());
}

#[test]
fn what_was_held_stays_held_where_it_cannot_be_put_on_record() {
    let world = World::new();
    let (romeo, mut answers) = world.bound(&address("romeo"), "desk");
    let (_juliet, mut inbox) = world.bound(&address("juliet"), "desk");
    world.holding.store(true, Ordering::Release);
    romeo.submit(Ticket(5), said(world.me("romeo"), address("juliet"), EnvelopeId(5), message("m1")), true);
    assert_eq!(outcome(&mut answers, 5), Outcome::Pending);
    world.holding.store(false, Ordering::Release);
    let held = || world.hub.held(Seq(0), 10).unwrap().iter().map(|row| row.seq).collect::<Vec<_>>();
    let rows = held();
    world.slow.store.fail_with(Some(Trouble::Full("no room".into())));
    assert!(matches!(world.hub.release_held(rows[0]), Err(QuarantineError::Trouble(_))));
    assert!(matches!(world.hub.judge_held_again(rows[0]), Err(QuarantineError::Trouble(_))));
    assert_eq!(held(), rows);
    world.slow.store.fail_with(None);
    world.hub.release_held(rows[0]).unwrap();
    assert!(is_message(&delivered(&mut inbox).1, "m1"));
    assert!(held().is_empty());
    assert!(matches!(world.hub.release_held(rows[0]), Err(QuarantineError::NotHeld(_))));
}

#[test]
fn what_comes_again_is_answered_for_when_the_first_is_on_record() {
    let world = World::new();
    let (first, mut heard) = world.hub.join(Dialect::Xmpp);
    let (second, mut again) = world.hub.join(Dialect::Xmpp);
    let send = |link: &Link, ticket, id: &str| {
        let named = EnvelopeId::named([id.as_bytes()[1]; 16]);
        link.submit(Ticket(ticket), said(ann().into(), address("juliet"), named, message(id)), true);
    };
    *world.slow.unwritten.lock() = Some(Vec::new());
    send(&first, 5, "m1");
    until("it is on its way", || world.slow.unwritten.lock().as_ref().is_some_and(|rows| !rows.is_empty()));
    send(&second, 6, "m1");
    std::thread::sleep(Duration::from_millis(50));
    assert!(poll(&mut again).is_none(), "nothing is on record yet");
    world.slow.store.fail_with(Some(Trouble::Full("no room".into())));
    world.slow.write_all();
    for (inbox, ticket) in [(&mut heard, 5), (&mut again, 6)] {
        assert!(matches!(outcome(inbox, ticket), Outcome::Refused(_)));
    }
    world.slow.store.fail_with(None);
    send(&second, 7, "m1");
    assert_eq!(outcome(&mut again, 7), Outcome::Accepted);
    send(&first, 8, "m1");
    assert_eq!(outcome(&mut heard, 8), Outcome::Accepted);
    assert_eq!(world.slow.waiting(&address("juliet"), Seq(0), 10).unwrap().len(), 1);
}

/// A phone goes on with another machine, and the first one has not heard of it.
#[test]
fn the_end_of_one_machines_watch_does_not_end_it_for_the_next() {
    let world = World::new();
    let (romeo, _news) = world.bound(&address("romeo"), "desk");
    let key = LeaseKey::new("dialog");
    let watch = |link: &Link, ticket, secs| {
        let term = Term::Lease { key: key.clone(), secs };
        let event = Event::Subscribe(Subscribe { term, note: None, original: None });
        let envelope = said(Endpoint::bare(address("romeo")), address("romeo"), EnvelopeId(ticket), event);
        link.submit(Ticket(ticket as u64), envelope, true);
    };
    let (first, mut of_first) = world.hub.join(Dialect::Sip);
    first.lease(key.clone(), address("romeo"), "dialog".into(), 600);
    watch(&first, 5, 600);
    outcome(&mut of_first, 5);
    let (second, mut of_second) = world.hub.join(Dialect::Sip);
    second.ask(Ticket(6), Ask::Claim { key: key.clone(), owner: address("romeo") });
    while !matches!(next(&mut of_second), HubEvent::Answer(Ticket(6), Answer::Claimed(Some(_)))) {}
    watch(&second, 7, 600);
    outcome(&mut of_second, 7);
    watch(&first, 8, 0);
    outcome(&mut of_first, 8);
    let tuple = Tuple::plain(world.me("romeo").device, Basic::Open, Timestamp(0));
    let publish = Publish { key: LeaseKey::new("desk"), tuples: vec![tuple], secs: None };
    romeo.submit(
        Ticket(9),
        said(world.me("romeo"), address("romeo"), EnvelopeId(9), Event::Publish(publish)),
        false,
    );
    loop {
        if let HubEvent::Deliver(delivery) = next(&mut of_second)
            && let Event::Notify(notify) = &delivery.envelope.event
            && notify.doc.is_open()
        {
            assert_eq!((notify.state, notify.key.as_ref()), (WatchState::Active, Some(&key)));
            break;
        }
    }
}
