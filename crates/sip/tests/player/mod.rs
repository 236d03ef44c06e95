//! Plays a transcript against one machine: a golden dialogue as text, with a clock that moves only when told.
//!
//! ```text
//! machine udp | tcp | tls         which machine
//! signed-in udp | tcp | tls       the same, with romeo@example.net/phone registered from 192.0.2.1
//! << 192.0.2.1:5060               bytes to the machine, up to a line with a single dot; {len} is the body's length
//! >> 192.0.2.1:5060               bytes from the machine, the same; {name} captures, {any} ignores
//! => ask {t} bind ...             another output
//! <= settled {t} delivered        another input
//! +500ms                          time moves; the machine is ticked at each of its deadlines
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connector::{Connector, Flow, Input, Machine, Output, Peer, Transport};
use model::{
    Activity, Address, Answer, Ask, Basic, Composing, Credential, Delivery, DeliveryId, Device, Dialect,
    Endpoint, Envelope, EnvelopeId, Event, LeaseKey, Message, Notify, Now, Origin, Outcome, Part,
    PresenceDoc, Reason, Refusal, Role, Settlement, Term, Tick, Ticket, Timestamp, Tuple, Wants, WatchState,
};
use sha2::Digest as _;
use sip::{Config, Sip};

pub struct Player {
    machine: Box<dyn Machine>,
    tcp: bool,
    now: Now,
    out: Vec<Output>,
    names: BTreeMap<String, String>,
    line: usize,
}

const START: u64 = 1_700_000_000_000;

pub fn machine(kind: &str) -> Box<dyn Machine> {
    let any = "0.0.0.0:5060".parse().unwrap();
    let config = Config::new(["example.net", "example.com"])
        .listen(any, Transport::Udp, false)
        .listen(any, Transport::Tcp, false)
        .listen(any, Transport::Tcp, true);
    let index = ["udp", "tcp", "tls"].iter().position(|k| *k == kind).expect("kind of machine");
    let remote = if kind == "udp" { "0.0.0.0:0" } else { "192.0.2.1:40000" };
    let peer = Peer { remote: remote.parse().unwrap(), local: "203.0.113.5:5060".parse().unwrap() };
    Sip::new(config).accept(index, peer, [7; 32])
}

