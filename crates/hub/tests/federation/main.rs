//! What crosses from one company to another: nothing is lost, nobody is left without an answer, and what two people
//! agree on is the same on both sides.

#[path = "../maker/mod.rs"]
mod maker;
mod world;

use hub::{HubEvent, Inbox, Link, RuleSet};
use model::{
    Address, Answer, Ask, Authorize, Basic, Composing, Decision, DeliveryId, Dialect, DomainPair, Event,
    LeaseKey, Notify, Opaque, Original, Outcome, Reason, ReceiptKind, Refusal, Subscribe, Term, Ticket,
    WatchState, Way,
};
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use store::{Authorizations as _, Consent, Journal as _};
use world::{Person, World};

fn subscribe(term: Term) -> Event {
    Event::Subscribe(Subscribe { term, note: None, original: None })
}

fn authorize(decision: Decision) -> Event {
    Event::Authorize(Authorize { decision, original: None })
}

/// One asks, the other agrees, and the one sees the other.
fn befriend(watcher: &mut Person, shown: &mut Person) {
    watcher.say(shown.address(), subscribe(Term::Lasting));
    let request =
        shown.envelope("a request", |e| matches!(e, Event::Subscribe(s) if s.term == Term::Lasting));
    assert_eq!(request.from.address, watcher.address());
    shown.say(watcher.address(), authorize(Decision::Granted));
    watcher.is_granted_and_sees(&shown.address());
}

#[test]
fn messages_go_both_ways() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    let sent = romeo.write(&juliet.address(), "m1");
    assert_eq!(juliet.message("m1").from, romeo.me);
    assert_eq!(romeo.outcome_of(sent), Outcome::Delivered);
    juliet.write(&romeo.address(), "m2");
    assert_eq!(romeo.message("m2").from, juliet.me);
    for n in 0..200 {
        romeo.write(&juliet.address(), &format!("n{n}"));
    }
    for n in 0..200 {
        let id = format!("n{n}");
        let next = juliet.envelope(&id, |e| matches!(e, Event::Message(_)));
        assert!(matches!(&next.event, Event::Message(m) if m.id == id), "{id} is overtaken by {next:?}");
    }
}

#[test]
fn a_user_that_is_not_there_is_told() {
    let world = World::new();
    let mut romeo = world.net.log_in("romeo", "orchard");
    romeo.write(&Address::parse("nobody@example.com").unwrap(), "m1");
    let receipt = romeo.envelope("bad news", |e| matches!(e, Event::Receipt(_)));
    let Event::Receipt(receipt) = &receipt.event else { unreachable!() };
    assert!(matches!(&receipt.kind, ReceiptKind::Failed(no) if no.reason == Reason::NotFound), "{receipt:?}");
}

#[test]
fn a_company_that_is_not_to_be_spoken_with() {
    let world = World::new();
    let mut romeo = world.net.log_in("romeo", "orchard");
    let sent = romeo.write(&Address::parse("paris@banned.example").unwrap(), "m1");
    assert!(matches!(romeo.outcome_of(sent), Outcome::Refused(no) if no.reason == Reason::Policy));
    assert_eq!(world.net.wire.calls.load(Ordering::Acquire), 0);
}

#[test]
fn consent_is_the_same_on_both_sides_and_presence_follows_it() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    befriend(&mut romeo, &mut juliet);
    let at = |store: &store::MemoryStore| {
        store.get(&juliet.me.address, &romeo.me.address).unwrap().map(|a| a.consent)
    };
    assert_eq!(
        (at(&world.net.store), at(&world.com.store)),
        (Some(Consent::Granted), Some(Consent::Granted))
    );
    juliet.publish(Basic::Closed);
    romeo.sees(&juliet.address(), false);
    juliet.publish(Basic::Open);
    romeo.sees(&juliet.address(), true);
    // A second session is greeted with what is known; one that comes alone asks.
    let mut second = world.net.log_in("romeo", "phone");
    second.sees(&juliet.address(), true);
    drop(second);
    world.net.lose(romeo);
    let mut romeo = world.net.log_in("romeo", "orchard");
    romeo.sees(&juliet.address(), true);
    juliet.say(romeo.address(), authorize(Decision::Denied));
    romeo.sees(&juliet.address(), false);
    romeo.envelope("the end", |e| matches!(e, Event::Authorize(a) if a.decision == Decision::Denied));
    let at = |store: &store::MemoryStore| store.get(&juliet.me.address, &romeo.me.address).unwrap();
    assert_eq!((at(&world.net.store), at(&world.com.store)), (None, None));
}

