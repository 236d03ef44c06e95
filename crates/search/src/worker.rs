//! The one who writes: reads the journal from behind.

use crate::ask::{number, range, term};
use crate::document::document;
use crate::part::{Note, Part};
use crate::shared::{Anew, Shared};
use crate::shelf::Shelf;
use crate::{Contents, SearchError};
use model::{Seq, Timestamp};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use store::{Journal, Row};
use tantivy::query::{AllQuery, BooleanQuery, Occur};
use tantivy::{IndexWriter, Term};

/// Rows that are read at once.
const PAGE: usize = 1_000;
/// What was read can be found so much later.
const COMMIT: Duration = Duration::from_secs(1);
/// While there is much to catch up with, it is written down less often.
const MANY: u64 = 100_000;
/// How often the journal's head is looked at while nothing happens.
const LOOK: Duration = Duration::from_millis(200);
/// The lowest priority there is, as nice(2) counts.
const LEAST: i32 = 19;
/// How long it waits after something failed.
const REST: Duration = Duration::from_secs(5);

pub(crate) struct Worker {
    journal: Arc<dyn Journal>,
    contents: Arc<dyn Contents>,
    shelf: Arc<Shelf>,
    shared: Arc<Shared>,
    note: Note,
    open: Option<(Arc<Part>, IndexWriter)>,
    /// Rows that were read and not written down.
    pending: u64,
    committed: Instant,
}

impl Worker {
    pub fn new(
        (journal, contents): (Arc<dyn Journal>, Arc<dyn Contents>),
        shelf: Arc<Shelf>,
        shared: Arc<Shared>,
        note: Note,
    ) -> Self {
        Self { journal, contents, shelf, shared, note, open: None, pending: 0, committed: Instant::now() }
    }

    pub fn run(mut self) {
        // Messages come first: while they take all there is, the index falls behind, and catches up afterwards. On Linux this
        // is of the thread alone and of those that it starts; elsewhere it would be of the server.
        if cfg!(target_os = "linux") {
            let _ = rustix::process::nice(LEAST);
        }
        loop {
            let end = self.turn();
            let wait = match &end {
                Ok(true) => Duration::ZERO,
                Ok(false) => LOOK,
                Err(_) => REST,
            };
            let trouble = end.err().map(|error| error.to_string());
            if let Some(trouble) = &trouble {
                if self.shared.trouble.lock().is_none() {
                    tracing::error!(trouble, "the search index does not go on; it tries again by itself");
                }
                self.back();
            }
            *self.shared.trouble.lock() = trouble;
            let mut orders = self.shared.orders.lock();
            if !wait.is_zero() && !orders.stop && orders.anew.is_empty() {
                self.shared.bell.wait_for(&mut orders, wait);
            }
            if orders.stop {
                break;
            }
        }
        if let Err(error) = self.commit() {
            tracing::warn!(%error, "the search index was not written at the end; the journal has it all");
        }
        // Whoever still waits for an order need not.
        self.shared.bell.notify_all();
    }

    /// One step; `true` if there is more to do at once.
    fn turn(&mut self) -> Result<bool, SearchError> {
        let order = self.shared.orders.lock().anew.first().cloned();
        if let Some(anew) = order {
            self.read_again(&anew)?;
            let mut orders = self.shared.orders.lock();
            orders.anew.remove(0);
            orders.done += 1;
            self.shared.bell.notify_all();
        }
        let more = self.note.next <= self.journal.head().0;
        if more {
            for row in self.journal.rows(Seq(self.note.next), PAGE)? {
                self.put(&row)?;
            }
        }
        let behind = self.journal.head().0.saturating_sub(self.note.next);
        let due = self.committed.elapsed() >= COMMIT && (behind < MANY || self.pending >= MANY);
        if self.pending > 0 && due {
            self.commit()?;
        }
        Ok(more)
    }

    fn put(&mut self, row: &Row) -> Result<(), SearchError> {
        let month = month(row.at);
        // A clock that goes back opens no earlier month again: months follow one another as rows do.
        let later = |open: &(Arc<Part>, IndexWriter)| open.0.month < month;
        if self.open.as_ref().is_none_or(later) {
            self.commit()?;
            self.open = None;
            self.open = Some(self.turn_to(month)?);
        }
        if let Some((part, writer)) = &self.open {
            writer.add_document(document(row, &part.fields, self.contents.as_ref()))?;
        }
        self.note.next = row.seq.0 + 1;
        self.pending += 1;
        Ok(())
    }

