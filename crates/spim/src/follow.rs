//! Lists that others keep and tell us of as they change: nodes of publish-subscribe services.

use crate::list::List;
use crate::settings::Node;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// News of a node that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These are all its entries.
    All(Vec<String>),
    /// Some came, and some went.
    Some {
        /// What came.
        came: Vec<String>,
        /// What went.
        went: Vec<String>,
    },
    /// Why nothing is heard of it; what it said before holds.
    Trouble(String),
}

/// A node as it is known.
pub(crate) struct Followed {
    pub list: RwLock<List>,
    pub trouble: Mutex<Option<String>>,
    /// Not yet written down.
    changed: AtomicBool,
}

impl Followed {
    fn new(list: List) -> Arc<Self> {
        let trouble = Mutex::new(Some("nothing has been heard from it yet".to_owned()));
        Arc::new(Self { list: RwLock::new(list), trouble, changed: AtomicBool::new(false) })
    }

    fn apply(&self, change: Change) {
        let trouble = match change {
            Change::Trouble(why) => Some(why),
            Change::All(entries) => {
                let mut list = List::default();
                list.skipped = entries.iter().filter(|entry| !list.add(entry)).count();
                *self.list.write() = list;
                self.changed.store(true, Relaxed);
                None
            }
            Change::Some { came, went } => {
                let mut list = self.list.write();
                went.iter().for_each(|entry| list.remove(entry));
                let skipped = came.iter().filter(|entry| !list.add(entry)).count();
                list.skipped += skipped;
                self.changed.store(true, Relaxed);
                return;
            }
        };
        *self.trouble.lock() = trouble;
    }
}

/// All nodes that are followed, by their names; what was known of others is forgotten.
#[derive(Default)]
pub(crate) struct Nodes(Mutex<BTreeMap<Node, Arc<Followed>>>);

impl Nodes {
    /// What was written down of a node.
    pub fn restore(&self, node: Node, bytes: &[u8]) {
        self.0.lock().insert(node, Followed::new(List::of_bytes(bytes)));
    }

    /// A node, followed from now on.
    pub fn of(&self, node: &Node) -> Arc<Followed> {
        self.0.lock().entry(node.clone()).or_insert_with(|| Followed::new(List::default())).clone()
    }

    pub fn apply(&self, node: &Node, change: Change) {
        let followed = self.0.lock().get(node).cloned();
        if let Some(followed) = followed {
            followed.apply(change);
        }
    }

    /// Forgets all but these, and tells which that were.
    pub fn keep_only(&self, these: &[&Node]) -> Vec<Node> {
        let mut nodes = self.0.lock();
        nodes.extract_if(.., |node, _| !these.contains(&node)).map(|(node, _)| node).collect()
    }

    /// What is to be written down.
    pub fn changed(&self) -> Vec<(Node, Vec<u8>)> {
        let nodes = self.0.lock();
        let changed = nodes.iter().filter(|(_, followed)| followed.changed.swap(false, Relaxed));
        changed.map(|(node, followed)| (node.clone(), followed.list.read().bytes())).collect()
    }

    /// It could not be written down.
    pub fn keep_again(&self, node: &Node) {
        if let Some(followed) = self.0.lock().get(node) {
            followed.changed.store(true, Relaxed);
        }
    }
}
