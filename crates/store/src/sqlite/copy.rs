//! A copy of a store, also while a server writes it.

use super::fault::trouble;
use super::{SqliteReader, os_trouble, own_file};
use crate::Trouble;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::File;
use std::path::Path;

/// Pages copied between two reports.
const STEP: std::ffi::c_int = 256;

impl SqliteReader {
    /// Copies the store as it is at this moment, whatever is written meanwhile, into a new file that only its owner can
    /// read. When this returns, the copy is on the disk. `progress` hears how many pages of how many are done.
    ///
    /// # Errors
    /// [`Trouble`] when this cannot be read, or the copy exists or cannot be written.
    pub fn copy_to(&self, to: &Path, mut progress: impl FnMut(u64, u64)) -> Result<(), Trouble> {
        if to.exists() {
            return Err(Trouble::Failed(format!("{} exists", to.display())));
        }
        own_file(to)?;
        self.pool.with(|from| {
            // One transaction around all steps: each of them sees the same moment, so none begins anew.
            from.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").map_err(trouble)?;
            let copied = copy(from, to, &mut progress);
            from.execute_batch("ROLLBACK").map_err(trouble)?;
            copied
        })?;
        let synced = |path: &Path| File::open(path).and_then(|f| f.sync_all()).map_err(|e| os_trouble(&e));
        synced(to)?;
        to.parent().map_or(Ok(()), synced)
    }
}

fn copy(from: &Connection, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Trouble> {
    let mut copy = Connection::open(to).map_err(trouble)?;
    let backup = Backup::new(from, &mut copy).map_err(trouble)?;
    loop {
        let step = backup.step(STEP).map_err(trouble)?;
        let pages = backup.progress();
        let total = u64::try_from(pages.pagecount).unwrap_or(0);
        progress(total.saturating_sub(u64::try_from(pages.remaining).unwrap_or(0)), total);
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ => return Err(Trouble::Busy("the store is locked".into())),
        }
    }
    drop(backup);
    // A copy is one file: without a log beside it.
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(trouble)
}
