//! Copies for somebody's other devices: what they send from one and hear on one, all of theirs that hold a session
//! see. Whether a device wants that is its door's to know (XEP-0280 in XMPP); phones of dialects without sessions
//! are never told.

use crate::account::Account;
use crate::drain::UNTRACKED;
use crate::house::Hub;
use crate::link::HubEvent;
use model::{Delivery, Device, Endpoint, Envelope, Event, Role};
use std::sync::Arc;

impl Hub {
    /// Copies a message that is on record to the other devices of both parties.
    pub(crate) fn copy(&self, addressee: &Arc<Account>, envelope: &Arc<Envelope>) {
        // What somebody writes to themselves reaches their devices anyway.
        if !matches!(envelope.event, Event::Message(_)) || envelope.from.address == envelope.to.address {
            return;
        }
        if let Some(sender) = self.account_at_hand(&envelope.from.address) {
            copy_to_others(&sender, envelope.from.device.as_ref(), envelope);
        }
        // A message to the person reaches every willing device by itself; one to a device needs copying.
        if let Some(device) = &envelope.to.device {
            copy_to_others(addressee, Some(device), envelope);
        }
    }
}

fn copy_to_others(account: &Arc<Account>, except: Option<&Device>, envelope: &Arc<Envelope>) {
    let state = account.state.lock();
    if state.devices.len() < 2 || !state.devices.iter().any(|s| Some(&s.device) == except) {
        return;
    }
    for slot in state.devices.iter().filter(|s| s.announces && Some(&s.device) != except) {
        slot.link.send(HubEvent::Deliver(Delivery {
            id: UNTRACKED,
            device: Endpoint::full(account.address.clone(), slot.device.clone()),
            envelope: envelope.clone(),
            role: Role::Copy,
            delayed_since: None,
        }));
    }
}
