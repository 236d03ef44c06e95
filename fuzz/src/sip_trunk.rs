//! The SIP machine of a connection between servers, whoever opened it: the same must hold, and nothing that a partner's
//! server says may come in the name of a domain that it did not prove.

use super::first;
use super::machine::World;
use super::sip_machine::Agent;
use connector::{Connector as _, Errand, Peer, TlsMode};
use model::DomainPair;
use sip::{Config, Sip};

pub fn run(input: &[u8]) {
    let (choice, script) = first(input);
    let config = Config::new(["example.net", "example.com"])
        .listen_for_servers("0.0.0.0:5061".parse().expect("an address"), true);
    let peer = Peer {
        remote: "192.0.2.9:5061".parse().expect("an address"),
        local: "203.0.113.5:40000".parse().expect("an address"),
    };
    let door = Sip::new(config);
    let machine = if choice % 2 == 0 {
        door.accept(0, peer, [7; 32])
    } else {
        let pair = DomainPair::parse_mailbox("example.com>partner.example").expect("a pair");
        door.dial(Errand::Carry(pair), TlsMode::Direct, peer, [7; 32]).expect("this door dials")
    };
    World::play(machine, Agent { datagram: false, lines: Vec::new() }, script);
}
