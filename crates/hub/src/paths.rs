//! Two people's rows to another company go over one connection at a time. Where a pair of domains has several, or one ends
//! while another begins, what comes next waits until the rows in hand are answered or have come back: so nothing overtakes.

use crate::link::LinkCore;
use model::Envelope;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Weak};

/// No path: somebody's own devices each get everything.
pub(crate) const NOWHERE: u64 = 0;

/// From whom to whom this goes.
pub(crate) fn path_of(envelope: &Envelope, hasher: &impl BuildHasher) -> u64 {
    hasher.hash_one((&envelope.from.address, &envelope.to.address)).max(NOWHERE + 1)
}

/// Which connection has rows of a path in hand, and how many.
#[derive(Default)]
pub(crate) struct Paths(HashMap<u64, (Weak<LinkCore>, u32)>);

impl Paths {
    /// Nothing but this connection may carry rows of the path now.
    pub fn holder(&self, path: u64) -> Option<&Weak<LinkCore>> {
        self.0.get(&path).map(|(link, _)| link)
    }

    /// A row left.
    pub fn took(&mut self, path: u64, link: &Arc<LinkCore>) {
        self.0.entry(path).or_insert_with(|| (Arc::downgrade(link), 0)).1 += 1;
    }

    /// A row was answered, or came back.
    pub fn landed(&mut self, path: u64) {
        if let Some((_, rows)) = self.0.get_mut(&path) {
            *rows -= 1;
            if *rows == 0 {
                self.0.remove(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Dialect;

    #[test]
    fn a_path_is_held_until_its_last_row_has_landed() {
        let (one, other) = (LinkCore::new(Dialect::Sip), LinkCore::new(Dialect::Sip));
        let mut paths = Paths::default();
        paths.took(5, &one);
        paths.took(5, &one);
        paths.took(6, &other);
        paths.landed(NOWHERE);
        paths.landed(5);
        assert!(paths.holder(5).is_some_and(|link| link.ptr_eq(&Arc::downgrade(&one))));
        assert!(paths.holder(6).is_some_and(|link| link.ptr_eq(&Arc::downgrade(&other))));
        paths.landed(5);
        assert!(paths.holder(5).is_none());
        paths.took(5, &other);
        assert!(paths.holder(5).is_some_and(|link| link.ptr_eq(&Arc::downgrade(&other))));
    }
}
