//! The server under test, in a directory of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::ports::Ports;
use crate::talk::{Talk, until};
use crate::{DOMAIN, IllDisk, PASSWORD, at, have};

/// A running server. Dropping it kills the server and removes its directory.
pub struct Rialto {
    // Declared first: the process ends before its directory goes.
    process: Option<Talk>,
    binary: PathBuf,
    ports: Ports,
    dir: TempDir,
    home: PathBuf,
    log_level: String,
    disk: Option<IllDisk>,
}

impl Rialto {
    /// Start a server for `example.com` with these users, and wait until it is ready.
    ///
    /// # Panics
    /// If any step fails.
    #[must_use]
    pub fn start(users: &[&str]) -> Self {
        let level = std::env::var("RIALTO_LOG").unwrap_or_else(|_| "debug".into());
        Self::start_with(users, "", &level)
    }

    /// The same with more configuration, whole TOML tables, and a log level.
    ///
    /// # Panics
    /// If any step fails.
    #[must_use]
    pub fn start_with(users: &[&str], more: &str, log_level: &str) -> Self {
        Self::start_by(users, |_| more.to_owned(), log_level)
    }

    /// The same where the configuration depends on the first of the server's ports; from the fifth on they are free for
    /// listeners of the test's own.
    ///
    /// # Panics
    /// If any step fails.
    #[must_use]
    pub fn start_by(users: &[&str], more: impl FnOnce(u16) -> String, log_level: &str) -> Self {
        Self::start_for(&[DOMAIN], users, more, log_level)
    }

    /// The same for other domains; their users are named with them.
    ///
    /// # Panics
    /// If any step fails.
    #[must_use]
    pub fn start_for(
        domains: &[&str],
        users: &[&str],
        more: impl FnOnce(u16) -> String,
        log_level: &str,
    ) -> Self {
        let binary = have::rialto();
        let dir =
            tempfile::Builder::new().prefix("rialto-interop-").tempdir().expect("a temporary directory");
        let ports = Ports::take();
        let home = dir.path().join("data");
        let mut rialto =
            Self { process: None, binary, ports, dir, home, log_level: log_level.into(), disk: None };
        let data = rialto.data();
        let base = rialto.ports.base.to_string();
        // `localhost` is a domain too, so that its name is in the certificate: liblinphone insists on the host name that
        // it dials, and the only name which resolves on every machine is that one.
        rialto.must(
            Command::new(&rialto.binary)
                .args(["init", "--listen", "127.0.0.1"])
                .args(domains.iter().chain(&["localhost"]).flat_map(|domain| ["--domain", domain]))
                .args(["--base-port", &base, "--data"])
                .arg(&data),
        );
        let mut config = std::fs::OpenOptions::new()
            .append(true)
            .open(rialto.config())
            .expect("init wrote the configuration");
        write!(config, "\n{}", more(rialto.ports.base)).expect("the temporary directory is writable");
        for user in users {
            rialto.add_user(user, PASSWORD);
        }
        rialto.run();
        rialto
    }

    /// Start the server process and wait until its listeners are open.
    fn run(&mut self) {
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--config"]).arg(self.config()).env("RIALTO_LOG", &self.log_level);
        if let Some(disk) = &self.disk {
            disk.under(&mut command);
        }
        let process = Talk::start("rialto", &mut command, self.log("rialto"));
        process.expect("ready");
        self.process = Some(process);
    }

    /// Start the server again, with its store on a disk that can be told to fail.
    pub fn on_ill_disk(&mut self) {
        self.stop();
        self.disk = Some(IllDisk::new(&self.data().join("data"), self.log("disk").with_extension("pipe")));
        self.run();
    }

    /// That disk.
    ///
    /// # Panics
    /// If the server is not on such a disk.
    #[must_use]
    pub fn disk(&self) -> &IllDisk {
        self.disk.as_ref().expect("the server is on an ill disk")
    }

