//! What the watch finds, what it does about it, and what it leaves alone.

use model::{
    Address, Dialect, Envelope, EnvelopeId, Event, Hold, MAX_HOPS, Message, Origin, Original, Part, Publish,
    Refusal, Security, Subscribe, Term, Timestamp, Vouch,
};
use outbreak::{Order, Outbreaks, Settings};
use ports::Watch as _;
use std::sync::Arc;
use store::MemoryStore;

const WORM: &str = "lol is this you? http://evil.example/pic.php?id=";

fn person(n: u32) -> Address {
    Address::parse(&format!("u{n}@example.com")).unwrap()
}

fn envelope(from: &Address, to: &Address, at: u64, event: Event) -> Envelope {
    let vouch = match from.domain() {
        "example.com" => Vouch::Account(from.clone()),
        _ => Vouch::Domain(from.to_domain(), model::Proof::Certificate),
    };
    Envelope {
        id: EnvelopeId::default(),
        at: Timestamp(at),
        origin: Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch },
        from: from.clone().into(),
        to: to.clone().into(),
        hops: MAX_HOPS,
        event,
    }
}

fn message(text: &str) -> Event {
    Event::Message(Message {
        parts: vec![Part::text(text.to_owned(), None)],
        lasting: true,
        ..Message::default()
    })
}

struct World {
    store: Arc<MemoryStore>,
    watch: Outbreaks,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self { watch: Outbreaks::open(store.clone(), Settings::default()).unwrap(), store }
    }

    fn send(&self, from: &Address, to: &Address, at: u64, text: &str) -> Result<Option<Hold>, Refusal> {
        self.watch.look(&envelope(from, to, at, message(text)))
    }

    /// One sends to ten in a second. How many passed?
    fn burst(&self, from: u32, to: std::ops::Range<u32>, at: u64, text: impl Fn(u32) -> String) -> usize {
        let passed = to.enumerate().filter(|(i, to)| {
            let sent = self.send(&person(from), &person(*to), at + 100 * *i as u64, &text(*to));
            matches!(sent, Ok(None))
        });
        passed.count()
    }

    fn names(&self, now: u64) -> Vec<String> {
        self.watch.orders(now).iter().map(|(order, _)| order.target.name()).collect()
    }

    /// One begins, two of those who got it send it on at once.
    fn outbreak(&self, text: impl Fn(u32) -> String + Copy) -> usize {
        self.burst(0, 1..51, 0, text)
            + self.burst(1, 100..150, 8_000, text)
            + self.burst(2, 200..250, 9_000, text)
    }
}

fn order(world: &World, kind: &str, what: &str, until: Option<u64>) -> Order {
    let target = world.watch.target(kind, what).unwrap();
    Order { target, since: 0, until, by: "tester".into(), note: String::new(), automatic: false }
}

#[test]
fn what_two_send_on_at_once_is_held_everywhere() {
    let world = World::new();
    assert_eq!(world.outbreak(|_| format!("{WORM}1")), 50 + 50 + 7);
    let names = world.names(9_100);
    assert!(names[0].starts_with("link-"), "{names:?}");
    let other = world.send(
        &person(9),
        &person(8),
        10_000,
        "see HTTP://www.evil.example:80/pic.php?id=1&utm_source=x",
    );
    let hold = other.unwrap().expect("in another spelling, from somebody else");
    assert_eq!(hold.rule, format!("outbreak:{}", names[0]));
    assert_eq!(world.send(&person(9), &person(8), 10_000, "http://evil.example/help"), Ok(None));
}

#[test]
fn links_that_differ_in_a_token_are_one() {
    let world = World::new();
    assert_eq!(world.outbreak(|to| format!("http://evil.example/x{}q7z/pic?u={to}", 100_000 + to)), 107);
    let held = world.send(&person(9), &person(8), 10_000, "http://evil.example/k99k88k/pic?u=zz");
    assert!(held.unwrap().is_some());
}

