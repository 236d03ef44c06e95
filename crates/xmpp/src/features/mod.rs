//! Features of the server: one file for each specification, one line in the table.

pub(crate) mod acks;
mod bind;
pub(crate) mod blocking;
pub(crate) mod carbons;
pub(crate) mod delayed;
pub(crate) mod disco;
mod ping;
mod remains;
pub(crate) mod resumption;
pub(crate) mod roster;
mod session;
pub(crate) mod stream_management;
mod upload;

use crate::machine::{C2s, Reply, Request};
use crate::translate::refusal::StanzaError;
use crate::wire::{Stanza, Writer};

/// Takes an element that is no stanza. False: not one of this feature's.
pub(crate) type TakeNonza = fn(&mut C2s, &Stanza<'_>) -> bool;

/// What a specification adds to a client stream.
pub(crate) struct Feature {
    /// Names announced by service discovery (XEP-0030) for the server and for accounts.
    pub vars: &'static [&'static str],
    /// What it adds to what service discovery says of the server, where that depends on the configuration.
    pub about: Option<fn(&C2s, &mut Writer)>,
    /// Its stream feature, once authenticated.
    pub advertise: Option<fn(&C2s, &mut Writer)>,
    /// The requests it answers.
    pub iqs: &'static [Handler],
    /// The elements besides stanzas it understands, by namespace.
    pub nonzas: Option<(&'static str, TakeNonza)>,
}

impl Feature {
    /// Nothing; fill in the rest.
    pub const NONE: Feature = Feature { vars: &[], about: None, advertise: None, iqs: &[], nonzas: None };
}

/// Answers one kind of request.
pub(crate) struct Handler {
    pub name: &'static str,
    pub ns: &'static str,
    pub answer: fn(&mut C2s, &Request<'_, '_>) -> Reply,
    /// Allowed before a resource is bound.
    pub early: bool,
}

/// Every feature, in the order of its announcement.
const FEATURES: &[Feature] = &[
    bind::FEATURE,
    session::FEATURE,
    stream_management::FEATURE,
    disco::FEATURE,
    ping::FEATURE,
    roster::FEATURE,
    blocking::FEATURE,
    carbons::FEATURE,
    delayed::FEATURE,
    upload::FEATURE,
];

/// Appends the stream features of an authenticated stream.
pub(crate) fn advertise(c2s: &C2s, w: &mut Writer) {
    FEATURES.iter().filter_map(|f| f.advertise).for_each(|advertise| advertise(c2s, w));
}

/// What service discovery announces.
pub(crate) fn vars() -> impl Iterator<Item = &'static str> {
    FEATURES.iter().flat_map(|f| f.vars).copied()
}

/// Appends what service discovery says of the server besides.
pub(crate) fn about(c2s: &C2s, w: &mut Writer) {
    FEATURES.iter().filter_map(|f| f.about).for_each(|about| about(c2s, w));
}

/// Gives an element that is no stanza to the feature that understands it.
pub(crate) fn nonza(c2s: &mut C2s, stanza: &Stanza<'_>) -> bool {
    let ns = stanza.ns();
    let found = FEATURES.iter().filter_map(|f| f.nonzas).find(|(of, _)| of.as_bytes() == ns);
    found.is_some_and(|(_, take)| take(c2s, stanza))
}

/// Answers a request, or says that nobody can (RFC 6120 section 8.4).
pub(crate) fn iq(c2s: &mut C2s, request: &Request<'_, '_>) -> Reply {
    let handler = FEATURES.iter().flat_map(|f| f.iqs).find(|h| request.payload.is(h.name, h.ns));
    match handler {
        Some(handler) if handler.early || c2s.bound.is_some() => (handler.answer)(c2s, request),
        Some(_) => Reply::Error(StanzaError::NOT_ALLOWED),
        None => Reply::Error(StanzaError::SERVICE_UNAVAILABLE),
    }
}
