//! Any order of anything: a machine between a peer, a hub and the clock, driven by a script of bytes.
//!
//! A script is lines. A line that begins with `!` is something the hub or the clock does, chosen by the letter behind
//! it and its argument; any other line is what the peer says. So transcripts are seeds, and what a fuzzer splices from
//! them is again a conversation.

use bytes::Bytes;
use connector::{Flow, Input, Machine, Output, TlsFacts};
use model::{
    Activity, Address, Admission, Answer, Ask, Authorize, Basic, Call, Certificates, Composing, Credential,
    Decision, Delivery, DeliveryId, Device, Dialect, DomainPair, Endpoint, Envelope, EnvelopeId, Event,
    LeaseKey, Left, Line, LineNews, Message, NoSlot, Notice, Notify, Opaque, Origin, Original, Outcome, Part,
    PresenceDoc, Reason, Receipt, ReceiptKind, Refusal, Role, RosterItem, Settlement, Slot, Subscribe,
    Subscription, Term, Ticket, Timestamp, Tuple, Vouch, WatchState,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use testkit::Clock;

/// Where the world differs by dialect.
pub trait Door {
    /// What a line of the peer is as an input; the address is of no meaning on a stream.
    fn say(&mut self, line: &[u8]) -> Option<Vec<u8>>;
    /// Whether the machine reads datagrams.
    fn is_datagram(&self) -> bool;
    /// Looks at what the machine wrote, and panics where it is wrong.
    fn wrote(&mut self, bytes: &[u8]);
    /// A stored key, as an account of this dialect has it.
    fn key(&self) -> Credential;
}

/// A machine and everything around it.
pub struct World<D> {
    machine: Box<dyn Machine>,
    door: D,
    clock: Clock,
    asks: Vec<(Ticket, Ask)>,
    submitted: Vec<Ticket>,
    leases: Vec<LeaseKey>,
    left: BTreeMap<LeaseKey, (Address, Bytes)>,
    proved: BTreeSet<DomainPair>,
    tickets: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
    deliveries: u64,
    /// Ends of lines that the machine has, and the next one.
    lines: Vec<Line>,
    next_line: u64,
    device: Endpoint,
}

impl<D: Door> World<D> {
    /// Plays a script on a new machine.
    pub fn play(machine: Box<dyn Machine>, door: D, script: &[u8]) {
        let device = Endpoint::full(address("juliet@example.com"), Device::new("balcony").expect("a name"));
        let mut world = Self {
            machine,
            door,
            clock: Clock::start(),
            asks: Vec::new(),
            submitted: Vec::new(),
            leases: Vec::new(),
            left: BTreeMap::new(),
            proved: BTreeSet::new(),
            tickets: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            deliveries: 0,
            lines: Vec::new(),
            next_line: 0,
            device,
        };
        world.give(Input::Opened(Flow::ACCEPTED));
        for line in script.split(|b| *b == b'\n') {
            match line {
                [b'!', what, argument, ..] => world.happen(*what, usize::from(*argument)),
                [b'!', what] => world.happen(*what, 0),
                said => {
                    if let Some(bytes) = world.door.say(said) {
                        world.hear(&bytes);
                    }
                }
            }
        }
        if let Some(bytes) = world.door.say(b".") {
            world.hear(&bytes);
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        if self.door.is_datagram() {
            self.give(Input::Datagram("192.0.2.1:5060".parse().expect("an address"), bytes));
        } else {
            self.give(Input::Bytes(Flow::ACCEPTED, bytes));
        }
    }

    fn give(&mut self, input: Input<'_>) {
        self.machine.handle(self.clock.now(), input);
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Bytes(_, bytes) | Output::Datagram(_, bytes) => self.door.wrote(&bytes),
                Output::Ask { ticket, ask } => {
                    self.fresh(ticket);
                    self.asks.push((ticket, ask));
                }
                Output::Submit { ticket, envelope, .. } => {
                    self.fresh(ticket);
                    self.is_vouched(&envelope);
                    self.submitted.push(ticket);
                }
                Output::Lease { key, owner, state, secs } => {
                    match secs {
                        0 => drop(self.left.remove(&key)),
                        _ => drop(self.left.insert(key.clone(), (owner, state))),
                    }
                    self.leases.push(key);
                }
                Output::Ack(id, _) => self.acked(id),
                Output::AckWhenWritten(ack) => self.acked(ack.delivery),
                _ => {}
            }
        }
    }

    /// Nobody speaks in another's name.
    fn is_vouched(&self, envelope: &Envelope) {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        match &envelope.origin.vouch {
            Vouch::Account(account) => assert_eq!(account, from),
            Vouch::Domain(domain, _) if envelope.origin.dialect == Dialect::Sip => {
                let pair = DomainPair::between(to, from);
                assert_eq!(domain, &pair.remote);
                assert!(self.proved.contains(&pair), "{pair} was not proved");
            }
            Vouch::Domain(domain, _) => assert_eq!(domain.as_str(), from.domain()),
            Vouch::Server => {}
            Vouch::Nobody => panic!("nobody answers for {from}"),
        }
    }

    fn fresh(&mut self, ticket: Ticket) {
        assert!(self.tickets.insert(ticket.0), "ticket {} twice", ticket.0);
    }

    fn acked(&mut self, id: DeliveryId) {
        assert!(id.0 <= self.deliveries, "delivery {} was never made", id.0);
        // Zero is for what nobody has to acknowledge.
        assert!(id.0 == 0 || self.acknowledged.insert(id.0), "delivery {} acknowledged twice", id.0);
    }

    fn happen(&mut self, what: u8, n: usize) {
        match what {
            b's' => {
                let shown = Certificates([Bytes::from_static(b"a certificate")].into());
                let facts = TlsFacts {
                    exporter: (n.is_multiple_of(2)).then_some([5; 32]),
                    certificates: (!n.is_multiple_of(3)).then_some(shown),
                    ..TlsFacts::default()
                };
                self.give(Input::Secured(Flow::ACCEPTED, facts));
            }
            b'k' if !self.submitted.is_empty() => {
                let ticket = self.submitted[n % self.submitted.len()];
                self.give(Input::Kept(ticket));
            }
            b'e' if !self.submitted.is_empty() => {
                let ticket = self.submitted.swap_remove(n % self.submitted.len());
                self.give(Input::Settled(ticket, settlement(n)));
            }
            b'a' if !self.asks.is_empty() => {
                let (ticket, ask) = self.asks.swap_remove(n % self.asks.len());
                let answer = self.answer(&ask, n);
                if let (Ask::Admit { pair, .. }, Answer::Admitted(Admission { certified: Ok(()), .. })) =
                    (&ask, &answer)
                {
                    self.proved.insert(pair.clone());
                }
                self.give(Input::Answer(ticket, answer));
            }
            // Lines: of a call that it submitted, of one for it, what is said on them, and their end.
            b'l' => self.line(n),
            b'd' => {
                let delivery = self.delivery(n);
                self.give(Input::Deliver(delivery));
            }
            b'n' => {
                let notice = match n % 6 {
                    4 => Notice::Blocked(vec![address("romeo@example.net")]),
                    5 => Notice::Unblocked(Vec::new()),
                    0 => Notice::Roster(contact()),
                    1 => Notice::RosterRemoved(address("romeo@example.net")),
                    2 => Notice::Replaced,
                    _ => Notice::Revoked,
                };
                self.give(Input::Notice(self.device.clone(), notice));
            }
            b't' => self.pass(Duration::from_millis(50) * u32::try_from(n * n).unwrap_or(0)),
            b'x' => self.give(Input::Drain((n % 2 == 1).then(|| "xmpp2.example.com:5222".into()))),
            b'c' => self.give(Input::Closed(Flow::ACCEPTED)),
            _ => {}
        }
    }

    fn line(&mut self, n: usize) {
        let at = |lines: &[Line]| lines.get(n / 4 % lines.len().max(1)).copied();
        let news = match n % 4 {
            0 if !self.submitted.is_empty() => {
                let ticket = self.submitted[n / 4 % self.submitted.len()];
                let ends: Vec<Line> = (0..n / 4 % 3).map(|at| Line(self.next_line + 2 * at as u64)).collect();
                self.next_line += 2 * ends.len() as u64;
                self.lines.extend(&ends);
                LineNews::Calling(ticket, ends)
            }
            1 => {
                let line = (!n.is_multiple_of(3)).then_some(Line(self.next_line + 1));
                self.next_line += 2;
                self.lines.extend(line);
                let mut delivery = self.delivery(0);
                let bytes = CALLS[n / 4 % CALLS.len()];
                let original = Original { dialect: Dialect::Sip, bytes: Bytes::from_static(bytes) };
                if let Some(envelope) = Arc::get_mut(&mut delivery.envelope) {
                    let call = Call { original, opens: n.is_multiple_of(2), wants_answer: line.is_some() };
                    envelope.event = Event::Call(call);
                }
                LineNews::Called(line, delivery)
            }
            2 => match at(&self.lines) {
                Some(line) => LineNews::Said(line, Bytes::from_static(SAID[n / 4 % SAID.len()])),
                None => return,
            },
            _ => match at(&self.lines) {
                Some(line) => LineNews::Ended(line),
                None => return,
            },
        };
        self.give(Input::Line(news));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.clock.now().tick + time;
        // Bounded: a machine that always has a next timer is right, one whose timer does not move on is not.
        for _ in 0..1000 {
            let Some(due) = self.machine.deadline().filter(|due| *due <= end) else { break };
            self.clock.move_to(due);
            self.give(Input::Tick);
            let next = self.machine.deadline();
            assert!(next.is_none_or(|next| next > due), "a tick that does not move on");
        }
        self.clock.move_to(end);
    }

    fn answer(&mut self, ask: &Ask, n: usize) -> Answer {
        if n % 5 == 4 {
            return Answer::Refused(Refusal::new(Reason::ALL[n % Reason::ALL.len()]));
        }
        match ask {
            Ask::Credential { .. } => Answer::Credential((n.is_multiple_of(2)).then(|| self.door.key())),
            Ask::Verify { .. } => Answer::Verified(n.is_multiple_of(2)),
            Ask::Bind { account, device, .. } => {
                let device = device.clone().unwrap_or_else(|| Device::new("given").expect("a name"));
                self.device = Endpoint::full(account.clone(), device);
                Answer::Bound(self.device.clone())
            }
            Ask::Roster { .. } => Answer::Roster(vec![contact(); n % 3]),
            Ask::EditRoster { .. } | Ask::EditBlocked { .. } => Answer::Done,
            Ask::Blocked { .. } => Answer::Blocked(vec![address("romeo@example.net"); n % 3]),
            Ask::Claim { key, .. } => Answer::Claimed((n.is_multiple_of(2)).then(|| {
                let left = self.left.get(key).map(|(_, state)| state.clone());
                left.unwrap_or(Bytes::from_static(b"left by another"))
            })),
            Ask::Admit { .. } => Answer::Admitted(Admission {
                certified: if n.is_multiple_of(3) { Err("no".into()) } else { Ok(()) },
                dialback: n.is_multiple_of(2),
            }),
            Ask::Confirm { .. } | Ask::Watches { .. } => Answer::Verified(n.is_multiple_of(2)),
            Ask::Inherit { prefix } => {
                let ours = self.left.iter().filter(|(key, _)| key.0.starts_with(prefix.as_str()));
                Answer::Left(
                    ours.map(|(key, (owner, state))| Left {
                        key: key.clone(),
                        owner: owner.clone(),
                        state: state.clone(),
                        secs: 60,
                    })
                    .collect(),
                )
            }
            Ask::Resume { .. } => Answer::Refused(Refusal::new(Reason::Internal)),
            Ask::Slot(_) => Answer::Slot(match n.is_multiple_of(2) {
                true => Ok(Slot {
                    put: "https://files.example/put?a&b".into(),
                    get: "https://files.example/<get>".into(),
                }),
                false => Err(NoSlot {
                    refusal: Refusal::new(Reason::TooLarge),
                    most: Some(n as u64),
                    retry: Some(Timestamp(n as u64)),
                }),
            }),
        }
    }

    fn delivery(&mut self, n: usize) -> Delivery {
        self.deliveries += 1;
        let now = self.clock.now().wall;
        let from = match n % 3 {
            0 => Endpoint::bare(address("romeo@example.net")),
            _ => Endpoint::full(address("romeo@example.net"), Device::new("a <b> & 'c'").expect("a name")),
        };
        let envelope = Envelope {
            id: EnvelopeId(u128::from(self.deliveries)),
            at: now,
            origin: Origin::server(),
            from: from.clone(),
            to: match DomainPair::of_mailbox(&self.device.address) {
                Some(pair) => Endpoint::bare(address(&format!("bob@{}", pair.remote))),
                None => self.device.clone(),
            },
            hops: 5,
            event: event(n, &from, self.leases.get(n % self.leases.len().max(1)).cloned()),
        };
        Delivery {
            id: DeliveryId(self.deliveries),
            device: self.device.clone(),
            envelope: Arc::new(envelope),
            role: Role::Primary,
            delayed_since: (n.is_multiple_of(4)).then_some(now),
        }
    }
}

