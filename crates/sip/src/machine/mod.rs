//! The machine: one connection, or one shard of a datagram socket.
//!
//! It dispatches; what a method means stands in the file of that method.

mod answer;
mod auth;
mod drain;
mod im;
mod inherit;
mod proxy;
mod publication;
mod registrar;
mod subscription;
mod tickets;
mod trunk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connector::{Dice, Flow, Input, Machine, Output, Peer, Seed, Transport};
use model::{
    Address, Delivery, Endpoint, Event, LeaseKey, Notice, Now, Outcome, Reason, Refusal, Tick, Ticket,
};

use crate::config::Config;
use crate::digest::Nonces;
use crate::transaction::{ClientEvent, Hop, LONG, Seen, ServerId, Transactions};
use crate::wire::{Fault, Framed, Framer, ReplyHead, Request, Response, SipUri, Unit, datagram};
pub(crate) use inherit::peer_of;

use auth::Failures;
use im::SentMessage;
use publication::{Publication, Publishing};
use registrar::{Binding, Registering};
use subscription::Watch;
use trunk::Trunk;

/// Methods we serve (RFC 3261 20.5).
const ALLOW: &str = "OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, INFO, REFER";
/// Bodies a MESSAGE may carry, the best known first.
const ACCEPT: &str = "text/plain, text/html, message/cpim, application/im-iscomposing+xml, message/imdn+xml, multipart/mixed, multipart/alternative, application/pidf+xml";
/// What we call ourselves.
const SOFTWARE: &str = "Rialto";
/// Requests of one connection in the hands of the hub, past which it is not read.
const WINDOW: u32 = 64;
/// How long the hub may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Open questions of one machine.
const MAX_TICKETS: usize = 20_000;

/// A request on its way through the machine.
#[derive(Debug)]
struct Job {
    id: ServerId,
    source: Hop,
    back: Hop,
    request: Box<Request>,
}

impl Job {
    fn receipt(&self) -> Owed {
        Owed { id: self.id, back: self.back, reply: self.request.reply.clone() }
    }
}

/// What is left of a job once only the answer is owed.
#[derive(Debug)]
struct Owed {
    id: ServerId,
    back: Hop,
    reply: ReplyHead,
}

/// What an answer of the hub is for.
#[derive(Debug)]
enum Waiting {
    Credential(Box<auth::Proving>),
    Bind {
        registering: u64,
        binding: Box<Binding>,
    },
    Message {
        owed: Owed,
        full: bool,
    },
    Subscribe {
        owed: Owed,
        key: LeaseKey,
    },
    ClaimWatch {
        job: Box<Job>,
        account: Address,
        key: LeaseKey,
    },
    Publish(Box<Publishing>),
    ClaimPublication {
        job: Box<Job>,
        account: Address,
        lineage: String,
    },
    Trunk(trunk::Asked),
    /// A request of a call, passed on.
    Call(u64),
    /// Nobody waits for it.
    Nothing,
}

/// What a response from a device is for.
#[derive(Debug)]
enum Sent {
    Message(SentMessage),
    Notify(LeaseKey),
    /// The first question to a server we connected to.
    Hello(model::DomainPair),
    Subscribe(Box<trunk::Asking>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Binding(Endpoint),
    Watch(LeaseKey),
    FirstNotify(LeaseKey),
    Publication(String),
    Backend(LeaseKey),
    Call(u64),
    Keep,
}

/// One message at a time, for clients that look at one message for each read: libpurple leaves a second one in its
/// buffer until more arrives, and the news in it with it.
#[derive(Debug)]
struct Pacing {
    held: VecDeque<(Flow, Bytes)>,
    next: Tick,
}

impl Pacing {
    /// Between two messages.
    const PAUSE: Duration = Duration::from_millis(40);
    /// Past which nothing is held back any more.
    const MAX: usize = 500;
}

/// One SIP protocol engine.
pub struct SipMachine {
    config: Arc<Config>,
    transport: Transport,
    tls: bool,
    peer: Peer,
    dice: Dice,
    framer: Framer,
    partial_since: Option<Tick>,
    transactions: Transactions,
    nonces: Nonces,
    failures: Failures,
    tickets: BTreeMap<Ticket, (Tick, Waiting)>,
    sent: BTreeMap<u64, Sent>,
    next: u64,
    registering: BTreeMap<u64, Registering>,
    bindings: BTreeMap<Endpoint, Binding>,
    watches: BTreeMap<LeaseKey, Watch>,
    publications: BTreeMap<String, Publication>,
    timers: BTreeSet<(Tick, Due)>,
    out: VecDeque<Output>,
    pacing: Option<Pacing>,
    paused: bool,
    drain: drain::Drain,
    closed: bool,
    /// What is passed on of calls, if anything ever was.
    calls: Option<Box<proxy::Calls>>,
    /// What connections to other companies' servers have besides.
    trunk: Option<Box<Trunk>>,
}

impl std::fmt::Debug for SipMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SipMachine")
            .field("peer", &self.peer)
            .field("bindings", &self.bindings.len())
            .field("watches", &self.watches.len())
            .finish_non_exhaustive()
    }
}

