//! Rows in words: everything but the content, unless asked for.

use bytes::Bytes;
use model::codec::{encode_body, encode_head, encode_outcome};
use model::{
    Address, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, Loss, Message, Origin, Outcome, Part,
    Reason, Refusal, Security, Seq, Timestamp, Vouch,
};
use record::describe;
use store::{Row, RowKind};

fn row(kind: RowKind, head: Vec<u8>, body: Option<Vec<u8>>) -> Row {
    Row {
        seq: Seq(12),
        at: Timestamp(1_794_744_000_000),
        kind,
        conversation: 3,
        conversation_seq: 4,
        conversation_prev: [0; 32],
        prev: [0; 32],
        link: [0; 32],
        body_digest: [0; 32],
        salt: None,
        head: head.into(),
        body: body.map(Into::into),
    }
}

fn envelope(security: Security) -> Envelope {
    let romeo = Address::parse("romeo@example.net").unwrap();
    Envelope {
        id: EnvelopeId(7),
        at: Timestamp(1_794_744_000_000),
        origin: Origin { dialect: Dialect::Sip, security, vouch: Vouch::Account(romeo.clone()) },
        from: Endpoint::full(romeo, Device::new("phone").unwrap()),
        to: Address::parse("juliet@example.com").unwrap().into(),
        hops: 70,
        event: Event::Message(Message {
            subject: Some("Balcony".into()),
            parts: vec![Part::text(Bytes::from("two\nlines"), None)],
            ..Message::default()
        }),
    }
}

#[test]
fn envelopes() {
    let kept = envelope(Security::Tls);
    let good =
        row(RowKind::Envelope, encode_head(&kept, &model::Judgement::default()), Some(encode_body(&kept)));
    let line = "12 2026-11-15T12:00:00.000Z sip message romeo@example.net/phone > juliet@example.com kept \
                (4 of conversation 3) 00000000-0000-0000-0000-000000000007";
    assert_eq!(describe(&good, false), line);
    assert_eq!(describe(&good, true), format!("{line} [Balcony] \"two\\nlines\""));

    let clear = envelope(Security::Plain);
    let refusal = Refusal::new(Reason::Policy).with_text("secret words").by_rule("wall");
    let line = describe(
        &row(RowKind::Envelope, encode_head(&clear, &model::Judgement::refused(refusal)), None),
        true,
    );
    assert!(line.contains("sip, in clear message"), "{line}");
    assert!(line.contains("refused: policy by wall (4 of conversation 3, content erased)"), "{line}");
    assert!(!line.contains("secret words") && !line.contains("Balcony"), "{line}");
}

#[test]
fn other_rows() {
    let mut head = Vec::new();
    encode_outcome(
        &mut head,
        Seq(10),
        &Outcome::Delivered,
        &[Loss::dropped("html", Dialect::Xmpp, Dialect::Sip)],
    );
    for n in 11..=20 {
        encode_outcome(&mut head, Seq(n), &Outcome::Refused(Refusal::new(Reason::NotFound)), &[]);
    }
    let line = describe(&row(RowKind::Outcomes, head, None), false);
    assert!(
        line.ends_with(
            "outcomes 10:delivered[1 lost] 11:refused(not-found) 12:refused(not-found) \
        13:refused(not-found) 14:refused(not-found) 15:refused(not-found) 16:refused(not-found) \
        17:refused(not-found) and 3 more"
        ),
        "{line}"
    );
    let act = record::Act::done("user.add", "uid 0 (root)").on("juliet\n@example.com");
    let head = serde_json::to_vec(&act).unwrap();
    let told = describe(&row(RowKind::Admin, head, None), false);
    assert!(told.ends_with("admin user.add juliet @example.com by uid 0 (root): done"), "{told}");
    // Damage is described, not met with a panic.
    for kind in [RowKind::Envelope, RowKind::Outcomes, RowKind::Admin] {
        describe(&row(kind, vec![255; 9], Some(vec![255])), true);
        describe(&row(kind, vec![], None), true);
    }
}
