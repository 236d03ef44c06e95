//! The tables, and how a file is brought from one version of them to another.
//!
//! One file for each step, with the way up and the way back; a released step never changes. However many steps lie
//! between file and program, they are one transaction: a crash leaves the old schema or the new one.

mod v1;
mod v2_held;
mod v3_lease;
mod v4_agreed;
mod v5_upload;
mod v6_checkpoint;

use super::fault::trouble;
use crate::Trouble;
use model::Timestamp;
use rusqlite::Connection;

/// From one version to the next, and back.
struct Step {
    /// What it adds, for people.
    what: &'static str,
    up: &'static str,
    /// Takes back `up`. What the tables of before held is untouched by either.
    down: &'static str,
}

/// The schema's version is the number of steps taken.
const STEPS: &[Step] =
    &[v1::STEP, v2_held::STEP, v3_lease::STEP, v4_agreed::STEP, v5_upload::STEP, v6_checkpoint::STEP];

/// How the schema of a file and that of this program compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The file's version; 0 for an empty file.
    pub file: u32,
    /// The version this program works with.
    pub program: u32,
    /// What lies between them, in the order in which it would be added.
    pub missing: Vec<&'static str>,
}

/// The version of the program.
pub(super) const PROGRAM: u32 = STEPS.len() as u32;

pub(super) fn version(conn: &Connection) -> Result<u32, Trouble> {
    conn.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(trouble)
}

/// Compares without changing anything.
pub(super) fn compare(conn: &Connection) -> Result<Schema, Trouble> {
    let file = version(conn)?;
    if file > PROGRAM {
        return Err(newer(file));
    }
    let missing = STEPS.iter().skip(file as usize).map(|s| s.what).collect();
    Ok(Schema { file, program: PROGRAM, missing })
}

fn newer(file: u32) -> Trouble {
    Trouble::Failed(format!(
        "the file has schema {file}, this program knows {PROGRAM}: it was written by a newer version; run the newer \
         program, or let it step back first with `rialto upgrade --rollback {PROGRAM}`"
    ))
}

/// Brings the file to the program's schema. Gives the version that it had.
pub(super) fn migrate(conn: &Connection) -> Result<u32, Trouble> {
    let Schema { file, .. } = compare(conn)?;
    let steps = STEPS.get(file as usize..).unwrap_or_default();
    take(conn, steps.iter().map(|s| s.up), PROGRAM)?;
    Ok(file)
}

/// Takes steps back until the file has version `to`. Gives what was taken back, newest first.
pub(super) fn roll_back(conn: &Connection, to: u32) -> Result<Vec<&'static str>, Trouble> {
    let file = version(conn)?;
    if file > PROGRAM {
        return Err(newer(file));
    }
    if to == 0 || to > file {
        return Err(Trouble::Failed(format!("the file has schema {file}: it can go back to 1 at the least")));
    }
    let steps = STEPS.get(to as usize..file as usize).unwrap_or_default();
    take(conn, steps.iter().rev().map(|s| s.down), to)?;
    Ok(steps.iter().rev().map(|s| s.what).collect())
}

/// All or nothing.
fn take<'a>(conn: &Connection, acts: impl Iterator<Item = &'a str>, reached: u32) -> Result<(), Trouble> {
    let acts: Vec<&str> = acts.collect();
    if acts.is_empty() {
        return Ok(());
    }
    let sql = format!("BEGIN IMMEDIATE; {} PRAGMA user_version = {reached}; COMMIT;", acts.concat());
    conn.execute_batch(&sql).map_err(|error| {
        // The first error is the one to tell; a failed act leaves its transaction open.
        let _ = conn.execute_batch("ROLLBACK");
        trouble(error)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(conn: &Connection) -> Vec<String> {
        let mut query =
            conn.prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY sql").unwrap();
        query.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_step_can_be_taken_back_and_again() {
        let conn = Connection::open_in_memory().unwrap();
        let mut stages = Vec::new();
        for (done, step) in STEPS.iter().enumerate() {
            take(&conn, std::iter::once(step.up), done as u32 + 1).unwrap();
            stages.push(tables(&conn));
        }
        for to in (1..PROGRAM).rev() {
            roll_back(&conn, to).unwrap();
            assert_eq!((version(&conn).unwrap(), tables(&conn)), (to, stages[to as usize - 1].clone()));
        }
        assert_eq!(migrate(&conn), Ok(1));
        assert_eq!(Some(&tables(&conn)), stages.last());
        for wrong in [0, PROGRAM + 1] {
            assert!(roll_back(&conn, wrong).is_err());
        }
    }

    #[test]
    fn a_step_that_fails_leaves_everything_as_it_was() {
        let conn = Connection::open_in_memory().unwrap();
        take(&conn, std::iter::once(STEPS[0].up), 1).unwrap();
        let before = tables(&conn);
        let wrong = [STEPS[1].up, "CREATE TABLE nonsense (;"];
        assert!(take(&conn, wrong.into_iter(), 3).is_err());
        assert_eq!((version(&conn).unwrap(), tables(&conn)), (1, before));
        assert!(conn.is_autocommit());
    }
}