impl SipMachine {
    /// A machine for one connection, or for one shard.
    pub fn new(config: Arc<Config>, transport: Transport, tls: bool, peer: Peer, seed: Seed) -> Self {
        let mut dice = Dice::new(seed);
        let nonces = Nonces::new(dice.bytes());
        Self {
            config,
            transport,
            tls,
            peer,
            dice,
            framer: Framer::default(),
            partial_since: None,
            transactions: Transactions::default(),
            nonces,
            failures: Failures::default(),
            tickets: BTreeMap::new(),
            sent: BTreeMap::new(),
            next: 0,
            registering: BTreeMap::new(),
            bindings: BTreeMap::new(),
            watches: BTreeMap::new(),
            publications: BTreeMap::new(),
            timers: BTreeSet::new(),
            out: VecDeque::new(),
            pacing: None,
            paused: false,
            drain: drain::Drain::No,
            closed: false,
            calls: None,
            trunk: None,
        }
    }

    // ---- bytes in

    fn framed(&mut self, now: Now, source: Hop, addr: SocketAddr, framed: Framed) {
        match framed {
            Framed::Unit(Unit::Request(r)) => self.request(now, source, addr, r),
            Framed::Unit(Unit::Response(r)) => {
                if let Some(event) = self.transactions.response(now.tick, source, r) {
                    self.client_event(now, event);
                }
            }
            Framed::Ping => {
                if let Hop::Stream(flow) = source {
                    self.out.push_back(Output::Bytes(flow, Bytes::from_static(b"\r\n")));
                }
            }
            Framed::Fault(fault) => self.fault(now.tick, source, addr, fault),
        }
    }

    /// Answers what could be read of a bad message, without a transaction (RFC 3261 8.2.7), and ends a stream whose
    /// framing is lost.
    fn fault(&mut self, now: Tick, source: Hop, addr: SocketAddr, fault: Fault) {
        if let Some(mut reply) = fault.reply {
            reply.seen_from(addr);
            let tag = self.dice.token(10);
            let bytes = Bytes::from(reply.answer(fault.status, &tag).finish(b""));
            match source {
                Hop::Stream(flow) => self.out.push_back(Output::Bytes(flow, bytes)),
                Hop::Udp(_) => self.out.push_back(Output::Datagram(reply.answer_to(addr), bytes)),
            }
        }
        if let (Hop::Stream(flow), true) = (source, fault.fatal) {
            self.close(now, flow);
        }
    }

    fn close(&mut self, now: Tick, flow: Flow) {
        if !self.closed {
            self.closed = true;
            self.flush(now);
            self.out.push_back(Output::Close(flow));
        }
    }

    fn request(&mut self, now: Now, source: Hop, addr: SocketAddr, mut request: Box<Request>) {
        request.reply.seen_from(addr);
        let back = match source {
            Hop::Stream(_) => source,
            Hop::Udp(_) => Hop::Udp(request.reply.answer_to(addr)),
        };
        let id = match self.transactions.receive(now.tick, source, back, &request) {
            Seen::New(id) => id,
            Seen::Ack(id) => {
                let job = Job { id, source, back, request };
                if self.is_call(&job) && self.is_expected(&job) {
                    self.dispatch(now, job);
                }
                return;
            }
            Seen::Absorbed => return,
        };
        if matches!(source, Hop::Stream(_)) && self.pacing.is_none() {
            let sloppy = request.header("User-Agent").is_some_and(|ua| ua.starts_with("Purple/"));
            self.pacing = sloppy.then(|| Pacing { held: VecDeque::new(), next: now.tick });
        }
        let job = Job { id, source, back, request };
        if self.sent_away(now, &job) {
            return;
        }
        if self.tickets.len() >= MAX_TICKETS {
            return self.refuse(now, &job, 500);
        }
        self.dispatch(now, job);
        if let (Hop::Stream(flow), false) = (source, self.paused)
            && self.transactions.waiting(source) >= WINDOW
        {
            self.paused = true;
            self.out.push_back(Output::Pause(flow));
        }
    }

