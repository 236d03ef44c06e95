//! What only the embedded store must do: come back, refuse company, survive a full disk, keep its queue bounded.

use model::{Address, Seq, Timestamp};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::{
    Blank, Draft, Erase, Journal, MailboxCursor, Options, Retain, RosterEntry, Rosters, RowKind, Rows,
    Settings, SqliteReader, SqliteStore, Trouble,
};

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn draft(n: u64, body: usize) -> Draft {
    let to = address(&format!("u{}@x", n % 7));
    Draft {
        kind: RowKind::Envelope,
        at: Timestamp(1_794_744_000_000),
        mailbox: Some(to.clone()),
        parties: (address("sender@x"), to),
        head: n.to_be_bytes().to_vec(),
        body: vec![b'x'; body],
    }
}

fn append(store: &SqliteStore, draft: Draft) -> Result<Seq, Trouble> {
    let (tell, hear) = channel();
    store.append(draft, Box::new(move |end| tell.send(end).unwrap()));
    hear.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rialto.db");
    (dir, path)
}

fn open(path: &std::path::Path, options: Options) -> SqliteStore {
    SqliteStore::open(path, Box::new(Blank), options).unwrap()
}

fn fill(store: &SqliteStore, rows: std::ops::Range<u64>) {
    let done = Arc::new(AtomicUsize::new(0));
    let count = rows.clone().count();
    for n in rows {
        let done = done.clone();
        while n as usize > done.load(Ordering::Relaxed) + 60_000 {
            std::thread::yield_now();
        }
        store.append(
            draft(n, 10),
            Box::new(move |end| {
                end.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }),
        );
    }
    while done.load(Ordering::Relaxed) < count {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn everything_is_there_after_opening_again() {
    let (_dir, path) = place();
    let store = open(&path, Options::default());
    fill(&store, 0..40_000);
    store.advance(MailboxCursor { account: address("u1@x"), low: Seq(20), above: vec![Seq(30)] });
    drop(store);
    let store = open(&path, Options::default());
    assert_eq!(store.head(), Seq(40_001 - 1));
    let waiting = store.waiting(&address("u1@x"), Seq(0), 100_000).unwrap();
    let expected: Vec<u64> =
        (0..40_000).filter(|n| n % 7 == 1).map(|n| n + 1).filter(|s| *s > 20 && *s != 30).collect();
    assert_eq!(waiting.iter().map(|w| w.seq.0).collect::<Vec<_>>(), expected);
    assert_eq!(store.cursor(&address("u1@x")).unwrap().above, [Seq(30)]);
    // The next row continues chain and conversation.
    append(&store, draft(1, 10)).unwrap();
    let rows = Journal::rows(&store, Seq(39_999), 10).unwrap();
    assert_eq!(rows[2].prev, rows[1].link);
    assert_eq!(rows[2].conversation_seq, (0..40_000).filter(|n| n % 7 == 1).count() as u64 + 1);
}

#[test]
fn mailboxes_are_whole_while_the_stream_is_written_behind() {
    let (_dir, path) = place();
    let store = Arc::new(open(&path, Options::default()));
    let reader = store.clone();
    let watch = std::thread::spawn(move || {
        let (mut most, mut looks) = (0, 0);
        while most < 14_200 {
            let waiting = reader.waiting(&address("u3@x"), Seq(0), usize::MAX).unwrap();
            assert!(waiting.len() >= most, "a row went missing");
            assert!(waiting.windows(2).all(|w| w[1].seq.0 == w[0].seq.0 + 7), "a gap or a double");
            most = waiting.len();
            looks += 1;
        }
        looks
    });
    fill(&store, 0..100_000);
    assert!(watch.join().unwrap() > 2);
}

#[test]
fn months_get_tables_of_their_own_and_never_go_back() {
    let (_dir, path) = place();
    let store = open(&path, Options::default());
    let month = 31 * 24 * 3600 * 1000;
    for (n, at) in [0, 5, month, 3, month + 1, 3 * month].into_iter().enumerate() {
        let mut d = draft(n as u64, 1);
        d.at = Timestamp(1_794_744_000_000 + at);
        append(&store, d).unwrap();
    }
    let check = |rows: Vec<store::Row>| {
        assert_eq!(rows.iter().map(|r| r.seq.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    };
    check(Journal::rows(&store, Seq(1), 10).unwrap());
    assert_eq!(Journal::rows(&store, Seq(3), 2).unwrap().len(), 2);
    assert_eq!(store.waiting(&address("u3@x"), Seq(0), 9).unwrap()[0].seq, Seq(4));
    // Readable from outside while the server runs.
    let reader = SqliteReader::open(&path).unwrap();
    check(reader.rows(Seq(1), 10).unwrap());
    assert_eq!(reader.head(), Ok(Seq(6)));
    drop(store);
    check(Journal::rows(&open(&path, Options::default()), Seq(1), 10).unwrap());
}

#[test]
fn one_process_at_a_time_and_nobody_else_may_read() {
    let (_dir, path) = place();
    let store = open(&path, Options::default());
    let second = SqliteStore::open(&path, Box::new(Blank), Options::default());
    assert!(matches!(second, Err(Trouble::Busy(_))));
    append(&store, draft(1, 1)).unwrap();
    #[cfg(unix)]
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    drop(store);
    open(&path, Options::default());
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let (_dir, path) = place();
    let store = open(&path, Options { max_size: Some(1 << 20), ..Options::default() });
    let mut kept = 0;
    let full = loop {
        match append(&store, draft(kept, 20_000)) {
            Ok(seq) => {
                kept += 1;
                assert_eq!(seq, Seq(kept));
            }
            Err(trouble) => break trouble,
        }
    };
    assert!(matches!(full, Trouble::Full(_)), "{full:?}");
    assert!(kept > 10);
    assert!(matches!(append(&store, draft(0, 20_000)), Err(Trouble::Full(_))));
    assert!(matches!(store.set_value("k", &vec![0; 2_000_000]), Err(Trouble::Full(_))));
    assert_eq!(store.head(), Seq(kept));
    // Room again: the writer goes on where it was, without a restart.
    store.set_max_size(None).unwrap();
    assert_eq!(append(&store, draft(7, 20_000)), Ok(Seq(kept + 1)));
    store.set_value("k", b"v").unwrap();
    let rows = Journal::rows(&store, Seq(kept), 2).unwrap();
    assert_eq!(rows[1].prev, rows[0].link);
}

#[test]
fn the_queue_is_bounded_by_rows_and_by_bytes() {
    for (rows, bytes, body) in [(50, usize::MAX, 1), (usize::MAX, 50_000, 1_000)] {
        let (_dir, path) = place();
        let options = Options {
            queue_rows: rows,
            queue_bytes: bytes,
            slow_disk: Duration::from_millis(300),
            ..Options::default()
        };
        let store = open(&path, options);
        let ends = Arc::new(Mutex::new((0, 0)));
        let begun = Instant::now();
        for n in 0..300 {
            let ends = ends.clone();
            store.append(
                draft(n, body),
                Box::new(move |end| {
                    let mut ends = ends.lock().unwrap();
                    match end {
                        Ok(_) => ends.0 += 1,
                        Err(Trouble::Busy(_)) => ends.1 += 1,
                        Err(other) => panic!("{other}"),
                    }
                }),
            );
        }
        assert!(begun.elapsed() < Duration::from_millis(250), "append blocked");
        assert!(ends.lock().unwrap().1 > 0, "nothing was refused");
        store.close();
        let (kept, refused) = *ends.lock().unwrap();
        assert_eq!(kept + refused, 300);
        assert!(kept >= 49, "{kept}");
        assert_eq!(store.head(), Seq(kept));
        assert!(matches!(append(&store, draft(0, 1)), Err(Trouble::Busy(_))));
    }
}

#[test]
fn one_flush_serves_everybody_who_waited() {
    let (_dir, path) = place();
    let store = open(&path, Options { slow_disk: Duration::from_millis(50), ..Options::default() });
    let begun = Instant::now();
    fill(&store, 0..2_500);
    // Four or five commits, not 2,500 of them.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_callback_that_would_wait_for_itself_is_told() {
    let (_dir, path) = place();
    let store = Arc::new(open(&path, Options::default()));
    let (tell, hear) = channel();
    let inner = store.clone();
    store.append(draft(1, 1), Box::new(move |_| tell.send(inner.set_value("k", b"v")).unwrap()));
    assert!(matches!(hear.recv_timeout(Duration::from_secs(20)).unwrap(), Err(Trouble::Busy(_))));
}

#[test]
fn erased_content_is_in_no_file_any_more() {
    let (_dir, path) = place();
    let store = open(&path, Options::default());
    for n in 1..=50 {
        let mut d = draft(n, 0);
        d.body = format!("the secret number {n} of many").into_bytes();
        append(&store, d).unwrap();
    }
    assert_eq!(store.erase(Seq(25)), Ok(true));
    store.close();
    drop(store);
    let found = |text: &str| {
        std::fs::read_dir(path.parent().unwrap()).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(text.len()).any(|w| w == text.as_bytes())
        })
    };
    assert!(found("the secret number 24 of many"));
    assert!(!found("the secret number 25 of many"));
}

#[test]
fn closing_on_a_full_disk_ends() {
    let (_dir, path) = place();
    let store = open(&path, Options { max_size: Some(1 << 20), ..Options::default() });
    while append(&store, draft(1, 20_000)).is_ok() {}
    let settled = |n| store::SettledRow { seq: Seq(n), outcome: model::Outcome::Accepted, losses: vec![] };
    (0..20_000).for_each(|n| store.settle(settled(n)));
    drop(store);
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let (_dir, path) = place();
    drop(open(&path, Options::default()));
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA user_version = 4711").unwrap();
    drop(conn);
    let newer = SqliteStore::open(&path, Box::new(Blank), Options::default());
    assert!(matches!(newer, Err(Trouble::Failed(text)) if text.contains("newer")));
    std::fs::write(&path, b"this is no database, but it is long enough to look at").unwrap();
    let damaged = SqliteStore::open(&path, Box::new(Blank), Options::default());
    assert!(matches!(damaged, Err(Trouble::Damaged(_))));
}

#[test]
fn leases_are_there_after_a_start() {
    use model::{LeaseKey, Timestamp};
    use store::{Lease, Leases as _};
    let (_dir, path) = place();
    let lease = |n: u64| Lease {
        key: LeaseKey::new(format!("k{n}")),
        owner: model::Address::parse("romeo@x").unwrap(),
        state: bytes::Bytes::from_static(b"state"),
        until: Timestamp(n),
    };
    let store = open(&path, Options::default());
    (1..=3).for_each(|n| store.keep(lease(n)));
    // With the row's commit, and then by themselves; the second time only the clock of the writer carries them.
    append(&store, draft(1, 10)).unwrap();
    store.forget(&LeaseKey::new("k3"));
    store.keep(lease(4));
    let onlooker = rusqlite::Connection::open(&path).unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(10);
    let keys =
        || -> String { onlooker.query_row("SELECT group_concat(key) FROM lease", [], |r| r.get(0)).unwrap() };
    while keys() != "k1,k2,k4" {
        assert!(std::time::Instant::now() < end, "never written: {}", keys());
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(store);
    let store = open(&path, Options::default());
    assert_eq!(store.lasting(Timestamp(1)), Ok(vec![lease(2), lease(4)]));
    assert_eq!(keys(), "k2,k4");
}

/// Contacts come and go in any order; what was removed is in no byte of the files, and what was not is there.
#[test]
fn nothing_is_left_of_what_was_removed_and_messages_come_between() {
    let (dir, path) = place();
    let store = Arc::new(open(&path, Options::default()));
    let owner = |n: u64| address(&format!("u{}@x", n % 7));
    let contact = |n: u64| RosterEntry {
        contact: address(&format!("c{}@x", n * 7_919 % 3_001)),
        name: Some(format!("{} number {n}", if n.is_multiple_of(3) { "forgotten" } else { "remembered" })),
        groups: Vec::new(),
    };
    (0..3_000).for_each(|n| store.put(&owner(n), &contact(n)).unwrap());
    for n in (0..3_000).step_by(3) {
        assert!(store.delete(&owner(n), &contact(n).contact).unwrap());
    }
    // A row that is there from the first table on waits for one table at most.
    let (scrubs, ends) = (store.clone(), channel());
    let scrubbing = std::thread::spawn(move || {
        scrubs.scrub().unwrap();
        ends.0.send(()).unwrap();
    });
    let mut written = 0;
    while ends.1.try_recv().is_err() {
        append(&store, draft(written, 10)).unwrap();
        written += 1;
    }
    scrubbing.join().unwrap();
    assert!(written > 1);
    let left = |word: &[u8]| {
        let files =
            std::fs::read_dir(dir.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files.map(|bytes| bytes.windows(word.len()).filter(|bytes| *bytes == word).count()).sum::<usize>()
    };
    assert_eq!((left(b"forgotten"), left(b"remembered") >= 2_000), (0, true));
    let all: usize = (0..7).map(|n| store.entries(&owner(n)).unwrap().len()).sum();
    assert_eq!(all, 2_000);
}
