//! What waits for the writer.

use super::Options;
use crate::{Done, Draft, Lease, MailboxCursor, SettledRow, Trouble};
use model::{Address, LeaseKey};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The most rows in one commit.
pub(super) const MAX_ROWS: usize = 1_000;
/// The most bytes in one commit, so that large bodies do not make one transaction of hundreds of megabytes.
const MAX_BYTES: usize = 16 << 20;
/// The most outcomes in one outcomes row.
const MAX_OUTCOMES: usize = 4_096;
/// Outcomes kept while nothing can be written; beyond it the newest are dropped and counted.
const KEPT_OUTCOMES: usize = 1 << 20;
/// So many outcomes go with the next rows at once; fewer wait until they are due, so that a trickle of messages does
/// not get an outcomes row for each of them.
const ENOUGH: usize = 512;
/// How long outcomes and cursors wait for company.
const COMPANY: Duration = Duration::from_millis(50);
/// How long they wait after a commit failed.
const RETRY: Duration = Duration::from_secs(1);

/// A whole act on other tables than the journal, run on the writer's thread.
pub(super) trait Job: Send {
    /// Runs inside a savepoint.
    fn run(&mut self, conn: &Connection) -> rusqlite::Result<()>;
    /// Hears how it ended, after the commit.
    fn finish(self: Box<Self>, end: Result<(), Trouble>);
}

/// The latest word on a lease, with a stamp that tells it from a later one; `None` ends it.
pub(super) type LeaseWord = (u64, LeaseKey, Option<Lease>);

/// What goes into one commit.
#[derive(Default)]
pub(super) struct Work {
    pub(super) jobs: Vec<Box<dyn Job>>,
    pub(super) rows: Vec<(Draft, Done)>,
    /// Bytes of their heads and bodies.
    pub(super) bytes: usize,
    pub(super) outcomes: Vec<SettledRow>,
    pub(super) cursors: Vec<(u64, MailboxCursor)>,
    pub(super) leases: Vec<LeaseWord>,
    /// True while the last commit failed: something must be written, to find out whether that is possible again.
    pub(super) probe: bool,
    /// True once the store is closing and no row is queued behind this.
    pub(super) last: bool,
}

#[derive(Default)]
struct State {
    jobs: Vec<Box<dyn Job>>,
    rows: VecDeque<(Draft, Done)>,
    bytes: usize,
    outcomes: VecDeque<SettledRow>,
    lost_outcomes: u64,
    /// The latest cursor of each mailbox until its commit succeeded, with a stamp that tells it from a later one.
    cursors: HashMap<Address, (u64, MailboxCursor)>,
    /// The latest word on each lease until its commit succeeded, likewise.
    leases: HashMap<LeaseKey, (u64, Option<Lease>)>,
    stamp: u64,
    /// When outcomes, cursors and leases alone are worth a commit.
    due: Option<Instant>,
    /// The last commit failed.
    ill: bool,
    closing: bool,
}

pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    max_rows: usize,
    max_bytes: usize,
}