    fn dispatch(&mut self, now: Now, job: Job) {
        let method = job.request.method().to_owned();
        if method == "CANCEL" {
            let known = self.transactions.invite_of(job.source, &job.request.reply);
            self.refuse(now, &job, if known.is_some() { 200 } else { 481 });
            if let Some(id) = known {
                self.cancel(now, id);
            }
            return;
        }
        // What a call requires is for its other side to know.
        let call = self.is_call(&job);
        let required: &[&str] = if call { &["Proxy-Require"] } else { &["Require", "Proxy-Require"] };
        let unknown: Vec<String> = required.iter().flat_map(|h| job.request.list(h)).collect();
        if !unknown.is_empty() {
            // No extension is demanded of us that we could honour (RFC 3261 8.2.2.3).
            return self.answer(now, &job, 420, |w| {
                w.header("Unsupported", unknown.join(", "));
            });
        }
        let up = call && job.request.reply.has_to_tag();
        if !up && SipUri::parse(&job.request.target()).is_none() {
            let scheme = job.request.target();
            let ours =
                ["sip:", "sips:", "im:", "pres:"].iter().any(|s| scheme.to_ascii_lowercase().starts_with(s));
            return self.refuse(now, &job, if ours { 400 } else { 416 });
        }
        if job.request.target().to_ascii_lowercase().starts_with("sips:")
            && (matches!(&*method, "MESSAGE" | "SUBSCRIBE") || (call && !up))
        {
            // We cannot promise TLS on every hop to somebody of another dialect (RFC 7247 8, RFC 5630 3.2).
            return self.refuse(now, &job, 416);
        }
        if job.request.seconds("Max-Forwards") == Some(0)
            && method != "REGISTER"
            && (method != "OPTIONS" || up)
        {
            return self.refuse(now, &job, 483);
        }
        match self.trunk.is_some() {
            true => self.gate(now, job),
            false => self.carry_out(now, job),
        }
    }

    fn carry_out(&mut self, now: Now, job: Job) {
        match job.request.method() {
            // What is wrong whoever sends it need not be asked for a password first.
            "REGISTER" if job.request.contacts().is_none() || !is_sip(&job.request.to.uri) => {
                self.refuse(now, &job, 400);
            }
            _ if self.is_call(&job) && job.request.reply.has_to_tag() => self.in_call(now, job),
            _ if self.is_call(&job) => self.authenticate(now, job),
            "REGISTER" | "MESSAGE" => self.authenticate(now, job),
            "SUBSCRIBE" | "PUBLISH" => {
                let event = job.request.params("Event").map(|p| p.head.to_ascii_lowercase());
                if event.as_deref() == Some("presence") {
                    self.authenticate(now, job);
                } else {
                    self.answer(now, &job, 489, |w| {
                        w.header("Allow-Events", "presence");
                    });
                }
            }
            "OPTIONS" => self.answer(now, &job, 200, |w| {
                w.header("Allow", ALLOW).header("Accept", ACCEPT).header("Allow-Events", "presence");
            }),
            "INVITE" | "BYE" | "NOTIFY" | "UPDATE" | "PRACK" | "INFO" | "REFER"
                if job.request.reply.has_to_tag() =>
            {
                self.refuse(now, &job, 481);
            }
            "NOTIFY" => self.refuse(now, &job, 481),
            "BYE" | "UPDATE" | "PRACK" | "INFO" | "REFER" => self.answer(now, &job, 405, |w| {
                w.header("Allow", ALLOW);
            }),
            _ => self.answer(now, &job, 501, |w| {
                w.header("Allow", ALLOW);
            }),
        }
    }

