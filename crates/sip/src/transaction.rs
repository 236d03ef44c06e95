//! Transactions (RFC 3261 17, RFC 6026, RFC 4320): what turns repeated datagrams into one request and one answer.
//!
//! Pure: bytes to send leave through [`Transactions::poll`], time enters as an argument. Every key is scoped by the
//! peer, so no peer can answer, repeat or cancel what belongs to another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use connector::Flow;
use model::Tick;

use crate::wire::{ReplyHead, Request, Response};

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
/// Answers kept for retransmissions. Past it the oldest is forgotten.
const MAX_KEPT: usize = 50_000;
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
    /// A repetition, an ACK, or one too many: nothing to do.
    Absorbed,
}

/// News of a client transaction, with the number its starter gave it.
#[derive(Debug)]
pub enum ClientEvent {
    /// The final response.
    Final(u64, Box<Response>),
    /// Timer F: nobody answered.
    Timeout(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ServerKey {
    peer: Hop,
    method: String,
    id: String,
}

#[derive(Debug)]
enum ServerState {
    /// The machine works on it.
    Trying,
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
    kept: VecDeque<u64>,
    clients: BTreeMap<u64, Client>,
    branches: BTreeMap<String, u64>,
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
            self.repeated(now, id, ack);
            return Seen::Absorbed;
        }
        if ack || self.waiting(source) >= MAX_PENDING_PER_PEER {
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
        self.servers
            .insert(id, Server { key, invite, trying: late, state: ServerState::Trying, end: now + LONG });
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
            ServerState::Trying | ServerState::Confirmed => {}
        }
    }

    fn end_at(&mut self, at: Tick, id: u64) {
        if let Some(server) = self.servers.get_mut(&id) {
            self.timers.remove(&(server.end, Timer::ServerEnd(id)));
            server.end = at;
            self.timers.insert((at, Timer::ServerEnd(id)));
        }
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
        self.out.push_back((to, answer.clone()));
        server.trying = None;
        let (peer, invite) = (server.key.peer, server.invite);
        self.less_pending(peer);
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
        self.kept.push_back(id);
        while self.kept.len() > MAX_KEPT {
            if let Some(old) = self.kept.pop_front() {
                self.forget(old);
            }
        }
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

    /// True if an INVITE of this peer with the branch of a CANCEL is known (RFC 3261 9.2).
    pub fn invite_of(&self, source: Hop, cancel: &ReplyHead) -> bool {
        self.keys.contains_key(&key_of(source, "INVITE", cancel))
    }

    /// How many requests of a peer wait for the hub.
    pub fn waiting(&self, peer: Hop) -> u32 {
        self.pending.get(&peer).copied().unwrap_or(0)
    }

    /// Starts a non-INVITE client transaction (RFC 3261 17.1.2). The request carries `branch` in its top Via.
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
        self.timers.insert((now + LONG, Timer::ClientEnd(id)));
        self.branches.insert(branch.to_owned(), id);
        let branch = branch.to_owned();
        self.clients.insert(id, Client { branch, method, to, number, request, pause: T1, done: false });
        true
    }

    /// Takes a response (RFC 3261 17.1.3). It must come from where the request went.
    pub fn response(&mut self, now: Tick, source: Hop, response: Box<Response>) -> Option<ClientEvent> {
        let id = *self.branches.get(&response.branch)?;
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
        if response.status < 200 {
            // Proceeding: from now on repeat only every T2 (RFC 3261 17.1.2.2).
            client.pause = T2;
            return None;
        }
        client.done = true;
        client.request = Bytes::new();
        let number = client.number;
        if client.to.reliable() {
            self.drop_client(id);
        } else {
            // Timer K absorbs repetitions of the answer.
            self.timers.insert((now + T4, Timer::ClientEnd(id)));
        }
        Some(ClientEvent::Final(number, response))
    }

    fn drop_client(&mut self, id: u64) {
        if let Some(client) = self.clients.remove(&id) {
            self.branches.remove(&client.branch);
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
                    if !client.done {
                        client.pause = (client.pause * 2).min(T2);
                        self.out.push_back((client.to, client.request.clone()));
                        self.timers.insert((now + client.pause, Timer::Repeat(id)));
                    }
                }
                Timer::ClientEnd(id) => {
                    if let Some(client) = self.clients.get(&id) {
                        if !client.done {
                            events.push(ClientEvent::Timeout(client.number));
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
                        if matches!(server.state, ServerState::Trying) {
                            let peer = server.key.peer;
                            self.less_pending(peer);
                        }
                        self.forget(id);
                    }
                    while self.kept.front().is_some_and(|id| !self.servers.contains_key(id)) {
                        self.kept.pop_front();
                    }
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

fn key_of(peer: Hop, method: &str, head: &ReplyHead) -> ServerKey {
    let id = if head.branch.starts_with("z9hG4bK") && head.branch.len() > 7 {
        // Sent-by belongs to the key: two clients behind one address may pick the same branch.
        format!("{}|{}|{:?}", head.branch, head.sent_by, head.sent_port)
    } else {
        head.old_key()
    };
    ServerKey { peer, method: method.to_owned(), id }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
