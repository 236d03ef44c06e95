//! A SIP agent that says exactly what it is told to.

use std::fmt::Write as _;
use std::time::Instant;

use md5::{Digest as _, Md5};

use super::Wire;
use crate::{DOMAIN, PASSWORD, SOON, at};

/// A message that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// All before the body.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Received {
    /// The status, or 0 for a request.
    #[must_use]
    pub fn status(&self) -> u16 {
        let rest = self.head.strip_prefix("SIP/2.0 ").unwrap_or("0");
        rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Is there a header of this name that has this text?
    #[must_use]
    pub fn has(&self, name: &str, text: &str) -> bool {
        self.head.lines().any(|line| {
            line.split_once(':')
                .is_some_and(|(key, value)| key.eq_ignore_ascii_case(name) && value.contains(text))
        })
    }

    /// A message at the start of the bytes, with its length.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut this = Self { head, body: String::new() };
        let length: usize = this.header("Content-Length").and_then(|n| n.parse().ok()).unwrap_or(0);
        let body = bytes.get(end..end + length)?;
        this.body = String::from_utf8_lossy(body).into_owned();
        Some((this, end + length))
    }
}

/// A request in the making. Headers can be taken out and doubled, for no other agent would.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first line.
    pub start: String,
    /// Header lines, in order.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A sound request between two users. `n` makes it unique.
    #[must_use]
    pub fn new(method: &str, from: &str, to: &str, n: u32, transport: &str) -> Self {
        let target = if method == "REGISTER" { DOMAIN.to_owned() } else { at(to) };
        Self {
            start: format!("{method} sip:{target} SIP/2.0"),
            headers: vec![
                format!("Via: SIP/2.0/{transport} 127.0.0.1:9;rport;branch=z9hG4bK{from}{n}"),
                "Max-Forwards: 70".into(),
                format!("From: <sip:{}>;tag={from}{n}", at(from)),
                format!("To: <sip:{}>", at(to)),
                format!("Call-ID: {from}-{n}"),
                format!("CSeq: {n} {method}"),
            ],
            body: Vec::new(),
        }
    }

    /// With one more header line.
    #[must_use]
    pub fn with(mut self, line: impl Into<String>) -> Self {
        self.headers.push(line.into());
        self
    }

    /// With the header of this name replaced by a line.
    #[must_use]
    pub fn replacing(mut self, name: &str, line: &str) -> Self {
        for header in &mut self.headers {
            if header.split(':').next() == Some(name) {
                line.clone_into(header);
            }
        }
        self
    }

    /// Without the header of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|header| header.split(':').next() != Some(name));
        self
    }

    /// With another first line.
    #[must_use]
    pub fn starting(mut self, start: &str) -> Self {
        start.clone_into(&mut self.start);
        self
    }

    /// With a text.
    #[must_use]
    pub fn saying(mut self, text: &str) -> Self {
        self.headers.push("Content-Type: text/plain".into());
        self.body = text.as_bytes().to_vec();
        self
    }

    /// The bytes, with the right Content-Length.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let length = format!("Content-Length: {}", self.body.len());
        self.clone().with(length).bytes_as_they_are()
    }

    /// The bytes, with no Content-Length but what the headers say.
    #[must_use]
    pub fn bytes_as_they_are(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for header in &self.headers {
            let _ = write!(text, "{header}\r\n");
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The answer to a challenge, with one count of its nonce.
#[must_use]
pub fn authorization(
    challenge: &Received,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
    nc: u32,
) -> String {
    let (name, value) = if challenge.status() == 401 {
        ("Authorization", challenge.header("WWW-Authenticate"))
    } else {
        ("Proxy-Authorization", challenge.header("Proxy-Authenticate"))
    };
    let value = value.expect("a challenge");
    let field = |key: &str| {
        let (_, rest) = value.split_once(&format!("{key}=\"")).expect("the challenge has it");
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let (realm, nonce) = (field("realm"), field("nonce"));
    let (nc, cnonce) = (format!("{nc:08x}"), "0a4f113b");
    let ha1 = ha1(user, &realm, password);
    let ha2 = md5(&format!("{method}:{uri}"));
    let response = md5(&format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}"));
    format!(
        "{name}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", qop=auth, nc={nc}, \
         cnonce=\"{cnonce}\", response=\"{response}\", algorithm=MD5"
    )
}

/// The key that the server keeps for the MD5 digest.
#[must_use]
pub fn ha1(user: &str, realm: &str, password: &str) -> String {
    md5(&format!("{user}:{realm}:{password}"))
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// An agent on a connection.
pub struct Sip {
    /// The connection below.
    pub wire: Wire,
    user: String,
    n: u32,
}

impl Sip {
    /// Connect over TCP.
    #[must_use]
    pub fn connect(port: u16, user: &str) -> Self {
        Self { wire: Wire::plain(port), user: user.into(), n: 0 }
    }

    /// An agent on a connection that is there already.
    #[must_use]
    pub fn on(wire: Wire, user: &str) -> Self {
        Self { wire, user: user.into(), n: 0 }
    }

    /// Connect and register, which also proves who this connection is.
    ///
    /// # Panics
    /// If the server refuses.
    #[must_use]
    pub fn registered(port: u16, user: &str) -> Self {
        let mut agent = Self::connect(port, user);
        let contact = format!("Contact: <sip:{user}@127.0.0.1:9;transport=tcp>;expires=600");
        let request = agent.request("REGISTER", user).with(contact.clone());
        let challenge = agent.ask(&request);
        assert_eq!(challenge.status(), 401, "{}", challenge.head);
        let proof = authorization(&challenge, user, PASSWORD, "REGISTER", &format!("sip:{DOMAIN}"), 1);
        let request = agent.request("REGISTER", user).with(contact).with(proof);
        let answer = agent.ask(&request);
        assert_eq!(answer.status(), 200, "{}", answer.head);
        agent
    }

    /// The next request of this agent.
    pub fn request(&mut self, method: &str, to: &str) -> Request {
        self.n += 1;
        Request::new(method, &self.user, to, self.n, "TCP")
    }

    /// Send a sound request and take its answer.
    ///
    /// # Panics
    /// If none comes.
    pub fn ask(&mut self, request: &Request) -> Received {
        self.wire.send(request.bytes());
        self.next_answer(Instant::now() + SOON).expect("the server answers")
    }

    /// The next response. Requests of the server in between are answered with 200.
    pub fn next_answer(&mut self, deadline: Instant) -> Option<Received> {
        loop {
            let message = self.next(deadline)?;
            if message.status() != 0 {
                return Some(message);
            }
            self.accept(&message);
        }
    }

    /// Answer a request of the server with 200.
    pub fn accept(&mut self, request: &Received) {
        let mut text = "SIP/2.0 200 OK\r\n".to_owned();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let value = request.header(name).unwrap_or_default();
            let tag = if name == "To" && !value.contains("tag=") { ";tag=mine" } else { "" };
            let _ = write!(text, "{name}: {value}{tag}\r\n");
        }
        self.wire.send(format!("{text}Content-Length: 0\r\n\r\n"));
    }

    /// The next message of either kind.
    pub fn next(&mut self, deadline: Instant) -> Option<Received> {
        loop {
            while self.wire.heard.starts_with(b"\r\n") {
                self.wire.heard.drain(..2);
            }
            if let Some((message, length)) = Received::parse(&self.wire.heard) {
                self.wire.heard.drain(..length);
                return Some(message);
            }
            if !self.wire.read(deadline) {
                return None;
            }
        }
    }

    /// Everything said before is done when this returns: the responses that came first.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn fence(&mut self) -> Vec<Received> {
        let request = self.request("OPTIONS", "fence");
        let id = format!("{}-{}", self.user, self.n);
        self.wire.send(request.bytes());
        let mut before = Vec::new();
        loop {
            let answer = self.next_answer(Instant::now() + SOON).expect("the server answers OPTIONS");
            if answer.header("Call-ID") == Some(&id) {
                assert_eq!(answer.status(), 200, "{}", answer.head);
                return before;
            }
            before.push(answer);
        }
    }
}
