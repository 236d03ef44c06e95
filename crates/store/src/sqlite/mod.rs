//! SQLite: one file, one writer thread with group commit, readers with connections of their own.
//!
//! The writer commits whatever has queued as soon as the previous commit is on disk, at most 1,000 rows at a time, so
//! one flush of the disk serves everybody who waited. Journal rows go into a table for each month without secondary
//! index; which mailbox a row waits in is written behind, in long runs, and read again from the journal's tail at start.

mod agreed;
mod checkpoint;
mod checkpoints;
mod copy;
mod fault;
mod health;
mod intern;
mod leases;
mod meter;
mod nouns;
mod queue;
mod read;
mod retain;
mod schema;
mod tail;
mod uploads;
mod writer;

pub use read::SqliteReader;
pub use schema::Schema;

use crate::{
    CHAIN_SETTING, Done, Draft, Erase, Health, Journal, MailboxCursor, Row, Sealer, SettledRow, Trouble,
    Waiting,
};
use fault::trouble;
pub use meter::{COMMIT_BOUNDS_US, WriterReport};
use model::{Address, Seq};
use parking_lot::{Mutex, RwLock};
use queue::{Job, Queue};
use read::Pool;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How a SQLite store behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The most rows that wait for the writer; beyond it `append` answers busy.
    pub queue_rows: usize,
    /// The most bytes of heads and bodies that wait for the writer.
    pub queue_bytes: usize,
    /// A ceiling for the size of the file in bytes, so that the journal cannot fill the whole disk.
    pub max_size: Option<u64>,
    /// Added to every commit: rehearses a slow disk.
    pub slow_disk: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue_rows: 65_536, queue_bytes: 64 << 20, max_size: None, slow_disk: Duration::ZERO }
    }
}

/// What writer and readers share.
struct Shared {
    queue: Queue,
    meter: meter::Meter,
    head: AtomicU64,
    tail: RwLock<tail::Tail>,
    months: RwLock<Vec<schema::Month>>,
    pulse: health::Pulse,
}

/// While this is there nobody can open the store it was got for.
#[derive(Debug)]
pub struct Reserved {
    _lock: File,
}

/// The embedded store. Dropping it writes what is queued and closes the file.
pub struct SqliteStore {
    shared: Arc<Shared>,
    pool: Pool,
    writer: Mutex<Option<JoinHandle<()>>>,
    writer_id: std::thread::ThreadId,
    path: PathBuf,
    /// Held while somebody moves pages from the log into the file.
    moving: Arc<Mutex<()>>,
    /// The schema version that the file had before it was opened.
    schema_before: u32,
    /// Held for as long as the store is open.
    _lock: File,
}

impl SqliteStore {
    /// What waits for the writer, and what it has done since the start.
    pub fn writer_report(&self) -> WriterReport {
        let mut report = self.shared.queue.report();
        self.shared.meter.read(&mut report);
        report
    }

