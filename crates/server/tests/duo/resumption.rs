//! Resumption as a client keeps its books (XEP-0198): whatever is cut and whenever, each stanza arrives once, in order.

use crate::house::House;
use model::Now;
use proptest::prelude::*;
use std::time::{Duration, Instant};
use testkit::{Clock, Names, Stage, Step};

/// What may happen to juliet's connection, and what the two say meanwhile.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// Romeo writes.
    Hear,
    /// She writes.
    Say,
    /// What has arrived for her is read.
    Read,
    /// She tells her count.
    Acknowledge,
    /// She asks for the server's.
    Ask,
    /// The connection is gone; bytes that were not read are lost.
    Cut,
    /// She comes back over another connection, whether the old one is gone or only seems to be there.
    Resume,
    /// The server stops in order and starts again.
    Restart,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => Just(Deed::Hear),
        4 => Just(Deed::Say),
        4 => Just(Deed::Read),
        2 => Just(Deed::Acknowledge),
        2 => Just(Deed::Ask),
        1 => Just(Deed::Cut),
        2 => Just(Deed::Resume),
        1 => Just(Deed::Restart),
    ];
    prop::collection::vec(deed, 1..60)
}

/// The books of a client.
#[derive(Default)]
struct Client {
    id: String,
    connection: usize,
    connected: bool,
    /// Stanzas handled.
    h: u32,
    /// Bodies handled, in order.
    heard: Vec<u32>,
    /// What was sent and not acknowledged, and how many were.
    unacked: Vec<String>,
    acked: u32,
    said: u32,
}

