//! A SIP transport: a connection or a UDP socket, matching responses to requests and answering what comes.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use rustls::ClientConfig;

use tokio::{net::UdpSocket, sync::oneshot, task::spawn_local, time::timeout};

use super::parse::{Message, frame};
use crate::{
    Result, clock,
    conn::{Conn, Reader, connect},
    env::Env,
    mark::{Mark, hex},
    opts::Transport,
    rig::Sink,
};

/// A response to a request made with [`Link::transact`].
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub code: u16,
    /// The whole message.
    pub text: Vec<u8>,
}

impl Reply {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        Message::parse(&self.text)?.headers(name).next().map(str::to_owned)
    }
}

enum Wire {
    Stream(Rc<Conn>),
    Udp(UdpSocket),
}

/// One transport; several users may share it.
pub struct Link {
    wire: Wire,
    /// Our address.
    pub local: SocketAddr,
    /// The transport's name in Via.
    pub via: &'static str,
    /// What stands in Via besides.
    pub via_flags: &'static str,
    /// The transport's name in a URI's parameter.
    pub param: &'static str,
    waiting: RefCell<HashMap<Vec<u8>, oneshot::Sender<Reply>>>,
    sink: OnceCell<Rc<dyn Sink>>,
    recent: RefCell<Recent>,
    next_branch: Cell<u32>,
    run: u32,
    closed: Cell<bool>,
}

/// Branches of requests answered lately, to tell a request sent again from a new one.
#[derive(Default)]
struct Recent {
    order: VecDeque<u64>,
    set: HashSet<u64>,
}

impl Recent {
    /// Whether `branch` is new; remembers it.
    fn is_new(&mut self, m: &Message<'_>) -> bool {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((m.branch(), m.cseq, m.call_id));
        if !self.set.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > 8192
            && let Some(old) = self.order.pop_front()
        {
            self.set.remove(&old);
        }
        true
    }
}

