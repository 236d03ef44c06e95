//! The player's machine: it gets what may be told, and what it says is what the transcript says.

use super::cast::Cast;
use super::log::{Entry, Said, kind, tokens};
use connector::{Connector, Flow, Input, Listener, Machine, Output, Peer, TlsMode, Transport};
use model::{Dialect, Ticket};
use std::net::SocketAddr;
use std::time::Duration;
use testkit::{Clock, Names};

/// The longest wait that is played: timers beyond it are not part of a conversation.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Which machine a transcript is about.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub dialect: Dialect,
    pub transport: Transport,
    pub tls: TlsMode,
    /// Sessions may be resumed (XEP-0198).
    pub resumes: bool,
}

impl Kind {
    /// The lines that choose it in a transcript.
    fn settings(&self) -> String {
        if self.dialect == Dialect::Sip {
            return match (self.transport, self.tls) {
                (Transport::Udp, _) => "machine udp\n".into(),
                (Transport::Tcp, TlsMode::None) => "machine tcp\n".into(),
                (Transport::Tcp, _) => "machine tls\n".into(),
            };
        }
        let mut lines = match self.tls {
            TlsMode::Upgrade => String::new(),
            TlsMode::Direct => "% direct\n".into(),
            TlsMode::None => "% plain\n".into(),
        };
        if !self.resumes {
            lines.push_str("% no resumption\n");
        }
        lines
    }

    /// As the doors' players make it.
    fn machine(&self) -> Option<Box<dyn Machine>> {
        let addr: SocketAddr = ([127, 0, 0, 1], 1).into();
        if self.dialect == Dialect::Sip {
            let any: SocketAddr = ([0, 0, 0, 0], 5060).into();
            let secure = self.tls != TlsMode::None;
            let config = sip::Config::new(["example.net", "example.com"]).listen(any, self.transport, secure);
            return Some(sip::Sip::new(config).accept(0, self.peer(), [7; 32]));
        }
        let listener = Listener {
            name: "xmpp-c2s".into(),
            addr,
            transport: Transport::Tcp,
            tls: self.tls,
            servers: false,
        };
        let mut config =
            xmpp::Config::new(&["example.com", "example.org"], vec![listener], [9; 32], 4096).ok()?;
        config.require_tls = self.tls != TlsMode::None;
        if !self.resumes {
            config.resume_secs = 0;
        }
        Some(xmpp::Door::new(config).accept(0, Peer { remote: addr, local: addr }, [7; 32]))
    }

    /// Where the player's SIP client is, and where its server.
    pub(super) fn peer(&self) -> Peer {
        let local = ([203, 0, 113, 5], 5060).into();
        match self.transport {
            Transport::Udp => Peer { remote: ([0, 0, 0, 0], 0).into(), local },
            Transport::Tcp => Peer { remote: ([192, 0, 2, 1], 40_000).into(), local },
        }
    }
}

/// A machine that is played, and the transcript of it.
pub(super) struct Shadow {
    kind: Kind,
    machine: Box<dyn Machine>,
    clock: Clock,
    names: Names,
    nonces: Vec<String>,
    /// The transcript so far.
    pub text: String,
    /// Tickets in the order in which they were given out.
    ours: Vec<Ticket>,
    theirs: Vec<Ticket>,
    /// Since the current entry began.
    tokens: Vec<String>,
    kinds: Vec<&'static str>,
    waited: Duration,
    /// Line of the first answer that was another one than live.
    pub parted: Option<usize>,
}

impl Shadow {
    pub(super) fn new(kind: &Kind) -> Option<Self> {
        Some(Self {
            machine: kind.machine()?,
            kind: kind.clone(),
            clock: Clock::start(),
            names: Names::default(),
            nonces: Vec::new(),
            text: kind.settings(),
            ours: Vec::new(),
            theirs: Vec::new(),
            tokens: Vec::new(),
            kinds: Vec::new(),
            waited: Duration::ZERO,
            parted: None,
        })
    }

