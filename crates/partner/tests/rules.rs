//! Which rule refuses what, mode by mode and rule by rule.

use model::{
    Address, Composing, Dialect, DomainPair, Envelope, EnvelopeId, Event, Fault, MAX_HOPS, Message, Opaque,
    Origin, Original, Part, Publish, Reason, Receipt, ReceiptKind, Refusal, Security, Subscribe, Term,
    Timestamp, Vouch,
};
use partner::{
    BookError, Feature, Federation, Group, Mode, Partner, Protocol, RouteSecurity, Settings, StaticRoute,
};
use ports::{HopSecurity, Partners};
use std::sync::Arc;
use store::MemoryStore;

/// 15 November 2026, noon.
const NOON: u64 = 1_794_744_000_000;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn federation(mode: Mode) -> Federation {
    let settings = Settings { mode, dialects: vec![Dialect::Xmpp, Dialect::Sip], ..Settings::default() };
    Federation::new([address("example.com")].into(), settings)
}

fn acme(edit: impl FnOnce(&mut Partner)) -> Partner {
    let mut partner = Partner::new("acme", vec!["acme.example".into(), "*.acme.example".into()]);
    edit(&mut partner);
    partner
}

fn envelope(from: &str, to: &str, event: Event) -> Envelope {
    let origin = Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch: Vouch::Nobody };
    let (from, to) = (address(from).into(), address(to).into());
    Envelope { id: EnvelopeId(1), at: Timestamp(NOON), origin, from, to, hops: MAX_HOPS, event }
}

fn text(body: &str) -> Event {
    Event::Message(Message { parts: vec![Part::text(body.to_owned(), None)], ..Message::default() })
}

fn rule(of: Result<(), Refusal>) -> String {
    match of {
        Ok(()) => String::new(),
        Err(refusal) => {
            assert!(refusal.text.is_some(), "in words: {refusal:?}");
            refusal.rule.expect("it names its rule").into()
        }
    }
}

fn passes(federation: &Federation, from: &str, to: &str) -> String {
    rule(federation.permit(&envelope(from, to, text("hi"))))
}

#[test]
fn modes() {
    let (us, them, stranger) = ("juliet@example.com", "romeo@acme.example", "x@stranger.example");
    for (mode, partner, unknown) in [
        (Mode::Off, "federation.mode", "federation.mode"),
        (Mode::Open, "", ""),
        (Mode::Allow, "", "federation.allow"),
        (Mode::Deny, "", ""),
        (Mode::Observe, "", ""),
    ] {
        let federation = federation(mode);
        federation.add_partner(acme(|_| ())).unwrap();
        for (other, expected) in [(them, partner), ("r@a.b.acme.example", partner), (stranger, unknown)] {
            let pair = DomainPair::between(&address(us), &address(other));
            assert_eq!(passes(&federation, us, other), expected, "{mode:?} out {other}");
            assert_eq!(passes(&federation, other, us), expected, "{mode:?} in {other}");
            assert_eq!(rule(federation.routes(&pair).map(drop)), expected, "{mode:?} routes {other}");
        }
        assert_eq!(passes(&federation, us, "romeo@example.com"), "", "our own");
    }
}

#[test]
fn what_is_only_observed_is_noted() {
    let federation = federation(Mode::Observe);
    federation.add_partner(acme(|p| p.features.retain(|f| *f != Feature::Im))).unwrap();
    assert_eq!(passes(&federation, "a@example.com", "b@stranger.example"), "");
    assert_eq!(passes(&federation, "b@stranger.example", "a@example.com"), "");
    assert_eq!(passes(&federation, "a@example.com", "b@acme.example"), "");
    let seen: Vec<_> =
        federation.observed().into_iter().map(|seen| (seen.domain, seen.rule, seen.times)).collect();
    assert_eq!(
        seen,
        [
            ("acme.example".to_owned(), "partner:acme/feature.im".to_owned(), 1),
            ("stranger.example".to_owned(), "federation.allow".to_owned(), 2)
        ]
    );
    // What an administrator decided about one company holds.
    federation.suspend_partner("acme", true).unwrap();
    assert_eq!(passes(&federation, "a@example.com", "b@acme.example"), "partner:acme/suspended");
}

