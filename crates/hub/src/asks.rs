//! What doors ask.

use crate::account::Slot;
use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use crate::presence::silence;
use crate::submit::broken;
use model::{Address, Answer, Ask, Device, Endpoint, Notice, Reason, Refusal};
use ports::Applicant;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::Trouble;

/// Devices one account may have bound at a time.
const DEVICES: usize = 64;

impl Hub {
    /// Answers one ask. Blocks.
    pub(crate) fn answer(self: &Arc<Self>, link: &Arc<LinkCore>, ask: Ask) -> Answer {
        let (guessed, from) = match &ask {
            Ask::Credential { account, from, .. } => (Some(account), *from),
            Ask::Verify { account, .. } => (Some(account), None),
            _ => (None, None),
        };
        if let Some(account) = guessed
            && let Some(ip) = from.or(link.from.get().copied())
            && let Some(seconds) = self.logins.begins(ip, account, self.parts.rules.login_failures())
        {
            let text = format!("too many failed logins from your address; wait {seconds} seconds");
            let refusal = Refusal::new(Reason::Overloaded).with_text(text).by_rule("logins");
            self.counting.refused(&refusal);
            return Answer::Refused(refusal);
        }
        let credentials = &self.parts.credentials;
        let answer = match ask {
            Ask::Credential { account, scheme, .. } => {
                credentials.credential(&account, scheme).map(Answer::Credential).map_err(text)
            }
            Ask::Verify { account, password } => {
                credentials.verify(&account, &password).map(Answer::Verified).map_err(text)
            }
            // Whoever is ready at once is so when they have heard this.
            Ask::Bind { account, device, .. } => self.bind(link, &account, device).map_err(told),
            Ask::Roster { device } => self.roster(link, &device).map_err(told),
            Ask::EditRoster { device, edit } => self.edit_roster(link, &device, edit).map_err(told),
            Ask::Blocked { device } => self.block_list(link, &device).map_err(told),
            Ask::EditBlocked { device, edit } => self.edit_block_list(link, &device, edit).map_err(told),
            Ask::Watches { watcher, presentity } => {
                Ok(Answer::Verified(self.watches_abroad(&watcher, &presentity)))
            }
            Ask::Admit { pair, dialect, opener, certificates, secured } => {
                let applicant = Applicant { pair, dialect, opener, certificates, secured };
                Ok(match self.parts.partners.admit(&applicant) {
                    Ok(admission) => Answer::Admitted(admission),
                    Err(refusal) => Answer::Refused(refusal),
                })
            }
            Ask::Slot(offer) => Ok(match self.uploads.get() {
                Some(uploads) => Answer::Slot(uploads.slot(&offer)),
                None => Answer::Refused(Refusal::new(Reason::Unavailable)),
            }),
            // Answered when the other server has, which takes longer than anybody may wait here.
            Ask::Confirm { .. } => Ok(Answer::Refused(Refusal::new(Reason::Internal))),
            Ask::Inherit { prefix } => {
                Ok(Answer::Left(self.take_over(link, |key, _| key.0.starts_with(prefix.as_str()))))
            }
            Ask::Claim { key, owner } | Ask::Resume { key, owner } => {
                Ok(Answer::Claimed(self.claim(link, &key, &owner)))
            }
        };
        answer.unwrap_or_else(|(trouble, refusal)| {
            tracing::error!(trouble, "an ask failed");
            Answer::Refused(refusal)
        })
    }

    fn bind(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        address: &Address,
        device: Option<Device>,
    ) -> Result<Answer, Trouble> {
        let mailbox = self.mailbox_for(link, address);
        let address = mailbox.as_ref().unwrap_or(address);
        let Some(account) = self.account(address)? else {
            return Ok(Answer::Refused(Refusal::new(Reason::NotFound)));
        };
        let device = match device {
            Some(device) => device,
            None => invent()?,
        };
        let endpoint = Endpoint::full(address.clone(), device.clone());
        let replaced = {
            let state = account.state.lock();
            if state.removed || link.closed.load(Ordering::Acquire) {
                return Ok(Answer::Refused(Refusal::new(Reason::NotFound)));
            }
            let old = state.devices.iter().position(|s| s.device == device);
            let same_link = old.is_some_and(|at| Arc::ptr_eq(&state.devices[at].link, link));
            if same_link {
                None
            } else {
                if old.is_none() && state.devices.len() >= DEVICES {
                    let refusal = Refusal::new(Reason::Overloaded).with_text("too many devices");
                    return Ok(Answer::Refused(refusal));
                }
                old.map(|at| state.devices[at].link.clone())
            }
        };
        if let Some(old) = replaced {
            old.send(HubEvent::Notice(endpoint.clone(), Notice::Replaced));
            self.release(&old, &endpoint);
            // One whose machine has ended cannot hear it, and one that ends before it does must not leave a session:
            // what it had in hand goes to the new one.
            if self.forget_session(&old) {
                self.end_link(&old);
            }
        }
        let mut state = account.state.lock();
        // What a machine asked before it ended must not take a device from the one that came after it.
        if link.closed.load(Ordering::Acquire) {
            return Ok(Answer::Refused(Refusal::new(Reason::Unavailable)));
        }
        if state.slot(link, &endpoint).is_none() {
            if state.devices.is_empty() {
                self.parts.bus.attend(address.as_str(), account.clone());
            }
            state.devices.push(Slot {
                device,
                link: link.clone(),
                attend: None,
                announces: false,
                roster: false,
                blocks: false,
                in_flight: 0,
                directed: Vec::new(),
            });
            link.bound.lock().push(endpoint.clone());
        }
        Ok(Answer::Bound(endpoint))
    }

