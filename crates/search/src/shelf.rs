//! Where the months are.

use crate::part::{Note, Part};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Another format stands in a directory of another name, and is made from the journal.
const FORMAT: &str = "v1";

/// The directory.
pub(crate) struct Shelf(PathBuf);

impl Shelf {
    pub fn new(dir: &Path) -> Self {
        Self(dir.join(FORMAT))
    }

    /// Opens what is there, oldest first. Where it is not of this chain, or cannot be read, nothing is left of it: the
    /// journal has it all.
    pub fn open(&self, chain: &str, head: u64) -> tantivy::Result<(Vec<Arc<Part>>, Note)> {
        std::fs::create_dir_all(&self.0)?;
        match self.opened(chain, head) {
            Some(found) => Ok(found),
            None => {
                tracing::warn!("the search index is not of this journal, or damaged: it is made anew");
                std::fs::remove_dir_all(&self.0)?;
                std::fs::create_dir_all(&self.0)?;
                Ok((Vec::new(), Note { chain: chain.to_owned(), next: 1 }))
            }
        }
    }

    /// The last row of this chain that it has, if there is an index at all.
    pub fn last(&self, chain: &str) -> Option<u64> {
        let months = std::fs::read_dir(&self.0).ok()?.flatten();
        let parts = months.filter_map(|month| Part::open(&self.0, month.file_name().to_str()?).ok());
        parts
            .filter_map(|part| part.note())
            .filter(|note| note.chain == chain)
            .map(|note| note.next - 1)
            .max()
    }

    fn opened(&self, chain: &str, head: u64) -> Option<(Vec<Arc<Part>>, Note)> {
        let mut months: Vec<String> = std::fs::read_dir(&self.0)
            .ok()?
            .map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect::<Option<_>>()?;
        months.sort();
        let mut last = Note { chain: chain.to_owned(), next: 1 };
        let mut parts = Vec::new();
        for month in months {
            let part = Part::open(&self.0, &month).ok()?;
            // A month without a commit has nothing.
            if let Some(note) = part.note() {
                if note.chain != chain || note.next > head + 1 {
                    return None;
                }
                last.next = last.next.max(note.next);
            }
            parts.push(Arc::new(part));
        }
        Some((parts, last))
    }

    /// A month that is new.
    pub fn add(&self, month: &str) -> tantivy::Result<Arc<Part>> {
        Part::open(&self.0, month).map(Arc::new)
    }

    /// What it takes on disk, in bytes.
    pub fn size(&self) -> u64 {
        let files = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten();
        let months = files(self.0.clone()).flat_map(|month| files(month.path()));
        months.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    }
}