#[test]
fn a_partners_own_rules() {
    type Edit = fn(&mut Partner);
    let rules: [(Edit, &str, &str); 13] = [
        (|_| (), "", ""),
        (|p| p.suspended = true, "suspended", "suspended"),
        (|p| p.denied = true, "denied", "denied"),
        (|p| p.expires = Some("2026-11-15".into()), "", ""),
        (|p| p.expires = Some("2026-11-14".into()), "expired", "expired"),
        (|p| p.protocols = vec![Protocol::Xmpp], "", ""),
        (|p| p.protocols = vec![Protocol::Sip], "", "protocol"),
        (|p| p.local = vec!["juliet@example.com".into()], "", ""),
        (|p| p.local = vec!["*@example.com".into()], "", ""),
        (|p| p.local = vec!["nurse@example.com".into()], "local", "local"),
        (|p| p.remote = vec!["romeo@acme.example".into()], "", ""),
        (|p| p.remote = vec!["*@sales.acme.example".into()], "remote", "remote"),
        (|p| p.limits.message_bytes = 1, "limit.bytes", "limit.bytes"),
    ];
    for (edit, out, back) in rules {
        let federation = federation(Mode::Open);
        federation.add_partner(acme(edit)).unwrap();
        let full = |what: &str| if what.is_empty() { String::new() } else { format!("partner:acme/{what}") };
        assert_eq!(passes(&federation, "juliet@example.com", "romeo@acme.example"), full(out));
        assert_eq!(passes(&federation, "romeo@acme.example", "juliet@example.com"), full(back));
    }
}

#[test]
fn features_are_allowed_one_by_one() {
    let publish = Event::Publish(Publish { tuples: Vec::new(), key: model::LeaseKey::new("k"), secs: None });
    let subscribe = Event::Subscribe(Subscribe { term: Term::Lasting, note: None, original: None });
    let receipt = |kind| Event::Receipt(Receipt { of: "1".into(), kind, original: None });
    let opaque = |xml: &'static str| {
        let original = Original { dialect: Dialect::Xmpp, bytes: xml.into() };
        Event::Opaque(Opaque { original, wants_answer: true })
    };
    let composing = Event::Composing(Composing { active: true, thread: None, lang: None, original: None });
    let original = Original { dialect: Dialect::Sip, bytes: "INVITE".into() };
    let call = Event::Call(model::Call { original, opens: true, wants_answer: true });
    let failed = ReceiptKind::Failed(Refusal::new(model::Reason::NotFound));
    for (event, feature) in [
        (text("hi"), Some(Feature::Im)),
        (publish, Some(Feature::Presence)),
        (subscribe, Some(Feature::Presence)),
        (composing, Some(Feature::Typing)),
        (receipt(ReceiptKind::Delivered), Some(Feature::Receipts)),
        (receipt(failed), None),
        (opaque("<iq><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"), None),
        (opaque("<iq><vCard xmlns='vcard-temp'/></iq>"), Some(Feature::Directory)),
        (opaque("<iq><jingle xmlns='urn:xmpp:jingle:1'/></iq>"), Some(Feature::Calls)),
        (opaque("<message><x xmlns='jabber:x:conference'/></message>"), Some(Feature::Rooms)),
        (call, Some(Feature::Calls)),
    ] {
        for off in Feature::ALL {
            let federation = federation(Mode::Allow);
            federation.add_partner(acme(|p| p.features.retain(|f| *f != off))).unwrap();
            let said = rule(federation.permit(&envelope("a@example.com", "b@acme.example", event.clone())));
            let expected =
                if Some(off) == feature { format!("partner:acme/feature.{off}") } else { String::new() };
            assert_eq!(said, expected, "{event:?} without {off}");
        }
    }
}

#[test]
fn limits_hold_in_each_direction_and_outlive_a_change() {
    let federation = federation(Mode::Allow);
    federation.add_partner(acme(|p| p.limits.messages_per_second = 2)).unwrap();
    let sent = |from: &str, to: &str| (0..20).filter(|_| passes(&federation, from, to).is_empty()).count();
    assert_eq!(sent("a@example.com", "b@acme.example"), 8);
    let mut edited = federation.partner("acme").unwrap();
    edited.contacts = vec!["ops@acme.example".into()];
    federation.edit_partner("acme", edited).unwrap();
    assert_eq!(sent("a@example.com", "b@acme.example"), 0);
    assert_eq!(sent("b@acme.example", "a@example.com"), 8);
    let refusal = federation.permit(&envelope("b@acme.example", "a@example.com", text("x"))).unwrap_err();
    assert_eq!((refusal.fault, refusal.rule.as_deref()), (Fault::Peer, Some("partner:acme/limit.messages")));
    let receipt = Receipt { of: "1".into(), kind: ReceiptKind::Delivered, original: None };
    let receipt = envelope("b@acme.example", "a@example.com", Event::Receipt(receipt));
    assert_eq!(federation.permit(&receipt), Ok(()), "answers are not counted");
}