    /// The request is from `account`: do what it asks.
    fn act(&mut self, now: Now, job: Job, account: Address) {
        match job.request.method() {
            "REGISTER" => self.register(now, job, account),
            "MESSAGE" => self.message(now, job, account),
            "SUBSCRIBE" => self.subscribe(now, job, account),
            "PUBLISH" => self.publish(now, job, account),
            _ if self.is_call(&job) => self.proxy(now, job, account),
            _ => self.refuse(now, &job, 501),
        }
    }

    fn client_event(&mut self, now: Now, event: ClientEvent) {
        if self.calls.is_some() && self.called_answered(now, &event) {
            return;
        }
        let (number, response): (u64, Option<Box<Response>>) = match event {
            ClientEvent::Final(n, r) => (n, Some(r)),
            ClientEvent::Timeout(n) => (n, None),
            ClientEvent::Provisional(..) | ClientEvent::Over(_) => return,
        };
        match self.sent.remove(&number) {
            Some(Sent::Message(sent)) => self.message_answered(now, sent, response.as_deref()),
            Some(Sent::Notify(key)) => self.notify_answered(now, &key, response.as_deref()),
            Some(Sent::Hello(pair)) => self.hello_answered(now, pair, response.as_deref()),
            Some(Sent::Subscribe(asking)) => self.subscribe_answered(now, *asking, response.as_deref()),
            None => {}
        }
    }

    // ---- the hub

    fn deliver(&mut self, now: Now, delivery: Delivery) {
        match &delivery.envelope.event {
            // What is not for a subscription comes from the mailbox of a pair of domains.
            Event::Notify(notify) if notify.key.is_some() => {
                let notify = notify.clone();
                self.watch_news(now, &delivery, notify);
            }
            _ if self.trunk.is_some() => self.trunk_deliver(now, delivery),
            Event::Notify(notify) => {
                let notify = notify.clone();
                self.watch_news(now, &delivery, notify);
            }
            Event::Message(_) | Event::Composing(_) | Event::Receipt(_) => self.send_message(now, delivery),
            // Consent shows itself in the next NOTIFY; SIP has no message for it (RFC 8048 5.3.1).
            Event::Authorize(_) => self.out.push_back(Output::ack(delivery.id, Outcome::Delivered)),
            Event::Subscribe(_) | Event::Publish(_) | Event::Opaque(_) | Event::Call(_) => {
                let no = Refusal::new(Reason::Unsupported);
                self.out.push_back(Output::ack(delivery.id, Outcome::Refused(no)));
            }
        }
    }

    fn notice(&mut self, device: &Endpoint, notice: &Notice) {
        match notice {
            Notice::Replaced | Notice::Revoked => self.drop_binding(device),
            // A SIP phone keeps its own contact list.
            // Nothing of ours can be taken over so.
            Notice::Roster(_)
            | Notice::RosterRemoved(_)
            | Notice::Blocked(_)
            | Notice::Unblocked(_)
            | Notice::Taken => {}
        }
    }

    /// Is a device of this account registered over this very connection? Then it has proved itself here, and the hub says
    /// so when it may no longer.
    fn is_signed_in(&self, hop: Hop, account: &Address) -> bool {
        let first = Endpoint::bare(account.clone());
        let mut own = self.bindings.range(first..).take_while(|(e, _)| e.address == *account);
        matches!(hop, Hop::Stream(_)) && own.any(|(_, b)| b.hop == hop)
    }

    /// The device a request comes from, if exactly one is registered there.
    fn device_at(&self, hop: Hop, account: &Address) -> Option<Endpoint> {
        let mut here = self.bindings.iter().filter(|(e, b)| e.address == *account && b.hop == hop);
        match (here.next(), here.next()) {
            (Some((one, _)), None) => Some(one.clone()),
            _ => None,
        }
    }

