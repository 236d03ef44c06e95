//! Slots, verdicts, what is kept and what is destroyed, without HTTP.

use files::{Broken, Files, Found, Settings};
use model::{
    Address, Dialect, Envelope, FileOffer, NoSlot, Origin, Reason, Security, Slot, Timestamp, Vouch,
};
use policy::{Decision, FileFacts, Judge};
use ports::{Inspector, Linked, Links, Looked, Uploads as _};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use store::{FileState, MemoryStore, Uploads as _};
use tempfile::TempDir;

struct NoRules;

impl Judge for NoRules {
    fn decide(&self, _: &Envelope) -> Option<Decision> {
        None
    }

    fn decide_file(&self, _: &Envelope, _: FileFacts<'_>) -> Option<Decision> {
        None
    }

    fn tell(&self, _: &Address, _: &str) {}
}

/// Finds "bad" in files, unless it is away.
#[derive(Default)]
struct Eyes {
    away: AtomicBool,
}

impl Inspector for Eyes {
    fn inspect(&self, file: &mut File) -> Looked {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        match (self.away.load(Relaxed), text.contains("bad")) {
            (true, _) => Looked::Failed { why: "away".into(), passes: false },
            (false, true) => Looked::Malware("Bad".into()),
            (false, false) => Looked::Clean,
        }
    }
}

struct World {
    store: Arc<MemoryStore>,
    eyes: Arc<Eyes>,
    dir: TempDir,
}

const URL: &str = "https://files.example.com/up";

fn settings() -> Settings {
    Settings { url: Some(URL.into()), max_bytes: 100, daily_bytes: 150, retention_days: 30 }
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: Arc::new(MemoryStore::new()), eyes: Arc::default(), dir }
    }

    fn open(&self) -> Files {
        let (store, dir) = (self.store.clone(), self.dir.path().join("blobs"));
        Files::open(dir, settings(), store.clone(), store, Arc::new(NoRules), self.eyes.clone()).unwrap()
    }

    fn blobs(&self) -> usize {
        fn below(dir: &Path) -> usize {
            let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
            entries.map(|p| if p.is_dir() { below(&p) } else { 1 }).sum()
        }
        below(&self.dir.path().join("blobs"))
    }
}

fn offer(size: u64) -> FileOffer {
    let me = Address::parse("romeo@example.com").unwrap();
    FileOffer {
        by: me.clone().into(),
        origin: Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch: Vouch::Account(me) },
        name: "a.txt".into(),
        size,
        mime: None,
    }
}

/// What stands after `/put/` or `/f/`, without the name.
fn key(url: &str) -> &str {
    url.strip_prefix(URL).unwrap().split('/').nth(2).unwrap()
}

/// Sends a file; the key of its link.
fn sent(files: &Files, content: &[u8]) -> String {
    let Slot { put, get } = files.slot(&offer(content.len() as u64)).unwrap();
    let mut incoming = files.begin(key(&put), content.len() as u64).unwrap();
    incoming.write(content).unwrap();
    let _ = files.finish(incoming).unwrap();
    key(&get).to_owned()
}

fn id(key: &str) -> &str {
    key.split('-').next().unwrap()
}

#[test]
fn what_waits_is_looked_into_again_and_links_know_it() {
    let world = World::new();
    let files = world.open();
    world.eyes.away.store(true, Relaxed);
    let (good, bad) = (sent(&files, b"good"), sent(&files, b"bad"));
    let text = |key: &str| format!("look: {URL}/f/{key}/a.txt");
    assert_eq!(files.linked(&text(&good)), [Linked::Waits]);
    assert!(matches!(files.find(&good), Ok(Found::KeptBack(_))));
    files.look_again().unwrap();
    assert!(files.waits(&text(&bad)), "whoever looks is still away");
    // Another process goes on where this one was.
    drop(files);
    let files = world.open();
    world.eyes.away.store(false, Relaxed);
    assert!(files.waits(&text(&bad)) && files.was_awaited());
    files.look_again().unwrap();
    assert_eq!(files.linked(&text(&good)), []);
    assert_eq!(files.linked(&text(&bad)), [Linked::Bad("it is malware (Bad)".into())]);
    assert!(matches!(files.find(&good), Ok(Found::File(..))));
    assert!(matches!(files.find(&bad), Ok(Found::KeptBack(_))));
    assert_eq!(world.blobs(), 1, "the content of malware is gone");
    assert!(matches!(files.find(&good.replace('-', "-x")), Ok(Found::Nothing)));
}

