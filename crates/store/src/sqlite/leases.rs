//! Leases: read once at start, written with whatever is committed next.

use super::SqliteStore;
use super::fault::{damaged, trouble};
use super::queue::LeaseWord;
use crate::{Lease, Leases, Trouble};
use bytes::Bytes;
use model::{Address, LeaseKey, Timestamp};
use rusqlite::Connection;

impl Leases for SqliteStore {
    fn keep(&self, lease: Lease) {
        self.shared.queue.push_lease(lease.key.clone(), Some(lease));
    }

    fn forget(&self, key: &LeaseKey) {
        self.shared.queue.push_lease(key.clone(), None);
    }

    fn lasting(&self, now: Timestamp) -> Result<Vec<Lease>, Trouble> {
        let limit = now.unix_ms() as i64;
        self.write(move |conn| conn.execute("DELETE FROM lease WHERE until <= ?1", [limit]).map(drop))?;
        // What is queued is asked for first: a commit in between then shows twice, and not never.
        let mut pending = self.shared.queue.pending_leases();
        let rows: Vec<(String, String, i64, Vec<u8>)> = self.pool.with(|conn| {
            conn.prepare_cached("SELECT key, owner, until, state FROM lease ORDER BY key")
                .and_then(|mut q| {
                    q.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?.collect()
                })
                .map_err(trouble)
        })?;
        let mut leases = Vec::with_capacity(rows.len());
        for (key, owner, until, state) in rows {
            let key = LeaseKey::new(key);
            match pending.remove(&key) {
                Some(word) => leases.extend(word),
                None => leases.push(Lease {
                    key,
                    owner: Address::parse(&owner).map_err(|_| damaged("an address"))?,
                    state: Bytes::from(state),
                    until: Timestamp(until as u64),
                }),
            }
        }
        leases.extend(pending.into_values().flatten());
        leases.retain(|lease| lease.until > now);
        Ok(leases)
    }
}

/// Writes the latest words, within the writer's transaction.
pub(super) fn write(conn: &Connection, words: &[LeaseWord]) -> rusqlite::Result<()> {
    if words.is_empty() {
        return Ok(());
    }
    let mut upsert = conn
        .prepare_cached("INSERT OR REPLACE INTO lease (key, owner, until, state) VALUES (?1, ?2, ?3, ?4)")?;
    let mut delete = conn.prepare_cached("DELETE FROM lease WHERE key = ?1")?;
    for (_, key, word) in words {
        match word {
            Some(lease) => upsert.execute((
                key.0.as_str(),
                lease.owner.as_str(),
                lease.until.unix_ms() as i64,
                &lease.state[..],
            ))?,
            None => delete.execute([key.0.as_str()])?,
        };
    }
    Ok(())
}
