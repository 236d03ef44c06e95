//! The lists that the configuration names, read again when their files change.

use crate::follow::{Followed, Nodes};
use crate::list::{List, hash};
use crate::settings::{Answer, ListSettings, ListSource, Node};
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
    said: Said,
}

enum Said {
    File { list: Arc<List>, mark: Option<Mark>, trouble: Option<String> },
    Node(Arc<Followed>),
}

/// All lists.
#[derive(Default)]
pub(crate) struct Lists {
    loaded: RwLock<Vec<Loaded>>,
    pub nodes: Nodes,
}

fn mark(file: &Path) -> io::Result<Mark> {
    let meta = file.metadata()?;
    Ok((meta.modified()?, meta.len()))
}

impl Loaded {
    /// Reads it if it is another file than before, or has changed. Long.
    fn fresh(settings: ListSettings, before: Option<&Self>, nodes: &Nodes) -> Self {
        let said = match &settings.source {
            ListSource::Node(node) => Said::Node(nodes.of(node)),
            ListSource::File(file) => {
                let same = before.filter(|before| before.settings.source == settings.source);
                let same = same.and_then(|before| match &before.said {
                    Said::File { list, mark, trouble } => Some((list, mark, trouble)),
                    Said::Node(_) => None,
                });
                read(&settings.name, file, same)
            }
        };
        Self { settings, said }
    }

    fn has(&self, who: &[u8; 32], domain: &[u8; 32]) -> bool {
        match &self.said {
            Said::File { list, .. } => list.has(who, domain),
            Said::Node(node) => node.list.read().has(who, domain),
        }
    }

    fn view(&self) -> ListView {
        let name = self.settings.name.clone();
        match &self.said {
            Said::File { list, trouble, .. } => {
                ListView { name, entries: list.len(), skipped: list.skipped, trouble: trouble.clone() }
            }
            Said::Node(node) => {
                let (list, trouble) = (node.list.read(), node.trouble.lock().clone());
                ListView { name, entries: list.len(), skipped: list.skipped, trouble }
            }
        }
    }
}

/// A file, if it has changed since it was read.
fn read(name: &str, file: &Path, same: Option<(&Arc<List>, &Option<Mark>, &Option<String>)>) -> Said {
    let now = mark(file);
    if let (Some((list, mark, _)), Ok(now)) = (same, &now)
        && mark.as_ref() == Some(now)
    {
        return Said::File { list: list.clone(), mark: *mark, trouble: None };
    }
    let read =
        now.and_then(|mark| Ok((List::read(BufReader::with_capacity(256 * 1024, File::open(file)?))?, mark)));
    match read {
        Ok((list, mark)) => {
            tracing::info!(list = name, entries = list.len(), skipped = list.skipped, "read who is listed");
            Said::File { list: Arc::new(list), mark: Some(mark), trouble: None }
        }
        Err(error) => {
            let trouble = Some(format!("{}: {error}", file.display()));
            // Said once, not at every look.
            if same.is_none_or(|(_, _, before)| *before != trouble) {
                tracing::error!(list = name, %error, "a list cannot be read; what it said before holds");
            }
            let list = same.map(|(list, ..)| list.clone()).unwrap_or_default();
            Said::File { list, mark: None, trouble }
        }
    }
}

impl Lists {
    /// These lists from now on. Tells which nodes are not followed any more.
    pub fn set(&self, settings: &[ListSettings]) -> Vec<Node> {
        // Nobody who is judged waits for a file.
        let new = {
            let before = self.loaded.read();
            let before = |name: &str| before.iter().find(|list| list.settings.name == name);
            settings.iter().map(|s| Loaded::fresh(s.clone(), before(&s.name), &self.nodes)).collect()
        };
        *self.loaded.write() = new;
        let nodes = settings.iter().filter_map(|list| match &list.source {
            ListSource::Node(node) => Some(node),
            ListSource::File(_) => None,
        });
        self.nodes.keep_only(&nodes.collect::<Vec<_>>())
    }

    /// The first list that has somebody, or their domain, and what it is for.
    pub fn find(&self, who: &Address) -> Option<(String, Answer)> {
        let lists = self.loaded.read();
        if lists.is_empty() {
            return None;
        }
        let (who, domain) = (hash(who.as_str()), hash(who.domain()));
        let found = lists.iter().find(|loaded| loaded.has(&who, &domain))?;
        Some((found.settings.name.clone(), found.settings.answer))
    }

    /// Does somebody publish a list that is followed?
    pub fn publishes(&self, who: &Address) -> bool {
        let of =
            |list: &Loaded| matches!(&list.settings.source, ListSource::Node(node) if node.service == *who);
        self.loaded.read().iter().any(of)
    }

    pub fn view(&self) -> Vec<ListView> {
        self.loaded.read().iter().map(Loaded::view).collect()
    }
}
