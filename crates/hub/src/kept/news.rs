//! What waits for a session besides the rows of its mailbox, which wait by themselves unless another device has taken them.

use super::paper::News;
use crate::link::HubEvent;
use model::{Address, Delivery, DeliveryId, Device, Event, Notice, Notify, Outcome, Settlement, Tuple};
use std::collections::BTreeMap;

/// All of it. `None` where the session has ended, or what it has to hear can be told only by a machine of this process.
pub(super) fn of(events: Vec<HubEvent>, waits: impl Fn(DeliveryId) -> bool) -> Option<Vec<News>> {
    let mut news = Vec::new();
    let mut seen: BTreeMap<Address, BTreeMap<Option<Device>, Tuple>> = BTreeMap::new();
    for event in events {
        match event {
            HubEvent::Deliver(delivery) if waits(delivery.id) => {}
            HubEvent::Deliver(delivery) => match &delivery.envelope.event {
                Event::Notify(Notify { doc, gone, .. }) => {
                    let words = seen.entry(doc.presentity.clone()).or_default();
                    let last = doc.tuples.iter().chain(gone);
                    words.extend(last.map(|tuple| (tuple.device.clone(), tuple.clone())));
                }
                Event::Message(_)
                | Event::Receipt(_)
                | Event::Subscribe(_)
                | Event::Authorize(_)
                | Event::Publish(_) => {
                    let Delivery { role, delayed_since, envelope, .. } = delivery;
                    news.push(News::Told { role, since: delayed_since, envelope });
                }
                // True for the moment only, or asked by somebody who is gone by then.
                Event::Composing(_) | Event::Opaque(_) | Event::Call(_) => {}
            },
            HubEvent::Notice(_, Notice::Roster(item)) => news.push(News::Listed(item.contact)),
            HubEvent::Notice(_, Notice::RosterRemoved(contact)) => news.push(News::Listed(contact)),
            HubEvent::Notice(_, Notice::Blocked(who)) => news.push(News::Blocked(who)),
            HubEvent::Notice(_, Notice::Unblocked(who)) => news.push(News::Unblocked(who)),
            HubEvent::Notice(_, Notice::Replaced | Notice::Taken | Notice::Revoked)
            | HubEvent::Settled(_, Settlement { outcome: Outcome::Refused(_), .. })
            | HubEvent::Resumed(..)
            | HubEvent::Overrun => return None,
            // About what the machine that ended had begun; what it left says whether that matters.
            HubEvent::Line(_) | HubEvent::Kept(_) | HubEvent::Settled(..) | HubEvent::Answer(..) => {}
        }
    }
    news.extend(seen.into_iter().map(|(who, words)| News::Seen(who, words.into_values().collect())));
    Some(news)
}