#[test]
fn a_text_takes_more_people_and_a_file_as_many() {
    let world = World::new();
    let text = |to: u32| {
        format!("Hi u{to}, please forward this warning to all the people in your list today, code {to}")
    };
    assert_eq!(world.outbreak(text), 150);
    assert_eq!(world.burst(3, 300..310, 10_000, text), 10);
    assert_eq!(world.burst(4, 400..410, 11_000, text), 7);

    let world = World::new();
    let file = |from: u32, to: u32, at: u64| {
        let part = Part { mime: "image/png".into(), lang: None, body: vec![7; 5_000].into() };
        let event = Event::Message(Message { parts: vec![part], ..Message::default() });
        world.watch.look(&envelope(&person(from), &person(to), at, event)).unwrap().is_none()
    };
    let passed: usize = [(0, 1, 0), (1, 100, 5_000), (2, 200, 6_000)]
        .iter()
        .map(|(from, first, at)| (0..10).filter(|i| file(*from, first + i, at + u64::from(*i))).count())
        .sum();
    assert_eq!(passed, 10 + 10 + 7);
    // The same content by its hash, as a file is offered (XEP-0300).
    let bytes = b"<iq><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>";
    let digest = <sha2::Sha256 as sha2::Digest>::digest(vec![7; 5_000]);
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    let bytes = [&bytes[..], hash.as_bytes(), b"</hash></file></description></iq>"].concat();
    let original = Original { dialect: Dialect::Xmpp, bytes: bytes.into() };
    let offer = Event::Opaque(model::Opaque { original, wants_answer: true });
    assert!(world.watch.look(&envelope(&person(9), &person(8), 7_000, offer)).unwrap().is_some());
}

#[test]
fn innocent_days_hold_nothing() {
    let world = World::new();
    let link = |_: u32| "All hands today: https://intranet.example.com/all-hands".to_owned();
    // An executive to everybody; managers pass it on by hand, one after another; some at once, but late.
    assert_eq!(world.burst(0, 1..3_000, 0, link), 2_999);
    for manager in 1..30 {
        for i in 0..12 {
            let at = 30_000 + u64::from(manager) * 500 + u64::from(i) * 4_000;
            let to = person(100 * manager + i);
            assert_eq!(world.send(&person(manager), &to, at, &link(0)), Ok(None));
        }
    }
    for late in 40..48 {
        assert_eq!(world.burst(late, 5_000..5_030, 400_000 + u64::from(late) * 15_000, link), 30);
    }
    // A greeting that everybody writes to many at once.
    let greeting = |_: u32| "we wish you and your whole family a happy and healthy new year".to_owned();
    for one in 100..400 {
        assert_eq!(
            world.burst(one, 20 * one..20 * one + 11, 2_000_000 + u64::from(one), greeting),
            11,
            "{one}"
        );
    }
    // Two who talk about one link.
    for i in 0..500 {
        let (a, b) = (person(i % 2), person((i + 1) % 2));
        assert_eq!(world.send(&a, &b, 4_000_000 + u64::from(i), "http://doc.example/a"), Ok(None));
    }
    assert_eq!(world.names(5_000_000), [""; 0]);
}

#[test]
fn whoever_goes_on_is_muted_and_a_partner_is_isolated() {
    let world = World::new();
    world.outbreak(|_| format!("{WORM}1"));
    let infected = person(2);
    assert!(world.names(20_000).contains(&"user:u2@example.com".to_owned()), "{:?}", world.names(20_000));
    let no = world.send(&infected, &person(3), 20_000, "hello").unwrap_err();
    assert_eq!(no.rule.as_deref(), Some("outbreak:user:u2@example.com"));
    // With itself and its own devices it may speak.
    assert_eq!(world.send(&infected, &infected, 20_000, "a note"), Ok(None));
    for n in 0..20 {
        let bot = Address::parse(&format!("bot{n}@acme.example")).unwrap();
        assert!(world.send(&bot, &person(n), 21_000, &format!("{WORM}1")).unwrap().is_some());
    }
    let acme = Address::parse("ceo@acme.example").unwrap();
    assert!(world.send(&acme, &person(3), 22_000, "hello").is_err());
    assert!(world.send(&person(3), &acme, 22_000, "hello").is_err());
    assert_eq!(world.watch.counts().isolated, 1);
    // It ends by itself, an hour after the last that was stopped.
    let later = 22_000 + Settings::default().expire + 1;
    assert_eq!(world.send(&person(3), &acme, later, "hello"), Ok(None));
    assert_eq!(world.send(&infected, &person(3), later, &format!("{WORM}1")), Ok(None));
    assert_eq!(world.names(later), [""; 0]);
}

