//! Message carbons, XEP-0280.

use model::Envelope;

use super::{Feature, Handler, delayed};
use crate::machine::{C2s, Reply, Request};
use crate::translate::refusal::StanzaError;
use crate::wire::{Attrs, CARBONS, CLIENT, FORWARD, Writer, unescape, with_attr, with_children};

pub(super) const FEATURE: Feature = Feature {
    vars: &[CARBONS],
    iqs: &[
        Handler { name: "enable", ns: CARBONS, answer: |c2s, r| switch(c2s, r, true), early: false },
        Handler { name: "disable", ns: CARBONS, answer: |c2s, r| switch(c2s, r, false), early: false },
    ],
    ..Feature::NONE
};

/// Does this device want to see what its account's other devices say and hear?
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carbons {
    pub(super) on: bool,
}

fn switch(c2s: &mut C2s, request: &Request<'_, '_>, on: bool) -> Reply {
    if !request.set {
        return Reply::Error(StanzaError::BAD_REQUEST);
    }
    c2s.carbons.on = on;
    Reply::DONE
}

/// The carbon of a message. `None`: this device does not want it, or its sender did not (section 9).
pub(crate) fn wrap(c2s: &C2s, envelope: &Envelope, xml: &[u8]) -> Option<Vec<u8>> {
    if !c2s.carbons.on || !xml.starts_with(b"<message") || contains(xml, CARBONS.as_bytes()) {
        return None;
    }
    let sent = c2s.account.as_ref() == Some(&envelope.from.address);
    let (mut named, mut inner) = (Vec::new(), Vec::new());
    // Inside another element a stanza must say which namespace it is in.
    with_attr(xml, "xmlns", CLIENT, &mut named);
    with_children(&named, &delayed::extra(c2s, envelope, None), &mut inner);
    let mut w = Writer::new();
    w.open("message").attr("from", &c2s.bare).attr("to", &c2s.full);
    w.attr_if("type", Attrs::raw(xml, b"type").map(unescape).as_deref());
    w.open_ns(if sent { "sent" } else { "received" }, CARBONS).open_ns("forwarded", FORWARD).raw(&inner);
    Some(w.finish())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}
