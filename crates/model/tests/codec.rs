//! The row format: what is written is read back, and no bytes make the reader panic.

use bytes::Bytes;
use model::codec::{SettledEntry, decode, decode_outcomes, encode_body, encode_head, encode_outcome};
use model::*;
use proptest::prelude::*;

fn envelope(event: Event) -> Envelope {
    let address = |t| Address::parse(t).unwrap();
    Envelope {
        id: EnvelopeId::v7(1_700_000_000_000, 42),
        at: Timestamp(1_700_000_000_000),
        origin: Origin {
            dialect: Dialect::Xmpp,
            security: Security::Tls,
            vouch: Vouch::Account(address("romeo@example.net")),
        },
        from: Endpoint::full(address("romeo@example.net"), Device::new("orchard").unwrap()),
        to: Endpoint::bare(address("juliet@example.com")),
        hops: MAX_HOPS,
        event,
    }
}

fn events() -> Vec<Event> {
    let rendering = b"<message><body>Neither, fair saint</body></message>";
    let original = Some(Original { dialect: Dialect::Xmpp, bytes: Bytes::from_static(rendering) });
    vec![
        Event::Message(Message {
            id: "m1".into(),
            thread: Some("t".into()),
            subject: Some("s".into()),
            lang: Some("cs".into()),
            parts: vec![Part::text("Neither, fair saint", None), Part::text("Ani jeden", Some("cs".into()))],
            wants: Wants { delivered: true, displayed: false },
            lasting: true,
            original: original.clone(),
        }),
        Event::Receipt(Receipt { of: "m1".into(), kind: ReceiptKind::Displayed, original: None }),
        Event::Receipt(Receipt {
            of: "m1".into(),
            kind: ReceiptKind::Failed(Refusal::new(Reason::TooLarge).with_text("too long").by_rule("limits")),
            original: None,
        }),
        Event::Subscribe(Subscribe {
            term: Term::Lasting,
            note: Some("hello".into()),
            original: original.clone(),
        }),
        Event::Authorize(Authorize { decision: Decision::Granted, original: original.clone() }),
        Event::Publish(Publish {
            key: LeaseKey::new(""),
            tuples: vec![
                Tuple {
                    device: Some(Device::new("orchard").unwrap()),
                    basic: Basic::Open,
                    activity: Activity::InMeeting,
                    priority: Some(-128),
                    notes: vec![(Some("cs".into()), "v Mantově".into()), (None, "in Mantua".into())],
                    contact: Some("sip:romeo@192.0.2.1".into()),
                    at: Timestamp::default(),
                    original,
                },
                Tuple { priority: Some(127), ..Tuple::plain(None, Basic::Closed, Timestamp::default()) },
            ],
            secs: None,
        }),
    ]
}

#[test]
fn how_a_server_proved_itself_is_kept() {
    let mut env = envelope(events().swap_remove(1));
    let domain = Address::parse("example.net").unwrap();
    for proof in [Proof::Certificate, Proof::Dialback, Proof::Unsaid] {
        env.origin.vouch = Vouch::Domain(domain.clone(), proof);
        let head = encode_head(&env, &Judgement::default());
        assert_eq!(decode(&head, Some(&encode_body(&env))).unwrap().envelope, env);
    }
}

#[test]
fn envelopes_round_trip() {
    for event in events() {
        let env = envelope(event);
        let refusal = Refusal::new(Reason::Policy).by_rule("consent");
        let (head, body) = (encode_head(&env, &Judgement::refused(refusal.clone())), encode_body(&env));
        let kept = decode(&head, Some(&body)).unwrap();
        assert_eq!(kept.envelope, env);
        assert_eq!(kept.judged, Judgement::refused(refusal));
        let erased = decode(&head, None).unwrap();
        assert!(erased.erased);
        assert_eq!(erased.envelope.from, env.from);
    }
}

#[test]
fn a_text_that_stands_in_the_rendering_is_kept_once() {
    let body = encode_body(&envelope(events().swap_remove(0)));
    let times = |text: &str| body.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
    assert_eq!((times("Neither, fair saint"), times("Ani jeden")), (1, 1));
}

#[test]
fn outcomes_round_trip() {
    let entries = vec![
        SettledEntry { seq: Seq(1), outcome: Outcome::Delivered, losses: vec![] },
        SettledEntry {
            seq: Seq(1 << 40),
            outcome: Outcome::Refused(Refusal::new(Reason::Gone)),
            losses: vec![Loss::changed("xa", "away", Dialect::Xmpp, Dialect::Sip)],
        },
    ];
    let mut bytes = Vec::new();
    for e in &entries {
        encode_outcome(&mut bytes, e.seq, &e.outcome, &e.losses);
    }
    assert_eq!(decode_outcomes(&bytes).unwrap(), entries);
}

proptest! {
    #[test]
    fn no_bytes_panic(head in proptest::collection::vec(any::<u8>(), 0..200), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&head, Some(&body));
        let _ = decode_outcomes(&body);
    }

    #[test]
    fn no_damaged_row_panics(which in 0usize..6, at in 0usize..400, byte in any::<u8>()) {
        let env = envelope(events().swap_remove(which));
        let (mut head, mut body) = (encode_head(&env, &Judgement::default()), encode_body(&env));
        if at < head.len() { head[at] = byte } else if at - head.len() < body.len() { let i = at - head.len(); body[i] = byte }
        let _ = decode(&head, Some(&body));
    }
}
