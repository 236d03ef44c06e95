//! A connection between two XMPP servers, whoever opened it: whatever happens in whatever order, what it writes is
//! well-formed to a parser nobody here wrote, and it says once what became of its errand.

use super::first;
use super::machine::World;
use super::xmpp_machine::Client;
use bytes::Bytes;
use connector::{Connector as _, Errand, Input, Listener, Machine, Output, Peer, TlsMode, Transport};
use model::{Address, DomainPair, Now, Tick};
use xmpp::Config;

/// A machine that is made for an errand says once what became of it.
struct Once {
    machine: Box<dyn Machine>,
    said: bool,
}

impl Machine for Once {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.machine.handle(now, input);
    }

    fn poll(&mut self) -> Option<Output> {
        let output = self.machine.poll();
        if matches!(output, Some(Output::Errand(_))) {
            assert!(!std::mem::replace(&mut self.said, true), "an errand ended twice");
        }
        output
    }

    fn deadline(&self) -> Option<Tick> {
        self.machine.deadline()
    }
}

pub fn run(input: &[u8]) {
    let (choice, script) = first(input);
    let addr = "127.0.0.1:5269".parse().expect("an address");
    let tls = [TlsMode::Upgrade, TlsMode::Direct, TlsMode::None][choice % 3];
    let listener = Listener { name: "xmpp-s2s".into(), addr, transport: Transport::Tcp, tls, servers: true };
    let config = Config::new(&["example.com", "example.org"], vec![listener], [9; 32], 4096).expect("sound");
    let door = xmpp::Door::new(config);
    let (peer, seed) = (Peer { remote: addr, local: addr }, [7; 32]);
    let domain = |text| Address::parse(text).expect("a domain");
    let pair = DomainPair { local: domain("example.com"), remote: domain("montague.example") };
    let machine = match choice / 3 % 3 {
        0 => Some(door.accept(0, peer, seed)),
        1 => door.dial(Errand::Carry(pair), tls, peer, seed),
        _ => door.dial(Errand::Confirm(pair, Bytes::from_static(b"s9 the key")), tls, peer, seed),
    };
    let machine = Once { machine: machine.expect("XMPP federates"), said: false };
    World::play(Box::new(machine), Client::default(), script);
}
