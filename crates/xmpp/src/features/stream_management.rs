//! Stream management, XEP-0198: acknowledgements both ways. Resumption is not offered.
//!
//! What the client sent counts as handled once it is on record or answered, and everything before it as well.
//! What we sent and the client has not acknowledged is still the mailbox's: nothing is lost when the stream ends.

use std::collections::VecDeque;

use connector::Output;
use model::{DeliveryId, Settlement};

use super::Feature;
use crate::machine::C2s;
use crate::wire::{Condition, SM, STANZA_ERRORS, STREAM_ERRORS, Stanza, Writer};

pub(super) const FEATURE: Feature = Feature {
    advertise: Some(|_, w| {
        w.empty_ns("sm", SM);
    }),
    nonzas: Some((SM, take)),
    ..Feature::NONE
};

/// The counters of one stream.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// The number of the first stanza that counts; `None`: not enabled.
    since: Option<u64>,
    /// Requests of the client we owe an answer, by the number of the stanza that followed them.
    owed: VecDeque<u64>,
    /// What we sent and the client has not acknowledged.
    sent: VecDeque<Option<Box<(DeliveryId, Settlement)>>>,
    /// The client's last `h`.
    acked: u32,
    /// We asked and have no answer yet.
    asked: bool,
    /// How many stanzas left since we last asked.
    unasked: usize,
}

impl Acks {
    /// Does the client acknowledge what it gets?
    pub fn enabled(&self) -> bool {
        self.since.is_some()
    }
}

/// Requests of one client we keep in line; more are answered by the ones before them.
const OWED: usize = 64;

fn take(c2s: &mut C2s, stanza: &Stanza<'_>) -> bool {
    match stanza.name() {
        b"enable" => enable(c2s),
        // Section 5: what we cannot resume, the client binds anew.
        b"resume" => failed(c2s, "item-not-found"),
        b"r" if c2s.acks.enabled() => {
            if c2s.acks.owed.len() < OWED {
                let next = c2s.next_number();
                c2s.acks.owed.push_back(next);
            }
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

fn enable(c2s: &mut C2s) {
    if c2s.bound.is_none() || c2s.acks.enabled() {
        return failed(c2s, "unexpected-request");
    }
    c2s.out.write(b"<enabled xmlns='urn:xmpp:sm:3'/>");
    c2s.acks.since = Some(c2s.next_number());
}

fn failed(c2s: &mut C2s, condition: &'static str) {
    let mut w = Writer::new();
    w.open_ns("failed", SM).empty_ns(condition, STANZA_ERRORS);
    c2s.out.write_vec(w.finish());
}

/// The client has handled `h` stanzas.
fn acknowledged(c2s: &mut C2s, h: u32) {
    let new = h.wrapping_sub(c2s.acks.acked) as usize;
    if new > c2s.acks.sent.len() {
        // Section 4: more than was ever sent.
        let mut w = Writer::new();
        w.open("stream:error").empty_ns("undefined-condition", STREAM_ERRORS);
        w.open_ns("handled-count-too-high", SM).attr("h", &h.to_string());
        let sent = c2s.acks.acked.wrapping_add(c2s.acks.sent.len() as u32);
        w.attr("send-count", &sent.to_string());
        let error = w.finish();
        c2s.out.write(&error);
        c2s.out.write(b"</stream:stream>");
        return c2s.hang_up();
    }
    for delivery in c2s.acks.sent.drain(..new).flatten() {
        let (id, settlement) = *delivery;
        c2s.out.push(Output::Ack(id, settlement));
    }
    c2s.acks.acked = h;
    c2s.acks.asked = false;
    if c2s.acks.unasked > 0 {
        c2s.request_ack();
    }
}

impl C2s {
    /// Remembers a stanza just sent until the client acknowledges it.
    pub(crate) fn acknowledged_later(&mut self, delivery: Option<(DeliveryId, Settlement)>) {
        self.acks.sent.push_back(delivery.map(Box::new));
        self.acks.unasked += 1;
        if !self.acks.asked {
            self.request_ack();
        }
        if self.acks.sent.len() > self.config.unacked {
            // It takes and takes and says nothing. The mailbox keeps what it did not confirm.
            self.fail_with(Condition::ResourceConstraint, Some("Too many stanzas are not acknowledged."));
        }
    }

    /// Asks the client for its count.
    pub(crate) fn request_ack(&mut self) {
        self.out.write(b"<r xmlns='urn:xmpp:sm:3'/>");
        self.acks.asked = true;
        self.acks.unasked = 0;
    }

    /// Answers the client's requests as far as what it sent before them is done.
    pub(crate) fn acknowledge(&mut self) {
        let Some(since) = self.acks.since else { return };
        let done = self.done_before();
        let mut due = false;
        while self.acks.owed.front().is_some_and(|at| *at <= done) {
            self.acks.owed.pop_front();
            due = true;
        }
        if due {
            let h = done.saturating_sub(since) as u32;
            self.out.write(format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>").as_bytes());
        }
    }
}