#[test]
fn a_grant_nobody_asked_for_changes_nothing() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    juliet.say(romeo.address(), authorize(Decision::Granted));
    juliet.write(&romeo.address(), "after");
    romeo.message("after");
    assert_eq!(world.net.store.get(&juliet.address(), &romeo.address()).unwrap(), None);
}

#[test]
fn a_phone_watches_somebody_elsewhere() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    let key = LeaseKey::new("test-dialog");
    let lease = |secs| subscribe(Term::Lease { key: key.clone(), secs });
    let notify = |person: &mut Person, wanted: WatchState| {
        person.envelope("news", |e| matches!(e, Event::Notify(n) if n.key.is_some() && n.state == wanted))
    };
    let asked = romeo.say(juliet.address(), lease(600));
    assert_eq!(romeo.outcome_of(asked), Outcome::Pending);
    juliet.envelope("a request", |e| matches!(e, Event::Subscribe(s) if s.term == Term::Lasting));
    juliet.say(romeo.address(), authorize(Decision::Granted));
    let open = |n: &Notify| n.key.is_some() && n.state == WatchState::Active && n.doc.is_open();
    romeo.envelope("her", |e| matches!(e, Event::Notify(n) if open(n)));
    // The phone has no verb to answer with: whoever asks to see somebody lets themselves be seen.
    juliet.say(romeo.address(), subscribe(Term::Lasting));
    juliet.is_granted_and_sees(&romeo.address());
    romeo.say(juliet.address(), lease(0));
    notify(&mut romeo, WatchState::Expired);
}

#[test]
fn a_phone_answers_who_asked_before() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    juliet.say(romeo.address(), subscribe(Term::Lasting));
    romeo.envelope("a request", |e| matches!(e, Event::Subscribe(s) if s.term == Term::Lasting));
    romeo.say(juliet.address(), subscribe(Term::Lease { key: LeaseKey::new("test-dialog"), secs: 600 }));
    juliet.is_granted_and_sees(&romeo.address());
}

#[test]
fn what_is_not_recorded_waits_for_the_connection_and_no_longer() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    let typing = || Event::Composing(Composing { active: true, thread: None, lang: None, original: None });
    romeo.say(juliet.address(), typing());
    juliet.envelope("typing", |e| matches!(e, Event::Composing(_)));
    world.net.wire.cut();
    world.net.wire.up.store(false, Ordering::Release);
    let lost = romeo.say(juliet.address(), typing());
    assert!(matches!(romeo.outcome_of(lost), Outcome::Refused(no) if no.reason == Reason::RemoteTimeout));
}

