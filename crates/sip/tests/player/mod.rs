//! What a transcript means to a SIP machine; the player is `testkit`'s.
//!
//! ```text
//! machine udp | tcp | tls         which machine
//! signed-in udp | tcp | tls       the same, with romeo@example.net/phone registered from 192.0.2.1
//! << 192.0.2.1:5060               bytes to the machine, up to a line with a single dot; {len} is the body's length
//! machine trunk                   the machine of a connection that another company's server opened, with TLS
//! dial example.com>partner.example   the machine of one that we opened
//! << called 3 from > to           a request of a call for a bound device, from the end of this line (`-`: none)
//! << line 3                       what is said on a line
//! ticks 10                        ten repetitions of the last request come, and are not written out
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;

use connector::{Connector, Errand, Flow, Input, Machine, Output, Peer, TlsMode, Transport};
use model::{DomainPair, Line, LineNews, Now, Tick};
use sip::{Config, Sip};
use testkit::{Clock, Names, Stage, Step};

mod text;

#[allow(unused_imports)]
pub use text::{ha1, hex};

struct Rig {
    machine: Box<dyn Machine>,
    tcp: bool,
    out: VecDeque<String>,
}

pub fn machine(kind: &str) -> Box<dyn Machine> {
    let any = "0.0.0.0:5060".parse().unwrap();
    let config = Config::new(["example.net", "example.com"])
        .listen(any, Transport::Udp, false)
        .listen(any, Transport::Tcp, false)
        .listen(any, Transport::Tcp, true)
        .listen_for_servers("0.0.0.0:5061".parse().unwrap(), true);
    if let Some(pair) = kind.strip_prefix("dial ") {
        let pair = DomainPair::parse_mailbox(pair).expect("a pair of domains");
        let peer =
            Peer { remote: "192.0.2.9:5061".parse().unwrap(), local: "203.0.113.5:40000".parse().unwrap() };
        let machine = Sip::new(config).dial(Errand::Carry(pair), TlsMode::Direct, peer, [7; 32]);
        return machine.expect("this door dials");
    }
    let index = ["udp", "tcp", "tls", "trunk"].iter().position(|k| *k == kind).expect("kind of machine");
    let remote = if kind == "udp" { "0.0.0.0:0" } else { "192.0.2.1:40000" };
    let peer = Peer { remote: remote.parse().unwrap(), local: "203.0.113.5:5060".parse().unwrap() };
    Sip::new(config).accept(index, peer, [7; 32])
}

pub fn play(file: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(file);
    testkit::play(&file, &mut Rig { machine: machine("udp"), tcp: false, out: VecDeque::new() });
}

impl Stage for Rig {
    fn is_block(&self, _: &str) -> bool {
        true
    }

    fn input(&mut self, clock: &mut Clock, step: &Step<'_>, names: &mut Names) {
        let rest = names.fill(step.rest);
        match step.mark {
            "machine" => self.replace(&rest),
            "dial" => self.replace(&format!("dial {rest}")),
            "signed-in" => self.sign_in(clock.now(), &rest, names),
            "ticks" => self.repetitions(clock, rest.parse().expect("a number")),
            "<<" => {
                let bytes = text::render(&step.block, names);
                if let Some(call) = rest.strip_prefix("called ") {
                    return self.give(clock.now(), testkit::sip::called(clock.now(), call, bytes));
                }
                if let Some(line) = rest.strip_prefix("line ") {
                    let said = LineNews::Said(Line(line.parse().expect("a line")), bytes.into());
                    return self.give(clock.now(), Input::Line(said));
                }
                let input = match self.tcp {
                    true => Input::Bytes(Flow::ACCEPTED, &bytes),
                    false => Input::Datagram(rest.parse::<SocketAddr>().expect("an address"), &bytes),
                };
                self.give(clock.now(), input);
            }
            "<=" => {
                let input = testkit::sip::input(clock.now(), &rest).expect(&rest);
                self.give(clock.now(), input);
            }
            other => panic!("unknown step {other}"),
        }
    }

    fn output(&mut self, _: Now, _: &str) -> Option<String> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Tick> {
        self.machine.deadline()
    }

    fn tick(&mut self, now: Now) {
        self.give(now, Input::Tick);
    }
}

impl Rig {
    fn replace(&mut self, kind: &str) {
        self.machine = machine(kind);
        self.tcp = kind != "udp";
    }

    fn give(&mut self, now: Now, input: Input<'_>) {
        self.machine.handle(now, input);
        while let Some(output) = self.machine.poll() {
            // What is only counted is no line of a transcript.
            if !matches!(output, Output::Login { .. }) {
                self.out.push_back(testkit::sip::output(&output));
            }
        }
    }

    fn repetitions(&mut self, clock: &mut Clock, wanted: usize) {
        let mut seen = 0;
        while seen < wanted {
            clock.move_to(self.machine.deadline().expect("more ticks"));
            self.give(clock.now(), Input::Tick);
            seen += self.out.len();
            assert!(self.out.drain(..).all(|o| o.starts_with(">> ")), "repetitions only");
        }
    }

    fn sign_in(&mut self, now: Now, kind: &str, names: &mut Names) {
        self.replace(kind);
        let mut clock = Clock::start();
        clock.move_to(now.tick);
        let mut step = |rig: &mut Self, names: &mut Names, mark: &str, rest: &str, text: &str| {
            rig.input(&mut clock, &Step { who: "", mark, rest, block: text.lines().collect() }, names);
        };
        let transport = kind.to_uppercase();
        let register = |branch: &str, auth: &str| {
            format!(
                "REGISTER sip:example.net SIP/2.0\nVia: SIP/2.0/{transport} 192.0.2.1:5061;rport;branch=z9hG4bK{branch}\n\
                 Max-Forwards: 70\nFrom: <sip:romeo@example.net>;tag=a\nTo: <sip:romeo@example.net>\nCall-ID: reg-1\n\
                 CSeq: {} REGISTER\nContact: <sip:romeo@192.0.2.1:5061>;+sip.instance=\"<urn:uuid:phone>\"\n{auth}\
                 Expires: 7200\nContent-Length: 0",
                branch.len()
            )
        };
        step(self, names, "<<", "192.0.2.1:5061", &register("x", ""));
        let challenge = self.out.pop_front().expect("a challenge");
        let quoted = |name: &str| challenge.split(name).nth(1).unwrap().split('"').nth(1).unwrap().to_owned();
        names.set("realm", quoted("realm="));
        names.set("nonce", quoted("nonce="));
        let auth = "Authorization: @digest(SHA-256 romeo secret REGISTER sip:example.net 1)\n";
        step(self, names, "<<", "192.0.2.1:5061", &register("xx", auth));
        for answer in ["ha1 SHA-256 romeo example.net secret", "bound romeo@example.net/phone"] {
            let asked = self.out.pop_front().expect("an ask");
            let ticket = asked.split(' ').nth(2).expect("a ticket");
            step(self, names, "<=", &format!("answer {ticket} {answer}"), "");
        }
        assert!(self.out.back().is_some_and(|o| o.contains("200 OK")), "signed in");
        self.out.clear();
    }
}
