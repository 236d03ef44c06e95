//! Contact lists: what the owner wrote, and the subscription that follows from consents.

use crate::account::{Account, State};
use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use crate::presence::Act;
use model::{
    Address, Answer, Authorize, Decision, Endpoint, Event, Notice, Reason, Refusal, RosterEdit, RosterItem,
    Subscription, Term,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{Consent, RosterEntry, Trouble};

/// Contacts one account may have.
pub(crate) const CONTACTS: usize = 10_000;

/// The item for one contact, if there is anything to show of it. A request not yet answered is no item of the
/// one who is asked (RFC 6121 section 3.1.3).
pub(crate) fn item(state: &State, contact: &Address) -> Option<RosterItem> {
    let entry = state.book.entries.get(contact);
    let watching = state.book.watching.get(contact).copied();
    let watched = state.book.watchers.get(contact).map(|(c, _)| *c);
    let subscription = Subscription {
        to: watching == Some(Consent::Granted),
        asked: watching == Some(Consent::Pending),
        from: watched == Some(Consent::Granted),
    };
    if entry.is_none() && subscription == Subscription::default() {
        return None;
    }
    Some(RosterItem {
        contact: contact.clone(),
        name: entry.and_then(|e| e.name.clone()),
        groups: entry.map(|e| e.groups.clone()).unwrap_or_default(),
        subscription,
    })
}

/// How a contact now stands in a list.
pub(crate) fn listed(state: &State, contact: &Address) -> Notice {
    match item(state, contact) {
        Some(item) => Notice::Roster(item),
        None => Notice::RosterRemoved(contact.clone()),
    }
}

impl Hub {
    pub(crate) fn roster(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        device: &Endpoint,
    ) -> Result<Answer, Trouble> {
        let Some(account) = self.account(&device.address)? else {
            return Ok(Answer::Refused(Refusal::new(Reason::NotFound)));
        };
        let mut state = account.state.lock();
        if let Some(slot) = state.slot(link, device) {
            slot.roster = true;
        }
        let book = &state.book;
        let contacts: BTreeSet<&Address> =
            book.entries.keys().chain(book.watching.keys()).chain(book.watchers.keys()).collect();
        Ok(Answer::Roster(contacts.into_iter().filter_map(|c| item(&state, c)).collect()))
    }

    pub(crate) fn edit_roster(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        device: &Endpoint,
        edit: RosterEdit,
    ) -> Result<Answer, Trouble> {
        let Some(account) = self.account(&device.address)? else {
            return Ok(Answer::Refused(Refusal::new(Reason::NotFound)));
        };
        if account.state.lock().slot(link, device).is_none() {
            return Ok(Answer::Refused(Refusal::new(Reason::Forbidden)));
        }
        match edit {
            RosterEdit::Set { contact, name, groups } => {
                self.set_contact(&account, RosterEntry { contact, name, groups })
            }
            RosterEdit::Remove { contact } => self.remove_contact(&account, &contact),
        }
    }

    fn set_contact(self: &Arc<Self>, account: &Arc<Account>, entry: RosterEntry) -> Result<Answer, Trouble> {
        {
            let state = account.state.lock();
            if state.book.entries.len() >= CONTACTS && !state.book.entries.contains_key(&entry.contact) {
                let refusal = Refusal::new(Reason::Overloaded).with_text("too many contacts");
                return Ok(Answer::Refused(refusal));
            }
        }
        self.parts.rosters.put(&account.address, &entry)?;
        let contact = entry.contact.clone();
        account.state.lock().book.entries.insert(contact.clone(), entry);
        self.push_contact(account, &contact);
        Ok(Answer::Done)
    }

    fn remove_contact(
        self: &Arc<Self>,
        account: &Arc<Account>,
        contact: &Address,
    ) -> Result<Answer, Trouble> {
        if item(&account.state.lock(), contact).is_none() {
            return Ok(Answer::Refused(Refusal::new(Reason::NotFound)));
        }
        self.parts.rosters.delete(&account.address, contact)?;
        account.state.lock().book.entries.remove(contact);
        if item(&account.state.lock(), contact).is_none() {
            // Where consent keeps it on the list, the end of consent takes it off.
            self.push_contact(account, contact);
        }
        // Both consents end with the entry (RFC 6121 section 2.5.2).
        let owner = &account.address;
        let leave = crate::presence::from_hub(
            owner.clone(),
            contact.clone(),
            Event::Subscribe(model::Subscribe { term: Term::End, note: None, original: None }),
        );
        let watched = account.state.lock().book.watching.contains_key(contact);
        if watched {
            self.consent(contact, owner, Act::Leave, &leave)?;
            if let Some(other) = self.account(contact)? {
                self.tell_roster_devices(&other, &leave);
            }
        }
        let denied = Event::Authorize(Authorize { decision: Decision::Denied, original: None });
        self.consent(
            owner,
            contact,
            Act::Deny,
            &crate::presence::from_hub(owner.clone(), contact.clone(), denied),
        )?;
        Ok(Answer::Done)
    }

    /// Tells the devices that keep the list how one contact now stands in it.
    pub(crate) fn push_contact(&self, account: &Account, contact: &Address) {
        let state = account.state.lock();
        let notice = listed(&state, contact);
        for slot in state.devices.iter().filter(|s| s.roster) {
            let endpoint = Endpoint::full(account.address.clone(), slot.device.clone());
            slot.link.send(HubEvent::Notice(endpoint, notice.clone()));
        }
    }
}
