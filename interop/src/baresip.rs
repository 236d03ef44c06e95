//! baresip, a SIP phone without a window, driven over its control port.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use crate::gate::Gate;
use crate::ports::Ports;
use crate::talk::until;
use crate::{PASSWORD, Rialto, SOON, Talk, at, have};

/// The transport of the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// SIP over UDP.
    Udp,
    /// SIP over TCP.
    Tcp,
    /// SIP over TLS, the certificate checked against the server's own authority.
    Tls,
}

/// Whom the phone has in its contact list. It writes to the first one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contacts<'a> {
    /// Nobody.
    None,
    /// One, without asking for presence.
    Plain(&'a str),
    /// One whose presence it asks for.
    Watched(&'a str),
}

/// What a phone is set up with.
pub struct Line<'a> {
    /// A directory for it alone.
    pub home: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
    /// Whose certificate its server shows, where it speaks TLS.
    pub authority: Option<PathBuf>,
    /// Whose phone it is.
    pub address: &'a str,
    /// Their password.
    pub password: &'a str,
    /// Its server, `host:port;transport=...`.
    pub server: &'a str,
    /// Whom it has in its list: name, address, and whether it asks for presence.
    pub contact: Option<(&'a str, &'a str, bool)>,
}

/// A running baresip.
pub struct Baresip {
    talk: Talk,
    control: TcpStream,
    console: BufReader<TcpStream>,
    // Lines of the console that no test has asked for yet.
    shown: Vec<String>,
    _ports: Ports,
}

