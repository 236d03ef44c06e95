//! Transactions (RFC 3261 17, RFC 6026, RFC 4320): what turns repeated datagrams into one request and one answer.
//!
//! Pure: bytes to send leave through [`Transactions::poll`], time enters as an argument. Every key is scoped by the
//! peer, so no peer can answer, repeat or cancel what belongs to another.

mod kept;
mod key;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use connector::Flow;
use model::Tick;

use crate::wire::{ReplyHead, Request, Response};
use kept::Kept;
use key::{ServerKey, key_of};

/// RFC 3261 17.1.1.1: the round-trip estimate.
pub const T1: Duration = Duration::from_millis(500);
/// The longest pause between retransmissions of a non-INVITE request.
pub const T2: Duration = Duration::from_secs(4);
/// The longest life of a message in the network.
pub const T4: Duration = Duration::from_secs(5);
/// 64 * T1: timers B, F, H and J.
pub const LONG: Duration = Duration::from_secs(32);

/// Requests of one peer that wait for the hub at the same time; more are dropped on UDP, where they come again.
const MAX_PENDING_PER_PEER: u32 = 512;
/// Client transactions of one machine.
const MAX_CLIENTS: usize = 20_000;

/// Where a message comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    /// A connection: reliable, no retransmission.
    Stream(Flow),
    /// A datagram address.
    Udp(SocketAddr),
}

impl Hop {
    fn reliable(self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

/// Names one server transaction while it waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerId(u64);

/// What a request turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// A new request: the caller owes an answer under this name.
    New(ServerId),
    /// An ACK that belongs to no refusal of ours: it is for whoever accepted (RFC 3261 13.2.2.4). Nothing is owed.
    Ack(ServerId),
    /// A repetition, the ACK of a refusal, or one too many: nothing to do.
    Absorbed,
}

/// News of a client transaction, with the number its starter gave it.
#[derive(Debug)]
pub enum ClientEvent {
    /// A provisional response; 100 only to an INVITE, which may be cancelled from then on.
    Provisional(u64, Box<Response>),
    /// The final response; for an INVITE that was accepted it may come again, and from several who accept.
    Final(u64, Box<Response>),
    /// Timer B or F: nobody answered.
    Timeout(u64),
    /// Nothing more can come of an INVITE that was accepted.
    Over(u64),
}

#[derive(Debug)]
enum ServerState {
    /// The machine works on it.
    Trying,
    /// An INVITE was accepted: its repetitions are absorbed, those of the answer are the caller's (RFC 6026 7.1).
    Accepted,
    /// Answered; the answer is kept for retransmissions.
    Completed { answer: Bytes, to: Hop, pause: Duration },
    /// A refused INVITE whose ACK came.
    Confirmed,
}

#[derive(Debug)]
struct Server {
    key: ServerKey,
    invite: bool,
    trying: Option<(Bytes, Hop)>,
    /// It counts against what one peer may have waiting.
    counted: bool,
    state: ServerState,
    end: Tick,
}

#[derive(Debug)]
struct Client {
    branch: String,
    method: &'static str,
    to: Hop,
    number: u64,
    /// The request, for retransmission; empty on streams.
    request: Bytes,
    pause: Duration,
    done: bool,
    /// When it ends.
    end: Tick,
    invite: Invite,
}

/// What an INVITE needs besides.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Invite {
    /// It is none.
    No,
    /// Nobody has said anything.
    Calling,
    /// Somebody works on it. How long, the caller decides.
    Proceeding,
    /// It was refused; the ACK, for repetitions of the refusal.
    Refused(Bytes),
    /// It was accepted.
    Accepted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// E: repeat the request.
    Repeat(u64),
    /// F, and K once answered.
    ClientEnd(u64),
    /// G: repeat the refusal of an INVITE.
    Refuse(u64),
    /// RFC 4320 4.1: a 100 for a non-INVITE request only once the client's timer E has reached T2.
    Late(u64),
    /// J, H, I, or nobody answered in time.
    ServerEnd(u64),
}

