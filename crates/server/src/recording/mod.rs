//! `rialto serve --record DIR`: each connection as a transcript that the doors' tests can replay.
//!
//! A [`Recording`] stands in front of a door and keeps what its machines are given ([`log`]). At a machine's end that is
//! told again, without names, words and secrets, to a machine as the tests have it ([`shadow`]); what that one
//! answers is the transcript. So it replays as it is, and nothing of the live machine's answers is in it.

mod body;
mod cast;
mod header;
mod log;
mod shadow;
mod sip;
mod tell;
mod xml;
mod xmpp;

use crate::failure::Failure;
use connector::{Connector, Errand, Input, Listener, Machine, Output, Peer, Search, Seed, TlsMode};
use log::{Entry, Said, Taken};
use model::{Dialect, LeaseKey, Now, Tick};
use parking_lot::Mutex;
use shadow::Kind;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Inputs of one connection that are kept at most.
const INPUTS: usize = 2_000;
/// Bytes of one connection that are kept, and of one file, at most.
const BYTES: usize = 1 << 20;
/// Bytes of all connections that are kept at the same time at most.
const ALL_BYTES: usize = 64 << 20;
/// Files that one run writes at most.
const FILES: usize = 1_000;
/// Machines that ended and wait to be written; more are not written.
const WAITING: usize = 256;

/// Writes the transcripts of one run.
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<Vec<PathBuf>>>>,
}

struct Shared {
    /// Taken away at the end.
    ended: Mutex<Option<SyncSender<Log>>>,
    held: AtomicUsize,
    lost: AtomicUsize,
    domains: Vec<String>,
    resumes: bool,
}

/// All of one machine.
struct Log {
    kind: Kind,
    peer: Peer,
    domains: Vec<String>,
    entries: Vec<Entry>,
    /// Why it is not whole.
    cut: Option<&'static str>,
}

