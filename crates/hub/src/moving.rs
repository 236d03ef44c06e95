//! Contact lists that come from another server, or go to one.

use crate::house::Hub;
use crate::roster::{CONTACTS, item_of};
use model::{Address, RosterItem, Subscription};
use std::sync::Arc;
use store::{Authorization, Consent, RosterEntry, Trouble};

/// A contact, as it moves.
#[derive(Clone)]
pub struct MovedContact {
    /// How the owner has it.
    pub item: RosterItem,
    /// They may see the owner's presence as soon as they ask.
    pub approved: bool,
}

/// A contact list, as it moves.
#[derive(Clone, Default)]
pub struct MovedList {
    /// The contacts.
    pub contacts: Vec<MovedContact>,
    /// Who asked to see the owner's presence and got no answer yet, with their words.
    pub asked: Vec<(Address, Option<String>)>,
}

impl Hub {
    /// All that an account has for contacts; `None` if there is no such account. Blocks.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn contact_list(self: &Arc<Self>, owner: &Address) -> Result<Option<MovedList>, Trouble> {
        let Some(account) = self.account(owner)? else { return Ok(None) };
        let state = account.state.lock();
        let mut list = MovedList::default();
        for row in state.book.rows() {
            let approved = row.watcher == Some(Consent::PreApproved);
            let bare = || RosterItem {
                contact: row.who.clone(),
                name: None,
                groups: Vec::new(),
                subscription: Subscription::default(),
            };
            if let Some(item) = item_of(row).or_else(|| approved.then(bare)) {
                list.contacts.push(MovedContact { item, approved });
            }
            if row.watcher == Some(Consent::Pending) {
                list.asked.push((row.who.clone(), row.note.as_deref().map(ToOwned::to_owned)));
            }
        }
        Ok(Some(list))
    }

    /// Puts contacts on an account's list, with the consents that go with them; whatever is there already stays as it is. Gives
    /// how many are new. Blocks.
    ///
    /// Between two accounts of ours only the list of the one who is seen counts: nobody's list can say what another allows. Nobody
    /// elsewhere is told, as they know it already.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read or written.
    pub fn adopt_contacts(self: &Arc<Self>, owner: &Address, list: &MovedList) -> Result<usize, Trouble> {
        let Some(account) = self.account(owner)? else { return Ok(0) };
        let mut new = 0;
        for MovedContact { item, approved } in &list.contacts {
            let contact = &item.contact;
            let is_ours = self.hosts(contact.domain());
            let fresh = {
                let state = account.state.lock();
                !state.book.lists(contact) && state.book.listed() < CONTACTS
            };
            if fresh {
                let (name, groups) = (item.name.clone(), item.groups.clone());
                let entry = RosterEntry { contact: contact.clone(), name, groups };
                self.parts.rosters.put(owner, &entry)?;
                account.state.lock().book.list(entry);
                new += 1;
            }
            let Subscription { to, from, asked } = item.subscription;
            let mut moved = false;
            if !is_ours && (to || asked) {
                let consent = if to { Consent::Granted } else { Consent::Pending };
                moved |= self.adopt_consent(contact, owner, consent, None)?;
            }
            // Whoever takes the name of an account that is no more must not find doors open.
            let is_there = !is_ours || self.account(contact)?.is_some();
            if is_there && (from || *approved) {
                let consent = if from { Consent::Granted } else { Consent::PreApproved };
                moved |= self.adopt_consent(owner, contact, consent, None)?;
            }
            if fresh || moved {
                self.push_contact(&account, contact);
            }
        }
        for (who, words) in &list.asked {
            if !self.hosts(who.domain()) || self.account(who)?.is_some() {
                self.adopt_consent(owner, who, Consent::Pending, words.clone())?;
            }
        }
        Ok(new)
    }

    /// `false` where something is there already.
    fn adopt_consent(
        self: &Arc<Self>,
        presentity: &Address,
        watcher: &Address,
        consent: Consent,
        note: Option<String>,
    ) -> Result<bool, Trouble> {
        let (shown, watching) = (self.account(presentity)?, self.account(watcher)?);
        let _alone = self.consenting(presentity, watcher);
        if self.parts.authorizations.get(presentity, watcher)?.is_some() {
            return Ok(false);
        }
        self.parts.authorizations.set(&Authorization {
            presentity: presentity.clone(),
            watcher: watcher.clone(),
            consent,
            note: note.clone(),
        })?;
        if let Some(account) = &shown {
            account.state.lock().book.set_watcher(watcher, Some(consent), note);
        }
        if let Some(account) = &watching {
            account.state.lock().book.set_watching(presentity, Some(consent));
            self.push_contact(account, presentity);
        }
        Ok(true)
    }
}
