//! A server process with its directory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before a test gives up.
pub const SOON: Duration = Duration::from_secs(30);
/// Everybody's password.
pub const PASSWORD: &str = "pencil 4711";

/// Both doors on ports of the system's choice.
pub const LISTEN: &str = "
[[xmpp.listen]]
address = \"127.0.0.1:0\"
tls = \"direct\"

[[sip.listen]]
address = \"127.0.0.1:0\"
transport = \"tcp\"
";

/// A server that runs. Dropping it kills it and removes its directory.
pub struct Serve {
    child: Child,
    /// Name and address of every listener, in order.
    pub listeners: Vec<(String, SocketAddr)>,
    dir: TempDir,
}

/// The server's command.
pub fn rialto() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rialto"))
}

/// A directory with certificate and configuration: `head` are keys before the first table, `more` whole tables.
pub fn prepared(head: &str, more: &str) -> TempDir {
    prepared_for("example.com", head, more)
}

/// The same for another domain.
pub fn prepared_for(domain: &str, head: &str, more: &str) -> TempDir {
    let dir = tempfile::Builder::new().prefix("rialto-serve-").tempdir().expect("a temporary directory");
    let init = rialto().args(["init", "--domain", domain, "--data"]).arg(dir.path().join("made")).output();
    assert!(init.expect("the command starts").status.success());
    std::fs::rename(dir.path().join("made/tls"), dir.path().join("tls")).expect("init made it");
    std::fs::rename(dir.path().join("made/ca.pem"), dir.path().join("ca.pem")).expect("init made it");
    write_config(dir.path(), domain, head, more);
    dir
}

fn write_config(dir: &Path, domain: &str, head: &str, more: &str) {
    let tls = "[tls]\ncertificate = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\n";
    let text = format!("domains = [\"{domain}\"]\n{head}\n{tls}{more}");
    std::fs::write(dir.join("rialto.toml"), text).expect("the directory is writable");
}

impl Serve {
    /// Starts a server with these users and more configuration.
    pub fn start(users: &[&str], more: &str) -> Self {
        Self::start_in(prepared("", more), users, |_| {})
    }

    /// The same in a directory that is there, with a last word on the command.
    pub fn start_in(dir: TempDir, users: &[&str], edit: impl FnOnce(&mut Command)) -> Self {
        let config = dir.path().join("rialto.toml");
        for user in users {
            let account = if user.contains('@') { (*user).to_owned() } else { format!("{user}@example.com") };
            let mut add = rialto();
            add.args(["user", "add", &account, "--password-stdin", "--config"]).arg(&config);
            let mut child =
                add.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the command starts");
            writeln!(child.stdin.take().expect("piped"), "{PASSWORD}").expect("it reads");
            assert!(child.wait().expect("it ends").success(), "user add {user}");
        }
        let mut started = Self { child: Self::spawn(&dir, edit), listeners: Vec::new(), dir };
        started.listen();
        started
    }

    fn spawn(dir: &TempDir, edit: impl FnOnce(&mut Command)) -> Child {
        let log = std::fs::File::create(dir.path().join("log")).expect("the directory is writable");
        let mut serve = rialto();
        serve
            .args(["serve", "--config"])
            .arg(dir.path().join("rialto.toml"))
            .env_remove("RIALTO_LOG")
            .stdout(Stdio::piped())
            .stderr(log);
        edit(&mut serve);
        serve.spawn().expect("the server starts")
    }

    /// Waits until it is ready.
    fn listen(&mut self) {
        self.listeners.clear();
        for line in BufReader::new(self.child.stdout.take().expect("piped")).lines() {
            let line = line.expect("text");
            if line == "ready" {
                return;
            }
            let (name, addr) =
                line.strip_prefix("listening: ").and_then(|l| l.split_once(" on ")).expect("a listener");
            self.listeners.push((name.to_owned(), addr.parse().expect("an address")));
        }
        panic!("no server: {}", self.log());
    }

    /// Kills it without warning.
    pub fn crash(&mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    /// Kills it without warning, and starts it again on what it left.
    pub fn crash_and_restart(&mut self) {
        self.crash();
        self.restart();
    }

    /// Starts it again after a crash.
    pub fn restart(&mut self) {
        self.child = Self::spawn(&self.dir, |_| {});
        self.listen();
    }

    /// Waits until something is so.
    pub fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + SOON;
        while !is_so(self) {
            assert!(Instant::now() < end, "never: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a line is among the metrics.
    pub fn metric(&self, line: &str) {
        self.until(line, |serve| serve.api("GET", "/metrics").1.lines().any(|l| l == line));
    }

    /// The same directory, served again after the server has ended.
    pub fn restarted(mut ended: Self) -> Self {
        let empty = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(std::mem::replace(&mut ended.dir, empty), &[], |_| {})
    }

    /// Where the first listener of this name is.
    pub fn at(&self, name: &str) -> SocketAddr {
        self.listeners.iter().find(|(n, _)| n == name).expect("it listens there").1
    }

    /// A file of the server's directory.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Writes another configuration.
    pub fn configure(&self, head: &str, more: &str) {
        write_config(self.dir.path(), "example.com", head, more);
    }

    /// Runs a command of the server on its configuration.
    pub fn run(&self, args: &[&str]) -> Output {
        rialto()
            .args(args)
            .arg("--config")
            .arg(self.path("rialto.toml"))
            .output()
            .expect("the command starts")
    }

    /// Runs `rialto reload`: what it said, and whether it was content.
    pub fn reload(&self) -> (String, bool) {
        let done = self.run(&["reload"]);
        let said = [done.stdout, done.stderr].concat();
        (String::from_utf8(said).expect("text"), done.status.success())
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// The most memory it has had so far, in bytes.
    pub fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line of Linux's");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Waits for the server to end by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the server does not end");
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).expect("it logs")
    }

    /// Waits until something is in the log.
    pub fn logs(&self, what: &str) {
        let end = Instant::now() + SOON;
        while !self.log().contains(what) {
            assert!(Instant::now() < end, "`{what}` is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks the control API: status line and body.
    pub fn api(&self, method: &str, path: &str) -> (String, String) {
        self.api_with(method, path, "")
    }

    /// The same with a body.
    pub fn api_with(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let mut stream = UnixStream::connect(self.path("data/control.sock")).expect("the control socket");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.lines().next().unwrap_or("").to_owned(), body.to_owned())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