#[test]
fn content_goes_with_the_last_file_that_has_it() {
    let world = World::new();
    let files = world.open();
    let (one, two) = (sent(&files, b"same"), sent(&files, b"same"));
    assert_eq!(world.blobs(), 1);
    assert!(files.delete(id(&one), "somebody").unwrap().is_some());
    assert!(files.delete(id(&one), "somebody").unwrap().is_none());
    assert!(matches!(files.find(&two), Ok(Found::File(..))));
    files.delete(id(&two), "somebody").unwrap();
    assert_eq!(world.blobs(), 0);

    // What is too old goes by itself, and its link before.
    let old = sent(&files, b"old");
    let mut file = world.store.file(id(&old)).unwrap().unwrap();
    world.store.remove_file(&file.id).unwrap();
    file.at = Timestamp(file.at.unix_ms() - 31 * 86_400_000);
    world.store.add_file(&file).unwrap();
    assert!(matches!(files.find(&old), Ok(Found::Nothing)));
    assert_eq!((files.expire().unwrap(), world.blobs()), (1, 0));
    assert_eq!(world.store.file(&file.id), Ok(None));
    // As does what no row names, at the next start.
    let lost = sent(&files, b"lost");
    drop(files);
    world.store.remove_file(id(&lost)).unwrap();
    std::fs::write(world.dir.path().join("blobs/parts/half"), b"half").unwrap();
    world.open();
    assert_eq!(world.blobs(), 0);
}

#[test]
fn a_name_goes_when_nobody_else_knows_of_the_file() {
    let world = World::new();
    let files = world.open();
    files.on_change(|_, there| there);
    let old = sent(&files, b"old");
    let mut file = world.store.file(id(&old)).unwrap().unwrap();
    world.store.remove_file(&file.id).unwrap();
    file.at = Timestamp(file.at.unix_ms() - 31 * 86_400_000);
    world.store.add_file(&file).unwrap();
    assert_eq!((files.expire().unwrap(), world.blobs()), (0, 0));
    assert_eq!(files.forget(&file.id), Ok(false));
    // The next process asks again.
    drop(files);
    let files = world.open();
    let (told, hear) = std::sync::mpsc::channel();
    files.on_change(move |id, there| told.send((id.to_owned(), there)).is_ok());
    assert_eq!(files.expire(), Ok(1));
    assert_eq!(hear.try_recv(), Ok((file.id.clone(), false)));
    assert_eq!(world.store.file(&file.id), Ok(None));
    assert_eq!(files.expire(), Ok(0));
}

#[test]
fn limits_say_what_would_fit_and_when() {
    let world = World::new();
    let files = world.open();
    let no = files.slot(&offer(101)).unwrap_err();
    assert_eq!((no.refusal.reason, no.most), (Reason::TooLarge, Some(100)));
    sent(&files, &[b'x'; 100]);
    let NoSlot { refusal, retry, .. } = files.slot(&offer(51)).unwrap_err();
    let came = world.store.files(&FileState::ALL, 1).unwrap()[0].at;
    assert_eq!((refusal.reason, retry), (Reason::Overloaded, Some(Timestamp(came.unix_ms() + 86_400_000))));
    let slot = files.slot(&offer(50)).unwrap();
    // Another length does not use it up, and more than was said is not taken.
    assert!(matches!(files.begin(key(&slot.put), 49), Err(Broken::Length { promised: 50, came: 49 })));
    let mut incoming = files.begin(key(&slot.put), 50).unwrap();
    assert!(matches!(files.begin(key(&slot.put), 50), Err(Broken::NoSlot)));
    incoming.write(&[0; 50]).unwrap();
    assert!(matches!(incoming.write(&[0]), Err(Broken::Length { .. })));
    drop(incoming);
    assert_eq!(world.blobs(), 1, "nothing is left of it");
    let slot = files.slot(&offer(50)).unwrap();
    let mut incoming = files.begin(key(&slot.put), 50).unwrap();
    incoming.write(&[0; 49]).unwrap();
    assert!(matches!(files.finish(incoming), Err(Broken::Length { .. })), "it is not whole");
}
