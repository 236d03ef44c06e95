//! Destroying content for good, a little at a time, beside everything else that is written.

use super::SqliteStore;
use super::fault::{damaged, trouble};
use super::schema::{Month, months};
use super::tail::decode_run;
use crate::{Bare, Retain, RowKind, Trouble};
use bytes::Bytes;
use model::{Seq, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

/// How long one try to empty the log waits for readers; whoever writes waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
/// So often it is tried, with a pause in between.
const TRIES: usize = 20;

/// Tables that are rewritten when nothing may be left of what was removed from them: where rows come and go in any order,
/// the database moves them between pages, and leaves what it moved until the place is needed. The journal only grows at
/// its end, and a row that loses its content stays where it is.
const MOVING: &[&str] =
    &["roster", "authorization", "upload", "agreed", "lease", "account", "credential", "sealed"];

impl Retain for SqliteStore {
    fn last_before(&self, at: Timestamp) -> Result<Seq, Trouble> {
        self.pool.with(|conn| last_before(conn, at).map_err(trouble))
    }

    fn with_content(&self, after: Seq, to: Seq, limit: usize) -> Result<Vec<Bare>, Trouble> {
        self.pool.with(|conn| {
            let (mut all, mut cursors) = (Vec::new(), Cursors::default());
            for (month, first, last) in parts(conn, after.0 as i64 + 1, to.0 as i64).map_err(trouble)? {
                let left = limit - all.len();
                if left == 0 {
                    break;
                }
                all.extend(bare(conn, &month, (first, last, left as i64), &mut cursors)?);
            }
            Ok(all)
        })
    }

    fn look_again_at(&self, rows: &[Seq]) -> Result<(), Trouble> {
        let rows = rows.to_vec();
        self.write(move |conn| {
            let mut add = conn.prepare_cached("INSERT OR IGNORE INTO held (seq) VALUES (?1)")?;
            rows.iter().try_for_each(|seq| add.execute([seq.0 as i64]).map(drop))
        })
    }

    fn to_look_at_again(&self, after: Seq, limit: usize) -> Result<Vec<Bare>, Trouble> {
        self.pool.with(|conn| {
            let mut query = conn
                .prepare_cached("SELECT seq FROM held WHERE seq > ?1 ORDER BY seq LIMIT ?2")
                .map_err(trouble)?;
            let seqs = query.query_map((after.0 as i64, limit as i64), |r| r.get(0)).map_err(trouble)?;
            let seqs: Vec<i64> = seqs.collect::<Result<_, _>>().map_err(trouble)?;
            let (mut all, mut cursors) = (Vec::new(), Cursors::default());
            for seq in seqs {
                for (month, ..) in parts(conn, seq, seq).map_err(trouble)? {
                    all.extend(bare(conn, &month, (seq, seq, 1), &mut cursors)?);
                }
            }
            Ok(all)
        })
    }

    fn destroy(&self, rows: &[Seq]) -> Result<u64, Trouble> {
        let rows: Vec<i64> = rows.iter().map(|seq| seq.0 as i64).collect();
        self.write(move |conn| {
            let (months, mut done) = (months(conn)?, 0);
            for seq in rows {
                let Some(month) = months.iter().rev().find(|m| m.first as i64 <= seq) else { continue };
                done += destroy(conn, month, seq)?;
                conn.prepare_cached("DELETE FROM held WHERE seq = ?1")?.execute([seq])?;
            }
            Ok(done)
        })
    }

    fn scrub(&self) -> Result<(), Trouble> {
        // One at a time, so that messages need not wait for all of them. A part of a table is not enough: the page where it ends
        // is not deleted whole, and keeps what was moved.
        for table in MOVING {
            self.write(move |conn| {
                // What is deleted whole is overwritten whole.
                conn.execute_batch(&format!(
                    "CREATE TABLE scrubbed AS SELECT * FROM {table};
                     DELETE FROM {table};
                     INSERT INTO {table} SELECT * FROM scrubbed;
                     DROP TABLE scrubbed;"
                ))
            })?;
        }
        self.empty_log()
    }
}

impl SqliteStore {
    /// Moves everything from the log into the file, and cuts the log.
    fn empty_log(&self) -> Result<(), Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags).map_err(trouble)?;
        conn.busy_timeout(PATIENCE).map_err(trouble)?;
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0").map_err(trouble)?;
        for _ in 0..TRIES {
            // The mover of pages refuses to be disturbed, and is refused while this runs.
            let alone = self.moving.lock();
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy: i64 = conn.query_row(sql, [], |r| r.get(0)).map_err(trouble)?;
            drop(alone);
            if busy == 0 {
                return Ok(());
            }
            std::thread::sleep(PATIENCE);
        }
        Err(Trouble::Busy("somebody reads the store for long: the log could not be emptied".into()))
    }
}

