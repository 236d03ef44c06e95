//! Random conversations between a peer, a hub and the clock: nothing panics, every delivery is acknowledged at most
//! once, and the machine comes to rest.

#[allow(dead_code)]
mod player;

use std::collections::BTreeMap;
use std::sync::Arc;

use connector::{Flow, Input, Machine, Output};
use model::{
    Address, Answer, Credential, Delivery, DeliveryId, Device, Endpoint, Envelope, EnvelopeId, Event,
    LeaseKey, Message, Notify, Now, Origin, Outcome, Part, PresenceDoc, Reason, Refusal, Role, Ticket,
    Timestamp, WatchState,
};
use proptest::prelude::*;

struct World {
    machine: Box<dyn Machine>,
    udp: bool,
    now: Now,
    open: Vec<(Ticket, bool)>,
    requests: Vec<String>,
    leases: Vec<LeaseKey>,
    acks: BTreeMap<u64, u32>,
    nonce: String,
    step: u32,
}

impl World {
    fn give(&mut self, input: Input<'_>) {
        self.machine.handle(self.now, input);
        while let Some(o) = self.machine.poll() {
            match o {
                Output::Ask { ticket, .. } => self.open.push((ticket, true)),
                Output::Submit { ticket, .. } => self.open.push((ticket, false)),
                Output::Lease { key, .. } => self.leases.push(key),
                Output::Ack(id, _) => *self.acks.entry(id.0).or_default() += 1,
                Output::Bytes(_, b) | Output::Datagram(_, b) => {
                    let text = String::from_utf8(b.to_vec()).expect("what we write is text here");
                    assert!(!text.contains("secret"));
                    if let Some(n) = text.split("nonce=\"").nth(1).and_then(|t| t.split('"').next()) {
                        self.nonce = n.to_owned();
                    }
                    if !text.starts_with("SIP/2.0") && text.len() > 2 {
                        self.requests.push(text);
                    }
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, text: &str) {
        let bytes = text.replace('\n', "\r\n").into_bytes();
        if self.udp {
            self.give(Input::Datagram("192.0.2.1:5060".parse().unwrap(), &bytes));
        } else {
            self.give(Input::Bytes(Flow::ACCEPTED, &bytes));
        }
    }

    fn act(&mut self, kind: u8, a: u8, b: u8) {
        self.step += 1;
        let n = self.step;
        match kind {
            0..=5 => {
                let method =
                    ["REGISTER", "MESSAGE", "SUBSCRIBE", "PUBLISH", "INVITE", "OPTIONS"][usize::from(kind)];
                let target = if method == "REGISTER" { "sip:example.net" } else { "sip:romeo@example.net" };
                let ha1 = player::ha1("MD5", "romeo", "example.net", "secret");
                let ha2 = player::hex("MD5", &format!("{method}:{target}"));
                let response = player::hex("MD5", &format!("{ha1}:{}:{n:08x}:c:auth:{ha2}", self.nonce));
                let body = if method == "PUBLISH" {
                    "<presence><tuple id=\"x\"><status/></tuple></presence>"
                } else {
                    "hello"
                };
                let mime = if method == "PUBLISH" { "application/pidf+xml" } else { "text/plain" };
                let to_tag = if b.is_multiple_of(4) { ";tag=zz" } else { "" };
                let text = format!(
                    "{method} {target} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{}\nMax-Forwards: {}\n\
                     From: <sip:romeo@example.net>;tag=1\nTo: <sip:romeo@example.net>{to_tag}\nCall-ID: {}\nCSeq: {n} {method}\n\
                     Contact: <sip:romeo@192.0.2.{}>\nExpires: {}\nEvent: presence\nContent-Type: {mime}\n\
                     Authorization: Digest username=\"romeo\", realm=\"example.net\", nonce=\"{}\", uri=\"{target}\", \
                     response=\"{response}\", qop=auth, nc={n:08x}, cnonce=\"c\"\nContent-Length: {}\n\n{body}",
                    if a.is_multiple_of(8) { 1 } else { n },
                    a,
                    a % 4,
                    a % 6,
                    [0u32, 60, 120, 30, 3600][usize::from(b % 5)],
                    self.nonce,
                    body.len(),
                );
                self.send(&text);
            }
            6 | 7 if !self.open.is_empty() => {
                let (ticket, ask) = self.open.swap_remove(usize::from(a) % self.open.len());
                if ask {
                    let device = Endpoint::full(romeo(), Device::new(&format!("d{}", b % 3)).unwrap());
                    let ha1 = player::ha1("MD5", "romeo", "example.net", "secret");
                    let answer = match b % 5 {
                        0 => Answer::Bound(device),
                        1 => Answer::Claimed(None),
                        2 => Answer::Refused(Refusal::new(Reason::Internal)),
                        3 => Answer::Credential(None),
                        _ => Answer::Credential(Some(Credential::Ha1(ha1.into()))),
                    };
                    self.give(Input::Answer(ticket, answer));
                } else {
                    let outcome = match b % 4 {
                        0 => Outcome::Delivered,
                        1 => Outcome::Pending,
                        2 => Outcome::Unknown,
                        _ => Outcome::Refused(Refusal::new(Reason::ALL[usize::from(a) % 21])),
                    };
                    self.give(Input::Settled(ticket, outcome.into()));
                }
            }
            8 if !self.requests.is_empty() => {
                let request = self.requests.swap_remove(usize::from(a) % self.requests.len());
                let keep = |l: &&str| {
                    ["Via", "From", "To", "Call-ID", "CSeq"].iter().any(|h| l.starts_with(&format!("{h}:")))
                };
                let head: Vec<&str> = request.lines().take_while(|l| !l.is_empty()).filter(keep).collect();
                let status = [200, 202, 100, 404, 415, 481, 503][usize::from(b % 7)];
                self.send(&format!("SIP/2.0 {status} X\n{}\nContent-Length: 0\n\n", head.join("\n")));
            }
            9 => {
                let event = if b.is_multiple_of(2) || self.leases.is_empty() {
                    Event::Message(Message { parts: vec![Part::text("hi", None)], ..Message::default() })
                } else {
                    let key = Some(self.leases[usize::from(a) % self.leases.len()].clone());
                    let state =
                        [WatchState::Active, WatchState::Pending, WatchState::Rejected, WatchState::Expired]
                            [usize::from(b % 4)];
                    let doc = Arc::new(PresenceDoc::empty(romeo()));
                    Event::Notify(Notify { key, state, doc, changed: None, gone: Vec::new() })
                };
                let device = Endpoint::full(romeo(), Device::new(&format!("d{}", a % 3)).unwrap());
                let envelope = Envelope {
                    id: EnvelopeId(u128::from(n)),
                    at: self.now.wall,
                    origin: Origin::server(),
                    from: Endpoint::bare(romeo()),
                    to: device.clone(),
                    hops: 5,
                    event,
                };
                self.give(Input::Deliver(Delivery {
                    id: DeliveryId(u64::from(n)),
                    device,
                    envelope: Arc::new(envelope),
                    role: Role::Primary,
                    delayed_since: None,
                }));
            }
            _ => {
                let end = self.now.tick.0 + u64::from(a) * u64::from(b) * 10_000;
                self.now.wall = Timestamp(self.now.wall.0 + (end - self.now.tick.0) / 1000);
                while let Some(due) = self.machine.deadline().filter(|d| d.0 <= end) {
                    self.now.tick = due.max(self.now.tick);
                    self.give(Input::Tick);
                    assert!(self.machine.deadline().is_none_or(|d| d > due), "a tick that does not move on");
                }
                self.now.tick.0 = end;
            }
        }
    }
}

fn romeo() -> Address {
    Address::parse("romeo@example.net").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_conversation(udp in any::<bool>(), steps in proptest::collection::vec((0u8..12, any::<u8>(), any::<u8>()), 1..120)) {
        let mut w = World {
            machine: player::machine(if udp { "udp" } else { "tcp" }),
            udp,
            now: Now { tick: model::Tick(1_000_000), wall: Timestamp(1_700_000_000_000) },
            open: Vec::new(),
            requests: Vec::new(),
            leases: Vec::new(),
            acks: BTreeMap::new(),
            nonce: "none".into(),
            step: 0,
        };
        w.act(0, 1, 2);
        for (kind, a, b) in steps {
            w.act(kind, a, b);
        }
        prop_assert!(w.acks.values().all(|n| *n == 1));
        // Left alone, it has nothing more to do once all terms are over.
        for _ in 0..10_000 {
            let Some(due) = w.machine.deadline() else { break };
            w.now.tick = due.max(w.now.tick);
            w.give(Input::Tick);
        }
        prop_assert_eq!(w.machine.deadline(), None);
        prop_assert!(w.acks.values().all(|n| *n == 1));
    }
}