#[test]
fn talk_within_one_dialect_is_refused_where_another_is_spoken() {
    let world = World::new();
    let (mut romeo, juliet) = (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    let hub = world.net.wire.from.lock().clone().unwrap();
    let (link, mut inbox) = hub.join(Dialect::Sip);
    let pair = DomainPair::between(&romeo.address(), &juliet.address());
    link.ask(Ticket(1), Ask::Bind { account: pair.mailbox(), device: None, attend: Some(0) });
    let bound = world.runtime.block_on(inbox.next());
    assert!(matches!(bound, HubEvent::Answer(_, Answer::Bound(_))));
    // It is ready once that was heard; what it asks next is answered after that.
    link.ask(Ticket(2), Ask::Claim { key: LeaseKey::new("nothing"), owner: romeo.address() });
    assert!(matches!(world.runtime.block_on(inbox.next()), HubEvent::Answer(Ticket(2), _)));
    let original = Original { dialect: Dialect::Xmpp, bytes: b"<iq/>"[..].into() };
    let asked = romeo.say(juliet.address(), Event::Opaque(Opaque { original, wants_answer: true }));
    assert!(matches!(romeo.outcome_of(asked), Outcome::Refused(no) if no.reason == Reason::Unsupported));
}

#[test]
fn how_somebody_is_is_asked_again_when_their_company_is_back() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    befriend(&mut romeo, &mut juliet);
    world.net.wire.cut();
    world.net.wire.up.store(false, Ordering::Release);
    world.net.lose(romeo);
    let mut again = world.net.log_in("romeo", "garden");
    again.publish(Basic::Open);
    let hub = world.net.wire.from.lock().clone().unwrap();
    let pair = Way::from(DomainPair::between(&again.address(), &juliet.address()));
    while !hub.wants(&pair) {
        std::thread::yield_now();
    }
    hub.unreached(&pair, &Refusal::new(Reason::RemoteTimeout));
    assert!(hub.wants(&pair), "the question waits on");
}

/// The session goes on; what its client believes of people elsewhere, and they of it, may have changed meanwhile.
#[test]
fn those_elsewhere_are_asked_again_by_a_session_that_outlived_its_process() {
    let mut world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    befriend(&mut romeo, &mut juliet);
    befriend(&mut juliet, &mut romeo);
    let key = leave(&mut romeo);
    world.net.hub.farewell();
    juliet.sees(&romeo.address(), false);
    world.restart_net();
    come_back(&world, &mut romeo, key);
    romeo.sees(&juliet.address(), false);
    romeo.sees(&juliet.address(), true);
    juliet.sees(&romeo.address(), true);
}

/// Who was kept from seeing somebody when the process ended is so afterwards.
#[test]
fn those_elsewhere_who_may_not_see_a_session_do_not_see_it_come_back() {
    let mut world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    befriend(&mut juliet, &mut romeo);
    world.net.veil.store(true, Ordering::Release);
    world.net.hub.rules_changed();
    juliet.sees(&romeo.address(), false);
    let key = leave(&mut romeo);
    world.net.hub.farewell();
    world.restart_net();
    come_back(&world, &mut romeo, key);
    // What is said later arrives, and that does not.
    for id in ["m1", "m2"] {
        romeo.write(&juliet.address(), id);
        assert!(!juliet.hears_of_before(&romeo.address(), id));
    }
}

/// The connection is cut, and the session waits.
fn leave(person: &mut Person) -> LeaseKey {
    let key = LeaseKey::new("test-session");
    person.link.resumable(key.clone(), person.address());
    person.link.linger(Box::new(bytes::Bytes::from_static(b"left")), 600, &[]);
    key
}

fn come_back(world: &World, person: &mut Person, key: LeaseKey) {
    (person.link, person.inbox) = world.net.hub.join(Dialect::Xmpp);
    person.link.ask(Ticket(1), Ask::Resume { key, owner: person.address() });
    let handover = person.until("its session", |event| match event {
        HubEvent::Resumed(_, handover) => Some(handover),
        _ => None,
    });
    let (link, inbox, _) = handover.take().unwrap();
    (person.link, person.inbox) = (link, inbox);
}

#[test]
fn a_company_that_is_away_gets_everything_when_it_is_back() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    world.net.wire.up.store(false, Ordering::Release);
    for n in 0..50 {
        romeo.write(&juliet.address(), &format!("n{n}"));
    }
    world.net.wire.up.store(true, Ordering::Release);
    for n in 0..50 {
        juliet.message(&format!("n{n}"));
    }
}

#[test]
fn what_a_broken_connection_did_not_acknowledge_goes_again() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    world.net.wire.silent.store(true, Ordering::Release);
    romeo.write(&juliet.address(), "m1");
    while world.net.wire.calls.load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    world.net.wire.silent.store(false, Ordering::Release);
    world.net.wire.cut();
    juliet.message("m1");
}

