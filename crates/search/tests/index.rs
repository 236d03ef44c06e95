//! The index against a journal in memory: what is found, in which order, and what is no longer found.

use model::codec::{encode_body, encode_head, encode_outcome};
use model::{
    Address, Dialect, Envelope, EnvelopeId, Event, Hold, Judgement, MAX_HOPS, Message, Origin, Outcome, Part,
    Reason, Refusal, Security, Seq, Timestamp, Vouch,
};
use record::{Act, FileAct};
use search::{Ask, AskError, Contents, Index, SearchError, Unread};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Draft, Erase, Journal, MemoryStore, RowKind};

const NOVEMBER: u64 = 1_794_744_000_000;
const DAY: u64 = 86_400_000;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn message(n: u64, at: u64, from: &str, to: &str, text: &str) -> Envelope {
    Envelope {
        id: EnvelopeId(u128::from(n)),
        at: Timestamp(at),
        origin: Origin {
            dialect: if n.is_multiple_of(2) { Dialect::Sip } else { Dialect::Xmpp },
            security: Security::Tls,
            vouch: Vouch::Account(address(from)),
        },
        from: address(from).into(),
        to: address(to).into(),
        hops: MAX_HOPS,
        event: Event::Message(Message {
            id: format!("own-{n}").into(),
            parts: vec![Part::text(text.to_owned(), None)],
            lasting: true,
            ..Message::default()
        }),
    }
}

fn put(store: &MemoryStore, envelope: &Envelope, judged: &Judgement) {
    let draft = Draft {
        kind: RowKind::Envelope,
        at: envelope.at,
        mailbox: None,
        parties: (envelope.from.address.clone(), envelope.to.address.clone()),
        head: encode_head(envelope, judged),
        body: encode_body(envelope),
    };
    store.append(draft, Box::new(|end| assert!(end.is_ok())));
}

fn say(store: &MemoryStore, n: u64, at: u64, from: &str, to: &str, text: &str) {
    put(store, &message(n, at, from, to, text), &Judgement::default());
}

fn open(dir: &Path, store: &Arc<MemoryStore>) -> Index {
    Index::open(dir, store.clone(), Arc::new(Unread), "chain/1").unwrap()
}

/// Waits until all that is in the journal can be found.
fn settle(index: &Index) {
    while index.standing().indexed < index.standing().head {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn find(index: &Index, ask: &Ask) -> Vec<u64> {
    index.find(ask, 100).unwrap().rows.iter().map(|seq| seq.0).collect()
}

fn words(words: &str) -> Ask {
    Ask { words: Some(words.into()), ..Ask::default() }
}

#[test]
fn rows_are_found_by_what_they_say_and_who_says_it() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(MemoryStore::new()));
    say(&store, 1, NOVEMBER, "ann@a.example", "bob@a.example", "The budget for the next quarter, see café");
    say(&store, 2, NOVEMBER + 1, "bob@a.example", "eve@b.example", "Quarter next: budgets");
    let refused = Judgement::refused(Refusal::new(Reason::Policy).by_rule("wall"));
    put(&store, &message(3, NOVEMBER + 2, "eve@b.example", "ann@a.example", "budget offshore"), &refused);
    let held = Judgement { held: Some(Hold { rule: "cards".into(), text: None }), ..Judgement::default() };
    put(&store, &message(4, NOVEMBER + 3, "ann@a.example", "eve@b.example", "card 4711"), &held);
    let mut head = Vec::new();
    encode_outcome(&mut head, Seq(1), &Outcome::Delivered, &[]);
    let parties = (address("a.example"), address("a.example"));
    let draft = Draft {
        kind: RowKind::Outcomes,
        at: Timestamp(NOVEMBER + 4),
        mailbox: None,
        parties,
        head,
        body: Vec::new(),
    };
    store.append(draft, Box::new(|end| assert!(end.is_ok())));
    let index = open(dir.path(), &store);
    settle(&index);

    let some = |text: &str| Some(text.to_owned());
    let cases = [
        (words("budget"), vec![3, 1]),
        (words("BUDGET cafe"), vec![1]),
        (words("\"next quarter\""), vec![1]),
        (words("budget -offshore"), vec![1]),
        (words("budget*"), vec![3, 2, 1]),
        (words("offshore OR cards OR \"card 4711\""), vec![4, 3]),
        (words("nothing"), vec![]),
        (Ask { from: some("Ann@A.example"), ..Ask::default() }, vec![4, 1]),
        (Ask { to: some("b.example"), ..Ask::default() }, vec![4, 2]),
        (Ask { with: vec!["eve@b.example".into(), "ann@a.example".into()], ..Ask::default() }, vec![4, 3]),
        (
            Ask {
                among: vec!["c.example".into(), "*.example".into()],
                from: some("bob@a.example"),
                ..Ask::default()
            },
            vec![2],
        ),
        (Ask { among: vec!["*.b.example".into()], ..Ask::default() }, vec![]),
        (Ask { verdict: some("refused"), ..Ask::default() }, vec![3]),
        (Ask { rule: some("cards"), ..Ask::default() }, vec![4]),
        (Ask { dialect: some("sip"), ..Ask::default() }, vec![4, 2]),
        (Ask { id: some("own-2"), ..Ask::default() }, vec![2]),
        (Ask { id: Some(EnvelopeId(3).to_string()), ..Ask::default() }, vec![3]),
        (Ask { about: Some(1), ..Ask::default() }, vec![5]),
        (Ask { kind: some("outcomes"), ..Ask::default() }, vec![5]),
        (Ask { between_people: true, ..Ask::default() }, vec![4, 3, 2, 1]),
        (Ask { since: Some(NOVEMBER + 1), until: Some(NOVEMBER + 3), ..Ask::default() }, vec![3, 2]),
        (Ask { oldest: true, after: Some(2), ..Ask::default() }, vec![3, 4, 5]),
    ];
    for (ask, expected) in cases {
        assert_eq!(find(&index, &ask), expected, "{ask:?}");
    }
    let wrong = index.find(&words("\"open"), 10);
    assert!(matches!(wrong, Err(SearchError::Ask(AskError::Open(1)))), "{wrong:?}");
}

