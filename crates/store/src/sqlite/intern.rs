//! Addresses and conversations as small numbers.

use crate::recent::Recent;
use model::Address;
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const CACHED: usize = 100_000;

/// Hashes numbers this store gave out itself, which nobody outside can choose: one multiplication is enough.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The map takes its buckets from the low bits and its tags from the high ones; the product mixes upwards.
        self.0.rotate_left(26)
    }
}

pub(super) type OwnIds = BuildHasherDefault<IdHasher>;
pub(super) type ById<V> = HashMap<u64, V, OwnIds>;

/// Addresses by number.
pub(super) struct Names {
    cache: Recent<Address, u64>,
    /// Interned in the transaction that is open: a rollback takes their numbers back.
    fresh: Vec<Address>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { cache: Recent::new(CACHED), fresh: Vec::new() }
    }

    /// The number of an address, new if need be. Within a transaction.
    pub(super) fn id(&mut self, conn: &Connection, address: &Address) -> rusqlite::Result<u64> {
        if let Some(id) = self.cache.get(address) {
            return Ok(id);
        }
        let id = match find_address(conn, address)? {
            Some(id) => id,
            None => {
                conn.prepare_cached("INSERT INTO address (text) VALUES (?1)")?.execute([address.as_str()])?;
                self.fresh.push(address.clone());
                conn.last_insert_rowid() as u64
            }
        };
        self.cache.put(address.clone(), id);
        Ok(id)
    }

    pub(super) fn committed(&mut self) {
        self.fresh.clear();
    }

    pub(super) fn rolled_back(&mut self) {
        for address in self.fresh.drain(..) {
            self.cache.remove(&address);
        }
    }
}

/// The number of an address that has one.
pub(super) fn find_address(conn: &Connection, address: &Address) -> rusqlite::Result<Option<u64>> {
    conn.prepare_cached("SELECT id FROM address WHERE text = ?1")?
        .query_row([address.as_str()], |r| r.get::<_, i64>(0))
        .optional()
        .map(|id| id.map(|id| id as u64))
}

/// How far a conversation is: its counter, and the link of its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Talk {
    pub(super) counter: u64,
    pub(super) last: [u8; 32],
}

/// Conversations by number. Counters are written behind the journal: until then they are in `dirty`.
pub(super) struct Conversations {
    numbers: Recent<(u64, u64), u64, OwnIds>,
    fresh: Vec<(u64, u64)>,
    dirty: ById<Talk>,
    /// What the open transaction replaced in `dirty`, for a rollback; last first.
    undo: Vec<(u64, Option<Talk>)>,
    clean: Recent<u64, Talk, OwnIds>,
}

impl Conversations {
    pub(super) fn new() -> Self {
        Self {
            numbers: Recent::new(CACHED),
            fresh: Vec::new(),
            dirty: ById::default(),
            undo: Vec::new(),
            clean: Recent::new(CACHED),
        }
    }

    /// The number of the conversation between two addresses, in either order. Within a transaction.
    pub(super) fn number(&mut self, conn: &Connection, one: u64, other: u64) -> rusqlite::Result<u64> {
        let pair = (one.min(other), one.max(other));
        if let Some(number) = self.numbers.get(&pair) {
            return Ok(number);
        }
        let found = conn
            .prepare_cached("SELECT id FROM conversation WHERE a = ?1 AND b = ?2")?
            .query_row((pair.0 as i64, pair.1 as i64), |r| r.get::<_, i64>(0))
            .optional()?;
        let number = match found {
            Some(number) => number as u64,
            None => {
                conn.prepare_cached("INSERT INTO conversation (a, b) VALUES (?1, ?2)")?
                    .execute((pair.0 as i64, pair.1 as i64))?;
                self.fresh.push(pair);
                conn.last_insert_rowid() as u64
            }
        };
        self.numbers.put(pair, number);
        Ok(number)
    }

    /// Where a conversation stands.
    pub(super) fn talk(&mut self, conn: &Connection, number: u64) -> rusqlite::Result<Talk> {
        if let Some(talk) = self.dirty.get(&number) {
            return Ok(*talk);
        }
        if let Some(talk) = self.clean.get(&number) {
            return Ok(talk);
        }
        conn.prepare_cached("SELECT counter, last FROM conversation WHERE id = ?1")?
            .query_row([number as i64], |r| {
                let last: Option<[u8; 32]> = r.get(1)?;
                Ok(Talk { counter: r.get::<_, i64>(0)? as u64, last: last.unwrap_or_default() })
            })
            .optional()
            .map(Option::unwrap_or_default)
    }

    /// Moves a conversation on, for the transaction that is open.
    pub(super) fn set(&mut self, number: u64, talk: Talk) {
        let before = self.dirty.insert(number, talk);
        self.undo.push((number, before));
    }

    /// Takes what the journal's tail says at start.
    pub(super) fn recovered(&mut self, number: u64, talk: Talk) {
        self.dirty.insert(number, talk);
    }

    pub(super) fn committed(&mut self) {
        self.fresh.clear();
        self.undo.clear();
    }

    pub(super) fn rolled_back(&mut self) {
        while let Some((number, before)) = self.undo.pop() {
            match before {
                Some(talk) => self.dirty.insert(number, talk),
                None => self.dirty.remove(&number),
            };
        }
        for pair in self.fresh.drain(..) {
            self.numbers.remove(&pair);
        }
    }

    /// Writes the counters that are behind. Within a transaction.
    pub(super) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        let mut update =
            conn.prepare_cached("UPDATE conversation SET counter = ?2, last = ?3 WHERE id = ?1")?;
        let mut all: Vec<_> = self.dirty.iter().collect();
        all.sort_unstable_by_key(|(number, _)| **number);
        for (number, talk) in all {
            update.execute((*number as i64, talk.counter as i64, &talk.last))?;
        }
        Ok(())
    }

    /// After that transaction was committed.
    pub(super) fn written(&mut self) {
        for (number, talk) in self.dirty.drain() {
            self.clean.put(number, talk);
        }
    }
}