#[test]
fn who_waits_too_long_hears_that_it_failed() {
    let world = World::new();
    world.net.rules.set(RuleSet { federation_secs: 1, ..RuleSet::default() });
    world.net.wire.up.store(false, Ordering::Release);
    let (mut romeo, juliet) = (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    let sent = romeo.write(&juliet.address(), "m1");
    let Outcome::Refused(no) = romeo.outcome_of(sent) else { panic!("not refused") };
    assert_eq!((no.reason, no.rule.as_deref()), (Reason::RemoteTimeout, Some("deadline")));
    assert_eq!(no.text.as_deref(), Some("nobody is there"));
    assert!(world.net.store.pairs_waiting().unwrap().is_empty());
    // Also of more than the list of single ones can hold: nothing of it comes back with the next process.
    let many: Vec<_> = (0..1_500).map(|n| romeo.write(&juliet.address(), &format!("n{n}"))).collect();
    for sent in many {
        assert!(matches!(romeo.outcome_of(sent), Outcome::Refused(_)));
    }
    assert!(world.net.store.pairs_waiting().unwrap().is_empty());
}

/// The rules are no less strict with those who have just agreed.
#[test]
fn a_grant_shows_nothing_that_the_rules_hide() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    world.net.veil.store(true, Ordering::Release);
    juliet.say(romeo.address(), subscribe(Term::Lasting));
    romeo.envelope("a request", |e| matches!(e, Event::Subscribe(s) if s.term == Term::Lasting));
    romeo.say(juliet.address(), authorize(Decision::Granted));
    juliet.envelope("an answer", |e| matches!(e, Event::Authorize(a) if a.decision == Decision::Granted));
    romeo.write(&juliet.address(), "m1");
    assert!(!juliet.hears_of_before(&romeo.address(), "m1"));
    world.net.veil.store(false, Ordering::Release);
    world.net.hub.rules_changed();
    juliet.sees(&romeo.address(), true);
}

/// What a connection hears that asks whether a subscription of ours is of use.
fn is_heard(world: &World, watcher: &Address, presentity: &Address) -> bool {
    let (link, mut inbox) = world.net.hub.join(Dialect::Sip);
    link.ask(Ticket(1), Ask::Watches { watcher: watcher.clone(), presentity: presentity.clone() });
    match world.runtime.block_on(inbox.next()) {
        HubEvent::Answer(_, Answer::Verified(heard)) => heard,
        other => panic!("{other:?}"),
    }
}