impl Queue {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            max_rows: options.queue_rows,
            max_bytes: options.queue_bytes,
        }
    }

    /// Queues a row, or hands it back with the reason.
    pub(super) fn push_row(&self, draft: Draft, done: Done) -> Result<(), (Done, Trouble)> {
        let size = draft.head.len() + draft.body.len();
        let mut state = self.state.lock();
        if state.closing {
            return Err((done, Trouble::Busy("the store is closing".into())));
        }
        let full = state.rows.len() >= self.max_rows || state.bytes.saturating_add(size) > self.max_bytes;
        // A row larger than the whole bound is still taken when nothing else waits, else it could never be written.
        if full && !state.rows.is_empty() {
            return Err((done, Trouble::Busy("the journal's queue is full".into())));
        }
        state.bytes += size;
        state.rows.push_back((draft, done));
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    pub(super) fn push_outcome(&self, settled: SettledRow) {
        let mut state = self.state.lock();
        if state.outcomes.len() >= KEPT_OUTCOMES {
            state.lost_outcomes += 1;
            return;
        }
        state.outcomes.push_back(settled);
        self.quiet_work(state);
    }

    pub(super) fn push_cursor(&self, cursor: MailboxCursor) {
        let mut state = self.state.lock();
        state.stamp += 1;
        let stamp = state.stamp;
        state.cursors.insert(cursor.account.clone(), (stamp, cursor));
        self.quiet_work(state);
    }

    pub(super) fn push_lease(&self, key: LeaseKey, lease: Option<Lease>) {
        let mut state = self.state.lock();
        state.stamp += 1;
        let stamp = state.stamp;
        state.leases.insert(key, (stamp, lease));
        self.quiet_work(state);
    }

    /// Sets the time of the next commit without rows, and wakes the writer to hear of it.
    fn quiet_work(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        if state.due.is_none() {
            state.due = Some(Instant::now() + COMPANY);
            drop(state);
            self.wake.notify_one();
        }
    }

    pub(super) fn push_job(&self, job: Box<dyn Job>) -> Result<(), Trouble> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(Trouble::Busy("the store is closing".into()));
        }
        state.jobs.push(job);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// The mailbox's cursor as far as it is not committed yet.
    pub(super) fn pending_cursor(&self, account: &Address) -> Option<MailboxCursor> {
        self.state.lock().cursors.get(account).map(|(_, cursor)| cursor.clone())
    }

    /// What waits.
    pub(super) fn report(&self) -> super::WriterReport {
        let state = self.state.lock();
        super::WriterReport {
            rows: state.rows.len() as u64,
            bytes: state.bytes as u64,
            outcomes: state.outcomes.len() as u64,
            lost_outcomes: state.lost_outcomes,
            cursors: state.cursors.len() as u64,
            ..super::WriterReport::default()
        }
    }

    /// Waits for work. `None` once the store is closing and nothing is left.
    pub(super) fn take(&self) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if !state.rows.is_empty() || !state.jobs.is_empty() {
                break;
            }
            let quiet = !state.outcomes.is_empty()
                || !state.cursors.is_empty()
                || !state.leases.is_empty()
                || state.ill;
            match state.due.filter(|_| quiet) {
                _ if state.closing && quiet => break,
                _ if state.closing => return None,
                Some(due) if due <= Instant::now() => break,
                Some(due) => drop(self.wake.wait_until(&mut state, due)),
                None => self.wake.wait(&mut state),
            }
        }
        let mut work = Work { jobs: std::mem::take(&mut state.jobs), ..Work::default() };
        let mut bytes = 0;
        while work.rows.len() < MAX_ROWS && (bytes < MAX_BYTES || work.rows.is_empty()) {
            let Some((draft, done)) = state.rows.pop_front() else { break };
            bytes += draft.head.len() + draft.body.len();
            work.rows.push((draft, done));
        }
        work.bytes = bytes;
        state.bytes = state.bytes.saturating_sub(bytes);
        let due = state.due.is_some_and(|due| due <= Instant::now());
        if due || state.closing || state.outcomes.len() >= ENOUGH {
            let count = state.outcomes.len().min(MAX_OUTCOMES);
            work.outcomes = state.outcomes.drain(..count).collect();
            work.cursors = state.cursors.values().cloned().collect();
            state.due = (!state.outcomes.is_empty()).then(Instant::now);
        }
        // Leases are few and somebody may rely on them: they go with every commit there is.
        work.leases =
            state.leases.iter().map(|(key, (at, lease))| (*at, key.clone(), lease.clone())).collect();
        if state.outcomes.is_empty() && state.cursors.is_empty() {
            // Nothing waits for company any more; whatever comes next sets its own time.
            state.due = None;
        }
        work.probe = state.ill;
        work.last = state.closing && state.rows.is_empty();
        Some(work)
    }

    /// After a commit: these cursors and leases are on disk. What moved on meanwhile stays queued.
    pub(super) fn committed(&self, cursors: &[(u64, MailboxCursor)], leases: &[LeaseWord], probed: bool) {
        if cursors.is_empty() && leases.is_empty() && !probed {
            return;
        }
        let mut state = self.state.lock();
        state.ill = false;
        for (stamp, cursor) in cursors {
            if state.cursors.get(&cursor.account).is_some_and(|(now, _)| now == stamp) {
                state.cursors.remove(&cursor.account);
            }
        }
        for (stamp, key, _) in leases {
            if state.leases.get(key).is_some_and(|(now, _)| now == stamp) {
                state.leases.remove(key);
            }
        }
    }

    /// What of the leases is not committed yet.
    pub(super) fn pending_leases(&self) -> HashMap<LeaseKey, Option<Lease>> {
        self.state.lock().leases.iter().map(|(key, (_, lease))| (key.clone(), lease.clone())).collect()
    }

    /// An account is gone, with what it had queued.
    pub(super) fn drop_leases_of(&self, owner: &Address) {
        self.state.lock().leases.retain(|_, (_, lease)| lease.as_ref().is_none_or(|l| l.owner != *owner));
    }

    /// After a failed commit: outcomes and cursors go into a later one, which is tried in a while even if nothing waits.
    pub(super) fn failed(&self, outcomes: Vec<SettledRow>) {
        let mut state = self.state.lock();
        for settled in outcomes.into_iter().rev() {
            state.outcomes.push_front(settled);
        }
        state.ill = true;
        state.due = Some(Instant::now() + RETRY);
    }

    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.wake.notify_one();
    }

    pub(super) fn lost_outcomes(&self) -> u64 {
        self.state.lock().lost_outcomes
    }
}
