//! Moves pages from the log into the file beside the writer, so that the writer seldom has to stop for it.

use super::fault::trouble;
use crate::Trouble;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// When the log is this long, the writer itself moves what is left of it and begins the log anew. A start after a crash
/// has to read the log, so this bounds that too.
pub(super) const LOG_LIMIT: u64 = 64 << 20;

/// So much is written to the log between two movings.
const STEP: usize = 8 << 20;

pub(super) struct Mover {
    /// Room for one wish: while the mover is busy, further ones are the same wish.
    wish: SyncSender<()>,
    thread: JoinHandle<()>,
    written: usize,
}

impl Mover {
    pub(super) fn start(path: &Path) -> Result<Self, Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).map_err(trouble)?;
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0").map_err(trouble)?;
        let (wish, wishes) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || run(&conn, &wishes))
            .map_err(|e| Trouble::Failed(e.to_string()))?;
        Ok(Self { wish, thread, written: 0 })
    }

    /// The writer committed so many bytes.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= STEP {
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

fn run(conn: &Connection, wishes: &Receiver<()>) {
    while wishes.recv().is_ok() {
        // Passive: waits for nobody and keeps nobody waiting. What fails here, the writer meets and tells.
        let _ = conn.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
    }
}
