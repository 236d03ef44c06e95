//! Golden dialogues between two servers. `% accepted` and `% opened` choose who called, `% confirm` a question.

mod rig;

use connector::{Connector, Errand, Machine, Peer, TlsMode};
use model::{DomainPair, Now, Tick};
use rig::{Rig, config};
use std::collections::VecDeque;
use testkit::{Clock, Names, Stage, Step};
use xmpp::Door;

const OPEN: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
    xmlns:stream='http://etherx.jabber.org/streams' from='montague.example' to='example.com' version='1.0'>";
const ANSWER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
    xmlns:stream='http://etherx.jabber.org/streams' from='montague.example' to='example.com' id='s1' version='1.0'>";

struct Between {
    rig: Rig,
    out: VecDeque<String>,
}

fn machine(setting: &str) -> Box<dyn Machine> {
    let (who, rest) = setting.split_once(' ').unwrap_or((setting, ""));
    let (tls, proof) = match rest.split_once(' ') {
        Some((tls, proof)) => (tls, proof),
        None => (rest, ""),
    };
    let tls = match tls {
        "" | "starttls" => TlsMode::Upgrade,
        "direct" => TlsMode::Direct,
        "plain" => TlsMode::None,
        other => panic!("unknown setting {other}"),
    };
    let addr = "127.0.0.1:5269".parse().unwrap();
    let (peer, seed) = (Peer { remote: addr, local: addr }, [7; 32]);
    let mut config = config(tls);
    config.listeners[0].servers = true;
    config.s2s_window = 2;
    config.s2s_unacked = 3;
    let domain = |text| model::Address::parse(text).unwrap();
    let pair = DomainPair { local: domain("example.com"), remote: domain("montague.example") };
    let door = Door::new(config);
    let errand = match who {
        "accepted" => return door.accept(0, peer, seed),
        "opened" => Errand::Carry(pair),
        "confirm" => Errand::Confirm(pair, proof.to_owned().into()),
        other => panic!("unknown setting {other}"),
    };
    door.dial(errand, tls, peer, seed).expect("XMPP federates")
}

impl Stage for Between {
    fn is_block(&self, _: &str) -> bool {
        false
    }

    fn input(&mut self, clock: &mut Clock, step: &Step<'_>, names: &mut Names) {
        self.rig.now = clock.now();
        let said = match step.mark {
            "%" => {
                // More than a stranger may say.
                names.set("long", "x".repeat(12_000));
                self.rig = Rig::of(machine(step.rest));
                self.rig.now = clock.now();
                self.rig.step("<= opened")
            }
            // Stream headers say the same each time.
            "<<" if step.rest == "open" => self.rig.bytes(OPEN.as_bytes()),
            "<<" if step.rest == "answer" => self.rig.bytes(ANSWER.as_bytes()),
            mark => self.rig.step(&format!("{mark} {}", names.fill(step.rest))),
        };
        self.out.extend(said);
    }

    fn output(&mut self, _: Now, _: &str) -> Option<String> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Tick> {
        self.rig.machine.deadline()
    }

    fn tick(&mut self, now: Now) {
        self.rig.now = now;
        self.out.extend(self.rig.give(connector::Input::Tick));
    }
}

#[test]
fn every_transcript_plays() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s2s");
    let stage = || Between { rig: Rig::of(machine("accepted")), out: VecDeque::new() };
    assert!(testkit::play_folder(&folder, stage) >= 16);
}