#[test]
fn pages_follow_one_another_across_months_and_restarts() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(MemoryStore::new()));
    for n in 1..=60 {
        say(&store, n, NOVEMBER + n * DAY, "ann@a.example", "bob@a.example", "every day");
    }
    let index = open(dir.path(), &store);
    settle(&index);
    drop(index);
    for n in 61..=90 {
        say(&store, n, NOVEMBER + n * DAY, "ann@a.example", "bob@a.example", "every day");
    }
    let index = open(dir.path(), &store);
    settle(&index);
    assert_eq!(index.standing().rows, 90, "none twice");
    let mut all = Vec::new();
    let mut ask = words("day");
    loop {
        let page = index.find(&ask, 7).unwrap();
        all.extend(page.rows.iter().map(|seq| seq.0));
        if !page.more {
            break;
        }
        ask.before = all.last().copied();
    }
    assert_eq!(all, (1..=90).rev().collect::<Vec<u64>>());
    let months = std::fs::read_dir(dir.path().join("v1")).unwrap().count();
    assert!(months >= 3, "{months}");
}

#[test]
fn what_lost_its_content_is_found_by_its_parties_only() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(MemoryStore::new()));
    for n in 1..=20 {
        say(&store, n, NOVEMBER + n, "ann@a.example", "bob@a.example", &format!("supercalifragilistic{n}"));
    }
    let index = open(dir.path(), &store);
    settle(&index);
    for seq in [3, 4, 20] {
        assert!(store.erase(Seq(seq)).unwrap());
    }
    assert!(index.content_gone(&[(1, 4), (20, 20)]));
    assert_eq!(find(&index, &words("supercalifragilistic3 OR supercalifragilistic20")), Vec::<u64>::new());
    assert_eq!(find(&index, &words("supercalifragilistic5")), [5]);
    assert_eq!(find(&index, &Ask { from: Some("ann@a.example".into()), ..Ask::default() }).len(), 20);
    // Nor is it in any dictionary on disk, and no file is left but those of the segments that are.
    let month = std::fs::read_dir(dir.path().join("v1")).unwrap().next().unwrap().unwrap().path();
    let disk = tantivy::Index::open_in_dir(&month).unwrap();
    let field = disk.schema().get_field("text").unwrap();
    let reader = disk.reader().unwrap();
    let known = |word: &str| {
        reader.searcher().segment_readers().iter().any(|segment| {
            let words = segment.inverted_index(field).unwrap();
            words.terms().term_ord(word.as_bytes()).unwrap().is_some()
        })
    };
    assert!(known("supercalifragilistic5"));
    assert!(!known("supercalifragilistic3") && !known("supercalifragilistic20"));
    let segments: Vec<_> = disk.searchable_segment_ids().unwrap().iter().map(|id| id.uuid_string()).collect();
    for file in std::fs::read_dir(&month).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let hidden = name.starts_with('.') || name == "meta.json";
        assert!(hidden || segments.iter().any(|id| name.starts_with(id)), "{name}");
    }
    // What comes after goes on.
    say(&store, 21, NOVEMBER + 21, "ann@a.example", "bob@a.example", "afterwards");
    settle(&index);
    assert_eq!(find(&index, &words("afterwards")), [21]);
}

