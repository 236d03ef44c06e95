//! The lists that the configuration names, read again when their files change.

use crate::list::{List, hash};
use crate::settings::{Answer, ListSettings};
use model::Address;
use parking_lot::RwLock;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// A list as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListView {
    /// Its name.
    pub name: String,
    /// Entries.
    pub entries: usize,
    /// Lines that say nothing.
    pub skipped: usize,
    /// Why it could not be read when it was last tried; what it said before holds.
    pub trouble: Option<String>,
}

/// A file's time and length: what shows that it has changed.
type Mark = (SystemTime, u64);

struct Loaded {
    settings: ListSettings,
    list: Arc<List>,
    mark: Option<Mark>,
    trouble: Option<String>,
}

/// All lists.
#[derive(Default)]
pub(crate) struct Lists(RwLock<Vec<Loaded>>);

fn mark(file: &Path) -> io::Result<Mark> {
    let meta = file.metadata()?;
    Ok((meta.modified()?, meta.len()))
}

impl Loaded {
    /// Reads it if it is another file than before, or has changed. Long.
    fn fresh(settings: ListSettings, before: Option<&Self>) -> Self {
        let same = before.filter(|before| before.settings.file == settings.file);
        let now = mark(&settings.file);
        if let (Some(same), Ok(now)) = (same, &now)
            && same.mark.as_ref() == Some(now)
        {
            return Self { settings, list: same.list.clone(), mark: same.mark, trouble: None };
        }
        let read = now.and_then(|mark| {
            Ok((List::read(BufReader::with_capacity(256 * 1024, File::open(&settings.file)?))?, mark))
        });
        match read {
            Ok((list, mark)) => {
                tracing::info!(
                    list = settings.name,
                    entries = list.len(),
                    skipped = list.skipped,
                    "read who is listed"
                );
                Self { settings, list: Arc::new(list), mark: Some(mark), trouble: None }
            }
            Err(error) => {
                let trouble = Some(format!("{}: {error}", settings.file.display()));
                // Said once, not at every look.
                if same.is_none_or(|same| same.trouble != trouble) {
                    tracing::error!(list = settings.name, %error, "a list cannot be read; what it said before holds");
                }
                let list = same.map(|same| same.list.clone()).unwrap_or_default();
                Self { settings, list, mark: None, trouble }
            }
        }
    }
}

impl Lists {
    /// These lists from now on.
    pub fn set(&self, settings: &[ListSettings]) {
        // Nobody who is judged waits for a file.
        let new = {
            let before = self.0.read();
            let before = |name: &str| before.iter().find(|list| list.settings.name == name);
            settings.iter().map(|s| Loaded::fresh(s.clone(), before(&s.name))).collect()
        };
        *self.0.write() = new;
    }

    /// The first list that has somebody, or their domain, and what it is for.
    pub fn find(&self, who: &Address) -> Option<(String, Answer)> {
        let lists = self.0.read();
        if lists.is_empty() {
            return None;
        }
        let (who, domain) = (hash(who.as_str()), hash(who.domain()));
        let found = lists.iter().find(|loaded| loaded.list.has(&who, &domain))?;
        Some((found.settings.name.clone(), found.settings.answer))
    }

    pub fn view(&self) -> Vec<ListView> {
        let view = |l: &Loaded| ListView {
            name: l.settings.name.clone(),
            entries: l.list.len(),
            skipped: l.list.skipped,
            trouble: l.trouble.clone(),
        };
        self.0.read().iter().map(view).collect()
    }
}