/// Rows of a month that have content: envelopes, and those acts that have some, names of files.
fn bare(
    conn: &Connection,
    month: &Month,
    bounds: (i64, i64, i64),
    cursors: &mut Cursors,
) -> Result<Vec<Bare>, Trouble> {
    let sql = format!(
        "SELECT seq, at, kind, mailbox, head, LENGTH(body) FROM {}
         WHERE seq BETWEEN ?1 AND ?2 AND salt IS NOT NULL AND (kind = 1 OR kind = 3 AND LENGTH(body) > 0)
         ORDER BY seq LIMIT ?3",
        month.name
    );
    let mut query = conn.prepare_cached(&sql).map_err(trouble)?;
    let mut rows = query.query(bounds).map_err(trouble)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(trouble)? {
        let seq: i64 = row.get(0).map_err(trouble)?;
        let waits = cursors.waits(conn, row.get(3).map_err(trouble)?, seq).map_err(trouble)?;
        let kind: u8 = row.get(2).map_err(trouble)?;
        all.push(Bare {
            seq: Seq(seq as u64),
            at: Timestamp(row.get::<_, i64>(1).map_err(trouble)? as u64),
            kind: RowKind::from_code(kind).ok_or_else(|| damaged("a row's kind"))?,
            head: Bytes::from(row.get::<_, Vec<u8>>(4).map_err(trouble)?),
            content: row.get::<_, Option<i64>>(5).map_err(trouble)?.map(|n| n as u64),
            waits,
        });
    }
    Ok(all)
}

/// Numbers and times grow together, so halving finds the place.
fn last_before(conn: &Connection, at: Timestamp) -> rusqlite::Result<Seq> {
    let mut last = 0;
    for month in months(conn)? {
        let sql = format!("SELECT max(seq) FROM {}", month.name);
        let end: Option<i64> = conn.query_row(&sql, [], |r| r.get(0))?;
        let Some(end) = end else { continue };
        let mut query = conn.prepare(&format!("SELECT at FROM {} WHERE seq = ?1", month.name))?;
        let (mut low, mut high) = (month.first as i64, end + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let then: i64 = query.query_row([middle], |r| r.get(0))?;
            if (then as u64) < at.0 { low = middle + 1 } else { high = middle }
        }
        last = low - 1;
        if low <= end {
            break;
        }
    }
    Ok(Seq(last as u64))
}

/// Parts of the tables that hold these numbers, both included.
fn parts(conn: &Connection, from: i64, to: i64) -> rusqlite::Result<Vec<(Month, i64, i64)>> {
    let all = months(conn)?;
    let ends = all.iter().skip(1).map(|m| m.first as i64 - 1).chain([i64::MAX]);
    let parts = all.iter().cloned().zip(ends).map(|(month, end)| {
        let (first, last) = ((month.first as i64).max(from), end.min(to));
        (month, first, last)
    });
    Ok(parts.filter(|(_, first, last)| first <= last).collect())
}

fn destroy(conn: &Connection, month: &Month, seq: i64) -> rusqlite::Result<u64> {
    let sql =
        format!("UPDATE {} SET body = NULL, salt = NULL WHERE seq = ?1 AND salt IS NOT NULL", month.name);
    Ok(conn.prepare_cached(&sql)?.execute([seq])? as u64)
}

/// How far mailboxes are, as far as it is committed: what is not, counts as waiting.
#[derive(Default)]
struct Cursors(HashMap<i64, (i64, Vec<u64>)>);

impl Cursors {
    fn waits(&mut self, conn: &Connection, mailbox: Option<i64>, seq: i64) -> rusqlite::Result<bool> {
        let Some(mailbox) = mailbox else { return Ok(false) };
        let (low, above) = match self.0.entry(mailbox) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let found: Option<(i64, Vec<u8>)> = conn
                    .prepare_cached("SELECT low, above FROM cursor WHERE account = ?1")?
                    .query_row([mailbox], |r| Ok((r.get(0)?, r.get(1)?)))
                    .optional()?;
                let (low, above) = found.unwrap_or_default();
                place.insert((low, decode_run(&above).unwrap_or_default()))
            }
        };
        Ok(seq > *low && above.binary_search(&(seq as u64)).is_err())
    }
}
