//! Who may see whom by the rules of the house, whatever people have consented to: when the rules change, those who
//! lose sight of somebody hear that they went, and those who may see them again hear how they are.

use super::closed;
use super::compose::compose;
use super::fanout::granted;
use super::watch::tell_one;
use crate::account::Account;
use crate::house::Hub;
use model::{Address, PresenceDoc};
use std::sync::Arc;

impl Hub {
    /// Do the rules let a watcher see a presentity? Everybody may see themselves.
    pub(crate) fn is_unveiled(&self, watcher: &Address, presentity: &Address) -> bool {
        watcher == presentity || self.parts.pipeline.may_see(watcher, presentity)
    }

    /// The rules changed, or what they say of people: every live view is looked at again.
    pub fn rules_changed(self: &Arc<Self>) {
        let hub = self.clone();
        self.blocking(move || hub.accounts_at_hand().iter().for_each(|account| hub.look_again(account)));
    }

    pub(crate) fn look_again(self: &Arc<Self>, account: &Arc<Account>) {
        let _in_order = account.telling.lock();
        let presentity = &account.address;
        let mut turned = Vec::new();
        let doc = {
            let mut state = account.state.lock();
            let doc = compose(presentity, &state.publications);
            for watcher in granted(&state) {
                let sees = self.is_unveiled(&watcher, presentity);
                let changed = match sees {
                    true => state.veiled.remove(&watcher),
                    false => state.veiled.insert(watcher.clone()),
                };
                if !changed {
                    continue;
                }
                for watch in state.watches.iter_mut().filter(|watch| watch.watcher == watcher) {
                    tell_one(watch, sees, presentity, &doc);
                }
                turned.push((watcher, sees));
            }
            doc
        };
        if !doc.is_open() {
            return;
        }
        for (watcher, sees) in turned {
            if sees {
                self.notify_sessions(&watcher, &doc, None, Vec::new());
            } else {
                let nothing = Arc::new(PresenceDoc::empty(presentity.clone()));
                let gone = doc.tuples.iter().map(closed).collect();
                self.notify_sessions(&watcher, &nothing, Some(Vec::new()), gone);
            }
        }
    }
}
