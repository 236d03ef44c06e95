//! A process that a test talks to: commands on its standard input, events on its standard output.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::SOON;

/// What the process has printed so far.
#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    taken: Vec<bool>,
    closed: bool,
}

/// A running peer.
pub struct Talk {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    log: PathBuf,
}

impl Talk {
    /// Start `command` under `name`; its standard error goes to the file `log`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(name: impl Into<String>, command: &mut Command, log: PathBuf) -> Self {
        let name = name.into();
        let stderr = std::fs::File::create(&log).expect("the log can be written");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|fault| panic!("{name} does not start: {fault}"));
        let output = child.stdout.take().expect("stdout is piped");
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let ear = Arc::clone(&heard);
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            // Bytes, not strings: a peer that prints something odd must not deafen the test.
            while output.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                let mut heard = ear.0.lock().expect("no test panics with the lock");
                heard.lines.push(text);
                heard.taken.push(false);
                ear.1.notify_all();
            }
            ear.0.lock().expect("no test panics with the lock").closed = true;
            ear.1.notify_all();
        });
        let input = child.stdin.take();
        Self { name, child, input, heard, log }
    }

    /// Give it one line.
    ///
    /// # Panics
    /// If it no longer listens.
    pub fn tell(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        let written = self.input.as_mut().map(|input| writeln!(input, "{line}").and_then(|()| input.flush()));
        if !matches!(written, Some(Ok(()))) {
            panic!("{} no longer listens\n{}", self.name, self.transcript());
        }
    }

    /// Wait for a line that starts with `start` and was not taken before; take it and return what follows.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn expect(&self, start: impl AsRef<str>) -> String {
        self.expect_within(start, SOON)
    }

    /// The same with another deadline.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn expect_within(&self, start: impl AsRef<str>, patience: Duration) -> String {
        let start = start.as_ref();
        self.expect_line(start, patience, |line| line.starts_with(start))[start.len()..].trim().to_owned()
    }

    /// Wait for a line that contains all of `words`; take and return it.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn expect_words(&self, words: &[&str]) -> String {
        self.expect_line(&words.join(" ... "), SOON, |line| words.iter().all(|word| line.contains(word)))
    }

    /// Wait for a line that contains one of `words`; take and return it.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn expect_any(&self, words: &[&str]) -> String {
        self.expect_line(&words.join(" or "), SOON, |line| words.iter().any(|word| line.contains(word)))
    }

    fn expect_line(&self, what: &str, patience: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + patience;
        let mut heard = self.heard.0.lock().expect("no test panics with the lock");
        loop {
            let found = (0..heard.lines.len()).find(|&i| !heard.taken[i] && wanted(&heard.lines[i]));
            if let Some(i) = found {
                heard.taken[i] = true;
                return heard.lines[i].clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || heard.closed {
                let why = if heard.closed { "ended" } else { "waited" };
                drop(heard);
                panic!("{} {why} without saying `{what}`\n{}", self.name, self.transcript());
            }
            heard = self.heard.1.wait_timeout(heard, left).expect("no test panics with the lock").0;
        }
    }

    /// How many lines so far start with `start`, taken or not. Only meaningful behind a fence.
    #[must_use]
    pub fn count(&self, start: &str) -> usize {
        let heard = self.heard.0.lock().expect("no test panics with the lock");
        heard.lines.iter().filter(|line| line.starts_with(start)).count()
    }

    /// Forget what was said so far, so that the next `expect` looks only at what comes.
    pub fn forget(&self) {
        self.heard.0.lock().expect("no test panics with the lock").taken.fill(true);
    }

    /// Ask it to leave and wait until it has.
    pub fn quit(mut self) {
        self.tell("quit");
        self.input = None;
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Send it the signal that asks a server to stop.
    ///
    /// # Panics
    /// If the system has no `kill`.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} cannot be told to stop", self.name);
    }

    /// Its number with the system.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has it ended?
    #[must_use]
    pub fn ended(&self) -> bool {
        self.heard.0.lock().expect("no test panics with the lock").closed
    }

    /// Has the process itself ended, after whatever it does last? It may say nothing for some time before.
    pub fn exited(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// All that it said, and the end of its log.
    #[must_use]
    pub fn transcript(&self) -> String {
        let mut text = format!("---- {} said\n", self.name);
        if let Ok(heard) = self.heard.0.lock() {
            for line in &heard.lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        let _ = writeln!(text, "---- end of its log {}", self.log.display());
        text.push_str(&tail(&self.log, 60));
        text
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.transcript());
        }
    }
}

/// The last lines of a file, for a failure report.
#[must_use]
pub fn tail(path: &std::path::Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let skip = text.lines().count().saturating_sub(lines);
    text.lines().skip(skip).fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "  {line}");
        all
    })
}

/// Poll `done` until it holds.
///
/// # Panics
/// If it does not hold in time; `what` says what was waited for.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