fn settlement(n: usize) -> Settlement {
    let outcome = match n % 5 {
        0 | 1 => Outcome::Delivered,
        2 => Outcome::Accepted,
        3 => Outcome::Pending,
        _ => Outcome::Refused(
            Refusal::new(Reason::ALL[n % Reason::ALL.len()]).with_text("<no> & \"no\"\r\nX: y"),
        ),
    };
    outcome.into()
}

/// Requests of calls, as another machine passes them on.
const CALLS: [&[u8]; 4] = [
    b"INVITE sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKo\r\nMax-Forwards: 69\r\n\
      From: <sip:romeo@example.net>;tag=f\r\nTo: <sip:juliet@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
      Contact: <sip:romeo@192.0.2.7>\r\nContent-Length: 0\r\n\r\n",
    b"BYE sip:juliet@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKo\r\nMax-Forwards: 69\r\n\
      From: <sip:romeo@example.net>;tag=f\r\nTo: <sip:juliet@example.com>;tag=t\r\nCall-ID: c\r\nCSeq: 2 BYE\r\n\
      Content-Length: 0\r\n\r\n",
    b"ACK sip:juliet@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKa\r\nMax-Forwards: 69\r\n\
      From: <sip:romeo@example.net>;tag=f\r\nTo: <sip:juliet@example.com>;tag=t\r\nCall-ID: c\r\nCSeq: 1 ACK\r\n\
      Content-Length: 0\r\n\r\n",
    b"nothing of the kind",
];

