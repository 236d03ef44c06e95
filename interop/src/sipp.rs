//! SIPp: SIP written out by hand, one scenario file for each exchange.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::ports::Ports;
use crate::talk::tail;
use crate::{DOMAIN, PASSWORD, Rialto, SOON, have};

/// The transport of a scenario. SIPp as Debian builds it has no TLS; the phones cover that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One UDP socket.
    Udp,
    /// One TCP connection.
    Tcp,
}

/// A SIP user agent: one address and one port, in whose name scenarios run.
pub struct Agent<'a> {
    rialto: &'a Rialto,
    user: String,
    transport: Transport,
    password: String,
    ports: Ports,
    repeats: bool,
}

/// A scenario that is running.
pub struct Running {
    child: Child,
    name: String,
    logs: Vec<PathBuf>,
}

impl<'a> Agent<'a> {
    /// An agent for this user.
    #[must_use]
    pub fn new(rialto: &'a Rialto, user: &str, transport: Transport) -> Self {
        Self {
            rialto,
            user: user.into(),
            transport,
            password: PASSWORD.into(),
            ports: Ports::take(),
            repeats: true,
        }
    }

    /// The same agent with another password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }

    /// The same agent without SIPp's own retransmissions, for scenarios that repeat requests themselves.
    #[must_use]
    pub fn without_repeats(mut self) -> Self {
        self.repeats = false;
        self
    }

    /// Run a scenario of `sipp/` to its end and return all that passed. `values` fill its `[key]`s, in requests and in checks.
    ///
    /// # Panics
    /// If the exchange does not go as the scenario says.
    pub fn run(&self, scenario: &str, values: &[(&str, &str)]) -> String {
        self.begin(scenario, values).finish()
    }

    /// Take the first datagram that arrives, and lose it.
    ///
    /// # Panics
    /// If none comes in time, or it is not what was expected.
    pub fn lose_one(&self, method: &str) {
        let socket = UdpSocket::bind(("127.0.0.1", self.ports.base)).expect("the agent's port is free");
        socket.set_read_timeout(Some(SOON)).expect("the time is not zero");
        let mut datagram = [0; 65_535];
        let length = socket.recv(&mut datagram).expect("something arrives");
        let text = String::from_utf8_lossy(&datagram[..length]);
        assert!(text.starts_with(method), "expected {method}, got {text}");
    }

    /// Start a scenario.
    ///
    /// # Panics
    /// If SIPp is missing.
    #[must_use]
    pub fn begin(&self, scenario: &str, values: &[(&str, &str)]) -> Running {
        let name = format!("sipp-{}-{scenario}", self.user);
        let messages = self.rialto.log(&format!("{name}-messages"));
        let errors = self.rialto.log(&format!("{name}-errors"));
        let script = self.rialto.log(&name).with_extension("xml");
        // SIPp would fill keys in requests only; checks need them too.
        let mut text = std::fs::read_to_string(have::file(&format!("sipp/{scenario}.xml")))
            .unwrap_or_else(|fault| panic!("no scenario {scenario}: {fault}"));
        for (key, value) in [("user", self.user.as_str()), ("domain", DOMAIN)].iter().chain(values) {
            text = text.replace(&format!("[{key}]"), value);
        }
        std::fs::write(&script, &text).expect("the temporary directory is writable");
        let mut command = Command::new(have::program("sipp", "sip-tester"));
        command
            .arg(format!("127.0.0.1:{}", self.rialto.sip()))
            .arg("-sf")
            .arg(&script)
            .args(["-i", "127.0.0.1", "-p", &self.ports.base.to_string(), "-m", "1", "-l", "1"])
            .args(["-au", &self.user, "-ap", &self.password, "-auth_uri", &digest_uri(&text)])
            .args(["-timeout", &format!("{}s", SOON.as_secs()), "-timeout_error"])
            .args(["-t", if self.transport == Transport::Udp { "u1" } else { "t1" }])
            .args(["-trace_msg", "-message_file"])
            .arg(&messages)
            .args(["-trace_err", "-error_file"])
            .arg(&errors);
        if !self.repeats {
            command.arg("-nr");
        }
        // Without a terminal SIPp draws no screen.
        let child = command
            .current_dir(self.rialto.home("sipp"))
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("SIPp starts");
        Running { child, name, logs: vec![errors, messages] }
    }
}

/// The request URI of the first request, which the digest must name; SIPp puts the scheme before it.
fn digest_uri(script: &str) -> String {
    let line = script.lines().find(|line| line.ends_with(" SIP/2.0")).unwrap_or_default();
    line.split_whitespace().nth(1).unwrap_or_default().trim_start_matches("sip:").to_owned()
}

impl Running {
    /// Wait until the scenario has ended well, and return all that passed.
    ///
    /// # Panics
    /// If it ends otherwise, or not at all.
    pub fn finish(mut self) -> String {
        let deadline = Instant::now() + SOON + Duration::from_secs(5);
        let status = loop {
            match self.child.try_wait().expect("SIPp is our child") {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        assert!(
            status.is_some_and(|status: ExitStatus| status.success()),
            "{} ended with {status:?}\n{}",
            self.name,
            self.logs.iter().map(|log| tail(log, 120)).collect::<String>()
        );
        tail(&self.logs[1], usize::MAX)
    }

    /// Wait until the scenario has sent or received a line with this text.
    pub fn wait_for(&self, text: &str) {
        crate::talk::until(&format!("{} sees `{text}`", self.name), || {
            self.logs.iter().any(|log| tail(log, usize::MAX).contains(text))
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
