//! What transcripts of SIP machines say beside the neutral words; `{len}` is a length, `@digest(...)` a proof.

use crate::words::{self, endpoint, ticket};
use crate::{Clock, Names};
use connector::{Flow, Input, Output, TlsFacts};
use model::{
    Activity, Address, Answer, Authorize, Basic, Certificates, Composing, Credential, Decision, Delivery,
    DeliveryId, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, LeaseKey, Message, Notify, Now,
    Opaque, Origin, Original, Part, PresenceDoc, Role, Subscribe, Term, Timestamp, Tuple, Vouch, Wants,
    WatchState,
};
use sha2::Digest as _;
use std::sync::Arc;

/// An input by its words; `None` where there are none such.
pub fn input(now: Now, text: &str) -> Option<Input<'static>> {
    own(now, text).or_else(|| words::input(text))
}

/// A request of a call, as the hub gives it to a bound device: `LINE|- from > to`.
pub fn called(now: Now, text: &str, request: Vec<u8>) -> Input<'static> {
    let w: Vec<&str> = text.split(' ').collect();
    let line = (w[0] != "-").then(|| model::Line(w[0].parse().expect(text)));
    let original = Original { dialect: Dialect::Sip, bytes: request.into() };
    let opens = !String::from_utf8_lossy(&original.bytes)
        .lines()
        .any(|l| l.starts_with("To:") && l.contains(";tag="));
    let event = Event::Call(model::Call { original, opens, wants_answer: line.is_some() });
    let to = endpoint(w[3]);
    let origin = Origin { dialect: Dialect::Sip, ..Origin::server() };
    let envelope = Envelope {
        id: EnvelopeId(1),
        at: now.wall,
        origin,
        from: endpoint(w[1]),
        to: to.clone(),
        hops: 69,
        event,
    };
    let delivery = Delivery {
        id: DeliveryId(0),
        device: to,
        envelope: Arc::new(envelope),
        role: Role::Primary,
        delayed_since: None,
    };
    Input::Line(model::LineNews::Called(line, delivery))
}

/// An output as a line, or as a block without its end.
pub fn output(output: &Output) -> String {
    words::output(output, shown, |envelope| event(&envelope.event))
}

/// A block as bytes.
pub fn render(block: &[&str], names: &Names) -> Vec<u8> {
    let text = names.fill(&block.join("\r\n"));
    let text: String = text
        .split("\r\n")
        .map(|l| match l.split_once("@digest(") {
            Some((head, args)) => format!("{head}{}", digest(args.trim_end_matches(')'), names)),
            None => l.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\r\n");
    let (head, body) = match text.split_once("\r\n\r\n") {
        Some((h, b)) => (h.to_owned(), b.to_owned()),
        None => (text, String::new()),
    };
    format!("{}\r\n\r\n{body}", head.replace("{len}", &body.len().to_string())).into_bytes()
}

/// `ALGORITHM user password METHOD uri nc`, with the captured {nonce} and {realm}; nc 0 is the form without
/// qop. Behind them may stand the name that another nonce was captured under, and a realm.
fn digest(args: &str, names: &Names) -> String {
    let a: Vec<&str> = args.split(' ').collect();
    let value = |name: &str| names.get(name).expect("a challenge was captured");
    let nonce = value(a.get(6).unwrap_or(&"nonce"));
    let realm = a.get(7).copied().unwrap_or_else(|| value("realm"));
    let ha1 = ha1(a[0], a[1], realm, a[2]);
    let ha2 = hex(a[0], &format!("{}:{}", a[3], a[4]));
    if a[5] == "0" {
        let response = hex(a[0], &format!("{ha1}:{nonce}:{ha2}"));
        return format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", nc=\"00000001\", response=\"{response}\"",
            a[1], a[4]
        );
    }
    let nc = format!("{:0>8}", a[5]);
    let response = hex(a[0], &format!("{ha1}:{nonce}:{nc}:0a4f113b:auth:{ha2}"));
    format!(
        "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", response=\"{response}\", \
         algorithm={}, qop=auth, nc={nc}, cnonce=\"0a4f113b\"",
        a[1], a[4], a[0]
    )
}

/// Bytes as a block.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    // The blank line that ends a head without a body is not written in transcripts.
    format!("\n{}", text.strip_suffix("\n\n").unwrap_or(&text)).trim_end_matches('\n').to_owned()
}

/// The hash of a text, in hex.
pub fn hex(algorithm: &str, data: &str) -> String {
    let to_hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
    match algorithm {
        "MD5" => to_hex(&md5::Md5::digest(data.as_bytes())),
        _ => to_hex(&sha2::Sha256::digest(data.as_bytes())),
    }
}

/// The stored key of a password (RFC 7616 section 3.4.2).
pub fn ha1(algorithm: &str, user: &str, realm: &str, password: &str) -> String {
    hex(algorithm, &format!("{user}:{realm}:{password}"))
}

fn own(now: Now, text: &str) -> Option<Input<'static>> {
    let w: Vec<&str> = text.split(' ').collect();
    match (w[0], w.get(2).copied()) {
        ("answer", Some("ha1")) => {
            let key = Credential::Ha1(ha1(w[3], w[4], w[5], w[6]).into());
            Some(Input::Answer(ticket(w[1]), Answer::Credential(Some(key))))
        }
        ("answer", Some("none")) => Some(Input::Answer(ticket(w[1]), Answer::Credential(None))),
        // With `certificate` the peer showed one.
        ("secured", _) => {
            let shown = Certificates([bytes::Bytes::from_static(b"a certificate")].into());
            let certificates = w.contains(&"certificate").then_some(shown);
            Some(Input::Secured(Flow::ACCEPTED, TlsFacts { certificates, ..TlsFacts::default() }))
        }
        ("deliver", _) => Some(Input::Deliver(delivery(now, text, &w))),
        _ => None,
    }
}

