//! Reading beside the writer: each reader sees what was committed when its statement began.

use super::Shared;
use super::fault::{damaged, trouble};
use super::intern::find_address;
use super::schema::{Month, months};
use super::tail::decode_run;
use crate::{MailboxCursor, Row, RowKind, Rows, Trouble, Waiting};
use bytes::Bytes;
use model::{Address, Seq, Timestamp, Way};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Connections that stay open between reads.
const KEPT: usize = 8;

/// A few connections, each used by one thread at a time.
pub(super) struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default() }
    }

    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let idle = self.idle.lock().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => connect(&self.path)?,
        };
        let value = read(&conn)?;
        // A connection that failed is not used again.
        let mut idle = self.idle.lock();
        if idle.len() < KEPT {
            idle.push(conn);
        }
        Ok(value)
    }
}

fn connect(path: &Path) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(trouble)?;
    conn.busy_timeout(Duration::from_secs(10)).map_err(trouble)?;
    conn.set_prepared_statement_cache_capacity(32);
    Ok(conn)
}

/// Reads a store's file, also while a server writes it: for verification and reports from outside.
pub struct SqliteReader {
    pub(super) pool: Pool,
}

impl SqliteReader {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// [`Trouble`] when it is not there or is no store.
    pub fn open(path: &Path) -> Result<Self, Trouble> {
        let pool = Pool::new(path);
        pool.with(|conn| months(conn).map_err(trouble).map(drop))?;
        Ok(Self { pool })
    }

    /// A value the server keeps.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn value(&self, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        self.pool.with(|conn| setting(conn, key).map_err(trouble))
    }

    /// How many accounts there are.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn accounts(&self) -> Result<u64, Trouble> {
        self.pool.with(|conn| {
            let count: i64 =
                conn.query_row("SELECT count(*) FROM account", [], |r| r.get(0)).map_err(trouble)?;
            Ok(count as u64)
        })
    }

    /// The number of the last committed row; 0 for none.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn head(&self) -> Result<Seq, Trouble> {
        self.pool.with(|conn| {
            let Some(month) = months(conn).map_err(trouble)?.pop() else { return Ok(Seq(0)) };
            let sql = format!("SELECT max(seq) FROM {}", month.name);
            let max: Option<i64> = conn.query_row(&sql, [], |r| r.get(0)).map_err(trouble)?;
            Ok(Seq(max.unwrap_or(0) as u64))
        })
    }
}

impl Rows for SqliteReader {
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        self.pool.with(|conn| {
            let months = months(conn).map_err(trouble)?;
            rows(conn, &months, first, limit)
        })
    }
}

pub(super) fn setting(conn: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    conn.prepare_cached("SELECT value FROM setting WHERE key = ?1")?.query_row([key], |r| r.get(0)).optional()
}

pub(super) fn cursor(conn: &Connection, account: &Address) -> Result<MailboxCursor, Trouble> {
    let none = MailboxCursor { account: account.clone(), low: Seq(0), above: Vec::new() };
    let Some(id) = find_address(conn, account).map_err(trouble)? else { return Ok(none) };
    let found: Option<(i64, Vec<u8>)> = conn
        .prepare_cached("SELECT low, above FROM cursor WHERE account = ?1")
        .and_then(|mut q| q.query_row([id as i64], |r| Ok((r.get(0)?, r.get(1)?))).optional())
        .map_err(trouble)?;
    let Some((low, above)) = found else { return Ok(none) };
    let above = decode_run(&above).ok_or_else(|| damaged("a mailbox cursor"))?;
    Ok(MailboxCursor { low: Seq(low as u64), above: above.into_iter().map(Seq).collect(), ..none })
}

/// Mailboxes of pairs of domains, whether anything waits in them or not.
pub(super) fn pairs(conn: &Connection) -> Result<Vec<Address>, Trouble> {
    let mut query =
        conn.prepare_cached("SELECT text FROM address WHERE instr(text, '>') > 0").map_err(trouble)?;
    let texts = query.query_map((), |row| row.get::<_, String>(0)).map_err(trouble)?;
    let texts: Vec<String> = texts.collect::<Result<_, _>>().map_err(trouble)?;
    Ok(texts.iter().filter_map(|text| Way::parse_mailbox(text)).map(|way| way.mailbox()).collect())
}