    /// A device becomes ready for messages, or no longer.
    pub(crate) fn set_attendance(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        endpoint: &Endpoint,
        priority: Option<i8>,
    ) {
        let Some(account) = self.account_at_hand(&endpoint.address) else { return };
        let mut state = account.state.lock();
        let Some(slot) = state.slot(link, endpoint) else { return };
        slot.attend = priority;
        if priority.is_some() {
            state.mailbox.stalled = false;
            self.pass_on_lent(&account, &mut state);
            self.consider_drain(&account, &mut state);
            self.carried(&account, &mut state);
        }
    }

    /// A device goes, by its own word.
    pub(crate) fn unbind(self: &Arc<Self>, link: &Arc<LinkCore>, endpoint: &Endpoint) {
        self.release(link, endpoint);
    }

    /// A machine ended: all its devices go, and what they had not acknowledged goes back.
    pub(crate) fn leave(self: &Arc<Self>, link: &Arc<LinkCore>) {
        self.forget_session(link);
        link.clear();
        self.lines.leave(link);
        let bound = std::mem::take(&mut *link.bound.lock());
        for endpoint in &bound {
            self.release(link, endpoint);
        }
        let flights: Vec<_> = link.flights.lock().1.drain().map(|(_, flight)| flight).collect();
        self.returned(link, &flights);
    }

    fn release(self: &Arc<Self>, link: &Arc<LinkCore>, endpoint: &Endpoint) {
        link.bound.lock().retain(|e| e != endpoint);
        let Some(account) = self.account_at_hand(&endpoint.address) else { return };
        let Some(device) = &endpoint.device else { return };
        self.end_directed(link, &account, endpoint);
        let (gone, watchers) = {
            let mut state = account.state.lock();
            let before = state.devices.len();
            state.devices.retain(|s| &s.device != device || !Arc::ptr_eq(&s.link, link));
            if state.devices.len() == before {
                return;
            }
            if state.devices.is_empty() {
                let ear: Arc<dyn bus::Ear> = account.clone();
                self.parts.bus.leave(endpoint.address.as_str(), &ear);
                // While nobody attends, no ring reaches the mailbox: what comes waits in the store.
                state.mailbox.behind = true;
            }
            silence(&mut state, device)
        };
        if !gone.is_empty() {
            self.record_silence(&account.address, &gone);
            self.fan_out(&account, &watchers, &[], gone);
        }
    }

    /// An account was removed or its password changed: its devices must end.
    pub(crate) fn end_devices(self: &Arc<Self>, account: &Arc<crate::account::Account>, removed: bool) {
        let slots: Vec<_> = {
            let mut state = account.state.lock();
            state.removed |= removed;
            state.devices.iter().map(|s| (s.link.clone(), s.device.clone())).collect()
        };
        for (link, device) in slots {
            link.send(HubEvent::Notice(Endpoint::full(account.address.clone(), device), Notice::Revoked));
        }
    }
}

fn text(error: impl std::fmt::Display) -> (String, Refusal) {
    (error.to_string(), Refusal::new(Reason::Internal))
}

fn told(trouble: Trouble) -> (String, Refusal) {
    (trouble.to_string(), broken(&trouble))
}

/// A device name nobody else has.
fn invent() -> Result<Device, Trouble> {
    let mut random = [0u8; 10];
    getrandom::fill(&mut random).map_err(|e| Trouble::Failed(e.to_string()))?;
    let name: String =
        random.iter().map(|b| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(b & 31)])).collect();
    Device::new(&name).map_err(|e| Trouble::Failed(e.to_string()))
}