    fn turn_to(&self, month: String) -> Result<(Arc<Part>, IndexWriter), SearchError> {
        let mut parts = self.shared.parts.write();
        let part = match parts.last().filter(|last| last.month >= month) {
            Some(last) => last.clone(),
            None => {
                let part = self.shelf.add(&month)?;
                parts.push(part.clone());
                part
            }
        };
        let writer = part.writer()?;
        Ok((part, writer))
    }

    fn commit(&mut self) -> Result<(), SearchError> {
        if let Some((part, writer)) = self.open.as_mut().filter(|_| self.pending > 0) {
            part.commit(writer, &self.note)?;
        }
        self.pending = 0;
        self.committed = Instant::now();
        self.shared.indexed.store(self.note.next - 1, Ordering::Release);
        Ok(())
    }

    /// After a failure: from where the last commit left off.
    fn back(&mut self) {
        self.open = None;
        self.pending = 0;
        let parts = self.shared.parts.read();
        self.note.next = parts.iter().filter_map(|part| part.note()).map(|note| note.next).max().unwrap_or(1);
    }

    /// Takes the words out of rows that have lost their content, and those of a file that has come in.
    fn read_again(&mut self, anew: &Anew) -> Result<(), SearchError> {
        self.commit()?;
        let parts = self.shared.parts.read().clone();
        for part in parts {
            let mine = self.open.take_if(|(open, _)| Arc::ptr_eq(open, &part));
            let bare = self.bare_of(&part, anew)?;
            let mut writer = match mine {
                Some((_, writer)) => writer,
                None if bare.is_empty() => continue,
                None => part.writer()?,
            };
            self.strip(&part, &mut writer, &bare)?;
            if !(bare.is_empty() || matches!(anew, Anew::File(_, true))) {
                part.purge(&mut writer)?;
            }
            if let Some(month) = self.shared.parts.read().last()
                && Arc::ptr_eq(month, &part)
            {
                self.open = Some((part, writer));
            }
        }
        Ok(())
    }

    /// Rows of which the index has another content than there is now.
    fn bare_of(&self, part: &Part, anew: &Anew) -> Result<Vec<u64>, SearchError> {
        let runs = match anew {
            Anew::Rows(runs) => runs,
            Anew::File(id, _) => {
                let named = [term(part.fields.id, id), term(part.fields.kind, "file")];
                let all = named.into_iter().chain([number(part.fields.content, 1)]);
                let query = BooleanQuery::new(all.map(|query| (Occur::Must, query)).collect());
                return Ok(part.find(&query, PAGE, true)?);
            }
        };
        let end = |first| Ok::<_, SearchError>(part.find(&AllQuery, 1, first)?.first().copied());
        let (Some(low), Some(high)) = (end(true)?, end(false)?) else { return Ok(Vec::new()) };
        let mut bare = Vec::new();
        for (first, last) in runs.iter().map(|(first, last)| (*first.max(&low), *last.min(&high))) {
            let mut from = first;
            while from <= last {
                let page = self.having(part, from, last)?;
                let Some(end) = page.last().copied() else { break };
                for seq in page {
                    let row = self.journal.rows(Seq(seq), 1)?.pop();
                    bare.extend(row.filter(|row| row.seq.0 == seq && row.body.is_none()).map(|_| seq));
                }
                from = end + 1;
            }
        }
        Ok(bare)
    }

    fn strip(&self, part: &Part, writer: &mut IndexWriter, bare: &[u64]) -> Result<(), SearchError> {
        for seq in bare {
            let Some(row) = self.journal.rows(Seq(*seq), 1)?.pop() else { continue };
            writer.delete_term(Term::from_field_u64(part.fields.seq, *seq));
            writer.add_document(document(&row, &part.fields, self.contents.as_ref()))?;
        }
        if !bare.is_empty() {
            let note = part.note().unwrap_or_else(|| self.note.clone());
            part.commit(writer, &note)?;
        }
        Ok(())
    }

    /// Rows of which the index has content, in order; a page of them.
    fn having(&self, part: &Part, first: u64, last: u64) -> Result<Vec<u64>, SearchError> {
        // One row is found by its number; a range is looked for among all.
        let rows = match first == last {
            true => number(part.fields.seq, first),
            false => range(part.fields.seq, Some(Bound::Included(first)), Some(Bound::Included(last))),
        };
        let query =
            BooleanQuery::new(vec![(Occur::Must, number(part.fields.content, 1)), (Occur::Must, rows)]);
        Ok(part.find(&query, PAGE, true)?)
    }
}

/// The month of a time, such as `2026-11`.
fn month(at: Timestamp) -> String {
    let (year, month, ..) = at.civil();
    format!("{year:04}-{month:02}")
}