    /// Opens the file, or creates it readable by its owner alone, and starts the writer.
    ///
    /// # Errors
    /// [`Trouble::Busy`] when another process has it open; otherwise what the disk or the database said, or that the
    /// sealer does not know the chain.
    pub fn open(path: &Path, sealer: Box<dyn Sealer>, options: Options) -> Result<Self, Trouble> {
        let lock = take_lock(path)?;
        own_file(path)?;
        let conn = connect(path, &options)?;
        let schema_before = schema::migrate(&conn)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(&options),
            meter: meter::Meter::default(),
            head: AtomicU64::new(0),
            tail: RwLock::default(),
            months: RwLock::default(),
            pulse: health::Pulse::default(),
        });
        let mover = checkpoint::Mover::start(path)?;
        let moving = mover.moving();
        let writer = writer::Writer::recover(conn, path, shared.clone(), sealer, mover, options)?;
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run())
            .map_err(|e| Trouble::Failed(e.to_string()))?;
        Ok(Self {
            shared,
            pool: Pool::new(path),
            path: path.to_owned(),
            moving,
            writer_id: thread.thread().id(),
            writer: Mutex::new(Some(thread)),
            schema_before,
            _lock: lock,
        })
    }

    /// The schema versions before and after the file was opened, if opening it brought it up to date.
    pub fn upgraded(&self) -> Option<(u32, u32)> {
        let (before, now) = (self.schema_before, schema::PROGRAM);
        (before != 0 && before != now).then_some((before, now))
    }

    /// Compares the schema of a file with that of this program, and changes nothing.
    ///
    /// # Errors
    /// [`Trouble`] when the file cannot be read, or was written by a newer version.
    pub fn schema(path: &Path) -> Result<Schema, Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        schema::compare(&Connection::open_with_flags(path, flags).map_err(trouble)?)
    }

    /// Keeps everybody from opening this store, whether it exists yet or not.
    ///
    /// # Errors
    /// [`Trouble::Busy`] when another process has it open.
    pub fn reserve(path: &Path) -> Result<Reserved, Trouble> {
        take_lock(path).map(|lock| Reserved { _lock: lock })
    }

    /// Takes a closed file back to an older schema, for an older version of the program. Gives what was taken away,
    /// newest first.
    ///
    /// # Errors
    /// [`Trouble::Busy`] when somebody has it open; [`Trouble::Failed`] when there is no such version.
    pub fn roll_back(path: &Path, to: u32) -> Result<Vec<&'static str>, Trouble> {
        let _lock = take_lock(path)?;
        let conn = connect(path, &Options::default())?;
        schema::roll_back(&conn, to)
    }

    /// Writes what is queued and stops the writer; later writes answer busy. Reading goes on. Called by drop.
    pub fn close(&self) {
        self.shared.queue.close();
        let thread = self.writer.lock().take();
        // The last owner may be a callback, on the writer's own thread, which cannot wait for itself.
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }

    /// Outcomes that were dropped because nothing could be written for too long.
    pub fn lost_outcomes(&self) -> u64 {
        self.shared.queue.lost_outcomes()
    }

    /// Sets or lifts the ceiling of the file's size.
    ///
    /// # Errors
    /// [`Trouble`] when the writer has stopped.
    pub fn set_max_size(&self, bytes: Option<u64>) -> Result<(), Trouble> {
        self.write(move |conn| limit_size(conn, bytes))
    }

    /// Runs a whole act on the writer and waits for its commit.
    fn write<T, F>(&self, act: F) -> Result<T, Trouble>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        if std::thread::current().id() == self.writer_id {
            return Err(Trouble::Busy("a journal callback must not wait for the journal".into()));
        }
        let (answer, wait) = sync_channel(1);
        self.shared.queue.push_job(Box::new(Call { act: Some(act), value: None, answer }))?;
        wait.recv().unwrap_or_else(|_| Err(Trouble::Busy("the writer has stopped".into())))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Journal for SqliteStore {
    fn append(&self, draft: Draft, done: Done) {
        if let Err((done, trouble)) = self.shared.queue.push_row(draft, done) {
            done(Err(trouble));
        }
    }

    fn settle(&self, settled: SettledRow) {
        self.shared.queue.push_outcome(settled);
    }

    fn advance(&self, cursor: MailboxCursor) {
        self.shared.queue.push_cursor(cursor);
    }

    fn waiting(&self, account: &Address, after: Seq, limit: usize) -> Result<Vec<Waiting>, Trouble> {
        let pending = self.shared.queue.pending_cursor(account);
        self.pool.with(|conn| read::waiting(conn, &self.shared, account, pending, after, limit))
    }

    fn pairs_waiting(&self) -> Result<Vec<Address>, Trouble> {
        let mut pairs = self.pool.with(read::pairs)?;
        let mut failed = None;
        pairs.retain(|mailbox| match self.waiting(mailbox, Seq(0), 1) {
            Ok(rows) => !rows.is_empty(),
            Err(trouble) => failed.replace(trouble).is_some(),
        });
        failed.map_or(Ok(pairs), Err)
    }

    fn cursor(&self, account: &Address) -> Result<MailboxCursor, Trouble> {
        match self.shared.queue.pending_cursor(account) {
            Some(cursor) => Ok(cursor),
            None => self.pool.with(|conn| read::cursor(conn, account)),
        }
    }

    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        let months = self.shared.months.read().clone();
        self.pool.with(|conn| read::rows(conn, &months, first, limit))
    }

    fn acts(&self, limit: usize) -> Result<Vec<Row>, Trouble> {
        let months = self.shared.months.read().clone();
        self.pool.with(|conn| read::acts(conn, &months, limit))
    }

    fn head(&self) -> Seq {
        Seq(self.shared.head.load(Ordering::Acquire))
    }

    fn health(&self) -> Health {
        self.shared.pulse.read()
    }
}

