//! The tables, and how an older file is brought up to date.

use super::fault::trouble;
use crate::Trouble;
use model::Timestamp;
use rusqlite::Connection;

/// One step for each schema version; a released step never changes.
const STEPS: &[&str] = &["
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE setting (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

    CREATE TABLE address (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY, a INTEGER NOT NULL, b INTEGER NOT NULL,
        counter INTEGER NOT NULL DEFAULT 0, last BLOB, UNIQUE (a, b));

    -- which month table holds the rows from 'first' on
    CREATE TABLE month (first INTEGER PRIMARY KEY, name TEXT NOT NULL);
    -- runs of journal numbers of one mailbox, delta coded; written behind the journal
    CREATE TABLE stream (
        account INTEGER NOT NULL, last INTEGER NOT NULL, seqs BLOB NOT NULL,
        PRIMARY KEY (account, last)) WITHOUT ROWID;
    CREATE TABLE cursor (account INTEGER PRIMARY KEY, low INTEGER NOT NULL, above BLOB NOT NULL);

    CREATE TABLE account (address TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE credential (
        account TEXT NOT NULL, scheme INTEGER NOT NULL, salt BLOB, iterations INTEGER, key BLOB NOT NULL,
        server_key BLOB, PRIMARY KEY (account, scheme)) WITHOUT ROWID;
    -- passwords of an account at other networks, sealed with a key kept outside this file
    CREATE TABLE sealed (
        account TEXT NOT NULL, network TEXT NOT NULL, box BLOB NOT NULL,
        PRIMARY KEY (account, network)) WITHOUT ROWID;
    CREATE TABLE roster (
        owner TEXT NOT NULL, contact TEXT NOT NULL, name TEXT, in_groups BLOB NOT NULL,
        PRIMARY KEY (owner, contact)) WITHOUT ROWID;
    CREATE TABLE authorization (
        presentity TEXT NOT NULL, watcher TEXT NOT NULL, consent INTEGER NOT NULL, note TEXT,
        PRIMARY KEY (presentity, watcher)) WITHOUT ROWID;
    CREATE INDEX authorization_watcher ON authorization (watcher);
"];

/// Brings the file to the current schema, one transaction for each step.
pub(super) fn migrate(conn: &Connection) -> Result<(), Trouble> {
    let version: u32 = conn.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(trouble)?;
    let version = version as usize;
    if version > STEPS.len() {
        return Err(Trouble::Failed(format!(
            "the file has schema {version}, this program knows {}: it was written by a newer version",
            STEPS.len()
        )));
    }
    for (done, step) in STEPS.iter().enumerate().skip(version) {
        let sql = format!("BEGIN IMMEDIATE; {step}; PRAGMA user_version = {}; COMMIT;", done + 1);
        if let Err(e) = conn.execute_batch(&sql) {
            // The first error is the one to tell; a failed step leaves its transaction open.
            let _ = conn.execute_batch("ROLLBACK");
            return Err(trouble(e));
        }
    }
    Ok(())
}

/// The name of the table for a time: one for each month (UTC), so that retention can drop a whole table.
pub(super) fn month_name(at: Timestamp) -> String {
    let (year, month, ..) = at.civil();
    format!("journal_{year:04}_{month:02}")
}

/// Creates the month's table. No secondary index: every row is found by its number.
pub(super) fn create_month(conn: &Connection, name: &str, first: u64) -> rusqlite::Result<()> {
    conn.execute_batch(&format!(
        "CREATE TABLE {name} (
            seq INTEGER PRIMARY KEY, mailbox INTEGER, at INTEGER NOT NULL, kind INTEGER NOT NULL,
            conversation INTEGER NOT NULL, conversation_seq INTEGER NOT NULL, conversation_prev BLOB,
            prev BLOB NOT NULL, link BLOB NOT NULL, digest BLOB NOT NULL, salt BLOB, head BLOB NOT NULL, body BLOB)"
    ))?;
    conn.execute("INSERT INTO month (first, name) VALUES (?1, ?2)", (first as i64, name)).map(drop)
}

/// A month table and the number of its first row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Month {
    pub(super) first: u64,
    pub(super) name: String,
}

/// All month tables, oldest first.
pub(super) fn months(conn: &Connection) -> rusqlite::Result<Vec<Month>> {
    let mut query = conn.prepare("SELECT first, name FROM month ORDER BY first")?;
    let rows = query.query_map([], |r| Ok(Month { first: r.get::<_, i64>(0)? as u64, name: r.get(1)? }))?;
    rows.collect()
}