#[test]
fn presence_elsewhere_is_of_use_while_somebody_is_there_to_hear() {
    let world = World::new();
    let (mut romeo, mut juliet) =
        (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    befriend(&mut romeo, &mut juliet);
    let (watcher, shown) = (romeo.address(), juliet.address());
    let until = |wanted: bool| {
        while is_heard(&world, &watcher, &shown) != wanted {
            std::thread::yield_now();
        }
    };
    assert!(is_heard(&world, &watcher, &shown));
    drop(romeo);
    until(false);
    // A session that does not announce itself hears nothing, and a phone hears whom it watches.
    let mut phone = world.net.quiet("romeo", "phone");
    assert!(!is_heard(&world, &watcher, &shown));
    let lease = |secs| subscribe(Term::Lease { key: LeaseKey::new("test-dialog"), secs });
    phone.say(shown.clone(), lease(600));
    until(true);
    assert!(!is_heard(&world, &watcher, &Address::parse("paris@example.com").unwrap()));
    phone.say(shown.clone(), lease(0));
    until(false);
    // What a session saw is asked for anew by the next.
    juliet.publish(Basic::Open);
    world.net.log_in("romeo", "orchard").sees(&shown, true);
    // Of other people's people their own server knows.
    assert!(is_heard(&world, &shown, &watcher));
}

/// A connection of the test's own that carries for a pair.
fn carrier(world: &World, pair: &DomainPair) -> (Link, Inbox) {
    let (link, mut inbox) = world.net.hub.join(Dialect::Sip);
    link.ask(Ticket(1), Ask::Bind { account: pair.mailbox(), device: None, attend: Some(0) });
    // It is ready once that was heard; what it asks next is answered after that.
    link.ask(Ticket(2), Ask::Claim { key: LeaseKey::new("nothing"), owner: pair.local.clone() });
    while !matches!(world.runtime.block_on(inbox.next()), HubEvent::Answer(Ticket(2), _)) {}
    (link, inbox)
}

/// What it is given next.
fn given(world: &World, inbox: &mut Inbox) -> (DeliveryId, String) {
    loop {
        if let HubEvent::Deliver(delivery) = world.runtime.block_on(inbox.next())
            && let Event::Message(message) = &delivery.envelope.event
        {
            return (delivery.id, message.id.to_string());
        }
    }
}

#[test]
fn what_another_server_took_for_later_is_done() {
    let world = World::new();
    world.net.wire.up.store(false, Ordering::Release);
    let (mut romeo, juliet) = (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    let (link, mut inbox) = carrier(&world, &DomainPair::between(&romeo.address(), &juliet.address()));
    // More than one connection may have in hand.
    for n in 0..1_200 {
        romeo.write(&juliet.address(), &format!("n{n}"));
    }
    for n in 0..1_200 {
        let (delivery, id) = given(&world, &mut inbox);
        assert_eq!(id, format!("n{n}"));
        link.ack(delivery, Outcome::Accepted.into());
    }
    while !world.net.store.pairs_waiting().unwrap().is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn what_is_in_hand_is_not_overtaken_over_another_connection() {
    let world = World::new();
    world.net.wire.up.store(false, Ordering::Release);
    let (mut romeo, juliet) = (world.net.log_in("romeo", "orchard"), world.com.log_in("juliet", "balcony"));
    let pair = DomainPair::between(&romeo.address(), &juliet.address());
    let (first, mut inbox) = carrier(&world, &pair);
    for n in 0..600 {
        romeo.write(&juliet.address(), &format!("n{n}"));
    }
    for n in 0..512 {
        assert_eq!(given(&world, &mut inbox).1, format!("n{n}"));
    }
    // Others come, the first one goes without an answer, and another that was there takes its place.
    let mut others: Vec<_> = (0..8).map(|_| carrier(&world, &pair)).collect();
    drop(first);
    let heard = |inbox: &mut Inbox| {
        let mut events = Vec::new();
        let _ = inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut events, 1);
        events.pop()
    };
    let mut next = 0;
    while next < 600 {
        for (link, inbox) in &mut others {
            if let Some(HubEvent::Deliver(delivery)) = heard(inbox)
                && let Event::Message(message) = &delivery.envelope.event
            {
                assert_eq!(message.id, format!("n{next}"), "something overtook");
                next += 1;
                link.ack(delivery.id, Outcome::Delivered.into());
            }
        }
    }
}

/// One mailbox for many addressees: its rows are handed out in the order of the record, whoever they are for.
#[test]
fn many_addressees_share_one_way_and_none_is_forgotten() {
    let world = World::new();
    let mut romeo = world.net.log_in("romeo", "orchard");
    world.net.wire.up.store(false, Ordering::Release);
    let nobody = |n: usize| Address::parse(&format!("nobody{n}@example.com")).unwrap();
    for n in 0..2_000 {
        romeo.write(&nobody(n), &format!("n{n}"));
        if n == 1_000 {
            world.net.wire.up.store(true, Ordering::Release);
        }
    }
    // Each is answered, by the other side alone: there is no such user.
    for _ in 0..2_000 {
        romeo.envelope("an answer", |e| matches!(e, Event::Receipt(_)));
    }
    let mut done = 0;
    while !world.net.store.pairs_waiting().unwrap().is_empty() {
        done += 1;
        assert!(done < 200, "rows wait although each was answered");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
