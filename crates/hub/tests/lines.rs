//! Lines between two machines, for a call: who gets them, what is heard on them, and how they end.

mod maker;

use hub::{Hub, HubEvent, Inbox, Link};
use maker::next;
use model::{
    Address, Answer, Ask, Call, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, Line, LineNews,
    MAX_HOPS, Origin, Original, Outcome, Reason, Ticket, Timestamp,
};
use std::sync::Arc;
use store::{Accounts as _, MemoryStore};

struct House {
    hub: Arc<Hub>,
    _runtime: tokio::runtime::Runtime,
}

fn address(user: &str) -> Address {
    Address::new(user, "example.net").unwrap()
}

/// The next news of a line; everything else is passed over.
fn news(inbox: &mut Inbox) -> LineNews {
    loop {
        if let HubEvent::Line(news) = next(inbox) {
            return news;
        }
    }
}

fn refused(inbox: &mut Inbox) -> Reason {
    loop {
        if let HubEvent::Settled(_, settlement) = next(inbox) {
            let Outcome::Refused(no) = settlement.outcome else { panic!("{settlement:?}") };
            return no.reason;
        }
    }
}

impl House {
    fn new() -> Self {
        let runtime = maker::runtime(1);
        let inside = runtime.enter();
        let store = Arc::new(MemoryStore::new());
        for user in ["romeo", "juliet"] {
            store.create(&address(user), &[]).unwrap();
        }
        let hub = Hub::open(maker::parts(&store, "example.net")).unwrap();
        drop(inside);
        Self { hub, _runtime: runtime }
    }

    fn bound(&self, dialect: Dialect, user: &str, device: &str) -> (Link, Inbox) {
        let (link, mut inbox) = self.hub.join(dialect);
        let device = Some(Device::new(device).unwrap());
        link.ask(Ticket(1), Ask::Bind { account: address(user), device, attend: Some(0) });
        assert!(matches!(next(&mut inbox), HubEvent::Answer(_, Answer::Bound(_))));
        // What is asked next is answered once it is ready.
        link.ask(Ticket(2), Ask::Claim { key: model::LeaseKey::new("nothing"), owner: address(user) });
        assert!(matches!(next(&mut inbox), HubEvent::Answer(Ticket(2), _)));
        (link, inbox)
    }
}

/// Romeo calls somebody.
fn call(link: &Link, to: Endpoint, wants_answer: bool) {
    let original = Original { dialect: Dialect::Sip, bytes: b"INVITE"[..].into() };
    let envelope = Envelope {
        id: EnvelopeId(7),
        at: Timestamp(0),
        origin: Origin::server(),
        from: address("romeo").into(),
        to,
        hops: MAX_HOPS,
        event: Event::Call(Call { original, opens: true, wants_answer }),
    };
    link.submit(Ticket(9), Box::new(envelope), false);
}

fn calling(inbox: &mut Inbox) -> Vec<Line> {
    let LineNews::Calling(Ticket(9), lines) = news(inbox) else { panic!("no lines") };
    lines
}

fn called(inbox: &mut Inbox) -> (Option<Line>, Endpoint) {
    let LineNews::Called(line, delivery) = news(inbox) else { panic!("no call") };
    assert!(
        matches!(&delivery.envelope.event, Event::Call(call) if call.original.bytes[..] == b"INVITE"[..])
    );
    (line, delivery.device)
}

#[test]
fn every_device_of_the_dialect_has_a_line_of_its_own() {
    let house = House::new();
    let (romeo, mut hears) = house.bound(Dialect::Sip, "romeo", "phone");
    let (desk, mut at_desk) = house.bound(Dialect::Sip, "juliet", "desk");
    let (_mobile, mut at_mobile) = house.bound(Dialect::Sip, "juliet", "mobile");
    let (_xmpp, _) = house.bound(Dialect::Xmpp, "juliet", "balcony");
    call(&romeo, address("juliet").into(), true);
    let lines = calling(&mut hears);
    let (line, device) = called(&mut at_desk);
    let line = line.unwrap();
    assert_eq!((lines.len(), device.device.unwrap().as_str()), (2, "desk"));
    assert!(lines.contains(&line.other()) && called(&mut at_mobile).0 != Some(line));
    desk.say(line, b"180"[..].into());
    assert!(
        matches!(news(&mut hears), LineNews::Said(at, said) if at == line.other() && said[..] == b"180"[..])
    );
    romeo.say(line.other(), b"CANCEL"[..].into());
    assert!(
        matches!(news(&mut at_desk), LineNews::Said(at, said) if at == line && said[..] == b"CANCEL"[..])
    );
    romeo.hang_up(line.other());
    assert!(matches!(news(&mut at_desk), LineNews::Ended(at) if at == line));
}

#[test]
fn only_who_holds_an_end_is_heard_and_who_goes_is_missed() {
    let house = House::new();
    let (romeo, mut hears) = house.bound(Dialect::Sip, "romeo", "phone");
    let (desk, mut at_desk) = house.bound(Dialect::Sip, "juliet", "desk");
    let (mobile, mut at_mobile) = house.bound(Dialect::Sip, "juliet", "mobile");
    let only = Endpoint::full(address("juliet"), Device::new("desk").unwrap());
    call(&romeo, only, true);
    let lines = calling(&mut hears);
    let line = called(&mut at_desk).0.unwrap();
    // Somebody else's phone, and the wrong end.
    mobile.say(line, b"forged"[..].into());
    mobile.hang_up(line);
    desk.say(line.other(), b"forged"[..].into());
    desk.say(line, b"true"[..].into());
    assert!(matches!(news(&mut hears), LineNews::Said(_, said) if said[..] == b"true"[..]));
    drop(desk);
    assert!(matches!(news(&mut hears), LineNews::Ended(at) if lines == [at]));
    // What wants no answer needs no line.
    call(&romeo, address("juliet").into(), false);
    assert_eq!(called(&mut at_mobile).0, None);
}

#[test]
fn who_has_no_such_device_is_not_called() {
    let house = House::new();
    let (romeo, mut hears) = house.bound(Dialect::Sip, "romeo", "phone");
    call(&romeo, address("juliet").into(), true);
    assert_eq!(refused(&mut hears), Reason::Unavailable);
    let (_xmpp, _) = house.bound(Dialect::Xmpp, "juliet", "balcony");
    call(&romeo, address("juliet").into(), true);
    assert_eq!(refused(&mut hears), Reason::Unsupported);
    call(&romeo, address("nobody").into(), true);
    assert_eq!(refused(&mut hears), Reason::NotFound);
}
