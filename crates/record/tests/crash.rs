//! A process killed at any moment loses nothing it acknowledged, and its chain goes on.

use model::{Address, Outcome, Seq, Timestamp};
use record::{Chain, ChainId, verify};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use store::{
    CHAIN_SETTING, Draft, Journal, MailboxCursor, Options, RowKind, Settings, SettledRow, SqliteStore,
};

const CHILD: &str = "RIALTO_CRASH_TEST_FILE";
const ACCOUNTS: u64 = 20;

fn account(n: u64) -> Address {
    Address::parse(&format!("u{}@x", n % ACCOUNTS)).unwrap()
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Box::new(Chain::new().unwrap()), Options::default()).unwrap()
}

/// Not a test by itself: the process that is killed. Tells each acknowledged row on its standard output.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = open(Path::new(&path));
    for n in store.head().0.. {
        let (to, from) = (account(n), account(n / 3 + 1));
        let draft = Draft {
            kind: RowKind::Envelope,
            at: Timestamp(1_794_744_000_000 + n),
            mailbox: Some(to.clone()),
            parties: (from, to.clone()),
            head: n.to_be_bytes().to_vec(),
            body: vec![n as u8; 100 + (n % 900) as usize],
        };
        let done = move |end: Result<Seq, _>| {
            // One write for each line, so that a line is whole or not there.
            let line = format!("kept {}\n", end.unwrap());
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        };
        store.append(draft, Box::new(done));
        if n % 10 == 0 && n > 0 {
            store.settle(SettledRow { seq: Seq(n), outcome: Outcome::Delivered, losses: vec![] });
            store.advance(MailboxCursor { account: to, low: Seq(n / 2), above: vec![Seq(n)] });
        }
        // Sometimes bursts, sometimes one row at a time.
        if n % 3_000 > 2_900 {
            std::thread::sleep(Duration::from_millis(1));
        }
        while n > store.head().0 + 20_000 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rialto.db");
    let mut before = 0;
    for round in 0u64..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let lines = std::thread::spawn(move || {
            let told = out.lines().map_while(Result::ok);
            told.filter_map(|l| l.split("kept ").nth(1)?.parse::<u64>().ok()).max().unwrap_or(0)
        });
        // Moments that differ from run to run: in the middle of a commit, of writing behind, of a checkpoint.
        let chance = std::collections::hash_map::RandomState::new();
        let chance = std::hash::BuildHasher::hash_one(&chance, round);
        std::thread::sleep(Duration::from_millis(60 + chance % 500));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = lines.join().unwrap();

        let store = open(&path);
        let head = store.head().0;
        assert!(
            head >= acknowledged && head >= before,
            "{head} rows, {acknowledged} acknowledged, {before} before"
        );
        before = head;
        let id = ChainId::from_bytes(&store.value(CHAIN_SETTING).unwrap().unwrap()).unwrap();
        let report = verify(&store, id, |_| {}).unwrap();
        assert_eq!((report.rows, report.finding), (head, None));
        // Every mailbox shows each of its rows once.
        let mut seen = 0;
        for n in 0..ACCOUNTS {
            let cursor = store.cursor(&account(n)).unwrap();
            store.advance(MailboxCursor { low: Seq(0), above: vec![], ..cursor });
            let waiting = store.waiting(&account(n), Seq(0), usize::MAX).unwrap();
            assert!(waiting.windows(2).all(|w| w[0].seq < w[1].seq));
            seen += waiting.len() as u64;
        }
        let rows =
            (1..=head).step_by(1_000).flat_map(|first| Journal::rows(&store, Seq(first), 1_000).unwrap());
        assert_eq!(seen, rows.filter(|r| r.kind == RowKind::Envelope && r.seq.0 <= head).count() as u64);
    }
    assert!(before > 0);
}
