//! What a transcript means to an XMPP connection; the player is `testkit`'s.
//!
//! `% session` begins with a client logged in and bound; `% direct` and so on choose the configuration.
#![allow(dead_code, missing_docs)]

use std::collections::VecDeque;
use std::time::Duration;

use connector::Connector;
use connector::{Flow, Input, Listener, Machine, Output, Peer, TlsMode, Transport};
use model::{Envelope, Now, Tick};
use testkit::words;
use testkit::{Clock, Names, Stage, Step};
use xmpp::wire::{Limits, Scanner};
use xmpp::{Config, Door};

const LOG_IN: [&str; 7] = [
    "<= opened",
    "<= secured 1.2",
    OPEN,
    "<< <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzM2NyZXQ=</auth>",
    "<= verified #1 true",
    OPEN,
    "<< <iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>",
];

const OPEN: &str = "<< <?xml version='1.0'?><stream:stream to='example.com' version='1.0' xml:lang='en' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

pub struct Rig {
    pub machine: Box<dyn Machine>,
    pub now: Now,
    /// Envelopes submitted, in order.
    pub submitted: Vec<Envelope>,
    /// What the last machine left.
    pub left: Option<Box<dyn model::Remains>>,
    /// Reads everything the machine writes, as a client would.
    client: Scanner,
}

pub fn config(tls: TlsMode) -> Config {
    let addr = "127.0.0.1:5222".parse().unwrap();
    let listener = Listener { name: "xmpp-c2s".into(), addr, transport: Transport::Tcp, tls, servers: false };
    Config::new(&["example.com", "example.org"], vec![listener], [9; 32], 4096).unwrap()
}

impl Rig {
    pub fn new(config: Config) -> Rig {
        let addr = "127.0.0.1:1".parse().unwrap();
        Rig::of(Door::new(config).accept(0, Peer { remote: addr, local: addr }, [7; 32]))
    }

    pub fn of(machine: Box<dyn Machine>) -> Rig {
        Rig {
            machine,
            now: Clock::start().now(),
            submitted: Vec::new(),
            left: None,
            client: Scanner::new(Limits::C2S),
        }
    }

    pub fn give(&mut self, input: Input<'_>) -> Vec<String> {
        self.machine.handle(self.now, input);
        let mut lines = Vec::new();
        while let Some(output) = self.machine.poll() {
            // What is only counted is no line of a transcript.
            if !matches!(output, Output::Login { .. }) {
                lines.push(self.show(output));
            }
        }
        lines
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Vec<String> {
        self.give(Input::Bytes(Flow::ACCEPTED, bytes))
    }

    pub fn wait(&mut self, time: Duration) -> Vec<String> {
        self.now.tick = self.now.tick + time;
        self.now.wall.0 += time.as_millis() as u64;
        if self.machine.deadline().is_some_and(|d| d <= self.now.tick) {
            self.give(Input::Tick)
        } else {
            Vec::new()
        }
    }

    /// What we emit must be well formed.
    fn reread(&mut self, bytes: &[u8]) {
        if bytes.starts_with(b"<?xml") {
            self.client = Scanner::new(Limits::C2S);
        }
        let mut rest = bytes;
        loop {
            match self.client.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(_)) => {}
                Err(condition) => panic!("{condition} in {}", String::from_utf8_lossy(bytes)),
            }
        }
        assert_eq!(self.client.held(), 0, "whole elements only");
    }

    fn show(&mut self, output: Output) -> String {
        if let Output::Bytes(_, bytes) = &output {
            self.reread(bytes);
        }
        let text = testkit::xmpp::output(&output);
        match output {
            Output::Submit { envelope, outcome_wanted, .. } => {
                assert!(!outcome_wanted, "XMPP senders hear of refusals only");
                self.submitted.push(*envelope);
            }
            Output::Linger { state, .. } => self.left = Some(state),
            _ => {}
        }
        text
    }

    /// Everything up to a bound session, juliet@example.com/balcony; tickets 1 and 2 are used up.
    pub fn log_in(&mut self) {
        for line in LOG_IN {
            self.step(line);
        }
        self.step("<= bound #2 juliet@example.com/balcony");
    }

    /// One `<<`, `<=` or `+` line.
    pub fn step(&mut self, line: &str) -> Vec<String> {
        if let Some(bytes) = line.strip_prefix("<< ") {
            return self.bytes(bytes.replace("\\n", "\n").as_bytes());
        }
        if let Some(secs) = line.strip_prefix('+').and_then(|l| l.strip_suffix('s')) {
            return self.wait(Duration::from_secs(secs.parse().unwrap()));
        }
        let text = line.strip_prefix("<= ").expect(line);
        if let Some(ticket) = text.strip_prefix("resumed ") {
            let left = self.left.take().expect("an older machine lingers");
            return self.give(Input::Resumed(words::ticket(ticket), left));
        }
        if let Some(ticket) = text.strip_prefix("resumed-after-restart ") {
            let left = self
                .left
                .take()
                .and_then(|left| left.to_bytes(&|id| id.0 != 0))
                .expect("what outlives the process");
            return self.give(Input::Resumed(words::ticket(ticket), Box::new(left)));
        }
        let input = testkit::xmpp::input(text).expect(line);
        self.give(input)
    }
}

/// A transcript on one connection. `%` lines choose how it is made, before anything else.
pub struct Connection {
    config: Config,
    rig: Rig,
    out: VecDeque<String>,
}

impl Connection {
    pub fn new() -> Self {
        let config = config(TlsMode::Upgrade);
        Self { rig: Rig::new(config.clone()), config, out: VecDeque::new() }
    }

    fn choose(&mut self, setting: &str) {
        match setting {
            "session" => return self.rig.log_in(),
            // Another connection of the same client, authenticated; ticket 1 is used up.
            "again" => {
                let left = self.rig.left.take();
                self.rig = Rig { left, now: self.rig.now, ..Rig::new(self.config.clone()) };
                LOG_IN[..6].iter().for_each(|line| _ = self.rig.step(line));
                return;
            }
            "no resumption" => self.config.resume_secs = 0,
            "upload" => self.config.upload = Some(1000),
            "direct" => self.config.listeners[0].tls = TlsMode::Direct,
            "plain" => {
                self.config.listeners[0].tls = TlsMode::None;
                self.config.require_tls = false;
            }
            "window 2" => self.config.window = 2,
            "unacked 2" => self.config.unacked = 2,
            other => panic!("unknown setting {other}"),
        }
        self.rig = Rig::new(self.config.clone());
    }
}

impl Stage for Connection {
    fn is_block(&self, _: &str) -> bool {
        false
    }

    fn input(&mut self, clock: &mut Clock, step: &Step<'_>, names: &mut Names) {
        self.rig.now = clock.now();
        match step.mark {
            "%" => self.choose(step.rest),
            mark => self.out.extend(self.rig.step(&format!("{mark} {}", names.fill(step.rest)))),
        }
    }

    fn output(&mut self, _: Now, _: &str) -> Option<String> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Tick> {
        self.rig.machine.deadline()
    }

    fn tick(&mut self, now: Now) {
        self.rig.now = now;
        self.out.extend(self.rig.give(Input::Tick));
    }
}