/// What is said on a line.
const SAID: [&[u8]; 6] = [
    b"CANCEL",
    b"SILENCE",
    b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx\r\nFrom: <sip:a@b.example>;tag=f\r\n\
      To: <sip:c@d.example>;tag=t\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx\r\nFrom: <sip:a@b.example>;tag=f\r\n\
      To: <sip:c@d.example>;tag=t\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    b"SIP/2.0 603 Decline\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx\r\nFrom: <sip:a@b.example>;tag=f\r\n\
      To: <sip:c@d.example>;tag=t\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    b"SIP/2.0 401 No\r\n\r\n",
];

/// One event of every kind, with texts that no dialect can write as they are.
fn event(n: usize, from: &Endpoint, lease: Option<LeaseKey>) -> Event {
    let odd = "<odd> & \"odd\" ]]> \u{1F600}\r\nX: y\r\n\r\n\u{7}".to_owned();
    let original = |dialect, bytes: &'static [u8]| Some(Original { dialect, bytes: bytes.into() });
    match n % 9 {
        0 => Event::Message(Message {
            id: "m 1'\"<".into(),
            thread: Some("t\r\n&".into()),
            subject: Some(odd.clone()),
            parts: vec![Part::text(odd, None)],
            lasting: true,
            ..Message::default()
        }),
        1 => Event::Message(Message {
            parts: vec![Part::text("hello", None)],
            original: original(Dialect::Xmpp, b"<message xmlns='jabber:client'><body>hello</body></message>"),
            ..Message::default()
        }),
        2 => Event::Receipt(Receipt { of: "m 1'\"<".into(), kind: ReceiptKind::Delivered, original: None }),
        3 => Event::Composing(Composing {
            active: n.is_multiple_of(2),
            thread: Some("t".into()),
            lang: None,
            original: None,
        }),
        4 if n % 2 == 1 => {
            Event::Subscribe(Subscribe { term: Term::Once { key: None }, note: None, original: None })
        }
        4 => Event::Subscribe(Subscribe { term: Term::Lasting, note: Some(odd), original: None }),
        5 => Event::Subscribe(Subscribe { term: Term::End, note: None, original: None }),
        6 => Event::Authorize(Authorize {
            decision: if n.is_multiple_of(2) { Decision::Granted } else { Decision::Denied },
            original: None,
        }),
        7 => Event::Opaque(Opaque {
            original: Original {
                dialect: Dialect::Xmpp,
                bytes: b"<iq type='get' id='1' xmlns='jabber:client'><q xmlns='x'/></iq>"[..].into(),
            },
            wants_answer: n.is_multiple_of(2),
        }),
        _ => {
            let mut tuple =
                Tuple::plain(from.device.clone(), Basic::Open, model::Timestamp(1_700_000_000_000));
            (tuple.activity, tuple.notes) = (Activity::Busy, vec![(None, odd)]);
            let gone = vec![Tuple::plain(None, Basic::Closed, model::Timestamp(1_700_000_000_000))];
            let state = [WatchState::Active, WatchState::Pending, WatchState::Rejected, WatchState::Expired]
                [n / 9 % 4];
            Event::Notify(Notify {
                key: lease,
                state,
                doc: Arc::new(PresenceDoc { presentity: from.address.clone(), tuples: vec![tuple] }),
                changed: None,
                gone,
            })
        }
    }
}

fn contact() -> RosterItem {
    RosterItem {
        contact: address("romeo@example.net"),
        name: Some("R & <J>".into()),
        groups: vec!["G'\"".into()],
        subscription: Subscription { to: true, from: false, asked: false },
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}
