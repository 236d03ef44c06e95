//! A SIP machine: whatever happens in whatever order, what it writes is SIP to a parser nobody here wrote.

use super::machine::{Door, World};
use super::{first, second_opinion};
use connector::{Connector as _, Peer, Transport};
use model::Credential;
use sip::{Config, Sip};

pub(crate) struct Agent {
    pub datagram: bool,
    pub lines: Vec<u8>,
}

impl Door for Agent {
    /// Lines are a message up to one with a single dot; `{len}` is the length of its body.
    fn say(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        if line != b"." {
            self.lines.extend_from_slice(line);
            self.lines.extend_from_slice(b"\r\n");
            return None;
        }
        let message = std::mem::take(&mut self.lines);
        let end = message.windows(4).position(|w| w == b"\r\n\r\n").map_or(message.len(), |at| at + 4);
        let mut message = message;
        if let Some(at) = message.windows(5).position(|w| w == b"{len}").filter(|at| *at < end) {
            let length = (message.len() - end).to_string();
            message.splice(at..at + 5, length.into_bytes());
        }
        if end == message.len() && !message.ends_with(b"\r\n\r\n") {
            message.extend_from_slice(b"\r\n");
        }
        Some(message)
    }

    fn is_datagram(&self) -> bool {
        self.datagram
    }

    fn wrote(&mut self, bytes: &[u8]) {
        // The answer to a ping, and a ping (RFC 5626 section 3.5.1).
        if bytes == b"\r\n" || bytes == b"\r\n\r\n" {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        let blank = text.find("\r\n\r\n").unwrap_or_else(|| panic!("a head without an end: {text}"));
        let head = &text[..blank];
        assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "a bare line end: {head:?}");
        // An answer copies what the request said, however odd; a request is all ours.
        if !head.starts_with("SIP/2.0 ") {
            // Names in DNS may have an underscore, and hosts in the other parser's grammar may not.
            let plain = text.replace('_', "u");
            assert!(second_opinion::sip(plain.as_bytes()).is_some(), "the other parser cannot read: {text}");
        }
    }

    fn key(&self) -> Credential {
        Credential::Ha1(bytes::Bytes::from_static(b"939e7578ed9e3c518a452acee763bce9"))
    }
}

pub fn run(input: &[u8]) {
    let (choice, script) = first(input);
    let any = "0.0.0.0:5060".parse().expect("an address");
    let config = Config::new(["example.net", "example.com"])
        .listen(any, Transport::Udp, false)
        .listen(any, Transport::Tcp, false)
        .listen(any, Transport::Tcp, true);
    let kind = choice % 3;
    let remote = if kind == 0 { "0.0.0.0:0" } else { "192.0.2.1:40000" };
    let remote = remote.parse().expect("an address");
    let peer = Peer { remote, local: "203.0.113.5:5060".parse().expect("an address") };
    let machine = Sip::new(config).accept(kind, peer, [7; 32]);
    World::play(machine, Agent { datagram: kind == 0, lines: Vec::new() }, script);
}
