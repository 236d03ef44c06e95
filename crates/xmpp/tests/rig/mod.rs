//! Plays transcripts: what goes into a machine is in the file, what comes out is compared with it.
//!
//! `% session` begins with a client logged in and bound; `% direct` and so on choose the configuration.
//! `<<` bytes from the client, `<=` from the driver or the hub, `+30s` time; `>>` bytes to the client, `=>` to the
//! driver or the hub. `{id}` stands for text that differs each time. `UPDATE_TRANSCRIPTS=1` rewrites what comes out.
#![allow(dead_code, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connector::Connector;
use connector::{Flow, Input, Listener, Machine, Output, Peer, TlsFacts, TlsMode, Transport};
use model::*;
use xmpp::wire::{Limits, Scanner};
use xmpp::{Config, Door};

const LOG_IN: [&str; 7] = [
    "<= opened",
    "<= secured 1.2",
    OPEN,
    "<< <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzM2NyZXQ=</auth>",
    "<= verified #1 true",
    OPEN,
    "<< <iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>",
];

const OPEN: &str = "<< <?xml version='1.0'?><stream:stream to='example.com' version='1.0' xml:lang='en' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

pub struct Rig {
    pub machine: Box<dyn Machine>,
    pub now: Now,
    /// Envelopes submitted, in order.
    pub submitted: Vec<Envelope>,
    /// Reads everything the machine writes, as a client would.
    client: Scanner,
}

pub fn config(tls: TlsMode) -> Config {
    let addr = "127.0.0.1:5222".parse().unwrap();
    let listener = Listener { name: "xmpp-c2s".into(), addr, transport: Transport::Tcp, tls };
    Config::new(&["example.com", "example.org"], vec![listener], [9; 32], 4096).unwrap()
}

impl Rig {
    pub fn new(config: Config) -> Rig {
        let addr = "127.0.0.1:1".parse().unwrap();
        let machine = Door::new(config).accept(0, Peer { remote: addr, local: addr }, [7; 32]);
        Rig {
            machine,
            now: Now { tick: Tick(0), wall: Timestamp(1_700_000_000_000) },
            submitted: Vec::new(),
            client: Scanner::new(Limits::C2S),
        }
    }

    pub fn give(&mut self, input: Input<'_>) -> Vec<String> {
        self.machine.handle(self.now, input);
        let mut lines = Vec::new();
        while let Some(output) = self.machine.poll() {
            lines.push(self.show(output));
        }
        lines
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Vec<String> {
        self.give(Input::Bytes(Flow::ACCEPTED, bytes))
    }

    pub fn wait(&mut self, time: Duration) -> Vec<String> {
        self.now.tick = self.now.tick + time;
        self.now.wall.0 += time.as_millis() as u64;
        if self.machine.deadline().is_some_and(|d| d <= self.now.tick) {
            self.give(Input::Tick)
        } else {
            Vec::new()
        }
    }

    /// What we emit must be well formed.
    fn reread(&mut self, bytes: &[u8]) {
        if bytes.starts_with(b"<?xml") {
            self.client = Scanner::new(Limits::C2S);
        }
        let mut rest = bytes;
        loop {
            match self.client.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(_)) => {}
                Err(condition) => panic!("{condition} in {}", String::from_utf8_lossy(bytes)),
            }
        }
        assert_eq!(self.client.held(), 0, "whole elements only");
    }

    fn show(&mut self, output: Output) -> String {
        match output {
            Output::Bytes(_, bytes) => {
                self.reread(&bytes);
                format!(">> {}", String::from_utf8_lossy(&bytes).replace('\n', "\\n"))
            }
            Output::Submit { ticket, envelope, outcome_wanted } => {
                assert!(!outcome_wanted);
                let line = format!(
                    "=> submit #{} {} {} > {} {}",
                    ticket.0,
                    envelope.event.kind(),
                    envelope.from,
                    envelope.to,
                    detail(&envelope.event)
                );
                self.submitted.push(*envelope);
                line.trim_end().to_owned()
            }
            Output::Ask { ticket, ask } => format!("=> ask #{} {ask:?}", ticket.0),
            Output::Ack(id, s) => format!("=> ack {} {}{}", id.0, s.outcome.name(), losses(&s.losses)),
            Output::AckWhenWritten(a) => {
                format!(
                    "=> ack {} {} when written{}",
                    a.delivery.0,
                    a.settlement.outcome.name(),
                    losses(&a.settlement.losses)
                )
            }
            Output::Secure(_) => "=> secure".into(),
            Output::Close(_) => "=> close".into(),
            Output::Pause(_) => "=> pause".into(),
            Output::Resume(_) => "=> resume".into(),
            other => format!("=> {other:?}"),
        }
    }

    /// Everything up to a bound session, juliet@example.com/balcony; tickets 1 and 2 are used up.
    pub fn log_in(&mut self) {
        for line in LOG_IN {
            self.step(line);
        }
        self.step("<= bound #2 juliet@example.com/balcony");
    }

    /// One `<<`, `<=` or `+` line.
    pub fn step(&mut self, line: &str) -> Vec<String> {
        if let Some(bytes) = line.strip_prefix("<< ") {
            return self.bytes(bytes.replace("\\n", "\n").as_bytes());
        }
        if let Some(secs) = line.strip_prefix('+').and_then(|l| l.strip_suffix('s')) {
            return self.wait(Duration::from_secs(secs.parse().unwrap()));
        }
        let words: Vec<&str> = line.strip_prefix("<= ").expect(line).splitn(5, ' ').collect();
        let ticket = || Ticket(words[1].trim_start_matches('#').parse().unwrap());
        let rest = |n: usize| words.get(n..).unwrap_or(&[]).join(" ");
        let input = match words[0] {
            "opened" => Input::Opened(Flow::ACCEPTED),
            "closed" => Input::Closed(Flow::ACCEPTED),
            "drain" => Input::Drain,
            "secured" => Input::Secured(
                Flow::ACCEPTED,
                TlsFacts {
                    server_name: None,
                    exporter: (words.get(1) == Some(&"1.3")).then_some([5; 32]),
                    server_end_point: Some(Bytes::from_static(b"hash of the certificate")),
                },
            ),
            "kept" => Input::Kept(ticket()),
            "settled" => Input::Settled(ticket(), refusal(words[2]).into()),
            "verified" => Input::Answer(ticket(), Answer::Verified(words[2] == "true")),
            "nobody" => Input::Answer(ticket(), Answer::Credential(None)),
            "bound" => Input::Answer(ticket(), Answer::Bound(endpoint(words[2]))),
            "done" => Input::Answer(ticket(), Answer::Done),
            "refused" => {
                let Outcome::Refused(refusal) = refusal(words[2]) else { unreachable!() };
                Input::Answer(ticket(), Answer::Refused(refusal))
            }
            "roster" => Input::Answer(ticket(), Answer::Roster(words[2..].iter().map(|w| item(w)).collect())),
            "push" => Input::Notice(endpoint(words[1]), Notice::Roster(item(words[2]))),
            "removed" => Input::Notice(endpoint(words[1]), Notice::RosterRemoved(endpoint(words[2]).address)),
            "replaced" => Input::Notice(endpoint(words[1]), Notice::Replaced),
            "deliver" | "carbon" | "late" => {
                let (id, from, to) = (words[1], words[2], words[3]);
                Input::Deliver(Delivery {
                    id: DeliveryId(id.parse().unwrap()),
                    device: endpoint("juliet@example.com/balcony"),
                    envelope: Arc::new(envelope(from, to, &rest(4))),
                    role: if words[0] == "carbon" { Role::Copy } else { Role::Primary },
                    delayed_since: (words[0] == "late").then_some(Timestamp(1_600_000_000_000)),
                })
            }
            other => panic!("unknown step {other}"),
        };
        self.give(input)
    }
}