#[test]
fn bytes_are_counted_for_themselves() {
    let federation = federation(Mode::Allow);
    federation.add_partner(acme(|p| p.limits.bytes_per_second = 100)).unwrap();
    let long = || text("a line of forty characters, more or less");
    let sent = |from: &str, to: &str| {
        (0..20).find_map(|_| federation.permit(&envelope(from, to, long())).err()).expect("a limit")
    };
    for (from, to, fault) in
        [("a@example.com", "b@acme.example", Fault::Server), ("b@acme.example", "a@example.com", Fault::Peer)]
    {
        let refusal = sent(from, to);
        let said = (refusal.fault, refusal.rule.as_deref());
        assert_eq!(said, (fault, Some("partner:acme/limit.rate-bytes")), "{from}");
        let asks = Event::Subscribe(Subscribe { term: Term::Lasting, note: None, original: None });
        assert_eq!(federation.permit(&envelope(from, to, asks)), Ok(()), "what has no bytes still goes");
    }
}

#[test]
fn who_of_ours_may_federate() {
    let federation = federation(Mode::Open);
    let group = |name: &str, members: &[&str]| Group {
        name: name.into(),
        members: members.iter().map(ToString::to_string).collect(),
    };
    federation.add_to_group(group("sales", &["anna@example.com"])).unwrap();
    let settings = Settings {
        mode: Mode::Open,
        who: vec!["sales".into(), "bert@example.com".into(), "carl@example.com".into()],
        except: vec!["carl@example.com".into()],
        ..Settings::default()
    };
    federation.set(settings);
    for (who, may) in [("anna", true), ("bert", true), ("carl", false), ("dora", false)] {
        let expected = if may { "" } else { "federation.who" };
        assert_eq!(passes(&federation, &format!("{who}@example.com"), "x@y.example"), expected, "{who}");
        assert_eq!(passes(&federation, "x@y.example", &format!("{who}@example.com")), expected, "{who}");
    }
    federation.add_to_group(group("Sales", &["dora@example.com"])).unwrap();
    assert_eq!(passes(&federation, "dora@example.com", "x@y.example"), "", "a group grew");
    federation.remove_from_group(group("sales", &["anna@example.com"])).unwrap();
    assert_eq!(passes(&federation, "anna@example.com", "x@y.example"), "federation.who", "and shrank");
    assert!(
        matches!(federation.remove_from_group(group("sales", &[])), Err(BookError::Conflict(_))),
        "it is used"
    );
    assert_eq!(
        passes(&federation, "example.com", "y.example"),
        "",
        "the servers themselves are nobody's people"
    );
}

#[test]
fn who_is_inside_meets_the_world_by_our_rules() {
    let federation = federation(Mode::Allow);
    let inside = Partner { inside: true, ..Partner::new("corp", vec!["corp.example".into()]) };
    federation.add_partner(inside).unwrap();
    let everybody = acme(|_| {});
    federation.add_partner(everybody).unwrap();
    let (carol, anna) = ("carol@corp.example", "anna@acme.example");
    let both = |federation: &Federation, one: &str, other: &str| {
        let there = passes(federation, one, other);
        assert_eq!(there, passes(federation, other, one), "{one} and {other}");
        there
    };
    assert_eq!(both(&federation, carol, anna), "");
    assert_eq!(both(&federation, carol, "juliet@example.com"), "");
    assert_eq!(both(&federation, carol, "x@stranger.example"), "federation.allow");
    // Those outside meet one another here only if both have agreed to that.
    assert_eq!(passes(&federation, anna, "x@stranger.example"), "federation.transit");
    // Whoever is inside is one of ours, and none of another company.
    let who = vec!["dave@corp.example".to_owned()];
    federation.set(Settings { mode: Mode::Allow, who, ..Settings::default() });
    assert_eq!(both(&federation, carol, anna), "federation.who");
    assert_eq!(both(&federation, "dave@corp.example", anna), "");
    assert_eq!(both(&federation, carol, "juliet@example.com"), "");
    federation.suspend_partner("corp", true).unwrap();
    assert_eq!(both(&federation, "dave@corp.example", anna), "partner:corp/suspended");
}

