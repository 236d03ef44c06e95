//! What transcripts of XMPP connections say beside the neutral words.

use crate::words::{self, endpoint};
use bytes::Bytes;
use connector::{Flow, Input, Output, TlsFacts};
use model::{
    Activity, Authorize, Basic, Certificates, Composing, Decision, Delivery, DeliveryId, Dialect, Endpoint,
    Envelope, EnvelopeId, Event, LeaseKey, Message, Notify, Opaque, Origin, Original, Part, PresenceDoc,
    Reason, Receipt, ReceiptKind, Refusal, Role, Security, Subscribe, Term, Timestamp, Tuple, Vouch, Wants,
    WatchState,
};
use std::sync::Arc;

/// An input by its words; `None` where there are none such.
pub fn input(text: &str) -> Option<Input<'static>> {
    own(text).or_else(|| words::input(text))
}

/// An output as a line.
pub fn output(output: &Output) -> String {
    let text = words::output(
        output,
        |bytes| format!(" {}", String::from_utf8_lossy(bytes).replace('\n', "\\n")),
        |envelope| format!("{} {}", envelope.event.kind(), detail(&envelope.event)),
    );
    text.trim_end_matches(" (no outcome)").trim_end().to_owned()
}

fn own(text: &str) -> Option<Input<'static>> {
    let words: Vec<&str> = text.splitn(5, ' ').collect();
    match words[0] {
        "secured" => Some(Input::Secured(
            Flow::ACCEPTED,
            TlsFacts {
                server_name: None,
                exporter: (words.get(1) == Some(&"1.3")).then_some([5; 32]),
                server_end_point: Some(Bytes::from_static(b"hash of the certificate")),
                certificates: words
                    .contains(&"certificate")
                    .then(|| Certificates([Bytes::from_static(b"a certificate")].into())),
            },
        )),
        "deliver" | "carbon" | "late" => {
            let (id, from, to) = (words[1], words[2], words[3]);
            Some(Input::Deliver(Delivery {
                id: DeliveryId(id.parse().unwrap()),
                device: device(endpoint(to)),
                envelope: Arc::new(envelope(from, to, words.get(4).unwrap_or(&""))),
                role: if words[0] == "carbon" { Role::Copy } else { Role::Primary },
                delayed_since: (words[0] == "late").then_some(Timestamp(1_600_000_000_000)),
            }))
        }
        // A connection that carries for a pair of domains: which, from whom, to whom, what.
        "carry" | "carry-late" => {
            let (what, rest) = words[4].split_once(' ').unwrap_or((words[4], ""));
            Some(Input::Deliver(Delivery {
                id: DeliveryId(words[1].parse().unwrap()),
                device: endpoint(words[2]),
                envelope: Arc::new(envelope(words[3], what, rest)),
                role: Role::Primary,
                delayed_since: (words[0] == "carry-late").then_some(Timestamp(1_600_000_000_000)),
            }))
        }
        _ => None,
    }
}

/// The device that an envelope is handed to: the one it names, or the one of `% session`.
fn device(to: Endpoint) -> Endpoint {
    match to.device {
        Some(_) => to,
        None => endpoint("juliet@example.com/balcony"),
    }
}

/// An envelope of the SIP door, or (`xml ...`) of our own.
fn envelope(from: &str, to: &str, what: &str) -> Envelope {
    let (kind, rest) = what.split_once(' ').unwrap_or((what, ""));
    let original = Original { dialect: Dialect::Xmpp, bytes: Bytes::copy_from_slice(rest.as_bytes()) };
    let presentity = endpoint(from).address;
    let notify = |state, tuples| {
        let doc = Arc::new(PresenceDoc { presentity: presentity.clone(), tuples });
        Event::Notify(Notify { key: None, state, doc, changed: None, gone: Vec::new() })
    };
    let mut tuple = Tuple::plain(endpoint(from).device, Basic::Open, Timestamp(0));
    tuple.activity = Activity::OnThePhone;
    let event = match kind {
        "xml" => Event::Message(Message { original: Some(original), ..Message::default() }),
        "opaque" => Event::Opaque(Opaque { original, wants_answer: false }),
        "text" => Event::Message(Message {
            parts: vec![Part::text(rest.to_owned(), None)],
            wants: Wants { delivered: true, displayed: false },
            ..Message::default()
        }),
        "typing" => Event::Composing(Composing { active: true, thread: None, lang: None, original: None }),
        "received" => {
            Event::Receipt(Receipt { of: rest.into(), kind: ReceiptKind::Delivered, original: None })
        }
        "failed" => {
            let kind = ReceiptKind::Failed(Refusal::new(Reason::Unavailable));
            Event::Receipt(Receipt { of: rest.into(), kind, original: None })
        }
        "subscribe" => {
            let term = Term::Lease { key: LeaseKey::new("sip-dialog:1"), secs: 3600 };
            Event::Subscribe(Subscribe { term, note: None, original: None })
        }
        "probe" => Event::Subscribe(Subscribe { term: Term::Once { key: None }, note: None, original: None }),
        "granted" => Event::Authorize(Authorize { decision: Decision::Granted, original: None }),
        "denied" => Event::Authorize(Authorize { decision: Decision::Denied, original: None }),
        "open" => notify(WatchState::Active, vec![tuple]),
        "offline" => notify(WatchState::Active, Vec::new()),
        "pending" => notify(WatchState::Pending, Vec::new()),
        other => panic!("unknown event {other}"),
    };
    Envelope {
        id: EnvelopeId(0x0123_4567_89ab_7def_8123_4567_89ab_cdef),
        at: Timestamp(0),
        origin: Origin { dialect: Dialect::Sip, security: Security::Tls, vouch: Vouch::Nobody },
        from: endpoint(from),
        to: endpoint(to),
        hops: 70,
        event,
    }
}

fn original(original: &Option<Original>) -> String {
    original.as_ref().map(|o| String::from_utf8_lossy(&o.bytes).into_owned()).unwrap_or_default()
}

fn detail(event: &Event) -> String {
    match event {
        Event::Message(m) => {
            format!("{:?} lasting={} {}", m.text().unwrap_or(""), m.lasting, original(&m.original))
        }
        Event::Receipt(r) => format!("{} {:?}", r.of, r.kind),
        Event::Composing(c) => format!("active={}", c.active),
        Event::Publish(p) => p
            .tuples
            .iter()
            .map(|t| {
                format!(
                    "{:?} {:?} {:?} {:?} {}",
                    t.basic,
                    t.activity,
                    t.priority,
                    t.notes,
                    original(&t.original)
                )
            })
            .collect(),
        Event::Subscribe(s) => format!("{:?} {:?} {}", s.term, s.note, original(&s.original)),
        Event::Authorize(a) => format!("{:?} {}", a.decision, original(&a.original)),
        Event::Opaque(o) => {
            format!("wants_answer={} {}", o.wants_answer, String::from_utf8_lossy(&o.original.bytes))
        }
        Event::Notify(_) | Event::Call(_) => String::new(),
    }
}