fn losses(losses: &[Loss]) -> String {
    losses.iter().map(|l| format!(" lost {}", l.what)).collect()
}

fn refusal(name: &str) -> Outcome {
    let reason = Reason::ALL.into_iter().find(|r| r.name() == name).expect(name);
    Outcome::Refused(Refusal::new(reason))
}

fn endpoint(text: &str) -> Endpoint {
    xmpp::jid::parse(text).unwrap()
}

fn item(text: &str) -> RosterItem {
    let (jid, state) = text.split_once('=').unwrap();
    let subscription = Subscription {
        to: matches!(state, "to" | "both"),
        from: matches!(state, "from" | "both"),
        asked: state == "asked",
    };
    RosterItem {
        contact: endpoint(jid).address,
        name: Some("N & M".into()),
        groups: vec!["G".into()],
        subscription,
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
        Event::Notify(_) => String::new(),
    }
}

/// True if `{...}` in the pattern can be filled so that it equals the line.
pub fn fits(pattern: &str, line: &str) -> bool {
    match pattern.split_once('{') {
        None => pattern == line,
        Some((head, tail)) => {
            let Some(line) = line.strip_prefix(head) else { return false };
            let tail = tail.split_once('}').map_or("", |(_, tail)| tail);
            (0..=line.len()).filter(|i| line.is_char_boundary(*i)).any(|i| fits(tail, &line[i..]))
        }
    }
}

/// Plays one file. `%` lines choose the listener: `% direct`, `% upgrade`, `% plain`.
pub fn play(path: &std::path::Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut cfg = config(TlsMode::Upgrade);
    let mut session = false;
    for line in text.lines().filter_map(|l| l.strip_prefix("% ")) {
        match line {
            "session" => session = true,
            "direct" => cfg.listeners[0].tls = TlsMode::Direct,
            "plain" => {
                cfg.listeners[0].tls = TlsMode::None;
                cfg.require_tls = false;
            }
            "window 2" => cfg.window = 2,
            "unacked 2" => cfg.unacked = 2,
            other => panic!("unknown setting {other}"),
        }
    }
    let mut rig = Rig::new(cfg);
    if session {
        rig.log_in();
    }
    let mut got: Vec<String> = Vec::new();
    let mut pending: std::collections::VecDeque<String> = Default::default();
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines {
        let is_output = line.starts_with(">>") || line.starts_with("=>");
        if is_output {
            // Keep a pattern that fits, so that placeholders survive an update.
            match pending.front() {
                Some(front) if fits(line, front) => {
                    pending.pop_front();
                    got.push((*line).to_owned());
                }
                _ => {}
            }
            continue;
        }
        got.extend(pending.drain(..));
        got.push((*line).to_owned());
        if line.starts_with("<<") || line.starts_with("<=") || line.starts_with('+') {
            pending.extend(rig.step(line));
        }
    }
    got.extend(pending.drain(..));
    let got = got.join("\n") + "\n";
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(path, got).unwrap();
    } else {
        assert!(got == text, "{} differs; it would be:\n{got}", path.display());
    }
}
