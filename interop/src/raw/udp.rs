//! The same agent on a UDP socket, which keeps its address whatever becomes of the server.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::time::Instant;

use super::sip::{Received, Request, authorization};
use crate::{DOMAIN, PASSWORD, SOON, at};

/// An agent on a socket of its own.
pub struct Udp {
    socket: UdpSocket,
    user: String,
    /// Requests of the server, answered with 200 and not yet looked at.
    requests: Vec<Received>,
}

impl Udp {
    /// An agent that speaks to the server at this port.
    ///
    /// # Panics
    /// If there is no socket to be had.
    #[must_use]
    pub fn new(port: u16, user: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.connect(("127.0.0.1", port)).expect("an address");
        Self { socket, user: user.into(), requests: Vec::new() }
    }

    /// The Contact of this agent.
    ///
    /// # Panics
    /// If the socket has no address.
    #[must_use]
    pub fn contact(&self) -> String {
        format!("Contact: <sip:{}@{}>", self.user, self.socket.local_addr().expect("a bound socket"))
    }

    /// Sends a request and proves who we are. The final answer.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn ask(&mut self, request: &Request) -> Received {
        self.send(&request.bytes());
        let challenge = self.answer();
        if challenge.status() != 401 && challenge.status() != 407 {
            return challenge;
        }
        let mut words = request.start.split(' ');
        let (method, uri) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let proof = authorization(&challenge, &self.user, PASSWORD, method, uri, 1);
        let number = request.headers.iter().find_map(|h| h.strip_prefix("CSeq: ")).expect("a CSeq");
        let number: u32 = number.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        let via = request.headers.iter().find(|h| h.starts_with("Via:")).expect("a Via");
        let again = request
            .clone()
            .replacing("CSeq", &format!("CSeq: {} {method}", number + 1))
            .replacing("Via", &format!("{via}p"))
            .with(proof);
        self.send(&again.bytes());
        self.answer()
    }

    /// The next request of the server of this method.
    ///
    /// # Panics
    /// If none comes.
    pub fn expect(&mut self, method: &str) -> Received {
        let end = Instant::now() + SOON;
        loop {
            if let Some(at) = self.requests.iter().position(|r| r.head.starts_with(method)) {
                return self.requests.remove(at);
            }
            assert!(Instant::now() < end, "no {method} came");
            let _ = self.receive();
        }
    }

    fn answer(&mut self) -> Received {
        let end = Instant::now() + SOON;
        loop {
            assert!(Instant::now() < end, "no answer came");
            if let Some(answer) = self.receive().filter(|a| a.status() >= 200) {
                return answer;
            }
        }
    }

    /// One datagram; a request is answered and kept.
    fn receive(&mut self) -> Option<Received> {
        self.socket.set_read_timeout(Some(SOON)).expect("the time is not zero");
        let mut datagram = [0; 65_535];
        // While the server is down the system tells us so here; that is no answer.
        let length = self.socket.recv(&mut datagram).ok()?;
        let (message, _) = Received::parse(&datagram[..length])?;
        if message.status() != 0 {
            return Some(message);
        }
        let mut text = "SIP/2.0 200 OK\r\n".to_owned();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let _ = write!(text, "{name}: {}\r\n", message.header(name).unwrap_or_default());
        }
        self.send(format!("{text}Content-Length: 0\r\n\r\n").as_bytes());
        self.requests.push(message);
        None
    }

    fn send(&self, bytes: &[u8]) {
        let _ = self.socket.send(bytes);
    }
}

/// A REGISTER, SUBSCRIBE or PUBLISH of this agent for ten minutes.
#[must_use]
pub fn lasting(agent: &Udp, method: &str, to: &str, n: u32) -> Request {
    let mut request =
        Request::new(method, &agent.user, to, n, "UDP").with(agent.contact()).with("Expires: 600");
    if method != "REGISTER" {
        request = request.with("Event: presence");
    }
    if method == "PUBLISH" {
        request = request.with("Content-Type: application/pidf+xml");
        request.body = format!(
            "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:{0}\"><tuple id=\"t\"><status>\
             <basic>open</basic></status><note>at the phone</note></tuple></presence>",
            at(&agent.user)
        )
        .into_bytes();
    }
    let target = if method == "REGISTER" { DOMAIN.to_owned() } else { at(to) };
    request.starting(&format!("{method} sip:{target} SIP/2.0"))
}
