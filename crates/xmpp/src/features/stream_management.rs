//! Stream management, XEP-0198: acknowledgements both ways. Resumption is in `resumption`.
//!
//! What the client sent counts as handled once it is on record or answered, and everything before it as well.
//! What we sent and the client has not acknowledged is still the mailbox's: nothing is lost when the stream ends.

use std::collections::VecDeque;

use connector::Output;
use model::{DeliveryId, EnvelopeId, Settlement};

use super::Feature;
use super::resumption::{self, Resumption};
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
    pub(super) since: Option<u64>,
    /// Requests of the client we owe an answer, by the number of the stanza that followed them.
    pub(super) owed: VecDeque<u64>,
    /// What we sent and the client has not acknowledged.
    pub(super) sent: VecDeque<Sent>,
    /// The client's last `h`.
    pub(super) acked: u32,
    /// How many more than usual it may leave open: what waited for it comes all at once.
    pub(super) allowance: usize,
    /// How the session may be resumed; `None`: it may not.
    pub(crate) resumption: Option<Resumption>,
    /// We asked and have no answer yet.
    pub(super) asked: bool,
    /// How many stanzas left since we last asked.
    pub(super) unasked: usize,
}

/// A delivery that a stanza carries.
#[derive(Debug)]
pub(crate) struct Handed {
    pub id: DeliveryId,
    pub envelope: EnvelopeId,
    pub settlement: Settlement,
}

/// A stanza that the client may have got.
#[derive(Debug)]
pub(super) struct Sent {
    /// Its bytes, where the session may be resumed; else none.
    pub stanza: Box<[u8]>,
    /// What it acknowledges.
    pub delivery: Option<Box<Handed>>,
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
        b"enable" => enable(c2s, stanza),
        b"resume" => resumption::resume(c2s, stanza),
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

fn enable(c2s: &mut C2s, stanza: &Stanza<'_>) {
    if c2s.bound.is_none() || c2s.acks.enabled() {
        return failed(c2s, "unexpected-request");
    }
    resumption::enabled(c2s, stanza);
    c2s.acks.since = Some(c2s.next_number());
}

pub(super) fn failed(c2s: &mut C2s, condition: &'static str) {
    let mut w = Writer::new();
    w.open_ns("failed", SM).empty_ns(condition, STANZA_ERRORS);
    c2s.out.write_vec(w.finish());
}

/// The client has handled `h` stanzas.
fn acknowledged(c2s: &mut C2s, h: u32) {
    if !c2s.handled(h) {
        return;
    }
    c2s.acks.asked = false;
    if c2s.acks.unasked > 0 {
        c2s.request_ack();
    }
}

impl C2s {
    /// The client has handled `h` stanzas of ours. False: more than was ever sent, and that was its end.
    pub(super) fn handled(&mut self, h: u32) -> bool {
        let new = h.wrapping_sub(self.acks.acked) as usize;
        if new > self.acks.sent.len() {
            // Section 4: more than was ever sent.
            let mut w = Writer::new();
            w.open("stream:error").empty_ns("undefined-condition", STREAM_ERRORS);
            w.open_ns("handled-count-too-high", SM).attr("h", &h.to_string());
            let sent = self.acks.acked.wrapping_add(self.acks.sent.len() as u32);
            w.attr("send-count", &sent.to_string());
            let error = w.finish();
            self.out.write(&error);
            self.out.write(b"</stream:stream>");
            self.hang_up();
            return false;
        }
        for sent in self.acks.sent.drain(..new) {
            if let Some(delivery) = sent.delivery {
                self.out.push(Output::Ack(delivery.id, delivery.settlement));
            }
        }
        if self.acks.sent.is_empty() {
            self.acks.allowance = 0;
        }
        self.acks.acked = h;
        true
    }

    /// Remembers a stanza until the client acknowledges it.
    pub(crate) fn acknowledged_later(&mut self, stanza: Box<[u8]>, delivery: Option<Handed>) {
        self.acks.sent.push_back(Sent { stanza, delivery: delivery.map(Box::new) });
        self.acks.unasked += 1;
        if !self.acks.asked && !self.is_resuming() {
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
        self.acks.asked = true;
        self.acks.unasked = 0;
    }

    /// Answers the client's requests as far as what it sent before them is done.
    pub(crate) fn acknowledge(&mut self) {
        let Some(since) = self.acks.since.filter(|_| !self.is_resuming()) else { return };
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
