//! Files that people uploaded.

use super::SqliteStore;
use super::fault::{damaged, trouble};
use crate::{FileState, StoredFile, Trouble, Uploads};
use model::{Address, Timestamp};
use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};

const COLUMNS: &str = "id, secret, owner, hash, size, name, mime, at, state, why";

/// A row as the database has it.
type Raw = (String, String, String, Vec<u8>, i64, String, String, i64, u8, String);

fn found(conn: &Connection, rest: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<Raw>> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM upload {rest}"))?
        .query_map(params_from_iter(values), |r| {
            Ok((
                r.get(0)?,
                r.get(1)?,
                r.get(2)?,
                r.get(3)?,
                r.get(4)?,
                r.get(5)?,
                r.get(6)?,
                r.get(7)?,
                r.get(8)?,
                r.get(9)?,
            ))
        })?
        .collect()
}

fn read(raw: Raw) -> Result<StoredFile, Trouble> {
    let (id, secret, owner, hash, size, name, mime, at, state, why) = raw;
    Ok(StoredFile {
        owner: Address::parse(&owner).map_err(|_| damaged("an address"))?,
        hash: hash.try_into().map_err(|_| damaged("a file's hash"))?,
        state: FileState::from_code(state).ok_or_else(|| damaged("a file's state"))?,
        size: size as u64,
        at: Timestamp(at as u64),
        id,
        secret,
        name,
        mime,
        why,
    })
}

impl SqliteStore {
    fn uploads(&self, rest: &str, values: &[&dyn ToSql]) -> Result<Vec<StoredFile>, Trouble> {
        let rows = self.pool.with(|conn| found(conn, rest, values).map_err(trouble))?;
        rows.into_iter().map(read).collect()
    }
}

impl Uploads for SqliteStore {
    fn add_file(&self, file: &StoredFile) -> Result<bool, Trouble> {
        let f = file.clone();
        self.write(move |conn| {
            let sql =
                format!("INSERT OR IGNORE INTO upload ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)");
            Ok(conn.execute(
                &sql,
                params![
                    f.id,
                    f.secret,
                    f.owner.as_str(),
                    &f.hash[..],
                    f.size as i64,
                    f.name,
                    f.mime,
                    f.at.unix_ms() as i64,
                    f.state as u8,
                    f.why
                ],
            )? > 0)
        })
    }

    fn file(&self, id: &str) -> Result<Option<StoredFile>, Trouble> {
        Ok(self.uploads("WHERE id = ?1", &[&id])?.pop())
    }

    fn set_file_state(&self, id: &str, from: FileState, to: FileState, why: &str) -> Result<bool, Trouble> {
        let (id, why) = (id.to_owned(), why.to_owned());
        self.write(move |conn| {
            let sql = "UPDATE upload SET state = ?3, why = ?4 WHERE id = ?1 AND state = ?2";
            Ok(conn.execute(sql, params![id, from as u8, to as u8, why])? > 0)
        })
    }

    fn remove_file(&self, id: &str) -> Result<bool, Trouble> {
        let id = id.to_owned();
        self.write(move |conn| Ok(conn.execute("DELETE FROM upload WHERE id = ?1", [id])? > 0))
    }

    fn files(&self, states: &[FileState], limit: usize) -> Result<Vec<StoredFile>, Trouble> {
        let wanted: Vec<String> = states.iter().map(|state| (*state as u8).to_string()).collect();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rest = format!("WHERE state IN ({}) ORDER BY at DESC, id LIMIT ?1", wanted.join(","));
        self.uploads(&rest, &[&limit])
    }

    fn files_before(&self, at: Timestamp, skip: usize, limit: usize) -> Result<Vec<StoredFile>, Trouble> {
        let [skip, limit] = [skip, limit].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let rest = "WHERE at < ?1 ORDER BY at, id LIMIT ?2 OFFSET ?3";
        self.uploads(rest, &[&(at.unix_ms() as i64), &limit, &skip])
    }

    fn uploaded_since(&self, owner: &Address, at: Timestamp) -> Result<(u64, Option<Timestamp>), Trouble> {
        let (bytes, first): (i64, Option<i64>) = self.pool.with(|conn| {
            conn.prepare_cached(
                "SELECT COALESCE(SUM(size), 0), MIN(at) FROM upload WHERE owner = ?1 AND at >= ?2",
            )
            .and_then(|mut q| {
                q.query_row(params![owner.as_str(), at.unix_ms() as i64], |r| Ok((r.get(0)?, r.get(1)?)))
            })
            .map_err(trouble)
        })?;
        Ok((bytes as u64, first.map(|at| Timestamp(at as u64))))
    }

    fn wants_content(&self, hash: &[u8; 32]) -> Result<bool, Trouble> {
        self.pool.with(|conn| {
            conn.prepare_cached("SELECT 1 FROM upload WHERE hash = ?1 AND state NOT IN (5, 6) LIMIT 1")
                .and_then(|mut q| q.query_row([&hash[..]], |_| Ok(())).optional())
                .map(|found| found.is_some())
                .map_err(trouble)
        })
    }
}