struct World {
    house: House,
    clock: Clock,
    client: Client,
    written: u32,
    /// Romeo's connections, and what he heard over them: he begins anew each time.
    romeos: usize,
    romeo: Vec<u32>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            house: House::new(),
            clock: Clock::start(),
            client: Client::default(),
            written: 0,
            romeos: 0,
            romeo: Vec::new(),
        };
        for line in [
            "% account juliet@example.com wherefore",
            "% account romeo@example.net secret",
            "% session juliet0 juliet@example.com/balcony wherefore",
        ] {
            world.house.input(&mut world.clock, &Step::line(line), &mut Names::default());
        }
        let now = world.now();
        world.log_in_romeo();
        world.house.bytes(now, "juliet0", "<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>");
        world.client.unacked.push("<presence/>".into());
        world.client.connected = true;
        let enabled = world.house.until(now, "juliet0", "<enabled");
        world.client.id = attribute(&enabled, "id").expect("an id");
        // More may have come in the same piece.
        world.take(enabled.split_once("/>").map_or("", |(_, rest)| rest).to_owned());
        world
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn name(&self) -> String {
        format!("juliet{}", self.client.connection)
    }

    fn romeo(&self) -> String {
        format!("romeo{}", self.romeos)
    }

    fn log_in_romeo(&mut self) {
        self.romeos += 1;
        let name = self.romeo();
        let line = format!("% session {name} romeo@example.net/orchard secret");
        self.house.input(&mut self.clock, &Step::line(&line), &mut Names::default());
        let now = self.now();
        self.house.bytes(now, &name, "<presence/>");
    }

    fn hear_romeo(&mut self) {
        let name = self.romeo();
        while let Some(said) = self.house.surplus(self.now(), &name) {
            let bodies =
                said.split("<body>").skip(1).filter_map(|b| b.split('<').next()?.parse::<u32>().ok());
            self.romeo.extend(bodies);
        }
    }

    fn tell(&mut self, text: &str) {
        let (now, name) = (self.now(), self.name());
        self.house.bytes(now, &name, text);
    }

    /// Handles what one piece of the wire says.
    fn take(&mut self, text: String) {
        for stanza in elements(&text) {
            match stanza.split([' ', '>', '/']).next() {
                Some("<r") => {
                    let h = self.client.h;
                    self.tell(&format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"));
                }
                Some("<a") => self.acknowledged(&stanza),
                Some("<message") => {
                    self.client.h += 1;
                    let body = stanza.split("<body>").nth(1).and_then(|b| b.split('<').next());
                    self.client.heard.push(body.and_then(|b| b.parse().ok()).expect("a number"));
                }
                Some("<presence" | "<iq") => self.client.h += 1,
                other => panic!("{other:?} in {text}"),
            }
        }
    }

    fn acknowledged(&mut self, stanza: &str) {
        let h: u32 = attribute(stanza, "h").and_then(|h| h.parse().ok()).expect("a count");
        let new = (h - self.client.acked) as usize;
        assert!(new <= self.client.unacked.len(), "more than she sent");
        self.client.unacked.drain(..new);
        self.client.acked = h;
    }

    fn perform(&mut self, deed: Deed) {
        let now = self.now();
        match deed {
            Deed::Hear => {
                let n = self.written;
                self.written += 1;
                let text = format!("<message to='juliet@example.com' type='chat'><body>{n}</body></message>");
                let name = self.romeo();
                self.house.bytes(now, &name, &text);
            }
            Deed::Say => {
                let n = self.client.said;
                self.client.said += 1;
                let text = format!("<message to='romeo@example.net' type='chat'><body>{n}</body></message>");
                self.client.unacked.push(text.clone());
                if self.client.connected {
                    self.tell(&text);
                }
            }
            Deed::Read if self.client.connected => {
                let name = self.name();
                while let Some(said) = self.house.surplus(now, &name) {
                    if let Some(text) = said.strip_prefix(">> ") {
                        self.take(text.to_owned());
                    }
                }
            }
            Deed::Acknowledge if self.client.connected => {
                let h = self.client.h;
                self.tell(&format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"));
            }
            Deed::Ask if self.client.connected => self.tell("<r xmlns='urn:xmpp:sm:3'/>"),
            Deed::Cut if self.client.connected => {
                let name = self.name();
                self.house.cut(now, &name);
                self.client.connected = false;
            }
            Deed::Resume => self.resume(),
            Deed::Restart => {
                self.hear_romeo();
                self.house.restart(now);
                self.client.connected = false;
                self.log_in_romeo();
            }
            _ => {}
        }
    }

    fn resume(&mut self) {
        let now = self.now();
        self.client.connection += 1;
        let (name, id, h) = (self.name(), self.client.id.clone(), self.client.h);
        self.house.authenticated(now, &name, "juliet@example.com", "wherefore");
        self.house.bytes(now, &name, &format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{h}'/>"));
        let resumed = self.house.until(now, &name, "<resumed");
        let (head, rest) = resumed.split_once("/>").expect("an element");
        self.client.connected = true;
        self.acknowledged(head);
        for text in self.client.unacked.clone() {
            self.tell(&text);
        }
        self.take(rest.to_owned());
    }

    /// All is quiet: both have everything.
    fn settle(&mut self) {
        self.resume();
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            self.perform(Deed::Ask);
            self.perform(Deed::Read);
            self.hear_romeo();
            let all =
                self.client.heard.len() as u32 >= self.written && self.romeo.len() as u32 >= self.client.said;
            if all && self.client.unacked.is_empty() {
                break;
            }
            assert!(
                Instant::now() < end,
                "{:?} of {}, {:?} of {}, {} not acknowledged",
                self.client.heard,
                self.written,
                self.romeo,
                self.client.said,
                self.client.unacked.len()
            );
        }
        assert!(self.client.heard.iter().copied().eq(0..self.written), "{:?}", self.client.heard);
        assert!(self.romeo.iter().copied().eq(0..self.client.said), "{:?}", self.romeo);
    }
}

fn attribute(text: &str, name: &str) -> Option<String> {
    Some(text.split(&format!(" {name}='")).nth(1)?.split('\'').next()?.to_owned())
}

/// The first-level elements of a piece of the wire, which always holds whole ones.
fn elements(text: &str) -> Vec<String> {
    let mut scanner = xmpp::wire::Scanner::new(xmpp::wire::Limits::C2S);
    let open =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    let whole = format!("{open}{text}");
    let mut rest = whole.as_bytes();
    let (mut found, mut at) = (Vec::new(), open.len());
    while let Ok(Some(item)) = scanner.next(&mut rest) {
        let now = whole.len() - rest.len();
        if matches!(item, xmpp::wire::Item::Element(_)) {
            found.push(whole[at..now].to_owned());
        }
        at = now;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_stanza_once_and_in_order(deeds in deeds()) {
        let mut world = World::new();
        for deed in deeds {
            world.perform(deed);
        }
        world.settle();
    }
}
