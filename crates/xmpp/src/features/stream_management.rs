//! Stream management, XEP-0198: acknowledgements both ways. Resumption is in `resumption`.
//!
//! What the client sent counts as handled once it is on record or answered, and everything before it as well.
//! What we sent and the client has not acknowledged is still the mailbox's: nothing is lost when the stream ends.

use connector::Output;

use super::Feature;
use super::acks::Handed;
use super::resumption::{self, failed};
use crate::machine::C2s;
use crate::wire::{Condition, SM, STREAM_ERRORS, Stanza, Writer};

pub(super) const FEATURE: Feature = Feature {
    advertise: Some(|_, w| {
        w.empty_ns("sm", SM);
    }),
    nonzas: Some((SM, take)),
    ..Feature::NONE
};

/// The end of a stream whose peer counts more than was ever sent.
pub(crate) fn too_high(h: u32, sent: u32) -> Vec<u8> {
    let mut w = Writer::new();
    w.open("stream:error").empty_ns("undefined-condition", STREAM_ERRORS);
    w.open_ns("handled-count-too-high", SM).attr("h", &h.to_string());
    w.attr("send-count", &sent.to_string());
    w.finish()
}

fn take(c2s: &mut C2s, stanza: &Stanza<'_>) -> bool {
    match stanza.name() {
        b"enable" => enable(c2s, stanza),
        b"resume" => resumption::resume(c2s, stanza),
        b"r" if c2s.acks.enabled() => {
            let next = c2s.next_number();
            c2s.acks.owe(next);
            c2s.acknowledge();
        }
        b"a" if c2s.acks.enabled() => match stanza.attr("h").and_then(|h| h.trim().parse().ok()) {
            Some(h) => acknowledged(c2s, h),
            None => c2s.fail(Condition::InvalidXml),
        },
        b"r" | b"a" => failed(c2s, "unexpected-request"),
        _ => return false,
    }
    true
}

fn enable(c2s: &mut C2s, stanza: &Stanza<'_>) {
    if c2s.bound.is_none() || c2s.acks.enabled() {
        return failed(c2s, "unexpected-request");
    }
    resumption::enabled(c2s, stanza);
    let next = c2s.next_number();
    c2s.acks.enable(next);
}

/// The client has handled `h` stanzas.
fn acknowledged(c2s: &mut C2s, h: u32) {
    if !c2s.handled(h) {
        return;
    }
    if c2s.acks.is_unasked() {
        c2s.request_ack();
    }
}

impl C2s {
    /// The client has handled `h` stanzas of ours. False: more than was ever sent, and that was its end.
    pub(super) fn handled(&mut self, h: u32) -> bool {
        match self.acks.confirm(h) {
            Ok(done) => {
                for handed in done {
                    self.out.push(Output::Ack(handed.id, handed.settlement));
                }
                true
            }
            Err(sent) => {
                let error = too_high(h, sent);
                self.out.write(&error);
                self.out.write(b"</stream:stream>");
                self.hang_up();
                false
            }
        }
    }

    /// Remembers a stanza until the client acknowledges it.
    pub(crate) fn acknowledged_later(&mut self, stanza: Box<[u8]>, delivery: Option<Handed>) {
        if self.acks.remember(stanza, delivery) && !self.is_resuming() {
            self.request_ack();
        }
        if self.acks.sent.len() > self.config.unacked + self.acks.allowance {
            // It takes and takes and says nothing. The mailbox keeps what it did not confirm.
            self.fail_with(Condition::ResourceConstraint, Some("Too many stanzas are not acknowledged."));
        }
    }

    /// Asks the client for its count.
    pub(crate) fn request_ack(&mut self) {
        self.out.write(b"<r xmlns='urn:xmpp:sm:3'/>");
        self.acks.ask();
    }

    /// Answers the client's requests as far as what it sent before them is done.
    pub(crate) fn acknowledge(&mut self) {
        if self.is_resuming() {
            return;
        }
        let done = self.done_before();
        if let Some(h) = self.acks.due(done) {
            self.out.write(format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>").as_bytes());
        }
    }
}
