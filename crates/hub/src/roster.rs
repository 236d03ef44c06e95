//! Contact lists: what the owner wrote, and the subscription that follows from consents.

use crate::account::{Account, State};
use crate::book::Row;
use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use crate::presence::Act;
use model::{
    Address, Answer, Authorize, Decision, Endpoint, Event, Notice, Reason, Refusal, RosterEdit, RosterItem,
    Subscription, Term,
};
use std::sync::Arc;
use store::{Consent, RosterEntry, Trouble};

/// Contacts one account may have.
pub(crate) const CONTACTS: usize = 10_000;

/// The item for one contact, if there is anything to show of it. A request not yet answered is no item of the
/// one who is asked (RFC 6121 section 3.1.3).
pub(crate) fn item(state: &State, contact: &Address) -> Option<RosterItem> {
    item_of(state.book.row(contact)?)
}

/// The same, for whom the account has to do with.
pub(crate) fn item_of(row: &Row) -> Option<RosterItem> {
    let subscription = Subscription {
        to: row.watching == Some(Consent::Granted),
        asked: row.watching == Some(Consent::Pending),
        from: row.watcher == Some(Consent::Granted),
    };
    let entry = row.entry.as_ref();
    if entry.is_none() && subscription == Subscription::default() {
        return None;
    }
    Some(RosterItem {
        contact: row.who.clone(),
        name: entry.and_then(|e| e.name.as_ref()).map(ToString::to_string),
        groups: entry.map(|e| e.groups.to_vec()).unwrap_or_default(),
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
        Ok(Answer::Roster(state.book.rows().iter().filter_map(item_of).collect()))
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
            if !state.book.lists(&entry.contact) && state.book.listed() >= CONTACTS {
                let refusal = Refusal::new(Reason::Overloaded).with_text("too many contacts");
                return Ok(Answer::Refused(refusal));
            }
        }
        self.parts.rosters.put(&account.address, &entry)?;
        let contact = entry.contact.clone();
        account.state.lock().book.list(entry);
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
        account.state.lock().book.unlist(contact);
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
        let watched = account.state.lock().book.watching(contact).is_some();
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