/// All transactions of one machine.
#[derive(Debug, Default)]
pub struct Transactions {
    next: u64,
    servers: BTreeMap<u64, Server>,
    keys: BTreeMap<ServerKey, u64>,
    pending: BTreeMap<Hop, u32>,
    kept: Kept,
    clients: BTreeMap<u64, Client>,
    branches: BTreeMap<String, u64>,
    /// A CANCEL has the branch of what it cancels (RFC 3261 9.1).
    cancels: BTreeMap<String, u64>,
    timers: BTreeSet<(Tick, Timer)>,
    out: VecDeque<(Hop, Bytes)>,
}

impl Transactions {
    /// Takes a request (RFC 3261 17.2.3). `source` is the peer, `back` where its answers go.
    pub fn receive(&mut self, now: Tick, source: Hop, back: Hop, request: &Request) -> Seen {
        let method = request.method();
        let ack = method == "ACK";
        let key = key_of(source, if ack { "INVITE" } else { method }, &request.reply);
        if let Some(&id) = self.keys.get(&key) {
            if ack && self.servers.get(&id).is_some_and(|s| matches!(s.state, ServerState::Accepted)) {
                // Some give it the branch of its INVITE.
                return Seen::Ack(ServerId(0));
            }
            self.repeated(now, id, ack);
            return Seen::Absorbed;
        }
        if ack {
            return Seen::Ack(ServerId(0));
        }
        if self.waiting(source) >= MAX_PENDING_PER_PEER {
            return Seen::Absorbed;
        }
        *self.pending.entry(source).or_default() += 1;
        self.next += 1;
        let id = self.next;
        let late = (!source.reliable() && method != "INVITE")
            .then(|| (Bytes::from(request.reply.answer(100, "").finish(b"")), back));
        if late.is_some() {
            self.timers.insert((now + T2, Timer::Late(id)));
        }
        // Without an answer after 64*T1 the client has given up, and a late one would only confuse (RFC 4320 4.2).
        self.timers.insert((now + LONG, Timer::ServerEnd(id)));
        self.keys.insert(key.clone(), id);
        let invite = method == "INVITE";
        self.servers.insert(
            id,
            Server { key, invite, trying: late, counted: true, state: ServerState::Trying, end: now + LONG },
        );
        Seen::New(ServerId(id))
    }

