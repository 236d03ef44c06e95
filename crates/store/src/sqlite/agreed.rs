//! What was agreed with other companies.

use super::SqliteStore;
use super::fault::trouble;
use crate::{Partners, Shelf, Trouble};
use rusqlite::OptionalExtension;

impl Partners for SqliteStore {
    fn document(&self, shelf: Shelf, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
        self.pool.with(|conn| {
            conn.prepare_cached("SELECT doc FROM agreed WHERE shelf = ?1 AND name = ?2")
                .and_then(|mut q| q.query_row((shelf as u8, name), |r| r.get(0)).optional())
                .map_err(trouble)
        })
    }

    fn add_document(&self, shelf: Shelf, name: &str, doc: &[u8]) -> Result<bool, Trouble> {
        let (name, doc) = (name.to_owned(), doc.to_vec());
        self.write(move |conn| {
            let sql = "INSERT OR IGNORE INTO agreed (shelf, name, doc) VALUES (?1, ?2, ?3)";
            Ok(conn.execute(sql, (shelf as u8, name, doc))? > 0)
        })
    }

    fn put_document(&self, shelf: Shelf, name: &str, doc: &[u8]) -> Result<(), Trouble> {
        let (name, doc) = (name.to_owned(), doc.to_vec());
        self.write(move |conn| {
            let sql = "INSERT OR REPLACE INTO agreed (shelf, name, doc) VALUES (?1, ?2, ?3)";
            conn.execute(sql, (shelf as u8, name, doc)).map(drop)
        })
    }

    fn documents(&self, shelf: Shelf) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
        self.pool.with(|conn| {
            conn.prepare_cached("SELECT name, doc FROM agreed WHERE shelf = ?1 ORDER BY name")
                .and_then(|mut q| q.query_map([shelf as u8], |r| Ok((r.get(0)?, r.get(1)?)))?.collect())
                .map_err(trouble)
        })
    }

    fn documents_under(&self, shelf: Shelf, beginning: &str) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
        // No name has a character beyond this one.
        let end = format!("{beginning}\u{10ffff}");
        let sql = "SELECT name, doc FROM agreed WHERE shelf = ?1 AND name >= ?2 AND name < ?3 ORDER BY name";
        self.pool.with(|conn| {
            conn.prepare_cached(sql)
                .and_then(|mut q| {
                    q.query_map((shelf as u8, beginning, end), |r| Ok((r.get(0)?, r.get(1)?)))?.collect()
                })
                .map_err(trouble)
        })
    }

    fn remove_document(&self, shelf: Shelf, name: &str) -> Result<bool, Trouble> {
        let name = name.to_owned();
        self.write(move |conn| {
            Ok(conn.execute("DELETE FROM agreed WHERE shelf = ?1 AND name = ?2", (shelf as u8, name))? > 0)
        })
    }
}