/// The tail is looked at before the stream table: whatever the writer moves from one to the other in between is then
/// seen twice, never missed.
pub(super) fn waiting(
    conn: &Connection,
    shared: &Shared,
    account: &Address,
    pending: Option<MailboxCursor>,
    after: Seq,
    limit: usize,
) -> Result<Vec<Waiting>, Trouble> {
    let Some(id) = find_address(conn, account).map_err(trouble)? else { return Ok(Vec::new()) };
    let cursor = match pending {
        Some(cursor) => cursor,
        None => cursor_of(conn, account)?,
    };
    let from = cursor.low.max(after).0;
    let done = |seq: u64| cursor.above.binary_search(&Seq(seq)).is_ok();
    let unwritten: Vec<u64> =
        shared.tail.read().of(id, from).iter().copied().filter(|&s| !done(s)).take(limit).collect();

    let mut seqs: Vec<u64> = Vec::new();
    let mut query = conn
        .prepare_cached("SELECT seqs FROM stream WHERE account = ?1 AND last > ?2 ORDER BY last")
        .map_err(trouble)?;
    let mut runs = query.query((id as i64, from as i64)).map_err(trouble)?;
    while seqs.len() < limit {
        let Some(run) = runs.next().map_err(trouble)? else { break };
        let bytes = run.get_ref(0).and_then(|v| v.as_blob().map_err(Into::into)).map_err(trouble)?;
        let run = decode_run(bytes).ok_or_else(|| damaged("a mailbox stream"))?;
        seqs.extend(run.into_iter().filter(|&s| s > from && !done(s)));
    }
    let written = seqs.last().copied().unwrap_or(0);
    seqs.extend(unwritten.into_iter().filter(|&s| s > written));
    seqs.truncate(limit);

    let months = shared.months.read().clone();
    let mut found = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let Some(month) = months.iter().rev().find(|m| m.first <= seq) else { continue };
        let row = conn
            .prepare_cached(&format!("SELECT head, body FROM {} WHERE seq = ?1", month.name))
            .and_then(|mut q| {
                q.query_row([seq as i64], |r| {
                    let body: Option<Vec<u8>> = r.get(1)?;
                    Ok(Waiting {
                        seq: Seq(seq),
                        head: Bytes::from(r.get::<_, Vec<u8>>(0)?),
                        body: body.map(Bytes::from),
                    })
                })
                .optional()
            })
            .map_err(trouble)?;
        found.extend(row);
    }
    Ok(found)
}

use cursor as cursor_of;

pub(super) fn rows(
    conn: &Connection,
    months: &[Month],
    first: Seq,
    limit: usize,
) -> Result<Vec<Row>, Trouble> {
    let mut found = Vec::new();
    for (at, month) in months.iter().enumerate() {
        if found.len() >= limit {
            break;
        }
        if months.get(at + 1).is_some_and(|next| next.first <= first.0) {
            continue;
        }
        let mut query = conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM {} WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
                month.name
            ))
            .map_err(trouble)?;
        let left = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
        let mut rows = query.query((first.0 as i64, left)).map_err(trouble)?;
        while let Some(row) = rows.next().map_err(trouble)? {
            found.push(read_row(row)?);
        }
    }
    Ok(found)
}

/// The last rows about acts. They are few: the tables are read backwards until enough have come.
pub(super) fn acts(conn: &Connection, months: &[Month], limit: usize) -> Result<Vec<Row>, Trouble> {
    let mut found = Vec::new();
    for month in months.iter().rev() {
        let sql = format!(
            "SELECT {COLUMNS} FROM {} WHERE kind = {} ORDER BY seq DESC LIMIT ?1",
            month.name,
            RowKind::Admin as u8
        );
        let mut query = conn.prepare(&sql).map_err(trouble)?;
        let left = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
        let mut rows = query.query([left]).map_err(trouble)?;
        while let Some(row) = rows.next().map_err(trouble)? {
            found.push(read_row(row)?);
        }
        if found.len() >= limit {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// What [`read_row`] reads, in its order.
const COLUMNS: &str =
    "seq, at, kind, conversation, conversation_seq, conversation_prev, prev, link, digest, salt, head, body";

fn read_row(row: &rusqlite::Row<'_>) -> Result<Row, Trouble> {
    let number = |at| row.get::<_, i64>(at).map(|n| n as u64).map_err(trouble);
    let bytes32 = |at| row.get::<_, [u8; 32]>(at).map_err(|_| damaged("a link or digest of the journal"));
    let body: Option<Vec<u8>> = row.get(11).map_err(trouble)?;
    let kind: u8 = row.get(2).map_err(trouble)?;
    Ok(Row {
        seq: Seq(number(0)?),
        at: Timestamp(number(1)?),
        kind: RowKind::from_code(kind).ok_or_else(|| damaged("a row's kind"))?,
        conversation: number(3)?,
        conversation_seq: number(4)?,
        conversation_prev: row
            .get::<_, Option<[u8; 32]>>(5)
            .map_err(|_| damaged("a conversation's link"))?
            .unwrap_or_default(),
        prev: bytes32(6)?,
        link: bytes32(7)?,
        body_digest: bytes32(8)?,
        salt: row.get(9).map_err(|_| damaged("a salt"))?,
        head: Bytes::from(row.get::<_, Vec<u8>>(10).map_err(trouble)?),
        body: body.map(Bytes::from),
    })
}