    fn repeated(&mut self, now: Tick, id: u64, ack: bool) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        match &server.state {
            ServerState::Completed { .. } if ack => {
                server.state = ServerState::Confirmed;
                let wait = if server.key.peer.reliable() { Duration::ZERO } else { T4 };
                self.end_at(now + wait, id);
            }
            ServerState::Completed { answer, to, .. } => self.out.push_back((*to, answer.clone())),
            ServerState::Trying if server.invite => {
                if let Some((trying, to)) = &server.trying {
                    self.out.push_back((*to, trying.clone()));
                }
            }
            ServerState::Trying | ServerState::Accepted | ServerState::Confirmed => {}
        }
    }

    fn end_at(&mut self, at: Tick, id: u64) {
        if let Some(server) = self.servers.get_mut(&id) {
            self.timers.remove(&(server.end, Timer::ServerEnd(id)));
            server.end = at;
            self.timers.insert((at, Timer::ServerEnd(id)));
        }
    }

    /// Sends a provisional answer of an INVITE, and keeps the transaction for so long from now (RFC 3261 17.2.1). What
    /// rings does not count against what its peer may have waiting.
    pub fn provisional(
        &mut self,
        now: Tick,
        id: ServerId,
        to: Hop,
        answer: impl Into<Bytes>,
        stay: Duration,
    ) {
        let Some(server) = self.servers.get_mut(&id.0) else { return };
        if !matches!(server.state, ServerState::Trying) {
            return;
        }
        let answer = answer.into();
        server.trying = Some((answer.clone(), to));
        let (peer, counted) = (server.key.peer, std::mem::take(&mut server.counted));
        self.out.push_back((to, answer));
        if counted {
            self.less_pending(peer);
        }
        self.end_at(now + stay, id.0);
    }

    /// Accepts an INVITE, or accepts it again (RFC 6026 7.1): nothing is repeated by itself.
    pub fn accept(&mut self, now: Tick, id: ServerId, to: Hop, answer: impl Into<Bytes>) {
        let Some(server) = self.servers.get_mut(&id.0) else { return };
        match server.state {
            ServerState::Trying => {
                server.state = ServerState::Accepted;
                server.trying = None;
                let (peer, counted) = (server.key.peer, std::mem::take(&mut server.counted));
                if counted {
                    self.less_pending(peer);
                }
                self.end_at(now + LONG, id.0);
            }
            ServerState::Accepted => {}
            ServerState::Completed { .. } | ServerState::Confirmed => return,
        }
        self.out.push_back((to, answer.into()));
    }

    /// True while somebody waits for this answer.
    pub fn is_open(&self, id: ServerId) -> bool {
        self.servers.get(&id.0).is_some_and(|s| matches!(s.state, ServerState::Trying))
    }

    /// Sends the final answer. A second answer to the same request is dropped.
    pub fn respond(&mut self, now: Tick, id: ServerId, to: Hop, answer: impl Into<Bytes>) {
        let id = id.0;
        let Some(server) = self.servers.get_mut(&id) else { return };
        if !matches!(server.state, ServerState::Trying) {
            return;
        }
        let answer = answer.into();
        let bytes = answer.len();
        self.out.push_back((to, answer.clone()));
        server.trying = None;
        let (peer, invite) = (server.key.peer, server.invite);
        if std::mem::take(&mut server.counted) {
            self.less_pending(peer);
        }
        if peer.reliable() && !invite {
            // Timer J is zero here: nothing is kept of an answered request (RFC 3261 17.2.2).
            self.forget(id);
            return;
        }
        if let Some(server) = self.servers.get_mut(&id) {
            server.state = ServerState::Completed { answer, to, pause: T1 };
        }
        self.end_at(now + LONG, id);
        if invite && !peer.reliable() {
            self.timers.insert((now + T1, Timer::Refuse(id)));
        }
        self.kept.push(id, bytes);
        while let Some(old) = self.kept.excess() {
            self.forget(old);
        }
    }

    /// Sends the final answer and keeps nothing: a repeated request is a new one.
    pub fn respond_once(&mut self, id: ServerId, to: Hop, answer: impl Into<Bytes>) {
        let Some(server) = self.servers.get(&id.0) else { return };
        let (peer, counted) = (server.key.peer, server.counted);
        if !matches!(server.state, ServerState::Trying) {
            return;
        }
        self.out.push_back((to, answer.into()));
        if counted {
            self.less_pending(peer);
        }
        self.forget(id.0);
    }

    fn less_pending(&mut self, peer: Hop) {
        if let Some(n) = self.pending.get_mut(&peer) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.pending.remove(&peer);
            }
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(server) = self.servers.remove(&id) {
            self.timers.remove(&(server.end, Timer::ServerEnd(id)));
            self.keys.remove(&server.key);
        }
    }

    /// The INVITE of this peer with the branch of a CANCEL, if it is known (RFC 3261 9.2).
    pub fn invite_of(&self, source: Hop, cancel: &ReplyHead) -> Option<ServerId> {
        self.keys.get(&key_of(source, "INVITE", cancel)).copied().map(ServerId)
    }

    /// Sends what no transaction waits for: an ACK, or a repeated acceptance.
    pub fn send(&mut self, to: Hop, bytes: impl Into<Bytes>) {
        self.out.push_back((to, bytes.into()));
    }

    /// How many requests of a peer wait for the hub.
    pub fn waiting(&self, peer: Hop) -> u32 {
        self.pending.get(&peer).copied().unwrap_or(0)
    }

    /// Starts a client transaction (RFC 3261 17.1). The request carries `branch` in its top Via.
    /// False if there are too many.
    pub fn request(
        &mut self,
        now: Tick,
        to: Hop,
        branch: &str,
        method: &'static str,
        number: u64,
        bytes: Vec<u8>,
    ) -> bool {
        if self.clients.len() >= MAX_CLIENTS {
            return false;
        }
        self.next += 1;
        let id = self.next;
        let bytes = Bytes::from(bytes);
        self.out.push_back((to, bytes.clone()));
        let request = if to.reliable() { Bytes::new() } else { bytes };
        if !to.reliable() {
            self.timers.insert((now + T1, Timer::Repeat(id)));
        }
        let end = now + LONG;
        self.timers.insert((end, Timer::ClientEnd(id)));
        match method {
            "CANCEL" => self.cancels.insert(branch.to_owned(), id),
            _ => self.branches.insert(branch.to_owned(), id),
        };
        let branch = branch.to_owned();
        let invite = if method == "INVITE" { Invite::Calling } else { Invite::No };
        let client = Client { branch, method, to, number, request, pause: T1, done: false, end, invite };
        self.clients.insert(id, client);
        true
    }

    /// Takes a response (RFC 3261 17.1.3). It must come from where the request went.
    pub fn response(&mut self, now: Tick, source: Hop, response: Box<Response>) -> Option<ClientEvent> {
        let known = if response.method == "CANCEL" { &self.cancels } else { &self.branches };
        let id = *known.get(&response.branch)?;
        let client = self.clients.get_mut(&id)?;
        let same_peer = match (client.to, source) {
            (Hop::Stream(a), Hop::Stream(b)) => a == b,
            // A device may answer from another port than it listens on.
            (Hop::Udp(a), Hop::Udp(b)) => a.ip().to_canonical() == b.ip().to_canonical(),
            _ => false,
        };
        if !same_peer || client.method != response.method || client.done {
            return None;
        }
        let number = client.number;
        if client.invite != Invite::No {
            return self.invite_answered(now, id, number, response);
        }
        if response.status < 200 {
            // Proceeding: from now on repeat only every T2 (RFC 3261 17.1.2.2).
            client.pause = T2;
            return (response.status > 100).then_some(ClientEvent::Provisional(number, response));
        }
        client.done = true;
        client.request = Bytes::new();
        if client.to.reliable() {
            self.drop_client(id);
        } else {
            // Timer K absorbs repetitions of the answer.
            self.client_ends_at(now + T4, id);
        }
        Some(ClientEvent::Final(number, response))
    }

    /// RFC 3261 17.1.1.2 with RFC 6026 7.2.
    fn invite_answered(
        &mut self,
        now: Tick,
        id: u64,
        number: u64,
        response: Box<Response>,
    ) -> Option<ClientEvent> {
        let client = self.clients.get_mut(&id)?;
        match (response.status, &client.invite) {
            (100..200, Invite::Calling | Invite::Proceeding) => {
                client.request = Bytes::new();
                let ringing = std::mem::replace(&mut client.invite, Invite::Proceeding) == Invite::Proceeding;
                if !ringing {
                    // Whoever began it decides how long it may ring.
                    let end = client.end;
                    self.timers.remove(&(end, Timer::ClientEnd(id)));
                }
                Some(ClientEvent::Provisional(number, response))
            }
            (200..300, Invite::Calling | Invite::Proceeding) => {
                client.request = Bytes::new();
                client.invite = Invite::Accepted;
                self.client_ends_at(now + LONG, id);
                Some(ClientEvent::Final(number, response))
            }
            (200..300, Invite::Accepted) => Some(ClientEvent::Final(number, response)),
            (300.., Invite::Calling | Invite::Proceeding) => {
                client.request = Bytes::new();
                client.invite = Invite::Refused(Bytes::new());
                client.done = client.to.reliable();
                self.client_ends_at(now + LONG, id);
                Some(ClientEvent::Final(number, response))
            }
            (300.., Invite::Refused(ack)) if !ack.is_empty() => {
                let (to, ack) = (client.to, ack.clone());
                self.out.push_back((to, ack));
                None
            }
            _ => None,
        }
    }

    /// Sends the ACK of a refused INVITE, now and for each repetition of the refusal (RFC 3261 17.1.1.3).
    pub fn acknowledge(&mut self, branch: &str, ack: impl Into<Bytes>) {
        let Some(&id) = self.branches.get(branch) else { return };
        let Some(client) = self.clients.get_mut(&id) else { return };
        let ack = ack.into();
        self.out.push_back((client.to, ack.clone()));
        if client.to.reliable() {
            // Timer D is zero here.
            self.drop_client(id);
        } else {
            client.invite = Invite::Refused(ack);
        }
    }

    /// Has anybody said anything about this INVITE, and no last word? Only then may it be cancelled (RFC 3261 9.1).
    pub fn is_ringing(&self, branch: &str) -> bool {
        let client = self.branches.get(branch).and_then(|id| self.clients.get(id));
        client.is_some_and(|c| c.invite == Invite::Proceeding)
    }

    /// Has a CANCEL gone out for it?
    pub fn is_cancelled(&self, branch: &str) -> bool {
        self.cancels.contains_key(branch)
    }

    /// From now on an INVITE waits no longer than any request: it was cancelled.
    pub fn limit(&mut self, now: Tick, branch: &str) {
        if let Some(&id) = self.branches.get(branch) {
            self.client_ends_at(now + LONG, id);
        }
    }

    fn client_ends_at(&mut self, at: Tick, id: u64) {
        if let Some(client) = self.clients.get_mut(&id) {
            self.timers.remove(&(client.end, Timer::ClientEnd(id)));
            client.end = at;
            self.timers.insert((at, Timer::ClientEnd(id)));
        }
    }

    fn drop_client(&mut self, id: u64) {
        if let Some(client) = self.clients.remove(&id) {
            self.timers.remove(&(client.end, Timer::ClientEnd(id)));
            match client.method {
                "CANCEL" => self.cancels.remove(&client.branch),
                _ => self.branches.remove(&client.branch),
            };
        }
    }

    /// Fires what is due. Returns the requests nobody answered.
    pub fn tick(&mut self, now: Tick) -> Vec<ClientEvent> {
        let mut events = Vec::new();
        while let Some(&(at, timer)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Repeat(id) => {
                    let Some(client) = self.clients.get_mut(&id) else { continue };
                    let silent = matches!(client.invite, Invite::No | Invite::Calling);
                    if !client.done && silent {
                        // Timer A doubles on and on, E only up to T2 (RFC 3261 17.1.1.2, 17.1.2.2).
                        let longest = if client.invite == Invite::No { T2 } else { LONG };
                        client.pause = (client.pause * 2).min(longest);
                        self.out.push_back((client.to, client.request.clone()));
                        self.timers.insert((now + client.pause, Timer::Repeat(id)));
                    }
                }
                Timer::ClientEnd(id) => {
                    if let Some(client) = self.clients.get(&id) {
                        match &client.invite {
                            Invite::Accepted => events.push(ClientEvent::Over(client.number)),
                            Invite::Refused(_) => {}
                            _ if client.done => {}
                            _ => events.push(ClientEvent::Timeout(client.number)),
                        }
                        self.drop_client(id);
                    }
                }
                Timer::Refuse(id) => {
                    if let Some(server) = self.servers.get_mut(&id)
                        && let ServerState::Completed { answer, to, pause } = &mut server.state
                    {
                        *pause = (*pause * 2).min(T2);
                        self.out.push_back((*to, answer.clone()));
                        self.timers.insert((now + *pause, Timer::Refuse(id)));
                    }
                }
                Timer::Late(id) => {
                    if let Some((trying, to)) = self.servers.get_mut(&id).and_then(|s| s.trying.take()) {
                        self.out.push_back((to, trying));
                    }
                }
                Timer::ServerEnd(id) => {
                    if let Some(server) = self.servers.get(&id) {
                        if matches!(server.state, ServerState::Trying) && server.counted {
                            let peer = server.key.peer;
                            self.less_pending(peer);
                        }
                        self.forget(id);
                    }
                    self.kept.trim(|id| self.servers.contains_key(&id));
                }
            }
        }
        events
    }

    /// When [`Transactions::tick`] has something to do.
    pub fn deadline(&self) -> Option<Tick> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The next bytes to send.
    pub fn poll(&mut self) -> Option<(Hop, Bytes)> {
        self.out.pop_front()
    }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
