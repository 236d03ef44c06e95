//! What the hub can tell of itself, and late bad news.

use crate::house::Hub;
use crate::link::Job;
use crate::presence::from_hub;
use model::{Address, Dialect, Event, Receipt, ReceiptKind, Refusal, Seq, Ticket};
use std::sync::Arc;

/// One bound device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// Its name.
    pub device: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// Ready for messages with this priority.
    pub priority: Option<i8>,
}

/// One account that has devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountReport {
    /// Whose.
    pub account: Address,
    /// Its devices.
    pub devices: Vec<DeviceReport>,
}

impl Hub {
    /// Accounts with devices, by address.
    pub fn online(&self) -> Vec<AccountReport> {
        let mut reports: Vec<AccountReport> = self
            .accounts_at_hand()
            .iter()
            .map(|account| {
                let state = account.state.lock();
                let devices = state
                    .devices
                    .iter()
                    .map(|s| DeviceReport {
                        device: s.device.to_string(),
                        dialect: s.link.dialect,
                        priority: s.attend,
                    })
                    .collect();
                AccountReport { account: account.address.clone(), devices }
            })
            .filter(|r| !r.devices.is_empty() && r.account.user().is_some())
            .collect();
        reports.sort_by(|a, b| a.account.cmp(&b.account));
        reports
    }

    /// A message failed after its sender was told it was accepted: the sender hears it as a receipt.
    pub(crate) fn tell_late(self: &Arc<Self>, seq: Seq, refusal: Refusal) {
        let hub = self.clone();
        self.blocking(move || {
            let rows = match hub.parts.journal.rows(seq, 1) {
                Ok(rows) => rows,
                Err(trouble) => return tracing::error!(%seq, %trouble, "late bad news was not sent"),
            };
            let kept = rows.first().and_then(|r| model::codec::decode(&r.head, r.body.as_deref()).ok());
            let Some(envelope) = kept.map(|k| k.envelope) else { return };
            let Event::Message(message) = &envelope.event else { return };
            let receipt =
                Receipt { of: message.id.clone(), kind: ReceiptKind::Failed(refusal), original: None };
            let news = from_hub(envelope.to.clone(), envelope.from.clone(), Event::Receipt(receipt));
            let envelope = Box::new(Arc::unwrap_or_clone(news));
            hub.enqueue(&hub.own, Job::Submit { ticket: Ticket(0), envelope, outcome_wanted: false });
        });
    }
}
