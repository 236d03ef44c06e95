//! A journal in memory, written, closed and tampered with.

use model::{Address, Seq, Timestamp};
use record::{Act, Chain, ChainId, NotClosed, Signed, Signer, body_digest, close, link};
use store::{CHAIN_SETTING, Checkpoints, Draft, Journal, MemoryStore, Row, RowKind, Settings};
use tempfile::TempDir;

/// When everything happens.
pub const NOW: Timestamp = Timestamp(1_794_744_900_000);

/// A journal with its key.
pub struct World {
    pub _dir: TempDir,
    pub store: MemoryStore,
    pub signer: Signer,
    pub id: ChainId,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let signer = Signer::open(&dir.path().join("key")).unwrap();
        let store = MemoryStore::with_sealer(Box::new(Chain::new().unwrap())).unwrap();
        let id = ChainId::from_bytes(&store.value(CHAIN_SETTING).unwrap().unwrap()).unwrap();
        Self { _dir: dir, store, signer, id }
    }

    pub fn write(&self, rows: u64) {
        let address = |n: u64| Address::parse(&format!("u{n}@x")).unwrap();
        for n in 0..rows {
            let draft = Draft {
                kind: RowKind::Envelope,
                at: Timestamp(NOW.0 + n),
                mailbox: None,
                parties: (address(n % 3), address(n % 4)),
                head: format!("head {n}").into_bytes(),
                body: format!("body {n}").into_bytes(),
            };
            self.store.append(draft, Box::new(|end| assert!(end.is_ok())));
        }
    }

    pub fn close(&self) -> Result<Vec<Signed>, NotClosed> {
        close(&self.store, &self.signer, self.id.node, &Act::done("checkpoint", "server"), NOW)
    }

    /// Three checkpoints: of rows 1 to 1500, 1501 to 1601, 1602 to 2302; and 11 rows more, the first of which is an act.
    pub fn three() -> Self {
        let world = Self::new();
        for rows in [1_500, 100, 700] {
            world.write(rows);
            assert_eq!(world.close().unwrap().len(), 1);
        }
        world.write(10);
        world
    }

    pub fn rows(&self) -> Vec<Row> {
        Journal::rows(&self.store, Seq(1), usize::MAX).unwrap()
    }

    pub fn lines(&self) -> Vec<(Seq, String)> {
        self.store.checkpoints(Seq(0), usize::MAX).unwrap()
    }

    pub fn signed(&self) -> Vec<Signed> {
        self.lines().iter().map(|(_, line)| Signed::parse(line).unwrap()).collect()
    }
}

/// Everything from this row on, changed and linked anew, as somebody does who knows how.
pub fn forge(rows: &mut [Row], from: u64, id: ChainId) {
    let at = from as usize - 1;
    let changed = &mut rows[at];
    changed.body = Some(b"something else"[..].into());
    changed.body_digest = body_digest(&changed.salt.unwrap(), b"something else");
    let mut conversations = std::collections::HashMap::new();
    for n in 0..rows.len() {
        if n >= at {
            rows[n].prev = rows[n - 1].link;
            let before = conversations.get(&rows[n].conversation).copied();
            rows[n].conversation_prev = before.filter(|_| rows[n].conversation != 0).unwrap_or_default();
            rows[n].link = link(id, &rows[n]);
        }
        conversations.insert(rows[n].conversation, rows[n].link);
    }
}