#[test]
fn who_is_refused_hears_it() {
    let federation = federation(Mode::Open);
    federation
        .add_partner(Partner { inside: true, ..Partner::new("corp", vec!["corp.example".into()]) })
        .unwrap();
    federation.add_partner(acme(|p| p.local = vec!["dave@example.com".into()])).unwrap();
    federation
        .add_partner(Partner { denied: true, ..Partner::new("bad", vec!["bad.example".into()]) })
        .unwrap();
    let no = |from: &str, to: &str, vouch: Vouch| {
        let kind = ReceiptKind::Failed(Refusal::new(Reason::Policy));
        let receipt = Event::Receipt(Receipt { of: "1".into(), kind, original: None });
        let mut envelope = envelope(from, to, receipt);
        envelope.origin.vouch = vouch;
        rule(federation.permit(&envelope))
    };
    assert_eq!(passes(&federation, "anna@acme.example", "juliet@example.com"), "partner:acme/local");
    assert_eq!(no("juliet@example.com", "anna@acme.example", Vouch::Server), "", "to somebody elsewhere");
    assert_eq!(no("x@bad.example", "juliet@example.com", Vouch::Server), "", "to one of ours");
    assert_eq!(no("x@bad.example", "carol@corp.example", Vouch::Server), "", "to one inside");
    assert_eq!(no("juliet@example.com", "x@bad.example", Vouch::Server), "partner:bad/denied");
    let theirs = Vouch::Domain(address("bad.example"), model::Proof::Certificate);
    assert_eq!(no("x@bad.example", "juliet@example.com", theirs), "partner:bad/denied", "not ours to say");
}

#[test]
fn ways_to_a_partner() {
    let federation = federation(Mode::Open);
    let route = |host: &str, port, security| StaticRoute {
        protocol: Protocol::Sip,
        host: host.into(),
        port,
        security,
    };
    let partner = acme(|p| {
        p.protocols = vec![Protocol::Sip, Protocol::Xmpp];
        p.trust.insecure = true;
        p.routes = vec![
            route("sip.acme.example", None, RouteSecurity::Usual),
            route("192.0.2.1", Some(5060), RouteSecurity::None),
        ];
    });
    federation.add_partner(partner).unwrap();
    let routes = |remote: &str| {
        let pair = DomainPair::between(&address("example.com"), &address(remote));
        let routes = federation.routes(&pair).unwrap();
        let shown = |r: ports::Route| (r.dialect, r.at.map(|hop| (hop.host, hop.port, hop.security)));
        routes.into_iter().map(shown).collect::<Vec<_>>()
    };
    let hop = |host: &str, port, security| Some((host.to_owned(), port, security));
    assert_eq!(
        routes("acme.example"),
        [
            (Dialect::Sip, hop("sip.acme.example", None, HopSecurity::Usual)),
            (Dialect::Sip, hop("192.0.2.1", Some(5060), HopSecurity::None)),
            (Dialect::Xmpp, None)
        ]
    );
    assert_eq!(routes("else.example"), [(Dialect::Xmpp, None), (Dialect::Sip, None)]);
}

#[test]
fn what_clashes_is_refused_and_what_was_agreed_is_there_after_a_start() {
    let store = Arc::new(MemoryStore::new());
    let open = || {
        let settings = Settings { mode: Mode::Allow, ..Settings::default() };
        Federation::open([address("example.com")].into(), settings, store.clone()).unwrap()
    };
    let federation = open();
    let first = federation.add_partner(acme(|_| ())).unwrap();
    let conflict = |r: Result<Partner, BookError>| assert!(matches!(r, Err(BookError::Conflict(_))), "{r:?}");
    conflict(federation.add_partner(acme(|p| p.domains = vec!["another.example".into()])));
    conflict(federation.add_partner(acme(|p| p.name = "other".into())));
    let bad = |edit: fn(&mut Partner)| federation.add_partner(acme(edit)).unwrap_err().to_string();
    assert!(bad(|p| p.domains = vec!["example.com".into()]).contains("this server's own"));
    assert!(
        bad(|p| {
            p.name = "o".into();
            p.domains = vec!["o.example".into()];
            p.local = vec!["sales".into()]
        })
        .contains("no group \"sales\"")
    );
    let edited =
        federation.edit_partner("acme", Partner { contacts: vec!["x".into()], ..first.clone() }).unwrap();
    assert_eq!(edited.revision, 2);
    conflict(federation.edit_partner("acme", first));
    federation.suspend_partner("acme", true).unwrap();
    // An exact domain beats a wildcard, and the longer wildcard the shorter.
    federation
        .add_partner(Partner::new("lab", vec!["lab.acme.example".into(), "*.lab.acme.example".into()]))
        .unwrap();

    let again = open();
    assert_eq!(again.partners(), federation.partners());
    for (domain, owner) in [
        ("acme.example", "acme"),
        ("sales.acme.example", "acme"),
        ("lab.acme.example", "lab"),
        ("x.y.lab.acme.example", "lab"),
    ] {
        assert_eq!(again.partner(domain).unwrap().name, owner, "{domain}");
    }
    again.remove_partner("acme").unwrap();
    assert!(matches!(again.partner("sales.acme.example"), Err(BookError::Missing(_))));
    assert!(matches!(again.remove_partner("acme"), Err(BookError::Missing(_))));
    assert_eq!(open().partners().len(), 1);
}
