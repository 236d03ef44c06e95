//! The index of one month.

use crate::fields::{Fields, schema};
use crate::words::{NAME, Words};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tantivy::collector::TopDocs;
use tantivy::directory::MmapDirectory;
use tantivy::query::{EnableScoring, Query};
use tantivy::{Index, IndexReader, IndexWriter, Order, ReloadPolicy};

/// Memory of a writer, in bytes, before it writes a segment; tantivy wants 15 MB at least.
const BUDGET: usize = 16 << 20;

/// What a commit says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The journal's chain.
    pub chain: String,
    /// The first row that is not in it.
    pub next: u64,
}

/// One month.
pub(crate) struct Part {
    /// Such as `2026-11`.
    pub month: String,
    pub index: Index,
    pub reader: IndexReader,
    pub fields: Fields,
}

impl Part {
    /// Opens a month, or makes it.
    pub fn open(dir: &Path, month: &str) -> tantivy::Result<Self> {
        let path = dir.join(month);
        std::fs::create_dir_all(&path)?;
        let (schema, fields) = schema();
        let index = Index::open_or_create(MmapDirectory::open(&path)?, schema)?;
        index.tokenizers().register(NAME, Words::default());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { month: month.to_owned(), index, reader, fields })
    }

    /// What its last commit says.
    pub fn note(&self) -> Option<Note> {
        let payload = self.index.load_metas().ok()?.payload?;
        serde_json::from_str(&payload).ok()
    }

    /// Who writes; one at a time.
    pub fn writer(&self) -> tantivy::Result<IndexWriter> {
        self.index.writer_with_num_threads(1, BUDGET)
    }

    /// Numbers of the rows that a question finds, at most `limit`.
    pub fn find(&self, query: &dyn Query, limit: usize, oldest: bool) -> tantivy::Result<Vec<u64>> {
        let order = if oldest { Order::Asc } else { Order::Desc };
        let top = TopDocs::with_limit(limit).order_by_fast_field::<u64>("seq", order);
        let found = self.reader.searcher().search(query, &top)?;
        Ok(found.into_iter().filter_map(|(seq, _)| seq).collect())
    }

    /// The numbers of all rows that a question finds.
    pub fn all(&self, query: &dyn Query, found: &mut Vec<u64>) -> tantivy::Result<()> {
        let searcher = self.reader.searcher();
        let weight = query.weight(EnableScoring::disabled_from_searcher(&searcher))?;
        for segment in searcher.segment_readers() {
            let numbers = segment.fast_fields().u64("seq")?;
            let alive = segment.alive_bitset();
            weight.for_each_no_score(segment, &mut |docs| {
                let alive = docs.iter().filter(|doc| alive.is_none_or(|alive| alive.is_alive(**doc)));
                found.extend(alive.filter_map(|doc| numbers.first(*doc)));
            })?;
        }
        Ok(())
    }

    /// Rows in it.
    pub fn len(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// Writes down what a commit says of itself, and shows it to those who search.
    pub fn commit(&self, writer: &mut IndexWriter, note: &Note) -> tantivy::Result<()> {
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&serde_json::to_string(note).unwrap_or_default());
        commit.commit()?;
        self.reader.reload()
    }

    /// Writes anew what holds deleted documents, so that nothing of them is left.
    pub fn purge(&self, writer: &mut IndexWriter) -> tantivy::Result<()> {
        // The descriptions go at once: files are kept for as long as somebody has one.
        let metas = self.index.searchable_segment_metas()?.into_iter();
        let touched: Vec<_> =
            metas.filter(|meta| meta.num_deleted_docs() > 0).map(|meta| meta.id()).collect();
        if !touched.is_empty() {
            writer.merge(&touched).wait()?;
        }
        self.reader.reload()?;
        writer.garbage_collect_files().wait()?;
        Ok(())
    }
}
