//! The index of a running server.

use crate::ask::ends;
use crate::fields::Fields;
use crate::shared::{Anew, Shared};
use crate::shelf::Shelf;
use crate::worker::Worker;
use crate::{Ask, Contents, SearchError};
use model::Seq;
use parking_lot::{Condvar, Mutex, RwLock};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Journal;
use tantivy::query::Query;

/// Most rows of one page.
const PAGE: usize = 1_000;

/// Rows that are asked about at a time.
const ABOUT: usize = 4_096;

/// How often whoever waits looks whether there is trouble.
const LOOK: Duration = Duration::from_millis(200);

/// A page of rows that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Their numbers, in the order that was asked for.
    pub rows: Vec<Seq>,
    /// Is there more? Then the last of these is the next page's cursor.
    pub more: bool,
}

/// Where the index stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last row that can be found.
    pub indexed: Seq,
    /// The journal's last row.
    pub head: Seq,
    /// Rows that can be found.
    pub rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Why it does not go on; it tries again by itself.
    pub trouble: Option<String>,
}

/// The index. Dropping it stops the thread that writes it.
pub struct Index {
    shared: Arc<Shared>,
    shelf: Arc<Shelf>,
    journal: Arc<dyn Journal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Index {
    /// Opens the index of a journal, or makes it, and goes on where it ended. `chain` names the journal's chain; `contents`
    /// reads uploaded files.
    ///
    /// # Errors
    /// [`SearchError::Failed`] when the directory cannot be used.
    pub fn open(
        dir: &Path,
        journal: Arc<dyn Journal>,
        contents: Arc<dyn Contents>,
        chain: &str,
    ) -> Result<Self, SearchError> {
        let shelf = Arc::new(Shelf::new(dir));
        let head = journal.head().0;
        let (parts, note) = shelf.open(chain, head)?;
        tracing::info!(indexed = note.next - 1, head, "the search index goes on");
        let shared = Arc::new(Shared {
            parts: RwLock::new(parts),
            indexed: AtomicU64::new(note.next - 1),
            trouble: Mutex::default(),
            orders: Mutex::default(),
            bell: Condvar::new(),
        });
        let worker = Worker::new((journal.clone(), contents), shelf.clone(), shared.clone(), note);
        let thread = std::thread::Builder::new().name("index".into()).spawn(move || worker.run());
        let thread = thread.map_err(|e| SearchError::Failed(e.to_string()))?;
        Ok(Self { shared, shelf, journal, thread: Mutex::new(Some(thread)) })
    }

    /// The last row that an index in this directory has of this chain; `None` where there is none. Changes nothing.
    pub fn last(dir: &Path, chain: &str) -> Option<Seq> {
        Shelf::new(dir).last(chain).map(Seq)
    }

    /// Finds rows, at most `limit`. Blocks.
    ///
    /// # Errors
    /// [`SearchError`]
    pub fn find(&self, ask: &Ask, limit: usize) -> Result<Found, SearchError> {
        let limit = limit.clamp(1, PAGE);
        let mut parts = self.shared.parts.read().clone();
        if !ask.oldest {
            parts.reverse();
        }
        let mut rows = Vec::new();
        for part in &parts {
            let query = ask.query(&part.fields)?;
            rows.extend(part.find(&*query, limit + 1 - rows.len(), ask.oldest)?);
            if rows.len() > limit {
                break;
            }
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Found { rows: rows.into_iter().map(Seq).collect(), more })
    }

    /// Finds all rows, in order: eight bytes of memory for each. Blocks.
    ///
    /// # Errors
    /// [`SearchError`]
    pub fn every(&self, ask: &Ask) -> Result<Vec<Seq>, SearchError> {
        self.gather(|fields| Ok(ask.query(fields)?))
    }

    /// The outcomes rows that say how any of these rows ended. Blocks.
    ///
    /// # Errors
    /// [`SearchError`]
    pub fn ends(&self, rows: &[Seq]) -> Result<Vec<Seq>, SearchError> {
        let mut all = Vec::new();
        for rows in rows.chunks(ABOUT) {
            all.extend(self.gather(|fields| Ok(ends(fields, rows)))?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn gather(
        &self,
        query: impl Fn(&Fields) -> Result<Box<dyn Query>, SearchError>,
    ) -> Result<Vec<Seq>, SearchError> {
        let mut found = Vec::new();
        let parts = self.shared.parts.read().clone();
        for part in &parts {
            part.all(&*query(&part.fields)?, &mut found)?;
        }
        found.sort_unstable();
        Ok(found.into_iter().map(Seq).collect())
    }

    /// Forgets the words of those of these rows whose content is no longer in the journal, and waits until nothing of them is
    /// left, or the index is in trouble or stops. Was it done? If not, a process that goes on does it when it is well again, and
    /// one that ends does not. Runs are first and last, ascending. Blocks.
    #[must_use]
    pub fn content_gone(&self, runs: &[(u64, u64)]) -> bool {
        runs.is_empty() || self.read_again(Anew::Rows(runs.to_vec()), true)
    }

    /// The content of an uploaded file, by its name here, is there now, or is gone; for that it waits, and says whether it was
    /// done, as above. Blocks.
    pub fn file_changed(&self, id: &str, there: bool) -> bool {
        self.read_again(Anew::File(id.to_owned(), there), !there)
    }

    fn read_again(&self, anew: Anew, wait: bool) -> bool {
        let mut orders = self.shared.orders.lock();
        orders.anew.push(anew);
        let mine = orders.done + orders.anew.len() as u64;
        self.shared.bell.notify_all();
        while wait && orders.done < mine && !orders.stop && self.shared.trouble.lock().is_none() {
            self.shared.bell.wait_for(&mut orders, LOOK);
        }
        orders.done >= mine
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        Standing {
            indexed: Seq(self.shared.indexed.load(Ordering::Acquire)),
            head: self.journal.head(),
            rows: self.shared.parts.read().iter().map(|part| part.len()).sum(),
            bytes: self.shelf.size(),
            trouble: self.shared.trouble.lock().clone(),
        }
    }

    /// Writes what was read and stops. Called by drop.
    pub fn close(&self) {
        self.shared.orders.lock().stop = true;
        self.shared.bell.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.close();
    }
}
