//! The guard as the hub asks it, with time from outside.

use model::*;
use ports::{Ruling, Spim, Standing};
use spim::{Act, Answer, Block, Greylist, Guard, ListSettings, ListSource, Settings};
use std::sync::{Arc, Mutex};
use store::MemoryStore;

const MINUTE: u64 = 60_000;
const ABROAD: Standing = Standing { ours: false, to_ours: true, acquainted: false, agreed: false };
const HERE: Standing = Standing { ours: true, to_ours: false, acquainted: true, agreed: false };

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn message(from: &str, to: &str, at: u64, text: &str) -> Envelope {
    Envelope {
        id: EnvelopeId(1),
        at: Timestamp(at),
        origin: Origin {
            dialect: Dialect::Sip,
            security: Security::Tls,
            vouch: Vouch::Domain(address(from).to_domain(), model::Proof::Certificate),
        },
        from: address(from).into(),
        to: address(to).into(),
        hops: MAX_HOPS,
        event: Event::Message(Message {
            parts: vec![Part::text(text.to_owned(), None)],
            lasting: true,
            ..Message::default()
        }),
    }
}

fn guard(settings: Settings) -> Guard {
    Guard::open(Arc::new(MemoryStore::new()), settings).unwrap()
}

/// What becomes of what a stranger sends to somebody of ours.
fn sent(guard: &Guard, from: &str, to: &str, at: u64, text: &str) -> String {
    told(guard.look(&message(from, &format!("{to}@example.com"), at, text), ABROAD))
}

fn told(ruling: Ruling) -> String {
    match ruling {
        Ruling::Pass => "passes".to_owned(),
        Ruling::Refuse(refusal) => refusal.rule.unwrap().to_string(),
        Ruling::Drop(refusal) => format!("silently {}", refusal.rule.unwrap()),
        Ruling::Hold(hold) => format!("held {}", hold.rule),
    }
}

#[test]
fn links_wait_for_somebody_here_to_speak() {
    let guard = guard(Settings::default());
    let stranger = "mallory@evil.example";
    assert_eq!(sent(&guard, stranger, "romeo", 0, "hello"), "passes");
    assert_eq!(sent(&guard, stranger, "romeo", 0, "https://evil.example"), "spim:link");
    let link = message(stranger, "romeo@example.com", 0, "https://evil.example");
    for standing in [Standing { acquainted: true, ..ABROAD }, Standing { agreed: true, ..ABROAD }] {
        assert_eq!(told(guard.look(&link, standing)), "passes", "{standing:?}");
    }
    guard.look(&message("romeo@example.com", stranger, 0, "who is there?"), HERE);
    assert_eq!(sent(&guard, stranger, "romeo", 0, "https://evil.example"), "passes");
    assert_eq!(sent(&guard, stranger, "juliet", 0, "https://evil.example"), "spim:link");
    // What only passes through us, and what colleagues say, is nobody's business.
    let through = Standing { to_ours: false, ..ABROAD };
    assert_eq!(
        told(guard.look(&message(stranger, "a@other.example", 0, "http://x.example"), through)),
        "passes"
    );
    let colleague = message("juliet@example.com", "romeo@example.com", 0, "http://x.example");
    let both = Standing { ours: true, acquainted: false, ..ABROAD };
    assert_eq!(told(guard.look(&colleague, both)), "passes");
    guard.set(Settings { colleagues: true, ..Settings::default() });
    assert_eq!(told(guard.look(&colleague, both)), "spim:link");
    guard.set(Settings { enabled: false, ..Settings::default() });
    assert_eq!(sent(&guard, stranger, "juliet", 0, "https://evil.example"), "passes");
}