    /// The power goes: the server is gone, and of its files is left what a disk may have kept.
    ///
    /// # Panics
    /// If the server is not on a disk that can do this.
    pub fn cut_power(&mut self, seed: u64) {
        let process = self.process.take().expect("the server runs");
        self.disk().be(&format!("cut {seed}"));
        until("the power goes", || process.ended());
    }

    /// Kill the server without warning and start it again: what it promised to keep must still be there.
    pub fn crash_and_restart(&mut self) {
        self.crash();
        self.restart();
    }

    /// Kill the server without warning, and wait until it is gone.
    pub fn crash(&mut self) {
        self.process = None;
    }

    /// Start the server again after a crash. Its log begins anew.
    pub fn restart(&mut self) {
        self.run();
    }

    /// The memory of the server process that is in use now, in KiB. Files that it has mapped do not count: their pages
    /// are the system's to take back.
    ///
    /// # Panics
    /// If the server does not run, or the system does not say.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let id = self.process.as_ref().expect("the server runs").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the system tells");
        let line =
            status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a process has memory");
        line.trim().trim_end_matches("kB").trim().parse().expect("a number of kB")
    }

    /// Files, sockets among them, that the server has open.
    ///
    /// # Panics
    /// If the server does not run, or the system does not say.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let id = self.process.as_ref().expect("the server runs").id();
        std::fs::read_dir(format!("/proc/{id}/fd")).expect("the system tells").count()
    }

    /// The size of the database, with its log, in KiB.
    #[must_use]
    pub fn stored_kib(&self) -> u64 {
        let size = |name| self.data().join("data").join(name).metadata().map_or(0, |file| file.len());
        (size("rialto.db") + size("rialto.db-wal")) / 1024
    }

    /// Add an account; works before and while the server runs.
    ///
    /// # Panics
    /// If the server's command refuses.
    pub fn add_user(&self, user: &str, password: &str) {
        let mut child = Command::new(&self.binary)
            .args(["user", "add", &at(user), "--password-stdin", "--config"])
            .arg(self.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's command starts");
        let mut input = child.stdin.take().expect("stdin is piped");
        writeln!(input, "{password}").expect("the command reads the password");
        drop(input);
        let done = child.wait_with_output().expect("the command ends");
        assert!(done.status.success(), "user add {user}: {}", said(&done));
    }

    /// The port for XMPP with STARTTLS.
    #[must_use]
    pub fn xmpp(&self) -> u16 {
        self.ports.base
    }

    /// The port for XMPP with TLS from the first byte.
    #[must_use]
    pub fn xmpps(&self) -> u16 {
        self.ports.base + 1
    }

    /// The port for SIP over UDP and TCP.
    #[must_use]
    pub fn sip(&self) -> u16 {
        self.ports.base + 2
    }

    /// The port for SIP over TLS.
    #[must_use]
    pub fn sips(&self) -> u16 {
        self.ports.base + 3
    }

    /// The port for other servers, with STARTTLS, where the test opened it.
    #[must_use]
    pub fn s2s(&self) -> u16 {
        self.ports.base + 4
    }

    /// The same with TLS from the first byte.
    #[must_use]
    pub fn s2s_direct(&self) -> u16 {
        self.ports.base + 5
    }

    /// A directory of a peer's own, removed with the server.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn home(&self, peer: &str) -> PathBuf {
        let home = self.dir.path().join(peer);
        std::fs::create_dir_all(&home).expect("the temporary directory is writable");
        home
    }

    /// Where a peer's log goes.
    #[must_use]
    pub fn log(&self, peer: &str) -> PathBuf {
        self.dir.path().join(format!("{peer}.log"))
    }

    /// What the server has logged since it was started.
    ///
    /// # Panics
    /// If its log cannot be read.
    #[must_use]
    pub fn log_text(&self) -> String {
        let bytes = std::fs::read(self.log("rialto")).expect("the server logs");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The server's directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.clone()
    }

    /// From the next start on the server lives in this directory.
    pub fn move_to(&mut self, dir: PathBuf) {
        self.home = dir;
    }

    /// The server's configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.data().join("rialto.toml")
    }

    /// The certificate of the server's own authority.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.data().join("ca.pem")
    }

    /// The server's certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.data().join("tls/cert.pem")
    }

    /// The end of the journal, as the server's own command prints it.
    #[must_use]
    pub fn journal(&self) -> String {
        said(&self.must(
            Command::new(&self.binary).args(["journal", "tail", "-n", "100", "--config"]).arg(self.config()),
        ))
    }

    /// The last word of every test: the journal is intact while the server runs, the server stops when it is told to, and
    /// the journal is still intact.
    ///
    /// # Panics
    /// If one of these does not hold.
    pub fn finish(mut self) {
        self.verify();
        self.stop();
        self.verify();
    }

    /// Check the whole journal with the server's own command, which works beside a running server too.
    ///
    /// # Panics
    /// If anything in it is amiss.
    pub fn verify(&self) {
        self.must(Command::new(&self.binary).args(["journal", "verify", "--config"]).arg(self.config()));
    }

    /// Run one of the server's commands on this server and return what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn command(&self, words: &[&str]) -> String {
        said(&self.must(Command::new(&self.binary).args(words).arg("--config").arg(self.config())))
    }

    /// Run one of the server's commands that need no configuration.
    ///
    /// # Errors
    /// What it printed, if it fails.
    pub fn run_command(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.binary);
        let done = command.args(words).stdin(Stdio::null()).output().expect("the server's command starts");
        if done.status.success() { Ok(said(&done)) } else { Err(said(&done)) }
    }

    /// Run one of the server's commands with its store on this disk; does it get through?
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn on_disk(&self, disk: &IllDisk, words: &[&str]) -> bool {
        let mut command = Command::new(&self.binary);
        command.args(words).env("RIALTO_CONFIG", self.config()).stdin(Stdio::null());
        disk.under(&mut command);
        command.output().expect("the server's command starts").status.success()
    }

    /// What `rialto doctor` says, whatever it thinks of this machine.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn doctor(&self) -> String {
        let mut command = Command::new(&self.binary);
        let done = command.args(["doctor", "--config"]).arg(self.config()).stdin(Stdio::null()).output();
        said(&done.expect("the server's command starts"))
    }

    /// The same for a command that must fail.
    ///
    /// # Panics
    /// If it succeeds.
    pub fn refused(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--config").arg(self.config()).stdin(Stdio::null());
        let done = command.output().expect("the server's command starts");
        assert!(!done.status.success(), "{words:?} was not refused: {}", said(&done));
        said(&done)
    }

    /// Stop the server in order.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&mut self) {
        let process = self.process.take().expect("the server runs");
        process.terminate();
        until("the server stops on SIGTERM", || process.ended());
    }

    fn must(&self, command: &mut Command) -> Output {
        let done = command.stdin(Stdio::null()).output().expect("the server's command starts");
        assert!(done.status.success(), "{command:?}: {}\n{}", said(&done), self.report());
        done
    }

    fn report(&self) -> String {
        self.process.as_ref().map(Talk::transcript).unwrap_or_default()
    }
}

fn said(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

/// How long presence may take that a peer fetches on a timer of its own: libpurple looks for new buddies to subscribe to
/// every ten seconds or so.
pub const LAZY: Duration = Duration::from_secs(60);

/// Copy a file into a peer's directory, making the folders on the way.
///
/// # Panics
/// If it cannot be copied.
pub fn place(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().expect("a file lies in a folder"))
        .expect("the directory is writable");
    std::fs::copy(from, to).unwrap_or_else(|fault| panic!("{} cannot be copied: {fault}", from.display()));
}