/// `deliver 7 message from > to "text"`, `deliver 7 composing from > to`,
/// `deliver 7 subscribe|granted|denied|opaque from > to`, `deliver 7 notify key|- state presentity [device open|closed activity]`
fn delivery(now: Now, text: &str, w: &[&str]) -> Delivery {
    let id = DeliveryId(w[1].parse().unwrap());
    let (from, to, event) = match w[2] {
        "message" => {
            let quoted = text.split('"').nth(1).expect("quoted text");
            let message = Message {
                id: "m1".into(),
                thread: Some("thread-1".into()),
                parts: vec![Part::text(quoted.to_owned().into_bytes(), None)],
                wants: Wants { delivered: text.ends_with(" receipt"), displayed: false },
                lasting: true,
                ..Message::default()
            };
            (endpoint(w[3]), endpoint(w[5]), Event::Message(message))
        }
        "composing" => {
            let c = Composing { active: true, thread: Some("thread-1".into()), lang: None, original: None };
            (endpoint(w[3]), endpoint(w[5]), Event::Composing(c))
        }
        "receipt" => {
            let r = model::Receipt { of: w[6].into(), kind: model::ReceiptKind::Displayed, original: None };
            (endpoint(w[3]), endpoint(w[5]), Event::Receipt(r))
        }
        "subscribe" => {
            let term = Term::Lease { key: LeaseKey::new("watch"), secs: 3600 };
            (endpoint(w[3]), endpoint(w[5]), Event::Subscribe(Subscribe { term, note: None, original: None }))
        }
        "ask" | "end" | "look" => {
            let term = match w[2] {
                "ask" => Term::Lasting,
                "end" => Term::End,
                _ => Term::Once { key: None },
            };
            (endpoint(w[3]), endpoint(w[5]), Event::Subscribe(Subscribe { term, note: None, original: None }))
        }
        "granted" | "denied" => {
            let decision = if w[2] == "granted" { Decision::Granted } else { Decision::Denied };
            (endpoint(w[3]), endpoint(w[5]), Event::Authorize(Authorize { decision, original: None }))
        }
        "opaque" => {
            let original = Original { dialect: Dialect::Xmpp, bytes: bytes::Bytes::new() };
            (endpoint(w[3]), endpoint(w[5]), Event::Opaque(Opaque { original, wants_answer: false }))
        }
        "notify" => {
            let state = match w[4] {
                "active" => WatchState::Active,
                "pending" => WatchState::Pending,
                "rejected" => WatchState::Rejected,
                _ => WatchState::Expired,
            };
            let presentity = Address::parse(w[5]).unwrap();
            let mut doc = PresenceDoc::empty(presentity.clone());
            if let Some(device) = w.get(6).filter(|word| !word.starts_with("to=")) {
                let basic = if w[7] == "open" { Basic::Open } else { Basic::Closed };
                let mut t = Tuple::plain(Device::new(device).ok(), basic, Timestamp(0));
                t.activity = match w[8] {
                    "away" => Activity::Away,
                    "busy" => Activity::Busy,
                    _ => Activity::Available,
                };
                doc.tuples.push(t);
            }
            let key = (w[3] != "-").then(|| LeaseKey::new(w[3]));
            let notify = Notify { key, state, doc: Arc::new(doc), changed: None, gone: Vec::new() };
            let to = w.iter().find_map(|word| word.strip_prefix("to=")).unwrap_or("romeo@example.net");
            (Endpoint::bare(presentity), endpoint(to), Event::Notify(notify))
        }
        other => panic!("unknown event {other}"),
    };
    let vouch = match text.contains(" by-account") {
        true => Vouch::Account(from.address.clone()),
        false => Vouch::Server,
    };
    let origin = Origin { dialect: Dialect::Xmpp, vouch, ..Origin::server() };
    let envelope =
        Envelope { id: EnvelopeId(1), at: now.wall, origin, from, to: to.clone(), hops: 69, event };
    Delivery {
        id,
        device: to,
        envelope: Arc::new(envelope),
        role: Role::Primary,
        delayed_since: text.contains(" delayed").then_some(Clock::START),
    }
}

fn event(event: &Event) -> String {
    match event {
        Event::Message(m) => format!(
            "message {:?} thread={} wants={}{}",
            m.text().unwrap_or("-"),
            m.thread.as_deref().unwrap_or("-"),
            u8::from(m.wants.delivered),
            u8::from(m.wants.displayed)
        ),
        Event::Composing(c) => format!("composing {}", c.active),
        Event::Receipt(r) => format!("receipt {} {:?}", r.of, r.kind),
        Event::Subscribe(s) => match &s.term {
            Term::Lease { key, secs } => format!("subscribe {} {secs}", key.0),
            Term::Once { key } => format!("look {}", key.as_ref().map_or("-", |k| k.0.as_str())),
            other => format!("{other:?}"),
        },
        Event::Publish(p) => {
            let tuples: String = p
                .tuples
                .iter()
                .map(|t| format!(" [{:?} {:?} {:?}]", t.device, t.basic, t.activity))
                .collect();
            format!("publish {} {:?}{tuples}", p.key.0, p.secs)
        }
        Event::Call(c) => {
            let what = if c.opens { "call" } else { "in-call" };
            format!("{what} {}", words::folded(&c.original.bytes))
        }
        other => other.kind().to_owned(),
    }
}