impl Baresip {
    /// Start a phone without waiting for its registration.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(
        rialto: &Rialto,
        user: &str,
        password: &str,
        transport: Transport,
        contacts: Contacts<'_>,
    ) -> Self {
        // What waits for the user comes with the registration, and the phone shows it only to a console that is there.
        let gate = (transport == Transport::Tcp).then(|| Gate::before(rialto.sip()));
        let (server, transport) = match transport {
            Transport::Udp => (format!("127.0.0.1:{}", rialto.sip()), "udp"),
            Transport::Tcp => {
                (format!("127.0.0.1:{}", gate.as_ref().map_or(rialto.sip(), Gate::port)), "tcp")
            }
            // It asks a name server for every name, so it dials the address, which is in the certificate too.
            Transport::Tls => (format!("127.0.0.1:{}", rialto.sips()), "tls"),
        };
        let contact = match contacts {
            Contacts::None => None,
            Contacts::Plain(contact) => Some((contact, at(contact), false)),
            Contacts::Watched(contact) => Some((contact, at(contact), true)),
        };
        let peer = format!("baresip-{user}");
        let line = Line {
            home: rialto.home(&peer),
            log: rialto.log(&peer),
            authority: Some(rialto.ca()),
            address: &at(user),
            password,
            server: &format!("{server};transport={transport}"),
            contact: contact.as_ref().map(|(name, address, watched)| (*name, address.as_str(), *watched)),
        };
        Self::launch(&peer, &line, gate)
    }

    /// Start a phone of another server's, and wait until it has registered.
    ///
    /// # Panics
    /// If it does not start, or may not register.
    #[must_use]
    pub fn elsewhere(name: &str, line: &Line<'_>) -> Self {
        let phone = Self::launch(name, line, None);
        phone.wait_for_registration();
        phone
    }

    fn launch(peer: &str, line: &Line<'_>, gate: Option<Gate>) -> Self {
        let ports = Ports::take();
        let home = line.home.clone();
        std::fs::create_dir_all(&home).expect("the temporary directory is writable");
        let user = line.address.split('@').next().unwrap_or_default();
        let write = |name: &str, text: &str| {
            std::fs::write(home.join(name), text).expect("the temporary directory is writable");
        };
        let mut config = format!(
            "module_path /usr/lib/baresip/modules\nsip_listen 127.0.0.1:0\nctrl_tcp_listen 127.0.0.1:{}\ncons_listen 127.0.0.1:{}\n",
            ports.base,
            ports.base + 1
        );
        if let Some(authority) = &line.authority {
            let _ = writeln!(config, "sip_cafile {}", authority.display());
        }
        for module in ["g711", "account", "contact", "presence", "menu", "ctrl_tcp", "cons"] {
            let _ = writeln!(config, "module {module}.so");
        }
        write("config", &config);
        write(
            "accounts",
            &format!(
                "<sip:{}>;auth_user={user};auth_pass={};outbound=\"sip:{}\";regint=300;pubint=300\n",
                line.address, line.password, line.server
            ),
        );
        let list = match line.contact {
            None => String::new(),
            Some((name, address, watched)) => {
                let watched = if watched { ";presence=p2p" } else { "" };
                format!("\"{name}\" <sip:{address}>{watched}\n")
            }
        };
        write("contacts", &list);
        let baresip = have::program("baresip", "baresip-core");
        // A line at a time, although its output is no terminal; messages that come in are shown as errors.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(have::program("stdbuf", "coreutils")).arg("-oL");
        command.arg(baresip).arg("-f").arg(&home).args(["-p", "/usr/share/baresip"]).env("HOME", &home);
        let talk = Talk::start(peer, &mut command, line.log.clone());
        talk.expect("baresip is ready");
        let connect = |port: u16| {
            let stream = TcpStream::connect(("127.0.0.1", port)).expect("the control port is open");
            stream.set_read_timeout(Some(SOON)).expect("the time is not zero");
            stream
        };
        // Messages are shown on a console only, commands are best given elsewhere.
        let console = BufReader::new(connect(ports.base + 1));
        let control = connect(ports.base);
        let mut phone = Self { talk, control, console, shown: Vec::new(), _ports: ports };
        // It answers here, so it has taken the console's connection too, which came before.
        phone.command("help", "");
        if let Some(gate) = gate {
            gate.open();
        }
        phone
    }

    /// Register a phone that is for calls: no gate stands between it and the server, so that what belongs to a call comes over
    /// the connection on which it registered.
    #[must_use]
    pub fn for_calls(rialto: &Rialto, user: &str, transport: Transport) -> Self {
        let server = match transport {
            Transport::Udp => format!("127.0.0.1:{};transport=udp", rialto.sip()),
            Transport::Tcp => format!("127.0.0.1:{};transport=tcp", rialto.sip()),
            Transport::Tls => format!("127.0.0.1:{};transport=tls", rialto.sips()),
        };
        let peer = format!("baresip-{user}");
        let line = Line {
            home: rialto.home(&peer),
            log: rialto.log(&peer),
            authority: Some(rialto.ca()),
            address: &at(user),
            password: PASSWORD,
            server: &server,
            contact: None,
        };
        Self::elsewhere(&peer, &line)
    }

    /// Register and wait until that is done.
    #[must_use]
    pub fn online(rialto: &Rialto, user: &str, transport: Transport, contacts: Contacts<'_>) -> Self {
        let phone = Self::start(rialto, user, PASSWORD, transport, contacts);
        phone.wait_for_registration();
        phone
    }

    fn wait_for_registration(&self) {
        // One line tells how it went, whichever way.
        let line = self.talk.expect_any(&["[1 binding]", "reg: "]);
        assert!(line.contains("200 OK"), "{line}");
    }

    /// Wait until the server has refused the registration.
    pub fn expect_refusal(&self) {
        self.talk.expect_words(&["reg:", "403 Forbidden"]);
    }

    /// Send a message to the contact.
    pub fn send(&mut self, text: &str) {
        self.command("message", text);
    }

    /// Wait for a message.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn expect_message(&mut self, from: &str, text: &str) {
        self.expect_message_of(&at(from), text);
    }

    /// Wait for a message of somebody at any domain.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn expect_message_of(&mut self, from: &str, text: &str) {
        let wanted = |line: &String| line.contains(from) && line.contains(text);
        while !self.shown.iter().any(wanted) {
            let mut line = String::new();
            if let Err(fault) = self.console.read_line(&mut line) {
                panic!(
                    "the phone shows no such message: {fault}\n{:?}\n{}",
                    self.shown,
                    self.talk.transcript()
                );
            }
            self.shown.push(line);
        }
        self.shown.retain(|line| !wanted(line));
    }

    /// Wait until the contact list shows somebody in this state: Online, Offline, Busy or Unknown.
    pub fn wait_for_presence(&mut self, of: &str, state: &str) {
        self.wait_for_presence_of(&at(of), state);
    }

    /// The same for somebody at any domain.
    pub fn wait_for_presence_of(&mut self, of: &str, state: &str) {
        until(&format!("baresip shows {of} as {state}"), || {
            let list = self.command("contacts", "");
            list.lines().any(|line| line.contains(of) && line.contains(state))
        });
    }

    /// Call somebody.
    pub fn call(&mut self, whom: &str) {
        self.command("dial", whom);
    }

    /// Take the call that rings.
    pub fn accept(&mut self) {
        self.command("accept", "");
    }

    /// End the call, whether it is up, rings here, or rings there.
    pub fn hang_up(&mut self) {
        self.command("hangup", "");
    }

    /// Wait until the phone has shown a line with all of these words.
    pub fn expect(&self, words: &[&str]) -> String {
        self.talk.expect_words(words)
    }

    /// Leave, and wait until the phone has unregistered.
    pub fn quit(mut self) {
        self.command("quit", "");
        until("baresip leaves", || self.talk.ended());
    }

    /// One command and its answer, each a netstring of JSON; events in between are passed over.
    fn command(&mut self, command: &str, values: &str) -> String {
        let quoted = values.replace('\\', "\\\\").replace('"', "\\\"");
        let request = format!("{{\"command\":\"{command}\",\"params\":\"{quoted}\",\"token\":\"t\"}}");
        write!(self.control, "{}:{request},", request.len()).expect("the phone listens");
        loop {
            let answer = self.netstring();
            if answer.contains("\"response\":true") {
                assert!(answer.contains("\"ok\":true"), "{command}: {answer}");
                return answer.replace("\\n", "\n");
            }
        }
    }

    fn netstring(&mut self) -> String {
        let mut length = 0_usize;
        let mut byte = [0];
        loop {
            self.control.read_exact(&mut byte).expect("the phone answers");
            match byte[0] {
                b':' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut text = vec![0; length + 1];
        self.control.read_exact(&mut text).expect("the phone answers");
        text.pop();
        String::from_utf8_lossy(&text).into_owned()
    }
}

const RINGS: &[&str] = &["Incoming call from:"];
const UP: &[&str] = &["Call established:"];

/// A call that is taken, and ended by who took it; and one back, ended by who made it. Between whom: their addresses.
///
/// # Panics
/// If it goes otherwise.
pub fn talk(romeo: &mut Baresip, juliet: &mut Baresip, [from, to]: [&str; 2]) {
    romeo.call(to);
    juliet.expect(RINGS);
    juliet.accept();
    romeo.expect(UP);
    juliet.expect(UP);
    juliet.hang_up();
    romeo.expect(&["session closed"]);
    juliet.call(from);
    romeo.expect(RINGS);
    romeo.accept();
    juliet.expect(UP);
    romeo.expect(UP);
    juliet.hang_up();
    romeo.expect(&["session closed"]);
}

/// A call that nobody takes: given up by who made it, and turned down.
///
/// # Panics
/// If it goes otherwise.
pub fn no_talk(romeo: &mut Baresip, juliet: &mut Baresip, to: &str) {
    romeo.call(to);
    juliet.expect(RINGS);
    romeo.expect(&["180 Ringing"]);
    romeo.hang_up();
    juliet.expect(&["session closed"]);
    romeo.call(to);
    juliet.expect(RINGS);
    juliet.hang_up();
    romeo.expect(&["session closed", "486"]);
}
