//! Presence: who told what of themselves, who may see it, and who is told.

mod abroad;
mod compose;
mod consent;
mod fanout;
mod publish;
mod recorded;
mod veil;
mod watch;
mod watched;

pub(crate) use abroad::Abroad;
pub(crate) use compose::compose;
pub(crate) use consent::Act;
pub(crate) use fanout::granted;
pub(crate) use publish::silence;
pub(crate) use recorded::Recorded;
pub(crate) use watched::Watched;

use crate::link::LinkCore;
use model::{Address, Basic, Device, Endpoint, Envelope, EnvelopeId, Event, LeaseKey, Origin, Tuple};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// What one device or application said of its user.
pub(crate) struct Publication {
    pub key: LeaseKey,
    /// Set where it lives as long as the device stays bound.
    pub device: Option<Device>,
    pub tuples: Vec<Tuple>,
    /// Unix milliseconds at which it lapses by itself.
    pub until: Option<u64>,
}

/// A leased view of an account's presence (RFC 6665 subscription).
pub(crate) struct Watch {
    pub key: LeaseKey,
    pub watcher: Address,
    /// The machine that holds the lease now.
    pub link: Weak<LinkCore>,
    pub until: u64,
    /// Something was to be told while no machine held the lease.
    pub owed: bool,
}

impl Watch {
    /// Is it none of this machine's business any more? What a machine says late, because it has ended or because its phone
    /// goes on with another one, must not end the watch that the other holds.
    pub fn is_anothers(&self, link: &Arc<LinkCore>) -> bool {
        let held = || self.link.upgrade().is_some_and(|holder| !holder.closed.load(Ordering::Acquire));
        !std::ptr::eq(self.link.as_ptr(), Arc::as_ptr(link))
            && (link.closed.load(Ordering::Acquire) || held())
    }
}

/// The last word of a device that went away: closed, with nothing else left of it.
pub(crate) fn closed(tuple: &Tuple) -> Tuple {
    Tuple::plain(tuple.device.clone(), Basic::Closed, crate::clock::wall())
}

/// An envelope the hub itself makes.
pub(crate) fn from_hub(from: impl Into<Endpoint>, to: impl Into<Endpoint>, event: Event) -> Arc<Envelope> {
    let at = crate::clock::wall();
    let mut random = [0u8; 16];
    // Without randomness the id is merely guessable, and still unique per millisecond in practice.
    let _ = getrandom::fill(&mut random);
    Arc::new(Envelope {
        id: EnvelopeId::v7(at.unix_ms(), u128::from_be_bytes(random)),
        at,
        origin: Origin::server(),
        from: from.into(),
        to: to.into(),
        hops: model::MAX_HOPS,
        event,
    })
}
