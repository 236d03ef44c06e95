//! How far a stream between two servers has come, and what the hub was asked on the way.

use model::{Address, DomainPair};

use crate::jid;

/// How far the stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// A stream header is expected.
    Opening,
    /// The header was there.
    Open,
    /// TLS was asked for and is not up yet.
    Securing,
    /// The end was said.
    Over,
}

/// Who waits for an answer of the hub.
#[derive(Debug)]
pub(super) enum Asked {
    /// May the domains of the stream header be served?
    Header(DomainPair),
    /// May those of a dialback, and with which key?
    Dialback(DomainPair, String),
    /// Did they really say it?
    Confirm(DomainPair),
    /// A mailbox to carry for.
    Bind(DomainPair),
    /// Does what was proved still hold?
    Again(DomainPair),
}

/// A domain as it stands in an attribute.
pub(super) fn domain(text: &str) -> Option<Address> {
    Address::new("", &jid::domain(text).ok()?).ok()
}