impl Erase for SqliteStore {
    fn erase(&self, seq: Seq) -> Result<bool, Trouble> {
        let months = self.shared.months.read().clone();
        let Some(month) = months.into_iter().rev().find(|m| m.first <= seq.0) else { return Ok(false) };
        self.write(move |conn| {
            let sql = format!(
                "UPDATE {} SET body = NULL, salt = NULL WHERE seq = ?1 AND salt IS NOT NULL",
                month.name
            );
            Ok(conn.execute(&sql, [seq.0 as i64])? > 0)
        })
    }
}

/// A job that answers the thread that waits for it.
struct Call<T, F> {
    act: Option<F>,
    value: Option<T>,
    answer: SyncSender<Result<T, Trouble>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if let Some(act) = self.act.take() {
            self.value = Some(act(conn)?);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, end: Result<(), Trouble>) {
        let lost = || Trouble::Failed("the act did not run".into());
        let Self { value, answer, .. } = *self;
        let _ = answer.send(end.and_then(|()| value.ok_or_else(lost)));
    }
}

/// Two writers on one file would each continue the same chain: the lock makes that impossible.
fn take_lock(path: &Path) -> Result<File, Trouble> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = private(&PathBuf::from(name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(Trouble::Busy("another process has the store open".into()))
        }
        Err(std::fs::TryLockError::Error(e)) => Err(os_trouble(&e)),
    }
}

/// Creates the file before the database does, so that it (and the log beside it) is never readable by others.
fn own_file(path: &Path) -> Result<(), Trouble> {
    let file = private(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(|e| os_trouble(&e))?;
    }
    drop(file);
    Ok(())
}

fn private(path: &Path) -> Result<File, Trouble> {
    let mut open = std::fs::OpenOptions::new();
    open.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(path).map_err(|e| os_trouble(&e))
}

fn os_trouble(error: &std::io::Error) -> Trouble {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Trouble::Full(error.to_string()),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Trouble::ReadOnly(error.to_string()),
        _ => Trouble::Failed(error.to_string()),
    }
}

const PAGE: u64 = 8_192;

/// A connection that may write.
fn connect(path: &Path, options: &Options) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(trouble)?;
    prepare(&conn, options)?;
    Ok(conn)
}

fn prepare(conn: &Connection, options: &Options) -> Result<(), Trouble> {
    conn.set_prepared_statement_cache_capacity(64);
    conn.busy_timeout(Duration::from_secs(10)).map_err(trouble)?;
    conn.execute_batch(&format!(
        // FULL: a row is acknowledged only when the disk has it. secure_delete: an erased body is overwritten.
        "PRAGMA page_size = {PAGE};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 134217728;
         PRAGMA cache_size = -65536;
         PRAGMA secure_delete = ON;
         PRAGMA foreign_keys = OFF;"
    ))
    .map_err(trouble)?;
    limit_size(conn, options.max_size).map_err(trouble)
}

fn limit_size(conn: &Connection, bytes: Option<u64>) -> rusqlite::Result<()> {
    let page: i64 = conn.query_row("PRAGMA page_size", [], |r| r.get(0))?;
    let pages = bytes.map_or(i64::from(u32::MAX - 1), |b| (b / page.max(1) as u64).max(1) as i64);
    conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}

/// Lets the sealer continue the chain that is stored, or start one.
fn chain_setting(conn: &Connection, sealer: &mut dyn Sealer) -> Result<(), Trouble> {
    let stored: Option<Vec<u8>> = conn
        .query_row("SELECT value FROM setting WHERE key = ?1", [CHAIN_SETTING], |r| r.get(0))
        .optional()
        .map_err(trouble)?;
    let kept = sealer.attach(stored.as_deref())?;
    if stored.as_deref() != Some(&kept) {
        conn.execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)", (CHAIN_SETTING, &kept))
            .map_err(trouble)?;
    }
    Ok(())
}
