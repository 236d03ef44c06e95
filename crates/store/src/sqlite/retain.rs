//! Destroying content by rule, a little at a time, beside everything else that is written.

use super::SqliteStore;
use super::fault::trouble;
use super::schema::{Month, months};
use super::tail::decode_run;
use crate::{Destroyed, Retain, Trouble};
use model::{Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Rows looked at in one step: few enough that nobody's message waits for it.
const STEP: i64 = 500;

impl Retain for SqliteStore {
    fn last_before(&self, at: Timestamp) -> Result<Seq, Trouble> {
        self.pool.with(|conn| last_before(conn, at).map_err(trouble))
    }

    fn destroyed_to(&self) -> Result<Seq, Trouble> {
        self.pool.with(|conn| retained(conn).map(|n| Seq(n as u64)).map_err(trouble))
    }

    fn is_anything_left(&self, to: Seq) -> Result<bool, Trouble> {
        self.pool.with(|conn| anything_left(conn, to.0 as i64).map_err(trouble))
    }

    fn destroy(&self, to: Seq) -> Result<Destroyed, Trouble> {
        self.write(move |conn| step(conn, to.0 as i64))
    }

    fn destroy_held(&self, after: Seq) -> Result<(Destroyed, Option<Seq>), Trouble> {
        self.write(move |conn| held_step(conn, after.0 as i64))
    }
}

fn retained(conn: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT value FROM meta WHERE key = 'retained'";
    Ok(conn.query_row(sql, [], |r| r.get(0)).optional()?.unwrap_or(0))
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

/// Envelopes, and those acts that have content: names of files.
const HAS_CONTENT: &str = "salt IS NOT NULL AND (kind = 1 OR kind = 3 AND LENGTH(body) > 0)";

fn anything_left(conn: &Connection, to: i64) -> rusqlite::Result<bool> {
    for (month, first, last) in parts(conn, retained(conn)? + 1, to)? {
        let sql = format!("SELECT 1 FROM {} WHERE seq BETWEEN ?1 AND ?2 AND {HAS_CONTENT}", month.name);
        if conn.prepare(&sql)?.exists([first, last])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn step(conn: &Connection, to: i64) -> rusqlite::Result<Destroyed> {
    let from = retained(conn)? + 1;
    let end = to.min(from + STEP - 1);
    let (mut done, mut cursors) = (Destroyed::default(), Cursors::default());
    for (month, first, last) in parts(conn, from, end)? {
        let mut query = conn.prepare_cached(&format!(
            "SELECT seq, mailbox FROM {} WHERE seq BETWEEN ?1 AND ?2 AND {HAS_CONTENT}",
            month.name
        ))?;
        let rows: Vec<(i64, Option<i64>)> =
            query.query_map([first, last], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?;
        for (seq, mailbox) in rows {
            if cursors.waits(conn, mailbox, seq)? {
                conn.prepare_cached("INSERT OR IGNORE INTO held (seq) VALUES (?1)")?.execute([seq])?;
                done.held += 1;
            } else {
                done.rows += destroy(conn, &month, seq)?;
            }
        }
    }
    conn.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('retained', ?1)", [end.max(from - 1)])?;
    done.more = end < to;
    Ok(done)
}

/// Looks again at rows that waited for somebody.
fn held_step(conn: &Connection, after: i64) -> rusqlite::Result<(Destroyed, Option<Seq>)> {
    let mut query = conn.prepare_cached("SELECT seq FROM held WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let seqs: Vec<i64> = query.query_map([after, STEP], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let (mut done, mut cursors) = (Destroyed::default(), Cursors::default());
    for &seq in &seqs {
        let Some((month, ..)) = parts(conn, seq, seq)?.pop() else { continue };
        let mailbox: Option<Option<i64>> = conn
            .prepare_cached(&format!("SELECT mailbox FROM {} WHERE seq = ?1", month.name))?
            .query_row([seq], |r| r.get(0))
            .optional()?;
        if cursors.waits(conn, mailbox.flatten(), seq)? {
            done.held += 1;
        } else {
            done.rows += destroy(conn, &month, seq)?;
            conn.prepare_cached("DELETE FROM held WHERE seq = ?1")?.execute([seq])?;
        }
    }
    Ok((done, seqs.last().map(|&seq| Seq(seq as u64))))
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