impl Recorder {
    /// Makes the directory and waits for machines to end.
    ///
    /// # Errors
    /// [`Failure`] when nothing can be written there.
    pub fn start(dir: &Path, domains: Vec<String>, resumes: bool) -> Result<Self, Failure> {
        let fail = |e: std::io::Error| Failure::new(format!("cannot record in {}: {e}", dir.display()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
        if std::fs::metadata(dir).map_err(fail)?.permissions().mode() & 0o077 != 0 {
            let what = "others may open it; name a directory that is not there yet, or `chmod 700` it";
            return Err(Failure::new(format!("cannot record in {}: {what}", dir.display())));
        }
        let (ended, queue) = sync_channel(WAITING);
        let held = domains.clone();
        let shared = Arc::new(Shared {
            ended: Mutex::new(Some(ended)),
            held: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            domains: held,
            resumes,
        });
        let (dir, mine) = (dir.to_owned(), shared.clone());
        let thread = std::thread::Builder::new().name("recorder".into());
        let thread = thread.spawn(move || write_all(&dir, &queue, &mine)).map_err(fail)?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// A door whose machines are recorded.
    pub fn before(&self, door: Arc<dyn Connector>) -> Arc<dyn Connector> {
        Arc::new(Recording { door, shared: self.shared.clone() })
    }

    /// Writes what is left; the files of this run, and how many connections have none. Machines that have not ended
    /// are not waited for.
    pub fn finish(&self) -> (Vec<PathBuf>, usize) {
        drop(self.shared.ended.lock().take());
        let files = self.thread.lock().take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        (files, self.shared.lost.load(Ordering::Relaxed))
    }
}

/// A door, with somebody who takes notes in front of it.
struct Recording {
    door: Arc<dyn Connector>,
    shared: Arc<Shared>,
}

impl Connector for Recording {
    fn dialect(&self) -> Dialect {
        self.door.dialect()
    }

    fn listeners(&self) -> Vec<Listener> {
        self.door.listeners()
    }

    fn shard(&self, datagram: &[u8], source: SocketAddr, shards: usize) -> usize {
        self.door.shard(datagram, source, shards)
    }

    fn heir(&self, local: SocketAddr, key: &LeaseKey, state: &[u8], shards: usize) -> Option<usize> {
        self.door.heir(local, key, state, shards)
    }

    fn search(&self) -> Option<Search> {
        self.door.search()
    }

    // Connections with other servers are not recorded: what is in them is not of one account alone.
    fn dial(&self, errand: Errand, tls: TlsMode, peer: Peer, seed: Seed) -> Option<Box<dyn Machine>> {
        self.door.dial(errand, tls, peer, seed)
    }

    fn accept(&self, listener: usize, peer: Peer, seed: Seed) -> Box<dyn Machine> {
        let machine = self.door.accept(listener, peer, seed);
        let Some(listener) = self.door.listeners().into_iter().nth(listener) else { return machine };
        if listener.servers {
            return machine;
        }
        let kind = Kind {
            dialect: self.door.dialect(),
            transport: listener.transport,
            tls: listener.tls,
            resumes: self.shared.resumes,
        };
        let domains = self.shared.domains.clone();
        let log = Log { kind, peer, domains, entries: Vec::new(), cut: None };
        Box::new(Tap { machine, log: Some(log), held: 0, began: None, shared: self.shared.clone() })
    }
}

/// A machine as it is, and the notes about it.
struct Tap {
    machine: Box<dyn Machine>,
    /// `None` once it was handed in.
    log: Option<Log>,
    held: usize,
    began: Option<Tick>,
    shared: Arc<Shared>,
}

impl Machine for Tap {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        let taken = self.log.is_some().then(|| Taken::new(&input));
        self.machine.handle(now, input);
        let Some(taken) = taken else { return };
        let began = *self.began.get_or_insert(now.tick);
        let size = taken.size();
        let Some(log) = &mut self.log else { return };
        if log.entries.len() >= INPUTS || self.held + size > BYTES {
            return self.hand_in(Some("more came than one file may hold"));
        }
        if self.shared.held.load(Ordering::Relaxed) + size > ALL_BYTES {
            return self.hand_in(Some("more was under way on all connections than may be held"));
        }
        log.entries.push(Entry { at: now.tick.since(began), input: taken, said: Vec::new() });
        self.hold(size);
    }

    fn poll(&mut self) -> Option<Output> {
        let output = self.machine.poll()?;
        if let Some(entry) = self.log.as_mut().and_then(|log| log.entries.last_mut()) {
            let said = Said::new(&output);
            let size = said.size();
            entry.said.push(said);
            self.hold(size);
        }
        Some(output)
    }

    fn deadline(&self) -> Option<Tick> {
        self.machine.deadline()
    }
}

impl Tap {
    fn hold(&mut self, size: usize) {
        self.held += size;
        self.shared.held.fetch_add(size, Ordering::Relaxed);
    }

    fn hand_in(&mut self, cut: Option<&'static str>) {
        let Some(mut log) = self.log.take() else { return };
        log.cut = cut;
        if log
            .entries
            .iter()
            .any(|e| !matches!(e.input, Taken::Opened | Taken::Tick | Taken::Closed | Taken::Drain))
        {
            let sent = self.shared.ended.lock().as_ref().is_some_and(|ended| ended.try_send(log).is_ok());
            if !sent {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.shared.held.fetch_sub(self.held, Ordering::Relaxed);
        self.held = 0;
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.hand_in(None);
    }
}

/// Writes until nobody sends any more. A disk that is full costs transcripts and nothing else.
fn write_all(dir: &Path, queue: &Receiver<Log>, shared: &Shared) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut number = 0;
    while let Ok(log) = queue.recv() {
        if files.len() >= FILES {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        // A fault in the telling must not end the recording.
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tell::transcript(&log)));
        let dialect = if log.kind.dialect == Dialect::Sip { "sip" } else { "xmpp" };
        let Ok(Some(text)) = told else {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        match write(dir, dialect, &mut number, &text) {
            Ok(file) => files.push(file),
            Err(error) => {
                tracing::warn!(%error, "a transcript could not be written");
                shared.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    files
}

/// Writes a new file under the next free number, or nothing.
fn write(dir: &Path, dialect: &str, number: &mut usize, text: &str) -> std::io::Result<PathBuf> {
    loop {
        *number += 1;
        let path = dir.join(format!("recorded_{dialect}_{number:04}.txt"));
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                let done = file.write_all(text.as_bytes());
                if done.is_err() {
                    let _ = std::fs::remove_file(&path);
                }
                return done.map(|()| path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connector::{Flow, TlsMode, Transport};

    /// A door that hangs up whenever it hears something.
    struct Deaf;

    impl Connector for Deaf {
        fn dialect(&self) -> Dialect {
            Dialect::Xmpp
        }

        fn listeners(&self) -> Vec<Listener> {
            let addr = ([127, 0, 0, 1], 1).into();
            vec![Listener {
                name: "deaf".into(),
                addr,
                transport: Transport::Tcp,
                tls: TlsMode::Direct,
                servers: false,
            }]
        }

        fn accept(&self, _: usize, _: Peer, _: Seed) -> Box<dyn Machine> {
            Box::new(Deaf2(false))
        }
    }

    struct Deaf2(bool);

    impl Machine for Deaf2 {
        fn handle(&mut self, _: Now, input: Input<'_>) {
            self.0 = matches!(input, Input::Bytes(..));
        }

        fn poll(&mut self) -> Option<Output> {
            std::mem::take(&mut self.0).then_some(Output::Close(Flow::ACCEPTED))
        }

        fn deadline(&self) -> Option<Tick> {
            None
        }
    }

    /// Gives a recorded machine these pieces; the files, and how many were lost.
    fn recorded(dir: &Path, pieces: &[&[u8]]) -> (Vec<PathBuf>, usize) {
        let recorder =
            Recorder::start(&dir.join("records"), vec!["acme.test".into()], true).expect("writable");
        let addr = ([10, 0, 0, 9], 1).into();
        let mut machine =
            recorder.before(Arc::new(Deaf)).accept(0, Peer { remote: addr, local: addr }, [1; 32]);
        for piece in pieces {
            machine.handle(Now::default(), Input::Bytes(Flow::ACCEPTED, piece));
            while machine.poll().is_some() {}
        }
        drop(machine);
        recorder.finish()
    }

    #[test]
    fn another_story_is_called_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let (files, lost) = recorded(dir.path(), &[b"<?xml version='1.0'?><stream:stream to='acme.test'>"]);
        assert_eq!((files.len(), lost), (1, 0));
        let text = std::fs::read_to_string(&files[0]).expect("text");
        assert!(
            text.contains("the live machine answered otherwise") && text.contains("to='example.com'"),
            "{text}"
        );
    }

    #[test]
    fn a_file_has_an_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let (files, _) = recorded(dir.path(), &vec![&b" "[..]; INPUTS + 10]);
        let text = std::fs::read_to_string(&files[0]).expect("text");
        assert!(text.ends_with("# The recording ends here: more came than one file may hold.\n"), "{text}");
        let (files, _) = recorded(dir.path(), &[&b"<a/>"[..], &vec![b'x'; BYTES]]);
        assert!(files[0].ends_with("recorded_xmpp_0002.txt"), "{files:?}");
        assert!(std::fs::metadata(&files[0]).expect("written").len() < BYTES as u64 / 2);
        let (files, _) = recorded(dir.path(), &[b"text\xff\xfe, not <xml"]);
        let text = std::fs::read_to_string(&files[0]).expect("text");
        assert!(text.ends_with("# The recording ends here: what came then is no text.\n"), "{text}");
    }

    #[test]
    fn a_directory_that_is_gone_costs_only_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let recorder = Recorder::start(&dir.path().join("r"), Vec::new(), true).expect("writable");
        let addr = ([10, 0, 0, 9], 1).into();
        let mut machine =
            recorder.before(Arc::new(Deaf)).accept(0, Peer { remote: addr, local: addr }, [1; 32]);
        machine.handle(Now::default(), Input::Bytes(Flow::ACCEPTED, b"<a/>"));
        std::fs::remove_dir(dir.path().join("r")).expect("empty");
        drop(machine);
        assert_eq!(recorder.finish(), (Vec::new(), 1));
    }

    #[test]
    fn a_directory_that_others_may_open_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        let no = Recorder::start(dir.path(), Vec::new(), true).err().expect("refused");
        assert!(no.to_string().contains("chmod 700"), "{no}");
    }
}