#[test]
fn nobody_reports_on_what_was_never_sent() {
    let guard = guard(Settings::default());
    let report = |text: Option<&str>| {
        let mut report = message("mallory@evil.example", "romeo@example.com", 0, "");
        let mut why = Refusal::new(Reason::Gone);
        why.text = text.map(Into::into);
        let kind = ReceiptKind::Failed(why);
        report.event = Event::Receipt(Receipt { of: "m1".into(), kind, original: None });
        report
    };
    assert_eq!(told(guard.look(&report(Some("buy now")), ABROAD)), "spim:unasked");
    assert_eq!(told(guard.look(&report(None), ABROAD)), "passes");
    guard.look(&message("romeo@example.com", "mallory@evil.example", 0, "who is there?"), HERE);
    assert_eq!(told(guard.look(&report(Some("moved")), ABROAD)), "passes");
}

#[test]
fn one_who_writes_to_everybody_leaves_the_others_theirs() {
    let guard = guard(Settings { sender_contacts: 3, domain_contacts: 6, ..Settings::default() });
    let to = |from: &str, n: usize, at| sent(&guard, from, &format!("user{n}"), at, "hello");
    let loud: Vec<_> = (0..20).map(|n| to("loud@evil.example", n, 0)).collect();
    assert_eq!(loud.iter().filter(|end| *end == "passes").count(), 3);
    assert_eq!(to("loud@evil.example", 1, 0), "passes", "whom it has written to already");
    assert_eq!((0..3).map(|n| to("quiet@evil.example", n, 0)).collect::<Vec<_>>(), ["passes"; 3]);
    assert_eq!(to("third@evil.example", 0, 0), "spim:rate", "the domain's are used up");
    assert_eq!(to("third@good.example", 0, 0), "passes");
    assert_eq!(to("loud@evil.example", 10, 20 * MINUTE), "passes");
    assert_eq!(to("loud@evil.example", 11, 20 * MINUTE), "spim:rate");
}

#[test]
fn a_greylist_makes_newcomers_wait() {
    let settings = Settings { greylist: Greylist::Refuse, greylist_for: 5 * MINUTE, ..Settings::default() };
    let guard = guard(settings.clone());
    let from = "new@new.example";
    assert_eq!(sent(&guard, from, "romeo", 0, "hello"), "spim:greylist");
    assert_eq!(sent(&guard, from, "romeo", 4 * MINUTE, "hello"), "spim:greylist");
    assert_eq!(sent(&guard, from, "romeo", 5 * MINUTE, "hello"), "passes");
    assert_eq!(sent(&guard, from, "romeo", 6 * MINUTE, "hello"), "passes");
    // A domain that somebody here writes to is known.
    guard.look(&message("juliet@example.com", "b@known.example", 0, "hello"), HERE);
    assert_eq!(sent(&guard, "a@known.example", "romeo", 0, "hello"), "passes");
    // Held, until the time is over or the addressee speaks.
    let done = Arc::new(Mutex::new(Vec::new()));
    let hear = done.clone();
    guard.act_by(move |act| hear.lock().unwrap().push(act));
    let settings = Settings { greylist: Greylist::Hold, ..settings };
    guard.set(settings.clone());
    for (n, from) in [(1, "a@one.example"), (2, "a@two.example")] {
        let held = message(from, "romeo@example.com", 0, "hello");
        let Ruling::Hold(hold) = guard.look(&held, ABROAD) else { panic!() };
        guard.held(&held, &hold, Seq(n));
    }
    guard.look(&message("romeo@example.com", "a@two.example", 1, "hello"), HERE);
    guard.look_around(5 * MINUTE - 1);
    assert_eq!(std::mem::take(&mut *done.lock().unwrap()), [Act::Release(vec![Seq(2)])]);
    // Others of the same pair wait with it, and use up nothing more of what a stranger may.
    guard.set(Settings { sender_contacts: 1, ..settings });
    assert_eq!(sent(&guard, "a@one.example", "romeo", 1, "again"), "held spim:greylist");
    guard.look_around(5 * MINUTE);
    assert_eq!(*done.lock().unwrap(), [Act::Release(vec![Seq(1)])]);
    assert_eq!(sent(&guard, "a@one.example", "romeo", 6 * MINUTE, "and again"), "passes", "it has waited");
}