impl Link {
    /// Opens a transport to the server. Reading starts at once; what comes goes to `sink`.
    pub async fn open(env: &Env, source: Option<SocketAddr>, sink: Rc<dyn Sink>) -> Result<Rc<Self>> {
        let target = env.opts.sip;
        let (via, param) = match env.opts.sip_transport {
            Transport::Udp => ("UDP", "udp"),
            Transport::Tcp => ("TCP", "tcp"),
            Transport::Tls => ("TLS", "tls"),
        };
        let (wire, local, reader) = if env.opts.sip_transport == Transport::Udp {
            let any = source.unwrap_or_else(|| {
                SocketAddr::new(if target.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() }, 0)
            });
            let socket = UdpSocket::bind(any).await?;
            socket.connect(target).await?;
            let local = socket.local_addr()?;
            (Wire::Udp(socket), local, None)
        } else {
            let mut reader = connect(target, source).await?;
            if env.opts.sip_transport == Transport::Tls {
                reader
                    .secure(env.tls()?, env.opts.tls_name.as_deref().unwrap_or(env.opts.sip_domain()))
                    .await?;
            }
            (Wire::Stream(reader.conn.clone()), reader.conn.local, Some(reader))
        };
        let link = Self::of(env, wire, local, (via, "", param), sink);
        match reader {
            Some(reader) => spawn_local(link.clone().read_stream(reader)),
            None => spawn_local(link.clone().read_udp()),
        };
        Ok(link)
    }

    /// Opens a connection as a partner's server, which takes requests on it, too (RFC 5923).
    pub async fn trunk(
        env: &Env,
        to: SocketAddr,
        tls: &Arc<ClientConfig>,
        tls_name: &str,
        sink: Rc<dyn Sink>,
    ) -> Result<Rc<Self>> {
        let mut reader = connect(to, None).await?;
        reader.secure(tls, tls_name).await?;
        let (wire, local) = (Wire::Stream(reader.conn.clone()), reader.conn.local);
        let link = Self::of(env, wire, local, ("TLS", ";alias", "tls"), sink);
        spawn_local(link.clone().read_stream(reader));
        Ok(link)
    }

    fn of(
        env: &Env,
        wire: Wire,
        local: SocketAddr,
        (via, via_flags, param): (&'static str, &'static str, &'static str),
        sink: Rc<dyn Sink>,
    ) -> Rc<Self> {
        let link = Rc::new(Self {
            wire,
            local,
            via,
            via_flags,
            param,
            waiting: RefCell::default(),
            sink: OnceCell::new(),
            recent: RefCell::default(),
            next_branch: Cell::new(0),
            run: env.run,
            closed: Cell::new(false),
        });
        let _ = link.sink.set(sink);
        link
    }

    /// Whether requests may get lost on the way.
    pub fn is_lossy(&self) -> bool {
        matches!(self.wire, Wire::Udp(_))
    }

    /// Lets `write` append one message to what is sent. Over UDP it leaves at once; what the socket does not take is
    /// lost, as it may be on any network.
    pub fn queue<T>(&self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        match &self.wire {
            Wire::Stream(conn) => {
                let mut done = None;
                conn.queue(|out| done = Some(write(out)));
                done.expect("the connection calls back")
            }
            Wire::Udp(socket) => {
                thread_local!(static DATAGRAM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
                DATAGRAM.with_borrow_mut(|out| {
                    out.clear();
                    let done = write(out);
                    let _ = socket.try_send(out);
                    done
                })
            }
        }
    }

    /// Sends what is queued.
    pub fn flush(&self) {
        if let Wire::Stream(conn) = &self.wire {
            conn.flush();
        }
    }

    /// A Via line with a fresh branch, and the branch.
    pub fn fresh_via(&self) -> (String, String) {
        let n = self.next_branch.get();
        self.next_branch.set(n + 1);
        let branch = format!("z9hG4bKq{:08x}.{n:x}.{}", self.run, self.local.port());
        let (via, flags) = (self.via, self.via_flags);
        (format!("Via: SIP/2.0/{via} {};branch={branch};rport{flags}\r\n", self.local), branch)
    }

    /// Sends a request with its branch and waits for the final response, sending it again over UDP.
    pub async fn transact(&self, branch: &str, request: &[u8]) -> Result<Reply> {
        let (tx, mut rx) = oneshot::channel();
        self.waiting.borrow_mut().insert(branch.as_bytes().to_vec(), tx);
        let mut wait = if self.is_lossy() { 500 } else { 32_000 };
        let mut waited = 0;
        while waited < 32_000 && !self.closed.get() {
            self.queue(|out| out.extend_from_slice(request));
            self.flush();
            match timeout(Duration::from_millis(wait), &mut rx).await {
                Ok(reply) => return Ok(reply?),
                Err(_) => {
                    waited += wait;
                    wait = (wait * 2).min(4000);
                }
            }
        }
        self.waiting.borrow_mut().remove(branch.as_bytes());
        Err("no answer to a SIP request".into())
    }

    async fn read_stream(self: Rc<Self>, mut r: Reader) {
        while matches!(r.fill().await, Ok(1..)) && !r.conn.is_closed() {
            let now = clock::now();
            let mut used = 0;
            while let Some(len) = frame(&r.buf[used..]) {
                self.heed(&r.buf[used..used + len], now);
                used += len;
            }
            if used == r.buf.len() {
                r.buf.clear();
                r.buf.shrink_to(16 * 1024);
            } else {
                r.buf.drain(..used);
            }
            self.sink().batch_done();
            self.flush();
        }
        self.closed.set(true);
        self.waiting.borrow_mut().clear();
        self.sink().closed();
    }

    async fn read_udp(self: Rc<Self>) {
        let Wire::Udp(socket) = &self.wire else { return };
        let mut buf = vec![0; 65_536];
        loop {
            // An error is an ICMP message about something sent: requests go out again by timer.
            if let Ok(n) = socket.recv(&mut buf).await {
                self.heed(&buf[..n], clock::now());
                self.sink().batch_done();
            }
        }
    }

    fn sink(&self) -> &dyn Sink {
        &**self.sink.get().expect("set when opened")
    }

    fn heed(&self, bytes: &[u8], now: u64) {
        let Some(m) = Message::parse(bytes) else { return };
        if let Some(code) = m.code() {
            if code < 200 {
                return;
            }
            let branch = m.branch();
            if let Some((run, flow, seq, attempt)) = read_branch(branch) {
                if run == self.run {
                    self.sink().answered(flow, seq, attempt, &m, now);
                }
            } else if let Some(waiting) = self.waiting.borrow_mut().remove(branch) {
                let _ = waiting.send(Reply { code, text: bytes.to_vec() });
            }
            return;
        }
        let status = match m.method() {
            b"MESSAGE" | b"NOTIFY" | b"OPTIONS" => "200 OK",
            b"ACK" => return,
            _ => "405 Method Not Allowed",
        };
        self.queue(|out| m.respond(status, "rb", out));
        if self.is_lossy() && !self.recent.borrow_mut().is_new(&m) {
            return self.sink().absorbed();
        }
        let who = read_call_id(m.call_id).filter(|(run, _)| *run == self.run);
        if m.method() == b"NOTIFY" && who.is_none() {
            return; // of an earlier run's subscription
        }
        if let Some(mark) = Mark::find_of(self.run, m.body) {
            self.sink().arrived(who.map_or(0, |(_, who)| who), mark, now);
        }
    }
}

/// The branch of a flow's message: `z9hG4bKrb.RRRRRRRR.FFFFFFFF.SSSSSSSS.A`.
fn read_branch(branch: &[u8]) -> Option<(u32, u32, u32, u8)> {
    let b = branch.strip_prefix(b"z9hG4bKrb.")?;
    (b.len() == 28).then_some(())?;
    let attempt = b[27].wrapping_sub(b'0');
    Some((hex(&b[..8])? as u32, hex(&b[9..17])? as u32, hex(&b[18..26])? as u32, attempt))
}

/// The Call-ID of a subscription: `rbsRRRRRRRRWWWWWWWW...`.
fn read_call_id(id: &[u8]) -> Option<(u32, u32)> {
    let rest = id.strip_prefix(b"rbs")?;
    Some((hex(rest.get(..8)?)? as u32, hex(rest.get(8..16)?)? as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_branches_and_call_ids() {
        assert_eq!(read_branch(b"z9hG4bKrb.0000000a.00000002.000000ff.3"), Some((10, 2, 255, 3)));
        assert_eq!(read_branch(b"z9hG4bKq0000000a.1.5060"), None);
        assert_eq!(read_call_id(b"rbs0000000a00000007@x"), Some((10, 7)));
        assert_eq!(read_call_id(b"rb.1"), None);
    }

    #[test]
    fn tells_a_request_sent_again_from_a_new_one() {
        let mut recent = Recent::default();
        let a = Message { vias: vec![b"Via: x;branch=z9hG4bKa"], ..Message::default() };
        let b = Message { vias: vec![b"Via: x;branch=z9hG4bKb"], ..Message::default() };
        assert!(recent.is_new(&a) && recent.is_new(&b) && !recent.is_new(&a));
    }
}