#[test]
fn what_is_released_passes_and_is_not_found_again() {
    let world = World::new();
    world.outbreak(|_| format!("{WORM}1"));
    let name = world.names(20_000)[0].clone();
    world.watch.release(&name, "tester", 20_000).unwrap();
    world.watch.release("user:u2@example.com", "tester", 20_000).unwrap();
    assert!(world.watch.release(&name, "tester", 20_000).is_err(), "only once");
    let text = |_: u32| format!("{WORM}1");
    let all = [(0, 1), (1, 100), (2, 200), (3, 300), (4, 400)];
    assert!(all.iter().all(|(from, to)| world.burst(*from, *to..*to + 50, 30_000, text) == 50));
}

#[test]
fn what_was_ordered_outlives_the_process() {
    let world = World::new();
    for (kind, what) in [
        ("link", "evil.example/pic.php?id=1"),
        ("user", "U5@example.com"),
        ("partner", "acme.example"),
        ("network", ""),
    ] {
        world.watch.stop(order(&world, kind, what, None)).unwrap();
    }
    world.watch.stop(order(&world, "user", "u6@example.com", Some(1_000))).unwrap();
    let again =
        Outbreaks::open(world.store.clone(), Settings { enabled: false, ..Settings::default() }).unwrap();
    let look = |watch: &Outbreaks, from: u32, text: &str| {
        watch.look(&envelope(&person(from), &person(0), 5_000, message(text)))
    };
    assert!(look(&again, 6, "hello").is_err(), "the network is stopped");
    again.release("network", "tester", 5_000).unwrap();
    assert!(look(&again, 5, "hello").is_err());
    assert_eq!(look(&again, 6, "hello"), Ok(None), "that was until a second after");
    assert!(look(&again, 6, &format!("{WORM}1")).unwrap().is_some());
    assert!(
        again
            .still_passes(
                &envelope(&person(6), &person(0), 0, message(&format!("{WORM}1"))),
                Timestamp(5_000)
            )
            .is_err()
    );
    again.release("user:u5@example.com", "tester", 5_000).unwrap();
    let third = Outbreaks::open(world.store, Settings::default()).unwrap();
    assert_eq!(third.orders(5_000).len(), 2);
    for (kind, what) in
        [("link", "hello"), ("file", "abc"), ("user", "example.com"), ("partner", "a@b"), ("world", "")]
    {
        assert!(third.target(kind, what).is_err(), "{kind} {what}");
    }
}

#[test]
fn statuses_and_requests_carry_links_too() {
    let world = World::new();
    world.watch.stop(order(&world, "link", "evil.example/pic", None)).unwrap();
    let note = Some("look: http://evil.example/pic".to_owned());
    let asks = Event::Subscribe(Subscribe { term: Term::Lasting, note, original: None });
    assert!(world.watch.look(&envelope(&person(1), &person(2), 0, asks)).unwrap().is_some());
    let html =
        Part { mime: "text/html".into(), lang: None, body: "<a href='http://evil.example/pic'>x</a>".into() };
    let html = Event::Message(Message { parts: vec![html], ..Message::default() });
    assert!(world.watch.look(&envelope(&person(1), &person(2), 0, html)).unwrap().is_some());
    let bytes =
        "<message><body>x</body><x xmlns='jabber:x:oob'><url>http://evil.example/pic</url></x></message>"
            .into();
    let original = Some(Original { dialect: Dialect::Xmpp, bytes });
    let oob = Event::Message(Message { original, ..Message::default() });
    assert!(world.watch.look(&envelope(&person(1), &person(2), 0, oob)).unwrap().is_some());
    let status = |note: &str| {
        let mut tuple = model::Tuple::plain(None, model::Basic::Open, Timestamp(0));
        tuple.notes.push((None, note.to_owned()));
        Event::Publish(Publish { key: model::LeaseKey("d".into()), tuples: vec![tuple], secs: None })
    };
    let me = person(1);
    assert!(world.watch.look(&envelope(&me, &me, 0, status("see evil.example/pic"))).unwrap().is_some());
    assert_eq!(world.watch.look(&envelope(&me, &me, 0, status("at lunch"))), Ok(None));
}

/// Acme has two domains and everything below a third.
struct Town;

