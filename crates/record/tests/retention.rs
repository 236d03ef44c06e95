//! Content is destroyed by rule, what waits for somebody is not, and the chain says which and why.

use model::{Address, Seq, Timestamp};
use record::{Act, Chain, ChainId, Fault, Rule, expire, verify};
use std::path::Path;
use store::{CHAIN_SETTING, Draft, Erase, Journal, MailboxCursor, Options, RowKind, Settings, SqliteStore};

const DAY: u64 = 86_400_000;
const START: u64 = 1_794_744_000_000;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A hundred days with thirty rows each, every third for somebody who has read all but the first ten of theirs.
fn written(path: &Path) -> SqliteStore {
    let store = open(path);
    let (tell, hear) = std::sync::mpsc::channel();
    for n in 0..3_000u64 {
        let nurse = (n % 3 == 0).then(|| address("nurse@x"));
        let draft = Draft {
            kind: RowKind::Envelope,
            at: Timestamp(START + n * DAY / 30),
            mailbox: nurse.clone(),
            parties: (address("juliet@x"), nurse.unwrap_or(address("romeo@x"))),
            head: format!("head {n}").into_bytes(),
            body: format!("body {n}").into_bytes(),
        };
        let tell = tell.clone();
        store.append(draft, Box::new(move |end| tell.send(end.unwrap()).unwrap()));
    }
    assert_eq!(hear.iter().take(3_000).last(), Some(Seq(3_000)));
    // Rows 1, 4, ... 28 wait; the rest of theirs is done.
    let above: Vec<Seq> = (0..3_000).filter(|n| n % 3 == 0).map(|n| Seq(n + 1)).skip(10).collect();
    read(store, path, 0, above)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Box::new(Chain::new().unwrap()), Options::default()).unwrap()
}

/// Moves the cursor and brings it to the disk by closing the store.
fn read(store: SqliteStore, path: &Path, low: u64, above: Vec<Seq>) -> SqliteStore {
    store.advance(MailboxCursor { account: address("nurse@x"), low: Seq(low), above });
    drop(store);
    open(path)
}

fn report(store: &SqliteStore) -> record::Report {
    let id = ChainId::from_bytes(&store.value(CHAIN_SETTING).unwrap().unwrap()).unwrap();
    verify(store, id, |_| {}).unwrap()
}

#[test]
fn what_is_older_is_destroyed_except_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rialto.db");
    let store = written(&path);
    let now = Timestamp(START + 100 * DAY);
    assert_eq!(expire(&store, Rule::Forever, Act::done("retention", "server"), now, || {}), Ok(None));
    assert_eq!(report(&store).acts, 0);

    let mut steps = 0;
    let done = expire(&store, Rule::Days(40), Act::done("retention", "server"), now, || steps += 1)
        .unwrap()
        .unwrap();
    assert_eq!((done.rows, done.held), (1_790, 10));
    assert!(steps > 2, "in steps");
    let found = report(&store);
    assert_eq!((found.rows, found.erased, found.acts, found.finding), (3_001, 1_790, 1, None));
    let (seq, rule) = found.retention.unwrap();
    assert_eq!((seq, rule.rule.as_str(), rule.to), (Seq(3_001), "40 days", 1_800));
    let rows = Journal::rows(&store, Seq(1_799), 3).unwrap();
    assert_eq!(rows.iter().map(|r| r.body.is_some()).collect::<Vec<_>>(), [false, false, true]);
    let waiting = store.waiting(&address("nurse@x"), Seq(0), 99).unwrap();
    assert_eq!(waiting.len(), 10);
    assert!(waiting.iter().all(|w| w.body.is_some()));

    // Nothing new: no new act. Somebody came and read: their rows go too, under the act that is there.
    let done = expire(&store, Rule::Days(40), Act::done("retention", "server"), now, || {}).unwrap().unwrap();
    assert_eq!((done.rows, done.held), (0, 10));
    let store = read(store, &path, 3_000, vec![]);
    let done = expire(&store, Rule::Days(40), Act::done("retention", "server"), now, || {}).unwrap().unwrap();
    assert_eq!((done.rows, done.held), (10, 0));
    let found = report(&store);
    assert_eq!((found.erased, found.acts, found.finding), (1_800, 1, None));

    // After a restart it goes on where it was.
    drop(store);
    let store = open(&path);
    let later = Timestamp(now.0 + DAY);
    let done =
        expire(&store, Rule::Days(40), Act::done("retention", "server"), later, || {}).unwrap().unwrap();
    assert_eq!((done.rows, done.held), (30, 0));
    assert_eq!(report(&store).finding, None);
    // What nobody announced is found.
    assert_eq!(store.erase(Seq(2_500)), Ok(true));
    let finding = report(&store).finding.unwrap();
    assert_eq!((finding.seq, finding.fault), (Seq(2_500), Fault::Unexplained));
}

#[test]
fn rules_are_read_and_written() {
    for text in ["forever", "0 days", "365 days"] {
        assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
    }
    assert_eq!("1 day".parse(), Ok(Rule::Days(1)));
    for wrong in ["", "days", "-1 days", "a year", "30"] {
        assert!(wrong.parse::<Rule>().is_err(), "{wrong}");
    }
}
