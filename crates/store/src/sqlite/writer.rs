//! The one writer: takes what has queued as soon as the previous commit is on disk, and commits it in one transaction.

use super::checkpoint::Mover;
use super::fault::{damaged, trouble};
use super::health::diagnose;
use super::intern::{Conversations, Names, Talk};
use super::queue::Work;
use super::schema::{Month, create_month, month_name, months};
use super::tail::encode_run;
use super::{Options, Shared};
use crate::{Done, Draft, RowKind, Sealer, SettledRow, Trouble, Unsealed};
use model::codec::encode_outcome;
use model::{Address, Seq, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How many rows the stream table may lag behind the journal: what a start after a crash has to read again.
const BEHIND: usize = 32_768;

/// Commits of rows begin no closer to each other than this. Where a disk is quicker, each row would get a commit and a
/// switch of threads of its own, which costs more than the row; so a row behind another one waits for company, for a
/// time that nobody notices. On a slower disk this is no wait at all.
const PACE: Duration = Duration::from_millis(1);

/// About how much longer the log gets: with each commit (a few pages that are never full), with each row beside head
/// and body, and when the streams are written. Close enough to know when to move it.
const LOG_OF_COMMIT: usize = 32 << 10;
const LOG_OF_ROW: usize = 240;
const LOG_OF_JOB: usize = 128 << 10;
const LOG_OF_STREAMS: usize = 2 << 20;

pub(super) struct Writer {
    path: PathBuf,
    conn: Connection,
    /// A commit failed over this connection, so the next one is made over a new one.
    doubtful: bool,
    shared: Arc<Shared>,
    sealer: Box<dyn Sealer>,
    mover: Mover,
    options: Options,
    names: Names,
    talks: Conversations,
    /// The last committed row's number and link.
    last: (u64, [u8; 32]),
    month: Option<Month>,
}

/// What a transaction that is not committed yet has come to.
struct Batch {
    last: (u64, [u8; 32]),
    month: Option<Month>,
    new_months: Vec<Month>,
    /// The mailbox of each row, in order.
    mailboxes: Vec<Option<u64>>,
    /// How long the disk took for it.
    synced: Duration,
}

impl Writer {
    /// Reads where the journal stands and rebuilds what is kept in memory from the tail of the journal.
    pub(super) fn recover(
        conn: Connection,
        path: &Path,
        shared: Arc<Shared>,
        mut sealer: Box<dyn Sealer>,
        mover: Mover,
        options: Options,
    ) -> Result<Self, Trouble> {
        super::chain_setting(&conn, sealer.as_mut())?;
        let months = months(&conn).map_err(trouble)?;
        let month = months.last().cloned();
        *shared.months.write() = months;
        let last = (0, sealer.genesis());
        let (names, talks) = (Names::new(), Conversations::new());
        let path = path.to_owned();
        let mut writer =
            Self { path, conn, doubtful: false, shared, sealer, mover, options, names, talks, last, month };
        writer.read_tail()?;
        writer.shared.head.store(writer.last.0, Ordering::Release);
        Ok(writer)
    }

    fn read_tail(&mut self) -> Result<(), Trouble> {
        let months = self.shared.months.read().clone();
        let indexed: i64 = self
            .conn
            .query_row("SELECT value FROM meta WHERE key = 'indexed'", [], |r| r.get(0))
            .optional()
            .map_err(trouble)?
            .unwrap_or(0);
        let mut tail = self.shared.tail.write();
        for (at, month) in months.iter().enumerate() {
            // A month that ends before the tail begins is of interest only if it holds the very last row.
            if months.get(at + 1).is_some_and(|next| next.first as i64 <= indexed + 1) {
                continue;
            }
            let mut query = self
                .conn
                .prepare(&format!(
                    "SELECT seq, mailbox, conversation, conversation_seq, link FROM {}
                     WHERE seq >= ?1 ORDER BY seq",
                    month.name
                ))
                .map_err(trouble)?;
            let mut rows = query.query([indexed]).map_err(trouble)?;
            while let Some(row) = rows.next().map_err(trouble)? {
                let seq = row.get::<_, i64>(0).map_err(trouble)? as u64;
                let link: [u8; 32] = row.get(4).map_err(|_| damaged("a row's link"))?;
                self.last = (seq, link);
                if seq as i64 <= indexed {
                    continue;
                }
                let mailbox: Option<i64> = row.get(1).map_err(trouble)?;
                tail.push(mailbox.map(|id| id as u64), seq);
                let number = row.get::<_, i64>(2).map_err(trouble)? as u64;
                if number != 0 {
                    let counter = row.get::<_, i64>(3).map_err(trouble)? as u64;
                    self.talks.recovered(number, Talk { counter, last: link });
                }
            }
        }
        Ok(())
    }

    /// Works until the store closes.
    pub(super) fn run(mut self) {
        while let Some(work) = self.shared.queue.take() {
            let last = work.last;
            let mut log =
                LOG_OF_COMMIT + work.bytes + work.rows.len() * LOG_OF_ROW + work.jobs.len() * LOG_OF_JOB;
            let (begun, rows) = (Instant::now(), !work.rows.is_empty());
            let ok = self.commit(work);
            if rows && !last {
                std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
            }
            let behind = self.shared.tail.read().rows;
            if behind >= BEHIND {
                // A failure leaves the tail in memory, and the next commit tries again.
                let _ = self.write_behind();
                log += LOG_OF_STREAMS;
            }
            self.mover.wrote(&self.conn, log);
            // Closing while nothing can be written: what is left would fail again and again.
            if last && !ok {
                break;
            }
        }
        let _ = self.write_behind();
        self.mover.stop();
        // Readers may hold the log open; then the next start takes it over.
        let _ = self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    fn commit(&mut self, mut work: Work) -> bool {
        let mut ok = self.run_jobs(std::mem::take(&mut work.jobs));
        if work.rows.is_empty()
            && work.outcomes.is_empty()
            && work.cursors.is_empty()
            && work.leases.is_empty()
            && !work.probe
        {
            return ok;
        }
        let (drafts, dones): (Vec<Draft>, Vec<Done>) = std::mem::take(&mut work.rows).into_iter().unzip();
        let first = self.last.0 + 1;
        let begun = Instant::now();
        match self.transaction(&drafts, &work) {
            Ok(batch) => {
                self.shared.meter.committed(begun.elapsed());
                self.shared.pulse.committed(batch.synced);
                self.adopt(batch, first);
                self.shared.queue.committed(&work.cursors, &work.leases, work.probe);
                for (at, done) in dones.into_iter().enumerate() {
                    call(done, Ok(Seq(first + at as u64)));
                }
            }
            Err(error) => {
                ok = false;
                self.shared.meter.failed();
                self.roll_back();
                let error = self.failed(error, work.outcomes);
                for done in dones {
                    call(done, Err(error.clone()));
                }
            }
        }
        ok
    }

    /// After a failed commit: what it was, for those who hear of it.
    fn failed(&mut self, error: Trouble, outcomes: Vec<SettledRow>) -> Trouble {
        let error = diagnose(&self.path, error);
        // A full disk leaves the connection as it was. After anything else (a failed sync above all) neither the
        // database's nor the system's idea of the file can be relied on.
        self.doubtful |= !matches!(error, Trouble::Full(_) | Trouble::Busy(_));
        self.shared.pulse.failed(&error);
        self.shared.queue.failed(outcomes);
        error
    }

    /// Looks at the file anew after an error of the disk: a new connection must find the last row that was acknowledged.
    ///
    /// What a failed sync left half written lies behind the log's last commit, where the next commit writes over it:
    /// nothing that was not synced is ever taken for synced.
    fn look_anew(&mut self) -> Result<(), Trouble> {
        if !self.doubtful {
            return Ok(());
        }
        let conn = super::connect(&self.path, &self.options)?;
        if let Some(month) = &self.month
            && self.last.0 > 0
        {
            let sql = format!("SELECT link FROM {} WHERE seq = ?1", month.name);
            let link: Option<[u8; 32]> =
                conn.query_row(&sql, [self.last.0 as i64], |r| r.get(0)).optional().map_err(trouble)?;
            if link != Some(self.last.1) {
                return Err(damaged("the journal's last acknowledged row"));
            }
        }
        self.conn = conn;
        self.doubtful = false;
        Ok(())
    }

    /// Rows, then at most one outcomes row, then cursors and leases, then the commit.
    fn transaction(&mut self, drafts: &[Draft], work: &Work) -> Result<Batch, Trouble> {
        self.look_anew()?;
        let outcomes: &[SettledRow] = &work.outcomes;
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(trouble)?;
        let mut batch = Batch {
            last: self.last,
            month: self.month.clone(),
            new_months: Vec::new(),
            mailboxes: Vec::with_capacity(drafts.len() + 1),
            synced: Duration::ZERO,
        };
        self.write_rows(drafts, &mut batch).map_err(trouble)?;
        if !outcomes.is_empty() {
            let nobody = Address::parse("localhost").map_err(|e| Trouble::Failed(e.to_string()))?;
            let mut head = Vec::with_capacity(outcomes.len() * 10);
            for settled in outcomes {
                encode_outcome(&mut head, settled.seq, &settled.outcome, &settled.losses);
            }
            let draft = Draft {
                kind: RowKind::Outcomes,
                at: drafts.last().map_or_else(wall_clock, |d| d.at),
                mailbox: None,
                parties: (nobody.clone(), nobody),
                head,
                body: Vec::new(),
            };
            self.write_rows(std::slice::from_ref(&draft), &mut batch).map_err(trouble)?;
        }
        self.write_cursors(&work.cursors).map_err(trouble)?;
        super::leases::write(&self.conn, &work.leases).map_err(trouble)?;
        if work.probe {
            let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', ?1)";
            self.conn.execute(sql, [wall_clock().0 as i64]).map_err(trouble)?;
        }
        let begun = Instant::now();
        self.conn.execute_batch("COMMIT").map_err(trouble)?;
        if !self.options.slow_disk.is_zero() {
            std::thread::sleep(self.options.slow_disk);
        }
        batch.synced = begun.elapsed();
        Ok(batch)
    }

    fn write_rows(&mut self, drafts: &[Draft], batch: &mut Batch) -> rusqlite::Result<()> {
        let Self { conn, sealer, names, talks, .. } = self;
        let mut insert: Option<CachedStatement<'_>> = None;
        let mut open_month = (0, 0);
        for draft in drafts {
            let (year, month, ..) = draft.at.civil();
            if insert.is_none() || (year, month) > open_month {
                let name = enter_month(conn, draft.at, batch)?;
                open_month = (year, month);
                insert = Some(conn.prepare_cached(&format!(
                    "INSERT INTO {name} (seq, mailbox, at, kind, conversation, conversation_seq, conversation_prev,
                     prev, link, digest, salt, head, body) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)"
                ))?);
            }
            let Some(insert) = insert.as_mut() else { continue };
            let mailbox = draft.mailbox.as_ref().map(|a| names.id(conn, a)).transpose()?;
            let (mut conversation, mut talk) = (0, Talk::default());
            if draft.kind == RowKind::Envelope {
                let (one, other) = (names.id(conn, &draft.parties.0)?, names.id(conn, &draft.parties.1)?);
                conversation = talks.number(conn, one, other)?;
                talk = talks.talk(conn, conversation)?;
                talk.counter += 1;
            }
            let seq = batch.last.0 + 1;
            let seal = sealer.seal(&Unsealed {
                seq: Seq(seq),
                at: draft.at,
                kind: draft.kind,
                conversation,
                conversation_seq: talk.counter,
                conversation_prev: &talk.last,
                prev: &batch.last.1,
                head: &draft.head,
                body: &draft.body,
            });
            let prev_of_talk = (talk.last != [0; 32]).then_some(&talk.last);
            insert.execute(rusqlite::params![
                seq as i64,
                mailbox.map(|id| id as i64),
                draft.at.0 as i64,
                draft.kind as u8,
                conversation as i64,
                talk.counter as i64,
                prev_of_talk,
                &batch.last.1,
                &seal.link,
                &seal.body_digest,
                &seal.salt,
                &draft.head,
                &draft.body,
            ])?;
            if conversation != 0 {
                talks.set(conversation, Talk { counter: talk.counter, last: seal.link });
            }
            batch.last = (seq, seal.link);
            batch.mailboxes.push(mailbox);
        }
        Ok(())
    }

    fn write_cursors(&mut self, cursors: &[(u64, crate::MailboxCursor)]) -> rusqlite::Result<()> {
        let Self { conn, names, .. } = self;
        let mut upsert = conn.prepare_cached(
            "INSERT INTO cursor (account, low, above) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account) DO UPDATE SET low = excluded.low, above = excluded.above",
        )?;
        for (_, cursor) in cursors {
            let above: Vec<u64> = cursor.above.iter().map(|s| s.0).collect();
            let id = names.id(conn, &cursor.account)?;
            upsert.execute((id as i64, cursor.low.0 as i64, encode_run(&above)))?;
        }
        Ok(())
    }

    /// After a commit: memory follows the disk. Readers see rows before any callback hears of them.
    fn adopt(&mut self, batch: Batch, first: u64) {
        self.names.committed();
        self.talks.committed();
        self.last = batch.last;
        self.month = batch.month;
        if !batch.new_months.is_empty() {
            self.shared.months.write().extend(batch.new_months);
        }
        let mut tail = self.shared.tail.write();
        for (at, mailbox) in batch.mailboxes.into_iter().enumerate() {
            tail.push(mailbox, first + at as u64);
        }
        drop(tail);
        self.shared.head.store(self.last.0, Ordering::Release);
    }

    fn roll_back(&mut self) {
        if !self.conn.is_autocommit() {
            // After some errors the database has rolled back by itself; this is for the others.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        self.names.rolled_back();
        self.talks.rolled_back();
    }

    /// Brings the stream table and the conversations' counters up to the journal, in one transaction.
    fn write_behind(&mut self) -> Result<(), Trouble> {
        if self.shared.tail.read().rows == 0 {
            return Ok(());
        }
        match self.try_write_behind() {
            Ok(()) => {
                self.talks.written();
                self.shared.tail.write().clear();
                Ok(())
            }
            Err(error) => {
                if !self.conn.is_autocommit() {
                    let _ = self.conn.execute_batch("ROLLBACK");
                }
                Err(trouble(error))
            }
        }
    }

    fn try_write_behind(&self) -> rusqlite::Result<()> {
        let conn = &self.conn;
        conn.execute_batch("BEGIN IMMEDIATE")?;
        {
            // Only this thread changes the tail, so holding the read lock keeps nobody waiting.
            let tail = self.shared.tail.read();
            let mut insert =
                conn.prepare_cached("INSERT INTO stream (account, last, seqs) VALUES (?1, ?2, ?3)")?;
            for (account, seqs) in tail.sorted() {
                let Some(&last) = seqs.last() else { continue };
                insert.execute((account as i64, last as i64, encode_run(seqs)))?;
            }
        }
        self.talks.write(conn)?;
        conn.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('indexed', ?1)",
            [self.last.0 as i64],
        )?;
        conn.execute_batch("COMMIT")
    }

    /// All waiting jobs in one transaction, each in a savepoint of its own.
    fn run_jobs(&mut self, mut jobs: Vec<Box<dyn super::queue::Job>>) -> bool {
        if jobs.is_empty() {
            return true;
        }
        if let Err(error) = self.look_anew() {
            let error = self.failed(error, Vec::new());
            jobs.into_iter().for_each(|job| job.finish(Err(error.clone())));
            return false;
        }
        let conn = &self.conn;
        let mut ends: Vec<Result<(), Trouble>> = Vec::with_capacity(jobs.len());
        let whole = (|| -> rusqlite::Result<bool> {
            conn.execute_batch("BEGIN IMMEDIATE")?;
            for job in &mut jobs {
                conn.execute_batch("SAVEPOINT job")?;
                let end = job.run(conn);
                if end.is_err() && !conn.is_autocommit() {
                    conn.execute_batch("ROLLBACK TO job")?;
                }
                ends.push(end.map_err(trouble));
                if conn.is_autocommit() {
                    // The database gave up the whole transaction (disk full): nothing before it holds either.
                    return Ok(false);
                }
                conn.execute_batch("RELEASE job")?;
            }
            conn.execute_batch("COMMIT")?;
            Ok(true)
        })();
        let failure = match whole {
            Ok(true) => None,
            Ok(false) => Some(
                ends.iter()
                    .find_map(|e| e.clone().err())
                    .unwrap_or(Trouble::Failed("the transaction was given up".into())),
            ),
            Err(error) => Some(trouble(error)),
        };
        if failure.is_some() && !conn.is_autocommit() {
            let _ = conn.execute_batch("ROLLBACK");
        }
        let failure = failure.map(|error| self.failed(error, Vec::new()));
        for (at, job) in jobs.into_iter().enumerate() {
            let end = match &failure {
                Some(failure) => Err(failure.clone()),
                None => ends.get(at).cloned().unwrap_or(Ok(())),
            };
            job.finish(end);
        }
        failure.is_none()
    }
}

/// The table for a row of this time. Months never go back: a row that is a little late lands in the open month, so
/// each table holds one unbroken run of numbers.
fn enter_month<'a>(conn: &Connection, at: Timestamp, batch: &'a mut Batch) -> rusqlite::Result<&'a str> {
    let name = month_name(at);
    let newer = batch.month.as_ref().is_none_or(|open| (name.len(), &name) > (open.name.len(), &open.name));
    if newer {
        let month = Month { first: batch.last.0 + 1, name };
        create_month(conn, &month.name, month.first)?;
        batch.new_months.push(month.clone());
        batch.month = Some(month);
    }
    Ok(batch.month.as_ref().map_or("", |m| &m.name))
}

fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A callback that panics is its owner's bug; the writer goes on for everybody else.
fn call(done: Done, end: Result<Seq, Trouble>) {
    let _ = catch_unwind(AssertUnwindSafe(move || done(end)));
}