pub fn play(text: &str) {
    let mut player = Player {
        machine: machine("udp"),
        tcp: false,
        now: Now { tick: Tick(1_000_000_000), wall: Timestamp(START) },
        out: Vec::new(),
        names: BTreeMap::new(),
        line: 0,
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut i = 0;
    while i < lines.len() {
        let line = lines[i].trim_end();
        player.line = i + 1;
        i += 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut block = Vec::new();
        if verb == "<<" || verb == ">>" {
            while lines[i] != "." {
                block.push(lines[i]);
                i += 1;
            }
            i += 1;
        }
        player.step(verb, rest.trim(), &block);
    }
    player.quiet();
}

impl Player {
    fn fail(&self, what: &str) -> ! {
        panic!("transcript line {}: {what}", self.line)
    }

    fn quiet(&self) {
        if !self.out.is_empty() {
            let left: Vec<_> = self.out.iter().map(|o| self.show(o)).collect();
            self.fail(&format!("unexpected output before this:\n{}", left.join("\n")));
        }
    }

    fn step(&mut self, verb: &str, rest: &str, block: &[&str]) {
        match verb {
            "machine" => {
                self.machine = machine(rest);
                self.tcp = rest != "udp";
            }
            "signed-in" => self.sign_in(rest),
            "ticks" => {
                // So many repetitions of the last request come, and are not written out here.
                let wanted: usize = rest.parse().unwrap();
                self.quiet();
                let mut seen = 0;
                while seen < wanted {
                    self.now.tick = self.machine.deadline().unwrap_or_else(|| self.fail("no more ticks"));
                    self.machine.handle(self.now, Input::Tick);
                    self.drain();
                    seen += self.out.len();
                    assert!(self.out.drain(..).all(|o| matches!(o, Output::Datagram(..))));
                }
            }
            "<<" => {
                let bytes = self.render(block);
                if self.tcp {
                    self.give(Input::Bytes(Flow::ACCEPTED, &bytes));
                } else {
                    let from: SocketAddr =
                        self.fill(rest).parse().unwrap_or_else(|_| self.fail("no address"));
                    self.give(Input::Datagram(from, &bytes));
                }
            }
            "<=" => {
                let text = self.fill(rest);
                self.input(&text);
            }
            ">>" | "=>" => {
                if self.out.is_empty() {
                    self.fail("nothing came");
                }
                let got = self.out.remove(0);
                let got = self.show(&got);
                let want = match verb {
                    ">>" => format!(">> {rest}\n{}", block.join("\n")),
                    _ => format!("=> {rest}"),
                };
                let (want_lines, got_lines): (Vec<_>, Vec<_>) =
                    (want.lines().collect(), got.lines().collect());
                let same = want_lines.len() == got_lines.len()
                    && want_lines.iter().zip(&got_lines).all(|(w, g)| matches(w, g, &mut self.names));
                if !same {
                    self.fail(&format!("expected\n{want}\n--- but got\n{got}\n---\nnames: {:?}", self.names));
                }
            }
            _ if verb.starts_with('+') => {
                self.quiet();
                let ms = match verb[1..].strip_suffix("ms") {
                    Some(ms) => ms.parse().unwrap(),
                    None => verb[1..].trim_end_matches('s').parse::<u64>().unwrap() * 1000,
                };
                let end = self.now.tick + Duration::from_millis(ms);
                let (tick0, wall0) = (self.now.tick, self.now.wall);
                while let Some(due) = self.machine.deadline().filter(|d| *d <= end) {
                    let due = due.max(self.now.tick);
                    self.now = Now { tick: due, wall: Timestamp(wall0.0 + (due.0 - tick0.0) / 1000) };
                    self.machine.handle(self.now, Input::Tick);
                    self.drain();
                }
                self.now = Now { tick: end, wall: Timestamp(wall0.0 + ms) };
            }
            _ => self.fail("unknown verb"),
        }
    }

    fn sign_in(&mut self, kind: &str) {
        self.step("machine", kind, &[]);
        let transport = kind.to_uppercase();
        let register = |branch: &str, auth: &str| {
            format!(
                "REGISTER sip:example.net SIP/2.0\nVia: SIP/2.0/{transport} 192.0.2.1:5061;rport;branch=z9hG4bK{branch}\n\
                 Max-Forwards: 70\nFrom: <sip:romeo@example.net>;tag=a\nTo: <sip:romeo@example.net>\nCall-ID: reg-1\n\
                 CSeq: {} REGISTER\nContact: <sip:romeo@192.0.2.1:5061>;+sip.instance=\"<urn:uuid:phone>\"\n{auth}\
                 Expires: 7200\nContent-Length: 0",
                branch.len()
            )
        };
        self.step("<<", "192.0.2.1:5061", &register("x", "").lines().collect::<Vec<_>>());
        let first = self.out.remove(0);
        let challenge = self.show(&first);
        let quoted = |name: &str| challenge.split(name).nth(1).unwrap().split('"').nth(1).unwrap().to_owned();
        self.names.insert("realm".into(), quoted("realm="));
        self.names.insert("nonce".into(), quoted("nonce="));
        let auth = "Authorization: @digest(SHA-256 romeo secret REGISTER sip:example.net 1)\n";
        self.step("<<", "192.0.2.1:5061", &register("xx", auth).lines().collect::<Vec<_>>());
        for answer in ["ha1 SHA-256 romeo example.net secret", "bound romeo@example.net/phone"] {
            let first = self.out.remove(0);
            let ticket = self.show(&first).split(' ').nth(2).unwrap().to_owned();
            self.step("<=", &format!("answer {ticket} {answer}"), &[]);
        }
        assert!(self.show(self.out.last().unwrap()).contains("200 OK"));
        self.out.clear();
    }

    fn give(&mut self, input: Input<'_>) {
        self.quiet();
        self.machine.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(o) = self.machine.poll() {
            self.out.push(o);
        }
    }

    fn fill(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (name, value) in &self.names {
            out = out.replace(&format!("{{{name}}}"), value);
        }
        out
    }

    fn render(&self, block: &[&str]) -> Vec<u8> {
        let text = self.fill(&block.join("\r\n"));
        let text: String = text
            .split("\r\n")
            .map(|l| match l.split_once("@digest(") {
                Some((head, args)) => format!("{head}{}", self.digest(args.trim_end_matches(')'))),
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

    /// `ALGORITHM user password METHOD uri nc`, with the captured {nonce} and {realm}; nc 0 is the form without qop.
    fn digest(&self, args: &str) -> String {
        let a: Vec<&str> = args.split(' ').collect();
        let (realm, nonce) = (&self.names["realm"], &self.names["nonce"]);
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

    fn input(&mut self, text: &str) {
        let w: Vec<&str> = text.split(' ').collect();
        let ticket = || Ticket(w[1].parse().unwrap());
        match w[0] {
            "opened" => self.give(Input::Opened(Flow::ACCEPTED)),
            "closed" => self.give(Input::Closed(Flow::ACCEPTED)),
            "drain" => self.give(Input::Drain),
            "kept" => self.give(Input::Kept(ticket())),
            "settled" => {
                let outcome = match w[2] {
                    "delivered" => Outcome::Delivered,
                    "accepted" => Outcome::Accepted,
                    "pending" => Outcome::Pending,
                    "refused" => {
                        let reason = Reason::ALL.into_iter().find(|r| r.name() == w[3]).expect("reason");
                        Outcome::Refused(Refusal::new(reason))
                    }
                    other => self.fail(other),
                };
                self.give(Input::Settled(ticket(), Settlement::from(outcome)));
            }
            "answer" => {
                let answer = match w[2] {
                    "ha1" => Answer::Credential(Some(Credential::Ha1(ha1(w[3], w[4], w[5], w[6]).into()))),
                    "none" => Answer::Credential(None),
                    "bound" => Answer::Bound(endpoint(w[3])),
                    "unclaimed" => Answer::Claimed(None),
                    "claimed" => Answer::Claimed(Some(Bytes::from(w[3..].join(" ").replace("\\n", "\n")))),
                    "refused" => Answer::Refused(Refusal::new(Reason::Overloaded)),
                    other => self.fail(other),
                };
                self.give(Input::Answer(ticket(), answer));
            }
            "deliver" => self.deliver(text, &w),
            "notice" => {
                let notice = match w[1] {
                    "replaced" => model::Notice::Replaced,
                    _ => model::Notice::Revoked,
                };
                self.give(Input::Notice(endpoint(w[2]), notice));
            }
            other => self.fail(other),
        }
    }

    /// `deliver 7 message from > to "text"`, `deliver 7 composing from > to`,
    /// `deliver 7 notify key state presentity [device open|closed activity]`
    fn deliver(&mut self, text: &str, w: &[&str]) {
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
                let c =
                    Composing { active: true, thread: Some("thread-1".into()), lang: None, original: None };
                (endpoint(w[3]), endpoint(w[5]), Event::Composing(c))
            }
            "receipt" => {
                let r =
                    model::Receipt { of: w[6].into(), kind: model::ReceiptKind::Displayed, original: None };
                (endpoint(w[3]), endpoint(w[5]), Event::Receipt(r))
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
                if let Some(device) = w.get(6) {
                    let basic = if w[7] == "open" { Basic::Open } else { Basic::Closed };
                    let mut t = Tuple::plain(Device::new(device).ok(), basic, Timestamp(0));
                    t.activity = match w[8] {
                        "away" => Activity::Away,
                        "busy" => Activity::Busy,
                        _ => Activity::Available,
                    };
                    doc.tuples.push(t);
                }
                let key = Some(LeaseKey::new(w[3]));
                let notify = Notify { key, state, doc: Arc::new(doc), changed: None, gone: Vec::new() };
                (Endpoint::bare(presentity), endpoint("romeo@example.net"), Event::Notify(notify))
            }
            other => self.fail(other),
        };
        let origin = Origin { dialect: Dialect::Xmpp, ..Origin::server() };
        let envelope =
            Envelope { id: EnvelopeId(1), at: self.now.wall, origin, from, to: to.clone(), hops: 69, event };
        let delivery = Delivery {
            id,
            device: to,
            envelope: Arc::new(envelope),
            role: Role::Primary,
            delayed_since: text.contains(" delayed").then_some(Timestamp(START)),
        };
        self.give(Input::Deliver(delivery));
    }

    fn show(&self, output: &Output) -> String {
        let bytes = |head: String, b: &Bytes| {
            let text = String::from_utf8_lossy(b).replace("\r\n", "\n");
            // The blank line that ends a head without a body is not written in transcripts.
            format!("{head}\n{}", text.strip_suffix("\n\n").unwrap_or(&text))
                .trim_end_matches('\n')
                .to_owned()
        };
        match output {
            Output::Bytes(_, b) => bytes(">> ".to_owned(), b),
            Output::Datagram(to, b) => bytes(format!(">> {to}"), b),
            Output::Close(_) => "=> close".to_owned(),
            Output::Pause(_) => "=> pause".to_owned(),
            Output::Resume(_) => "=> resume".to_owned(),
            Output::Secure(_) => "=> secure".to_owned(),
            Output::Attend(e, p) => format!("=> attend {e} {p:?}"),
            Output::Unbind(e) => format!("=> unbind {e}"),
            Output::Lease { key, owner, secs, state } => {
                let state = String::from_utf8_lossy(state).replace('\n', "\\n");
                format!("=> lease {} {owner} {secs} {state}", key.0).trim_end().to_owned()
            }
            Output::Ask { ticket, ask } => match ask {
                Ask::Credential { account, scheme } => {
                    format!("=> ask {} credential {account} {scheme:?}", ticket.0)
                }
                Ask::Bind { account, device, attend } => {
                    let device = device.as_ref().map_or("-", |d| d.as_str());
                    format!("=> ask {} bind {account} {device} {attend:?}", ticket.0)
                }
                Ask::Claim { key, owner } => format!("=> ask {} claim {} {owner}", ticket.0, key.0),
                other => format!("=> ask {} {other:?}", ticket.0),
            },
            Output::Submit { ticket, envelope: e, outcome_wanted } => {
                let wanted = if *outcome_wanted { "" } else { " (no outcome)" };
                format!("=> submit {} {} > {} {}{wanted}", ticket.0, e.from, e.to, event(&e.event))
            }
            Output::Ack(id, s) => {
                let reason = match &s.outcome {
                    Outcome::Refused(r) => format!(" {}", r.reason.name()),
                    _ => String::new(),
                };
                let losses: String = s.losses.iter().map(|l| format!(" -{}", l.what)).collect();
                format!("=> ack {} {}{reason}{losses}", id.0, s.outcome.name())
            }
            Output::AckWhenWritten(a) => format!("=> ack-when-written {}", a.delivery.0),
        }
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
        other => other.kind().to_owned(),
    }
}

fn endpoint(text: &str) -> Endpoint {
    match text.split_once('/') {
        Some((a, d)) => Endpoint::full(Address::parse(a).unwrap(), Device::new(d).unwrap()),
        None => Endpoint::bare(Address::parse(text).unwrap()),
    }
}

pub fn hex(algorithm: &str, data: &str) -> String {
    let to_hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
    match algorithm {
        "MD5" => to_hex(&md5::Md5::digest(data.as_bytes())),
        _ => to_hex(&sha2::Sha256::digest(data.as_bytes())),
    }
}

pub fn ha1(algorithm: &str, user: &str, realm: &str, password: &str) -> String {
    hex(algorithm, &format!("{user}:{realm}:{password}"))
}

/// Matches one line; `{name}` takes as little as it can, and must be the same wherever it stands again.
fn matches(want: &str, got: &str, names: &mut BTreeMap<String, String>) -> bool {
    let Some(open) = want.find('{') else { return want == got };
    let Some(rest) = got.strip_prefix(&want[..open]) else { return false };
    let Some(close) = want[open..].find('}') else { return want == got };
    let name = &want[open + 1..open + close];
    let after = &want[open + close + 1..];
    let next = &after[..after.find('{').unwrap_or(after.len())];
    if name != "any" && names.contains_key(name) {
        let known = names[name].clone();
        return rest.strip_prefix(known.as_str()).is_some_and(|r| matches(after, r, names));
    }
    let end = if next.is_empty() { Some(rest.len()) } else { rest.find(next) };
    let Some(end) = end else { return false };
    if name != "any" {
        names.insert(name.to_owned(), rest[..end].to_owned());
    }
    matches(after, &rest[end..], names)
}
