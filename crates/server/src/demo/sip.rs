//! A small SIP client over TLS (RFC 3261, RFC 3428, RFC 3903, RFC 6665): one request at a time, and whatever the server
//! asks is answered at once.

use super::proof::{Digested, random};
use super::wire::{PATIENCE, Wire};
use super::xmpp::Account;
use crate::failure::Failure;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A request or a response.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Request or status line.
    pub first: String,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Message {
    /// The first value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }

    /// All values of a header.
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The status code of a response.
    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Status code and words of a response.
    pub fn outcome(&self) -> &str {
        self.first.strip_prefix("SIP/2.0 ").unwrap_or(&self.first)
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        if self.status().is_some() { "" } else { self.first.split(' ').next().unwrap_or("") }
    }

    fn cut(bytes: &[u8]) -> Option<(Message, usize)> {
        // Line ends between messages keep connections alive (RFC 5626 4.4.1).
        let skip = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let rest = &bytes[skip..];
        let head = rest.windows(4).position(|w| w == b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&rest[..head]).into_owned();
        let mut lines = text.split("\r\n");
        let first = lines.next()?.to_owned();
        let split = |l: &str| l.split_once(':').map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned()));
        let mut message = Message { first, headers: lines.filter_map(split).collect(), body: String::new() };
        let len: usize = message.header("Content-Length").parse().unwrap_or(0);
        let body = rest.get(head + 4..head + 4 + len)?;
        message.body = String::from_utf8_lossy(body).into_owned();
        Some((message, skip + head + 4 + len))
    }
}

/// What to ask.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a str,
    /// Whom, `user@domain` or a domain.
    pub to: &'a str,
    /// In whose name; empty for one's own.
    pub from: &'a str,
    /// The dialogue or conversation; empty for a fresh one.
    pub call_id: &'a str,
    /// More headers, each `Name: value`.
    pub headers: &'a [&'a str],
    /// The body, if any, with its type among the headers.
    pub body: &'a str,
}

/// A connected client.
pub struct Sip {
    wire: Wire<TlsStream<TcpStream>>,
    local: SocketAddr,
    account: Account,
    tag: String,
    sequence: u32,
    waiting: VecDeque<Message>,
    /// What the connection is secured by and how the client proved itself, in words.
    pub how: String,
}

impl Sip {
    /// Connects; nothing is said yet.
    pub async fn connect(at: SocketAddr, tls: &TlsConnector, account: &Account) -> Result<Self, Failure> {
        let wire = Wire::connect(at).await?;
        let local = wire.local()?;
        let wire = wire.secure(tls, &account.domain).await?;
        let how = format!("{}, digest SHA-256", wire.version());
        let (account, tag) = (account.clone(), random(10)?);
        Ok(Self { wire, local, account, tag, sequence: 0, waiting: VecDeque::new(), how })
    }

    /// Registers this connection's contact for so many seconds; 0 takes it away.
    pub async fn register(&mut self, seconds: u32) -> Result<Message, Failure> {
        let contact = self.contact();
        let expires = format!("Expires: {seconds}");
        let me = self.address();
        self.request(&Request {
            method: "REGISTER",
            to: &me,
            call_id: &format!("registration-{}", self.tag),
            headers: &[&contact, &expires],
            ..Request::default()
        })
        .await
    }

    /// Our address.
    pub fn address(&self) -> String {
        format!("{}@{}", self.account.user, self.account.domain)
    }

    /// The `Contact` header that leads to this connection.
    pub fn contact(&self) -> String {
        format!("Contact: <sip:{}@{};transport=tls>", self.account.user, self.local)
    }