#[test]
fn what_is_held_of_one_sender_is_bounded() {
    let guard = guard(Settings { links: Some(Answer::Hold), ..Settings::default() });
    let ends: Vec<_> =
        (0..30).map(|_| sent(&guard, "m@evil.example", "romeo", 0, "www.evil.example/x")).collect();
    assert_eq!(ends.iter().filter(|end| *end == "held spim:link").count(), 20);
    assert_eq!(ends[25], "spim:link");
    assert_eq!(sent(&guard, "n@evil.example", "romeo", 0, "www.evil.example/x"), "held spim:link");
}

#[test]
fn lists_reports_and_blocks() {
    let dir = std::env::temp_dir().join(format!("rialto-spim-{}", std::process::id()));
    std::fs::write(&dir, "evil.test\n").unwrap();
    let list =
        ListSettings { name: "bad".into(), source: ListSource::File(dir.clone()), answer: Answer::Drop };
    let store = Arc::new(MemoryStore::new());
    let settings = Settings { lists: vec![list], ..Settings::default() };
    let guard = Guard::open(store.clone(), settings.clone()).unwrap();
    assert_eq!(sent(&guard, "a@evil.test", "romeo", 0, "hello"), "silently spim:list.bad");
    std::fs::remove_file(&dir).unwrap();
    guard.look_around(0);
    assert_eq!(
        sent(&guard, "a@evil.test", "romeo", 0, "hello"),
        "silently spim:list.bad",
        "what it said holds"
    );
    // Five people, and it is clear; a week later it is not.
    let bad = address("m@bad.example");
    for n in 0..5 {
        assert_eq!(sent(&guard, bad.as_str(), "romeo", 0, "hello"), "passes");
        assert!(guard.report(&address(&format!("user{n}@example.com")), &bad, 0));
    }
    assert_eq!(sent(&guard, bad.as_str(), "romeo", 0, "hello"), "spim:reputation");
    guard.write_down(100, 0);
    let again = Guard::open(store.clone(), settings.clone()).unwrap();
    assert_eq!(sent(&again, bad.as_str(), "romeo", 0, "hello"), "spim:reputation");
    assert_eq!(sent(&again, bad.as_str(), "romeo", 8 * 24 * 60 * MINUTE, "hello"), "passes");
    assert_eq!(again.forgive("M@bad.example").unwrap(), "m@bad.example");
    assert_eq!(sent(&again, bad.as_str(), "romeo", 0, "hello"), "passes");
    // An administrator's word holds for everybody, known or not, and for what waits.
    let block =
        Block { who: "Bad.Example".into(), since: 0, until: Some(100), by: "me".into(), note: String::new() };
    again.block(block).unwrap();
    let known = Standing { acquainted: true, ..ABROAD };
    let hello = message(bad.as_str(), "romeo@example.com", 0, "hello");
    assert_eq!(told(again.look(&hello, known)), "spim:blocked");
    assert!(again.still_passes(&hello, Timestamp(99)).is_err());
    assert!(again.still_passes(&hello, Timestamp(100)).is_ok());
    let third = Guard::open(store, settings).unwrap();
    assert_eq!(told(third.look(&hello, known)), "spim:blocked", "also after a restart");
    assert!(third.forgive("nobody@example.org").is_err());
}

#[test]
fn findings_count_against_those_who_send_them() {
    let guard = guard(Settings::default());
    let envelope = message("m@evil.example", "romeo@example.com", 0, "x");
    let refused = |rule: &str| Outcome::Refused(Refusal::new(Reason::Policy).by_rule(rule));
    guard.stopped(&envelope, &refused("hygiene:list.x"));
    guard.stopped(&envelope, &refused("rule:no-cars"));
    guard.held(&envelope, &Hold { rule: "outbreak:link-1".into(), text: None }, Seq(1));
    let party = guard.show("m@evil.example", 0).unwrap();
    assert_eq!((party.score, party.record.refused, party.record.held), (-3.0, 1, 1));
    assert!(guard.show("not one", 0).is_err());
}
