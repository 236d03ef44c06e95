//! Moves pages from the log into the file beside the writer, so that the writer seldom has to stop for it.

use super::fault::trouble;
use crate::Trouble;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// When the log is this long, the writer itself moves what is left of it and begins the log anew. A start after a crash
/// has to read the log, so this bounds that too.
const LOG_LIMIT: usize = 64 << 20;

/// So much is written to the log between two movings.
const STEP: usize = 8 << 20;

pub(super) struct Mover {
    /// Room for one wish: while the mover is busy, further ones are the same wish.
    wish: SyncSender<()>,
    thread: JoinHandle<()>,
    /// Held while one of the two moves pages: the database lets only one at a time, and refuses the other.
    moving: Arc<Mutex<()>>,
    /// Bytes since the last wish, and about how long the log is.
    written: usize,
    log: usize,
}

impl Mover {
    pub(super) fn start(path: &Path) -> Result<Self, Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).map_err(trouble)?;
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0").map_err(trouble)?;
        let (wish, wishes) = sync_channel(1);
        let moving: Arc<Mutex<()>> = Arc::default();
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn({
                let moving = moving.clone();
                move || run(&conn, &wishes, &moving)
            })
            .map_err(|e| Trouble::Failed(e.to_string()))?;
        Ok(Self { wish, thread, moving, written: 0, log: 0 })
    }

    /// What is held while pages are moved.
    pub(super) fn moving(&self) -> Arc<Mutex<()>> {
        self.moving.clone()
    }

    /// The writer committed so many bytes over this connection.
    pub(super) fn wrote(&mut self, conn: &Connection, bytes: usize) {
        self.written += bytes;
        self.log += bytes;
        if self.log >= LOG_LIMIT {
            // The mover alone never reaches the end of a log that grows meanwhile. This does, as nothing is written
            // while it runs; the next commit then begins the log anew.
            let _alone = self.moving.lock();
            let moved = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |r| {
                Ok(r.get::<_, i64>(1)? == r.get::<_, i64>(2)?)
            });
            if let Err(error) = &moved {
                tracing::warn!(%error, "the write-ahead log cannot be moved into the store, and grows");
            }
            // A reader in the middle of a page keeps the log: try again a little later.
            self.log = if moved.unwrap_or(false) { 0 } else { LOG_LIMIT - STEP };
            self.written = 0;
        } else if self.written >= STEP {
            self.written = 0;
            let _ = self.wish.try_send(());
        }
    }

    /// Waits for the moving under way.
    pub(super) fn stop(self) {
        drop(self.wish);
        let _ = self.thread.join();
    }
}

fn run(conn: &Connection, wishes: &Receiver<()>, moving: &Mutex<()>) {
    while wishes.recv().is_ok() {
        let _alone = moving.lock();
        // Passive: waits for nobody and keeps nobody waiting. What fails here, the writer meets and tells.
        let _ = conn.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
    }
}
