//! What the server adds to a message it hands out: delayed delivery (XEP-0203) and its stanza id (XEP-0359).

use model::{Envelope, Event, Timestamp};

use super::Feature;
use crate::machine::C2s;
use crate::wire::{DELAY, STANZA_ID, escape_attr};

pub(super) const FEATURE: Feature = Feature { vars: &[DELAY, STANZA_ID], ..Feature::NONE };

/// The children to add.
pub(crate) fn extra(c2s: &C2s, envelope: &Envelope, delayed_since: Option<Timestamp>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Event::Message(_) = envelope.event {
        out.reserve(128);
        stanza_id(&c2s.bare, envelope, &mut out);
    }
    let kept = matches!(envelope.event, Event::Message(_) | Event::Receipt(_) | Event::Subscribe(_));
    if let (Some(since), true) = (delayed_since, kept) {
        delay(c2s.domain.as_deref().unwrap_or(""), since, &mut out);
    }
    out
}

/// Appends the id that an envelope has with us (XEP-0359).
pub(crate) fn stanza_id(by: &str, envelope: &Envelope, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<stanza-id xmlns='urn:xmpp:sid:0' by='");
    escape_attr(by, out);
    out.extend_from_slice(b"' id='");
    out.extend_from_slice(envelope.id.to_string().as_bytes());
    out.extend_from_slice(b"'/>");
}

/// Appends that it waited, since when, and where (XEP-0203).
pub(crate) fn delay(by: &str, since: Timestamp, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<delay xmlns='urn:xmpp:delay' from='");
    escape_attr(by, out);
    out.extend_from_slice(b"' stamp='");
    out.extend_from_slice(since.to_string().as_bytes());
    out.extend_from_slice(b"'/>");
}