    /// Lets time pass up to this moment since the beginning, as the player does.
    pub(super) fn wait(&mut self, until: Duration) {
        let ms = until.saturating_sub(self.waited).min(LONGEST).as_millis();
        if ms == 0 {
            return;
        }
        let by = Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
        self.waited += by;
        self.text.push_str(&format!("+{ms}ms\n"));
        let end = self.clock.now().tick + by;
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.clock.move_to(due);
            self.machine.handle(self.clock.now(), Input::Tick);
            self.listen();
        }
        self.clock.move_to(end);
    }

    /// A remark.
    pub(super) fn remark(&mut self, text: &str) {
        self.text.push_str(&format!("# {text}\n"));
    }

    /// Neutral words, without the mark.
    pub(super) fn hear(&mut self, words: &str) {
        let input = match self.kind.dialect {
            Dialect::Sip => testkit::sip::input(self.clock.now(), words),
            _ => testkit::xmpp::input(words),
        };
        let Some(input) = input else { return self.remark("here something happened that has no words") };
        self.text.push_str(&format!("<= {words}\n"));
        self.machine.handle(self.clock.now(), input);
        self.listen();
    }

    /// Bytes of an XMPP client.
    pub(super) fn read(&mut self, xml: &str) {
        let line = xml.replace('\r', " ").replace('\n', "\\n");
        // The player cuts white space off the end of a line.
        let line = line.trim_end_matches(' ');
        if line.is_empty() {
            return;
        }
        self.text.push_str(&format!("<< {line}\n"));
        let bytes = line.replace("\\n", "\n");
        self.machine.handle(self.clock.now(), Input::Bytes(Flow::ACCEPTED, bytes.as_bytes()));
        self.listen();
    }

    /// A message of a SIP agent, from its player's address where it is a datagram.
    pub(super) fn message(&mut self, from: Option<SocketAddr>, block: &str) {
        let lines: Vec<&str> = block.lines().collect();
        let source = from.map(|from| format!(" {from}")).unwrap_or_default();
        self.text.push_str(&format!("<<{source}\n"));
        for line in &lines {
            self.text.push_str(&format!("{line}\n"));
        }
        self.text.push_str(".\n");
        let bytes = testkit::sip::render(&lines, &self.names);
        let input = match from {
            Some(from) => Input::Datagram(from, &bytes),
            None => Input::Bytes(Flow::ACCEPTED, &bytes),
        };
        self.machine.handle(self.clock.now(), input);
        self.listen();
    }

    fn listen(&mut self) {
        while let Some(output) = self.machine.poll() {
            match &output {
                Output::Login { .. } => continue,
                Output::Submit { ticket, .. } | Output::Ask { ticket, .. } => self.ours.push(*ticket),
                Output::Lease { key, .. } => self.tokens.push(key.0.to_string()),
                Output::Bytes(_, bytes) | Output::Datagram(_, bytes) => self.tokens.extend(tokens(bytes)),
                _ => {}
            }
            self.kinds.push(kind(&output));
            let text = match self.kind.dialect {
                Dialect::Sip => {
                    let text = testkit::sip::output(&output);
                    let text = self.captured(text);
                    if text.starts_with(">>") { format!("{text}\n.") } else { text }
                }
                _ => testkit::xmpp::output(&output),
            };
            self.text.push_str(&text);
            self.text.push('\n');
        }
    }

    /// Challenges are captured, so that proofs can be made for them.
    fn captured(&mut self, text: String) -> String {
        let Some(nonce) = text.split("nonce=\"").nth(1).and_then(|t| t.split('"').next()) else {
            return text;
        };
        if nonce.is_empty() || !text.starts_with(">>") {
            return text;
        }
        let nonce = nonce.to_owned();
        let number = self.nonces.iter().position(|n| *n == nonce).unwrap_or_else(|| {
            self.nonces.push(nonce.clone());
            self.nonces.len() - 1
        });
        let name = format!("nonce{}", number + 1);
        let shown = text.replace(&format!("nonce=\"{nonce}\""), &format!("nonce=\"{{{name}}}\""));
        self.names.set(&name, nonce);
        shown
    }

    /// The name under which the player has captured a nonce of its machine.
    pub(super) fn nonce(&self, ours: &str) -> Option<String> {
        self.nonces.iter().position(|n| n == ours).map(|n| format!("nonce{}", n + 1))
    }

    /// The player's ticket for the live one.
    pub(super) fn ticket(&self, live: Ticket) -> Option<Ticket> {
        let at = self.theirs.iter().position(|t| *t == live)?;
        self.ours.get(at).copied()
    }

    /// Compares what the two machines said to the same, and learns what the one's inventions are to the other.
    pub(super) fn settle(&mut self, entry: &Entry, cast: &mut Cast, told_otherwise: bool) {
        self.theirs.extend(entry.said.iter().filter_map(|said| said.ticket));
        let live = entry.said.iter().flat_map(|said| &said.tokens);
        if live.clone().count() == self.tokens.len() {
            for (live, ours) in live.zip(&self.tokens) {
                cast.same(live, ours);
            }
        }
        let counted = |kind: &&str| !matches!(*kind, "login" | "pause" | "resume");
        let theirs = entry.said.iter().map(|said: &Said| said.kind).filter(counted);
        if !told_otherwise && self.parted.is_none() && !theirs.eq(self.kinds.iter().copied().filter(counted))
        {
            self.parted = Some(self.text.lines().count());
        }
        self.tokens.clear();
        self.kinds.clear();
    }
}