    fn tick(&mut self, now: Now) {
        for event in self.transactions.tick(now.tick) {
            self.client_event(now, event);
        }
        while let Some((at, due)) = self.timers.first() {
            if *at > now.tick {
                break;
            }
            let due = due.clone();
            self.timers.pop_first();
            match due {
                Due::Binding(endpoint) => self.binding_expired(&endpoint),
                Due::Watch(key) => self.watch_expired(&key),
                Due::FirstNotify(key) => self.first_notify(now, &key),
                Due::Publication(lineage) => {
                    self.publications.remove(&lineage);
                }
                Due::Backend(key) => self.backend_due(now, &key),
                Due::Call(number) => self.call_due(now, number),
                Due::Keep => self.keep_looking(now),
            }
        }
        // Requests that were never answered have lapsed.
        self.resume_if_idle(Hop::Stream(Flow::ACCEPTED));
        // Nobody may hold a connection open with half a message.
        if self.partial_since.is_some_and(|at| now.tick >= at + LONG) {
            self.close(now.tick, Flow::ACCEPTED);
        }
    }

    /// Moves what the transactions want sent into the outputs, in order.
    fn flush(&mut self, now: Tick) {
        while let Some((hop, bytes)) = self.transactions.poll() {
            match (hop, &mut self.pacing) {
                (Hop::Stream(flow), Some(pacing)) => pacing.held.push_back((flow, bytes)),
                (Hop::Stream(flow), None) => self.out.push_back(Output::Bytes(flow, bytes)),
                (Hop::Udp(addr), _) => self.out.push_back(Output::Datagram(addr, bytes)),
            }
        }
        let Some(pacing) = &mut self.pacing else { return };
        while now >= pacing.next || self.closed || pacing.held.len() > Pacing::MAX {
            let Some((flow, bytes)) = pacing.held.pop_front() else { break };
            self.out.push_back(Output::Bytes(flow, bytes));
            pacing.next = now + Pacing::PAUSE;
        }
    }
}

impl Machine for SipMachine {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        if self.closed && !matches!(input, Input::Deliver(_)) {
            return;
        }
        let was_open = !self.closed;
        match input {
            Input::Kept(_) | Input::Resumed(..) => {}
            Input::Opened(_) => self.trunk_opened(now),
            Input::Secured(_, facts) => {
                self.tls = true;
                self.trunk_secured(now, facts);
            }
            Input::Bytes(flow, bytes) => {
                let hop = Hop::Stream(flow);
                self.trunk_heard(now.tick);
                let whole = self.framer.feed(bytes);
                // Whoever has completed something meanwhile begins anew with the next.
                let since = self.partial_since.filter(|_| whole.is_empty()).unwrap_or(now.tick);
                for framed in whole {
                    self.framed(now, hop, self.peer.remote, framed);
                }
                self.partial_since = self.framer.is_partial().then_some(since);
            }
            Input::Datagram(source, bytes) => {
                if let Some(framed) = datagram(bytes) {
                    self.framed(now, Hop::Udp(source), source, framed);
                }
            }
            // What was being delivered goes back to the mailbox, dialogs and publications wait as leases.
            Input::Closed(_) => self.closed = true,
            Input::Drain(_) => {
                self.drain = drain::Drain::Finishing;
                self.unattend();
            }
            Input::Deliver(delivery) if self.closed => {
                let way = if self.trunk.is_some() { Reason::RemoteTimeout } else { Reason::Unavailable };
                let no = Refusal::new(way);
                self.out.push_back(Output::ack(delivery.id, Outcome::Refused(no)));
            }
            Input::Line(news) => self.line(now, news),
            Input::Deliver(delivery) => self.deliver(now, delivery),
            Input::Notice(device, notice) => self.notice(&device, &notice),
            Input::Settled(ticket, settlement) => self.settled(now, ticket, settlement),
            Input::Answer(ticket, answer) => self.answered(now, ticket, answer),
            Input::Inherited { key, owner, state, secs } => self.inherit(now, key, owner, &state, secs),
            Input::Tick => self.tick(now),
        }
        self.drained(now.tick);
        if was_open && self.closed {
            self.trunk_left(now);
        }
        self.flush(now.tick);
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Tick> {
        if self.closed {
            return None;
        }
        let own = self.timers.first().map(|(at, _)| *at);
        let partial = self.partial_since.map(|at| at + LONG);
        let paced = self.pacing.as_ref().filter(|p| !p.held.is_empty()).map(|p| p.next);
        [own, partial, paced, self.transactions.deadline()].into_iter().flatten().min()
    }
}

/// An address of record is a SIP URI (RFC 3261 10.3 step 5).
fn is_sip(uri: &str) -> bool {
    let scheme = uri.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips")
}
