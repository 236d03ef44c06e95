//! What consent there is, written from RFC 6121 section 3 and appendix A, not from the hub.

use std::collections::{BTreeMap, BTreeSet};

pub const PEOPLE: usize = 3;

/// What one person may do; towards whom, where it matters.
#[derive(Debug, Clone, Copy)]
pub enum Deed {
    Publish {
        open: bool,
    },
    Ask(usize),
    Leave(usize),
    Grant(usize),
    Deny(usize),
    Probe(usize),
    Lease(usize),
    Unlease(usize),
    Look(usize),
    Claim(usize),
    Remove(usize),
    /// The connection ends and another begins.
    Reconnect,
    /// The connection is cut and another goes on with what it had.
    Resume,
    /// Another connection goes on with what the first still has.
    Take,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Agreed {
    Asked,
    Beforehand,
    Yes,
}

/// Who agreed to be seen by whom: (presentity, watcher).
#[derive(Default, Debug)]
pub struct Model {
    agreed: BTreeMap<(usize, usize), Agreed>,
    leases: BTreeSet<(usize, usize)>,
}

impl Model {
    pub fn may(&self, shown: usize, watcher: usize) -> bool {
        shown == watcher || self.agreed.get(&(shown, watcher)) == Some(&Agreed::Yes)
    }

    pub fn apply(&mut self, who: usize, deed: Deed) {
        match deed {
            Deed::Ask(whom) => self.ask(whom, who),
            Deed::Leave(whom) => self.leave(whom, who),
            Deed::Grant(whom) => self.grant(who, whom),
            Deed::Deny(whom) => self.end(who, whom),
            Deed::Lease(whom) if self.leases.insert((whom, who)) && whom != who => {
                if !self.may(whom, who) {
                    self.ask(whom, who);
                }
                // A dialect that leases has no verb to answer: asking to see is letting oneself be seen.
                self.grant(who, whom);
            }
            Deed::Unlease(whom) => {
                self.leases.remove(&(whom, who));
            }
            _ => {}
        }
    }

    /// A contact left the list: both consents end (RFC 6121 section 2.5.2).
    pub fn removed(&mut self, who: usize, whom: usize) {
        self.leave(whom, who);
        self.end(who, whom);
    }

    fn ask(&mut self, shown: usize, watcher: usize) {
        let now = self.agreed.get(&(shown, watcher)).copied();
        let then = if matches!(now, None | Some(Agreed::Asked)) { Agreed::Asked } else { Agreed::Yes };
        self.agreed.insert((shown, watcher), then);
    }

    fn grant(&mut self, shown: usize, watcher: usize) {
        let now = self.agreed.entry((shown, watcher)).or_insert(Agreed::Beforehand);
        if *now == Agreed::Asked {
            *now = Agreed::Yes;
        }
    }

    fn leave(&mut self, shown: usize, watcher: usize) {
        if self.agreed.get(&(shown, watcher)) != Some(&Agreed::Beforehand) {
            self.end(shown, watcher);
        }
    }

    fn end(&mut self, shown: usize, watcher: usize) {
        if self.agreed.remove(&(shown, watcher)).is_some() {
            self.leases.remove(&(shown, watcher));
        }
    }
}
