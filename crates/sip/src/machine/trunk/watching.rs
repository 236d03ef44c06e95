//! Subscriptions of people elsewhere to us: what differs from those of our own phones.

use std::time::Duration;

use model::{Address, DomainPair, LeaseKey, Tick};

use super::prefix;
use crate::machine::subscription::{Watch, name_of};
use crate::machine::{Job, SipMachine};

/// Subscriptions of one watcher to one presentity: each of them costs a NOTIFY for each change (RFC 8048 9).
const PER_PERSON: u32 = 16;
/// How much longer than its term a dialog is known here. The hub says when it is over.
const GRACE: Duration = Duration::from_secs(10);

impl SipMachine {
    /// Under which key a dialog is left. Those over a trunk are found by the pair of domains.
    pub(in crate::machine) fn key_of(&self, job: &Job, tag: &str) -> LeaseKey {
        let name = name_of(&job.request, tag);
        if self.trunk.is_none() {
            return LeaseKey::new(format!("sip-dialog:{name}"));
        }
        let domain = |value| crate::translate::address::from_header(value).map(|e| e.address);
        let prefix = match (domain(&job.request.to), domain(&job.request.from)) {
            (Some(ours), Some(theirs)) => prefix(&DomainPair::between(&ours, &theirs)),
            _ => "sip-trunk:".to_owned(),
        };
        LeaseKey::new(format!("{prefix}w:{name}"))
    }

    /// Has this watcher asked often enough?
    pub(in crate::machine) fn has_enough(&self, watcher: &Address, presentity: &Address) -> bool {
        let Some(trunk) = &self.trunk else { return false };
        let count = trunk.watching.get(&(watcher.clone(), presentity.clone()));
        count.is_some_and(|count| *count >= PER_PERSON)
    }

    /// Keeps a dialog.
    pub(in crate::machine) fn hold_watch(&mut self, key: &LeaseKey, watch: Watch) {
        let people = (watch.account.clone(), watch.presentity.clone());
        let before = self.watches.insert(key.clone(), watch);
        if let (Some(trunk), None) = (&mut self.trunk, before) {
            *trunk.watching.entry(people).or_default() += 1;
        }
    }

    /// A dialog is gone.
    pub(in crate::machine) fn uncount(&mut self, watcher: &Address, presentity: &Address) {
        let people = (watcher.clone(), presentity.clone());
        if let Some(trunk) = &mut self.trunk
            && let Some(count) = trunk.watching.get_mut(&people)
        {
            *count -= 1;
            if *count == 0 {
                trunk.watching.remove(&people);
            }
        }
    }

    /// When a dialog that nobody renewed is let go of: after the hub has said so to whoever has it by then, which may be
    /// another machine, for whose connection or port the phone has left this one.
    pub(in crate::machine) fn watch_due(&self, until: Tick) -> Tick {
        until + GRACE
    }
}
