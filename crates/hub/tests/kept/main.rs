//! Sessions that outlive the process: whatever happens in whatever order, whoever comes back over another connection or to
//! another process hears each message once, and believes of everybody's presence what is true.

#[path = "../maker/mod.rs"]
mod maker;
mod world;

use hub::{HubEvent, Inbox, Link};
use maker::{next, poll};
use model::{
    Address, Answer, Ask, Basic, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, LeaseKey, MAX_HOPS,
    Message, Notice, Origin, Outcome, Part, Publish, Role, RosterEdit, Security, Ticket, Timestamp, Tuple,
    Vouch,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use store::Accounts as _;
use world::{Deed, PEOPLE, World, address, device, open, remains, session};

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

/// What a device says to somebody, which is all that its machine ever does.
fn submit((link, inbox): &mut (Link, Inbox), from: &Endpoint, to: Endpoint, event: Event) {
    let vouch = Vouch::Account(from.address.clone());
    let origin = Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch };
    let (id, from) = (EnvelopeId(1 << 64), from.clone());
    let envelope = Envelope { id, at: Timestamp(1), origin, from, to, hops: MAX_HOPS, event };
    link.submit(Ticket(1), Box::new(envelope), true);
    while !matches!(next(inbox), HubEvent::Settled(Ticket(1), _)) {}
}

fn there(device: &Endpoint) -> Event {
    let tuples = vec![Tuple::plain(device.device.clone(), Basic::Open, Timestamp(5))];
    Event::Publish(Publish { key: LeaseKey::new("there"), tuples, secs: None })
}

fn somebody(world: &World, name: &str) -> Endpoint {
    let address = Address::new(name, "example.net").unwrap();
    world.store.create(&address, &[]).unwrap();
    Endpoint::full(address, Device::new("here").unwrap())
}

/// Both devices of somebody get a message. That the one took it does not mean that the other has it.
#[test]
fn what_another_device_took_comes_all_the_same() {
    let mut world = World::new();
    world.cut(1);
    let desk = Endpoint::full(address(1), Device::new("desk").unwrap());
    let (link, mut inbox) = world.bind(&desk);
    let message = Message { parts: vec![Part::text("hello", None)], lasting: true, ..Message::default() };
    let (sender, _sent) = world.clients[0].tie.as_ref().unwrap();
    let vouch = Vouch::Account(address(0));
    let origin = Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch };
    let (from, to, event) = (device(0), address(1).into(), Event::Message(message));
    let (id, at) = (EnvelopeId(4711), Timestamp(1));
    let envelope = Envelope { id, at, origin, from, to, hops: MAX_HOPS, event };
    sender.submit(Ticket(99), Box::new(envelope), true);
    loop {
        if let HubEvent::Deliver(delivery) = next(&mut inbox)
            && matches!(delivery.envelope.event, Event::Message(_))
        {
            link.ack(delivery.id, Outcome::Delivered.into());
            break;
        }
    }
    let (_, sent) = world.clients[0].tie.as_mut().unwrap();
    while !matches!(next(sent), HubEvent::Settled(Ticket(99), _)) {}
    drop(link);
    assert_eq!(world.restart(), 2);
    world.come_back(1);
    let end = Instant::now() + Duration::from_secs(20);
    while world.clients[1].heard.is_empty() {
        world.hear(1);
        assert!(Instant::now() < end, "it never comes");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(world.clients[1].heard, [4711]);
}

/// The time of one session is over before the next process begins, and others believe that it is there.
#[test]
fn a_session_whose_time_ended_meanwhile_goes() {
    let mut world = World::new();
    let (mut link, _inbox) = world.clients[1].tie.take().unwrap();
    link.linger(remains(), 1, &[]);
    world.hear(2);
    assert!(world.clients[2].believes.iter().any(|(who, _)| *who == 1));
    (0..PEOPLE).for_each(|who| world.cut(who));
    assert_eq!(world.hub.keep_sessions(), 2);
    std::thread::sleep(Duration::from_millis(1100));
    world.hub = open(&world.store, &world.runtime);
    assert!(world.until_told(2, |n| n.doc.presentity == address(1) && !n.gone.is_empty()));
}

#[test]
fn who_was_kept_from_seeing_somebody_hears_nothing_of_them() {
    let mut world = World::new();
    let hidden = somebody(&world, "hidden");
    let grant = store::Authorization {
        presentity: hidden.address.clone(),
        watcher: address(2),
        consent: store::Consent::Granted,
        note: None,
    };
    store::Authorizations::set(world.store.as_ref(), &grant).unwrap();
    // Everybody begins anew, so that all know of it.
    world.hub = open(&world.store, &world.runtime);
    (0..PEOPLE).for_each(|who| world.log_in(who));
    let mut tie = world.bind(&hidden);
    tie.0.resumable(LeaseKey::new("hidden"), hidden.address.clone());
    submit(&mut tie, &hidden, hidden.address.clone().into(), there(&hidden));
    tie.0.linger(remains(), 600, &[]);
    assert_eq!(world.restart(), 3);
    assert!(!world.until_told(2, |notify| notify.doc.presentity == hidden.address));
}

/// Presence shown to one addressee, who is no contact.
#[test]
fn what_was_shown_directly_is_heard() {
    let mut world = World::new();
    let stranger = somebody(&world, "stranger");
    let mut tie = world.bind(&stranger);
    tie.0.resumable(LeaseKey::new("stranger"), stranger.address.clone());
    world.cut(2);
    submit(&mut tie, &stranger, device(2), there(&stranger));
    tie.0.linger(remains(), 600, &[]);
    assert_eq!(world.restart(), 3);
    assert!(world.until_told(2, |n| n.doc.presentity == stranger.address && n.doc.is_open()));
}

/// The same by one whose session ends with the process.
#[test]
fn who_showed_themselves_directly_and_went_is_heard_to_go() {
    let mut world = World::new();
    let stranger = somebody(&world, "stranger");
    let mut tie = world.bind(&stranger);
    tie.0.resumable(LeaseKey::new("stranger"), stranger.address.clone());
    submit(&mut tie, &stranger, device(2), there(&stranger));
    world.hear(2);
    tie.0.linger(Box::new(()), 600, &[]);
    assert_eq!(world.restart(), 2);
    assert!(world.until_told(2, |n| n.doc.presentity == stranger.address && !n.gone.is_empty()));
}
