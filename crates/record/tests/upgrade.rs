//! A file of the first release is brought up to date, loses nothing by it, and can go back.

use model::{Address, Seq, Timestamp};
use record::{Act, Chain, ChainId, verify};
use std::path::{Path, PathBuf};
use store::{
    Accounts, CHAIN_SETTING, Journal, Options, Rosters, Settings, SqliteReader, SqliteStore, Trouble,
};

/// As the first release left it: three accounts, 31 rows of three months, a mailbox that is partly read.
fn stored() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rialto.db");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored/v1.db"), &path).unwrap();
    (dir, path)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Box::new(Chain::new().unwrap()), Options::default()).unwrap()
}

fn whole(store: &SqliteStore, rows: u64) {
    let id = ChainId::from_bytes(&store.value(CHAIN_SETTING).unwrap().unwrap()).unwrap();
    let report = verify(store, id, |_| {}).unwrap();
    assert_eq!((report.rows, report.finding), (rows, None));
    let juliet = Address::parse("juliet@example.com").unwrap();
    assert_eq!(store.list(None, 10).unwrap().len(), 3);
    assert_eq!(store.entries(&juliet).unwrap().len(), 1);
    let waiting: Vec<u64> = store.waiting(&juliet, Seq(0), 99).unwrap().iter().map(|w| w.seq.0).collect();
    assert_eq!(waiting, [16, 19, 22, 25, 28]);
}

fn note(store: &SqliteStore) {
    Act::done("upgrade", "server").note(store, Timestamp(1_799_000_000_000)).unwrap();
}

#[test]
fn up_and_back_and_up_again() {
    let (_dir, path) = stored();
    let schema = SqliteStore::schema(&path).unwrap();
    assert_eq!((schema.file, schema.missing.len() as u32), (1, schema.program - 1));
    assert_eq!(SqliteStore::schema(&path).unwrap().file, 1, "looking changes nothing");

    let store = open(&path);
    assert_eq!(store.upgraded(), Some((1, schema.program)));
    whole(&store, 31);
    note(&store);
    // Nobody pulls the tables away from under a server.
    assert!(matches!(SqliteStore::roll_back(&path, 1), Err(Trouble::Busy(_))));
    drop(store);
    assert_eq!(SqliteStore::schema(&path).unwrap().missing, [""; 0]);

    let mut undone = SqliteStore::roll_back(&path, 1).unwrap();
    undone.reverse();
    assert_eq!(undone, schema.missing);
    assert_eq!(SqliteStore::schema(&path).unwrap().file, 1);
    assert_eq!(SqliteReader::open(&path).unwrap().head(), Ok(Seq(32)));

    let store = open(&path);
    assert_eq!(store.upgraded(), Some((1, schema.program)));
    whole(&store, 32);
    note(&store);
    whole(&store, 33);
}