#[test]
fn what_is_damaged_or_of_another_journal_is_made_anew() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(MemoryStore::new()));
    for n in 1..=5 {
        say(&store, n, NOVEMBER, "ann@a.example", "bob@a.example", "one of five");
    }
    let index = open(dir.path(), &store);
    settle(&index);
    drop(index);
    let month = std::fs::read_dir(dir.path().join("v1")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(month.join("meta.json"), "{").unwrap();
    let index = open(dir.path(), &store);
    settle(&index);
    assert_eq!(find(&index, &words("five")), [5, 4, 3, 2, 1]);
    drop(index);

    let index = Index::open(dir.path(), store.clone(), Arc::new(Unread), "chain/2").unwrap();
    settle(&index);
    assert_eq!(index.standing().rows, 5);
    drop(index);

    // A journal that was put back from a backup is shorter.
    let shorter = Arc::new(MemoryStore::new());
    say(&shorter, 1, NOVEMBER, "ann@a.example", "bob@a.example", "only one");
    let index = Index::open(dir.path(), shorter, Arc::new(Unread), "chain/2").unwrap();
    settle(&index);
    assert_eq!(find(&index, &Ask::default()), [1]);
}

/// Files that can be read while the number is greater than zero.
#[derive(Default)]
struct Shelf(std::sync::atomic::AtomicU64);

impl Contents for Shelf {
    fn text(&self, file: &FileAct) -> Option<String> {
        let there = self.0.load(std::sync::atomic::Ordering::Relaxed) > 0;
        there.then(|| format!("the treasure of {} is buried", file.id))
    }
}

#[test]
fn files_are_found_by_their_names_and_by_what_is_in_them_until_they_are_gone() {
    let (dir, store, shelf) =
        (tempfile::tempdir().unwrap(), Arc::new(MemoryStore::default()), Arc::new(Shelf::default()));
    let file = FileAct {
        id: "f1".into(),
        sha256: String::new(),
        size: 7,
        mime: "text/plain".into(),
        verdict: "clean".into(),
        owner: None,
    };
    let act = Act { file: Some(file), ..Act::done("upload", "juliet@example.com") };
    act.note_with(store.as_ref(), Timestamp(NOVEMBER), b"Map of Verona.txt".to_vec()).unwrap();
    let index = Index::open(dir.path(), store.clone(), shelf.clone(), "chain/1").unwrap();
    settle(&index);
    let by = Ask { from: Some("juliet@example.com".into()), has: Some("files".into()), ..words("verona") };
    assert_eq!(find(&index, &Ask { between_people: true, ..by }), [1]);
    assert_eq!(find(&index, &words("treasure")), [0; 0]);
    // Its row comes first, and then what is in it.
    shelf.0.store(1, std::sync::atomic::Ordering::Relaxed);
    index.file_changed("f1", true);
    while find(&index, &words("buried treasure")).is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    shelf.0.store(0, std::sync::atomic::Ordering::Relaxed);
    assert!(index.file_changed("f1", false));
    assert_eq!(find(&index, &words("treasure")), [0; 0]);
    assert_eq!(find(&index, &Ask { kind: Some("file".into()), ..words("verona") }), [1]);
}

/// Who reads a file, and does not come back until told.
struct Slow(std::sync::Mutex<std::sync::mpsc::Receiver<()>>, std::sync::mpsc::Sender<()>);

impl Contents for Slow {
    fn text(&self, _: &FileAct) -> Option<String> {
        let _ = self.1.send(());
        let _ = self.0.lock().unwrap().recv();
        None
    }
}

#[test]
fn an_index_that_stops_does_not_say_that_it_has_forgotten() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(MemoryStore::new()));
    let index = open(dir.path(), &store);
    say(&store, 1, NOVEMBER, "ann@a.example", "bob@a.example", "supercalifragilistic");
    settle(&index);
    drop(index);
    let ((go, wait), (tell, hear)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let slow = Arc::new(Slow(std::sync::Mutex::new(wait), tell));
    let index = Arc::new(Index::open(dir.path(), store.clone(), slow, "chain/1").unwrap());
    let file = FileAct {
        id: "f1".into(),
        sha256: String::new(),
        size: 7,
        mime: "text/plain".into(),
        verdict: "clean".into(),
        owner: None,
    };
    let act = Act { file: Some(file), ..Act::done("upload", "ann@a.example") };
    act.note_with(store.as_ref(), Timestamp(NOVEMBER + 1), b"slow.txt".to_vec()).unwrap();
    // The one who writes reads the file when the order comes, and the server stops.
    hear.recv().unwrap();
    assert!(store.erase(Seq(1)).unwrap());
    let asked = index.clone();
    let asking = std::thread::spawn(move || asked.content_gone(&[(1, 1)]));
    let closed = index.clone();
    let closing = std::thread::spawn(move || closed.close());
    assert!(!asking.join().unwrap(), "it was not done");
    go.send(()).unwrap();
    closing.join().unwrap();
    assert!(!index.content_gone(&[(1, 1)]), "nobody does it any more");
    drop((go, index));
    // Whoever was told so asks the next process.
    let index = open(dir.path(), &store);
    assert_eq!(find(&index, &words("supercalifragilistic")), [1]);
    assert!(index.content_gone(&[(1, 1)]));
    assert_eq!(find(&index, &words("supercalifragilistic")), [0; 0]);
}
