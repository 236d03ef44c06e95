//! The lists that the configuration names, read again when their files change.

use crate::links::Link;
use crate::list::List;
use parking_lot::RwLock;
use ports::Remedy;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What is on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Is unclean.
    Bad(Remedy),
    /// Is clean, whatever else is said of it.
    Good,
}

/// A list, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSettings {
    /// Its name, for rules and people.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
    /// What is on it.
    pub listed: Listed,
}

/// A list as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListView {
    /// Its name.
    pub name: String,
    /// How many hosts and links are on it.
    pub entries: usize,
    /// Lines that say nothing of links.
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

fn read(file: &Path) -> io::Result<(List, Mark)> {
    let mark = mark(file)?;
    Ok((List::read(BufReader::with_capacity(256 * 1024, File::open(file)?))?, mark))
}

impl Loaded {
    /// Reads it if it is another file than before, or has changed. Long.
    fn fresh(settings: ListSettings, before: Option<&Self>) -> Self {
        let same = before.filter(|before| before.settings.file == settings.file);
        if let Some(same) = same
            && same.mark.is_some()
            && mark(&settings.file).ok() == same.mark
        {
            return Self { settings, list: same.list.clone(), mark: same.mark, trouble: None };
        }
        match read(&settings.file) {
            Ok((list, mark)) => {
                tracing::info!(list = settings.name, entries = list.len(), skipped = list.skipped, "read");
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
        // Nobody who looks for links waits for a file.
        let new = {
            let before = self.0.read();
            let before = |name: &str| before.iter().find(|list| list.settings.name == name);
            settings.iter().map(|s| Loaded::fresh(s.clone(), before(&s.name))).collect()
        };
        *self.0.write() = new;
    }

    pub fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    /// Is a list that says it is good among those that have this link?
    pub fn allow(&self, link: &Link) -> bool {
        self.0.read().iter().any(|l| l.settings.listed == Listed::Good && l.list.has(link))
    }

    /// Every list of bad ones that has it.
    pub fn name(&self, link: &Link) -> Vec<(String, Remedy)> {
        let lists = self.0.read();
        let bad = lists.iter().filter_map(|l| match l.settings.listed {
            Listed::Bad(remedy) if l.list.has(link) => Some((l.settings.name.clone(), remedy)),
            _ => None,
        });
        bad.collect()
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