impl policy::Society for Town {
    fn belonging(&self, who: &Address) -> policy::Belonging {
        let acme =
            matches!(who.domain(), "acme.example" | "acme.test") || who.domain().ends_with(".acme.org");
        policy::Belonging {
            local: who.domain() == "example.com",
            partner: acme.then(|| "acme".into()),
            groups: Vec::new(),
        }
    }
    fn has_group(&self, _: &str) -> bool {
        false
    }
    fn has_partner(&self, name: &str) -> bool {
        name == "acme"
    }
}

#[test]
fn a_partner_is_isolated_with_all_its_domains() {
    let world = World::new();
    world.watch.know_by(Arc::new(Town));
    let someone = |domain: &str| Address::parse(&format!("x@{domain}")).unwrap();
    let theirs = ["acme.example", "acme.test", "eu.acme.org"].map(someone);
    let pass = |watch: &Outbreaks, domain: &Address| {
        let out = watch.look(&envelope(&person(1), domain, 5_000, message("hello")));
        let back = watch.look(&envelope(domain, &person(1), 5_000, message("hello")));
        assert_eq!(out.is_ok(), back.is_ok());
        out.is_ok()
    };
    world.watch.stop(order(&world, "partner", "ACME", None)).unwrap();
    assert!(theirs.iter().all(|one| !pass(&world.watch, one)));
    assert!(pass(&world.watch, &someone("globex.example")));
    assert_eq!(world.names(5_000), ["partner:acme"]);
    let again = Outbreaks::open(world.store.clone(), Settings::default()).unwrap();
    again.know_by(Arc::new(Town));
    assert!(theirs.iter().all(|one| !pass(&again, one)), "it outlives the process");
    again.release("partner:acme", "tester", 5_000).unwrap();
    assert!(theirs.iter().all(|one| pass(&again, one)));
    // One domain alone.
    again.stop(order(&world, "partner", "acme.test", None)).unwrap();
    assert_eq!(theirs.each_ref().map(|one| pass(&again, one)), [true, false, true]);
    let no = again.target("partner", "acne").unwrap_err().to_string();
    assert!(no.contains("is no partner and no domain"), "{no}");
}

#[test]
fn senders_of_all_domains_of_a_partner_isolate_it() {
    let world = World::new();
    world.watch.know_by(Arc::new(Town));
    world.outbreak(|_| format!("{WORM}1"));
    for n in 0..20 {
        let domain = ["acme.example", "acme.test"][n as usize % 2];
        let bot = Address::parse(&format!("bot{n}@{domain}")).unwrap();
        assert!(world.send(&bot, &person(n), 21_000, &format!("{WORM}1")).unwrap().is_some());
    }
    assert!(world.names(22_000).contains(&"partner:acme".to_owned()), "{:?}", world.names(22_000));
    let third = Address::parse("ceo@eu.acme.org").unwrap();
    assert!(world.send(&third, &person(3), 22_000, "hello").is_err());
}

#[test]
fn decoys_hide_no_link() {
    for decoys in [20, 100] {
        let world = World::new();
        let text = |to: u32| {
            let decoys: String = (0..decoys)
                .map(|n| format!("http://d{n}.example/{}/ ", "ab".repeat((to % 40) as usize)))
                .collect();
            format!("{decoys} http:\\\\%65vil。example/pic {}", "words ".repeat((to % 7) as usize))
        };
        world.outbreak(text);
        let held = world.send(&person(9), &person(8), 10_000, "http://evil.example/pic");
        assert!(held.unwrap().is_some(), "{decoys}");
    }
}

#[test]
fn what_waits_does_not_go_to_who_was_isolated_since() {
    let world = World::new();
    world.watch.know_by(Arc::new(Town));
    let theirs = Address::parse("ceo@acme.test").unwrap();
    let waiting = [(person(1), theirs.clone()), (theirs, person(1)), (person(1), person(2))]
        .map(|(from, to)| envelope(&from, &to, 0, message("hello")));
    let pass = || waiting.each_ref().map(|one| world.watch.still_passes(one, Timestamp(10)).is_ok());
    assert_eq!(pass(), [true; 3]);
    world.watch.stop(order(&world, "partner", "acme", None)).unwrap();
    assert_eq!(pass(), [false, false, true]);
}