    /// Sends a request and waits for its final response; a challenge is answered once.
    pub async fn request(&mut self, request: &Request<'_>) -> Result<Message, Failure> {
        let call_id = match request.call_id {
            "" => random(20)?,
            given => given.to_owned(),
        };
        let answer = self.attempt(request, &call_id, None).await?;
        let (asks, answers) = match answer.status() {
            Some(401) => ("WWW-Authenticate", "Authorization"),
            Some(407) => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return Ok(answer),
        };
        let challenge = answer.all(asks).find(|c| c.contains("algorithm=SHA-256"));
        let challenge =
            challenge.ok_or_else(|| Failure::new("the server does not offer digest with SHA-256"))?;
        let digested = Digested {
            challenge,
            user: &self.account.user,
            password: &self.account.password,
            method: request.method,
            uri: &uri(request),
            cnonce: &random(16)?,
        };
        let proof = format!("{answers}: {}", digested.header()?);
        self.attempt(request, &call_id, Some(&proof)).await
    }

    async fn attempt(
        &mut self,
        r: &Request<'_>,
        call_id: &str,
        proof: Option<&str>,
    ) -> Result<Message, Failure> {
        self.sequence += 1;
        let (method, sequence, local, tag) = (r.method, self.sequence, self.local, &self.tag);
        let me = self.address();
        let from = if r.from.is_empty() { &me } else { r.from };
        let branch = format!("z9hG4bK{}", random(16)?);
        let mut text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/TLS {local};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{from}>;tag={tag}\r\nTo: <sip:{}>\r\nCall-ID: {call_id}\r\nCSeq: {sequence} {method}\r\n",
            uri(r),
            r.to
        );
        for header in r.headers.iter().copied().chain(proof) {
            let _ = write!(text, "{header}\r\n");
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{}", r.body.len(), r.body);
        self.wire.send(text.as_bytes()).await?;
        let what = format!("an answer to {method}");
        let ours = |m: &Message| m.status().is_some_and(|s| s >= 200) && m.header("Via").contains(&branch);
        self.expect(&what, ours).await
    }

    /// Waits for a message of which `fits` holds; others are kept for later waits, requests are answered 200.
    pub async fn expect(&mut self, what: &str, fits: impl Fn(&Message) -> bool) -> Result<Message, Failure> {
        if let Some(at) = self.waiting.iter().position(&fits) {
            return self.waiting.remove(at).ok_or_else(|| Failure::new(format!("expected {what}")));
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.wire.take(what, until, Message::cut).await?;
            if message.status().is_none() {
                self.accept(&message).await?;
            }
            if fits(&message) {
                return Ok(message);
            }
            if message.status().is_none() {
                self.waiting.push_back(message);
            }
        }
    }

    async fn accept(&mut self, request: &Message) -> Result<(), Failure> {
        let mut text = String::from("SIP/2.0 200 OK\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.all(name) {
                let own = name == "To" && !value.contains(";tag=");
                let tag = if own { format!(";tag={}", self.tag) } else { String::new() };
                let _ = write!(text, "{name}: {value}{tag}\r\n");
            }
        }
        text.push_str("Content-Length: 0\r\n\r\n");
        self.wire.send(text.as_bytes()).await
    }

    /// Takes the registration back and hangs up.
    pub async fn leave(&mut self) -> Result<(), Failure> {
        self.register(0).await?;
        self.wire.close().await;
        Ok(())
    }
}

fn uri(r: &Request<'_>) -> String {
    match (r.method, r.to.split_once('@')) {
        // A registrar is addressed by its domain.
        ("REGISTER", Some((_, domain))) => format!("sip:{domain}"),
        _ => format!("sip:{}", r.to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_from_the_stream() {
        let stream = b"\r\nSIP/2.0 202 Accepted\r\nvia: a\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n\
            MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 2\r\n\r\nhi";
        let (first, used) = Message::cut(stream).unwrap();
        assert_eq!((first.status(), first.outcome(), first.header("Via")), (Some(202), "202 Accepted", "a"));
        assert_eq!(Message::cut(&stream[used..stream.len() - 1]), None);
        let (second, _) = Message::cut(&stream[used..]).unwrap();
        assert_eq!((second.method(), second.status(), second.body.as_str()), ("MESSAGE", None, "hi"));
    }
}
