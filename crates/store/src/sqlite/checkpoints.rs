//! Signed checkpoints of the journal.

use super::fault::trouble;
use super::schema::months;
use super::{SqliteReader, SqliteStore};
use crate::{Checkpoints, Trouble};
use model::Seq;
use rusqlite::{Connection, OptionalExtension};

impl Checkpoints for SqliteStore {
    fn checkpoints(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, String)>, Trouble> {
        self.pool.with(|conn| after_row(conn, after, limit).map_err(trouble))
    }

    fn last_checkpoint(&self) -> Result<Option<(Seq, String)>, Trouble> {
        let sql = "SELECT last, line FROM checkpoint ORDER BY last DESC LIMIT 1";
        self.pool.with(|conn| conn.query_row(sql, [], read).optional().map_err(trouble))
    }

    fn keep_checkpoint(&self, last: Seq, line: &str) -> Result<(), Trouble> {
        let line = line.to_owned();
        self.write(move |conn| {
            let sql = "INSERT OR REPLACE INTO checkpoint (last, line) VALUES (?1, ?2)";
            conn.execute(sql, (last.0 as i64, line)).map(drop)
        })
    }
}

impl SqliteStore {
    /// The last row that is there, and the last that something beside the rows has noted: a checkpoint, a mailbox, the store itself.
    /// The second is greater only where rows were taken away.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn ends(&self) -> Result<(Seq, Seq), Trouble> {
        let noted = "SELECT max(last) FROM (SELECT max(last) AS last FROM checkpoint UNION ALL SELECT max(low) FROM cursor
                     UNION ALL SELECT max(last) FROM stream UNION ALL SELECT max(first) - 1 FROM month
                     UNION ALL SELECT value FROM meta WHERE key = 'indexed')";
        self.pool.with(|conn| {
            let number =
                |sql: &str| conn.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).map_err(trouble);
            let mut last = None;
            for month in months(conn).map_err(trouble)?.iter().rev() {
                last = number(&format!("SELECT max(seq) FROM {}", month.name))?;
                if last.is_some() {
                    break;
                }
            }
            let seq = |number: Option<i64>| Seq(number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0));
            Ok((seq(last), seq(number(noted)?)))
        })
    }
}

impl SqliteReader {
    /// See [`Checkpoints::checkpoints`]; none in a file of before there were any.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn checkpoints(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, String)>, Trouble> {
        let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'checkpoint'";
        self.pool.with(|conn| {
            match conn.prepare(there).and_then(|mut query| query.exists([])).map_err(trouble)? {
                true => after_row(conn, after, limit).map_err(trouble),
                false => Ok(Vec::new()),
            }
        })
    }
}

fn after_row(conn: &Connection, after: Seq, limit: usize) -> rusqlite::Result<Vec<(Seq, String)>> {
    let sql = "SELECT last, line FROM checkpoint WHERE last > ?1 ORDER BY last LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.prepare_cached(sql)?.query_map([after.0 as i64, limit], read)?.collect()
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Seq, String)> {
    Ok((Seq(row.get::<_, i64>(0)? as u64), row.get(1)?))
}
