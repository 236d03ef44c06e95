//! An XMPP connection: whatever happens in whatever order, what it writes is well-formed to a parser nobody here wrote.

use super::machine::{Door, World};
use super::{first, second_opinion};
use connector::{Connector as _, Listener, Peer, TlsMode, Transport};
use model::Credential;
use xmpp::Config;

/// Whoever reads what a stream writes.
#[derive(Default)]
pub struct Client {
    reads: second_opinion::Stream,
}

impl Door for Client {
    fn say(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        (line != b".").then(|| line.to_vec())
    }

    fn is_datagram(&self) -> bool {
        false
    }

    fn wrote(&mut self, bytes: &[u8]) {
        assert!(self.reads.take(bytes), "not well-formed: {}", String::from_utf8_lossy(bytes));
    }

    fn key(&self) -> Credential {
        Credential::Scram {
            salt: bytes::Bytes::from_static(b"salt of sixteen."),
            iterations: 4096,
            stored_key: vec![1; 32].into(),
            server_key: vec![2; 32].into(),
        }
    }
}

pub fn run(input: &[u8]) {
    let (choice, script) = first(input);
    let addr = "127.0.0.1:5222".parse().expect("an address");
    let tls = [TlsMode::Upgrade, TlsMode::Direct, TlsMode::None][choice % 3];
    let listener = Listener { name: "xmpp-c2s".into(), addr, transport: Transport::Tcp, tls, servers: false };
    let mut config =
        Config::new(&["example.com", "example.org"], vec![listener], [9; 32], 4096).expect("sound");
    config.require_tls = tls != TlsMode::None;
    let machine = xmpp::Door::new(config).accept(0, Peer { remote: addr, local: addr }, [7; 32]);
    World::play(machine, Client::default(), script);
}
