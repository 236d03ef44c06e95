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

/// Requests of one peer we keep in line; more are answered by the ones before them.
const OWED: usize = 64;

impl Acks {
    /// Does the peer acknowledge what it gets?
    pub fn enabled(&self) -> bool {
        self.since.is_some()
    }

    /// It does from now on, and what it sends counts from the stanza with this number.
    pub fn enable(&mut self, next: u64) {
        self.since = Some(next);
    }

    /// The peer asks for our count; its next stanza will have this number.
    pub fn owe(&mut self, next: u64) {
        if self.owed.len() < OWED {
            self.owed.push_back(next);
        }
    }

    /// The count that is due, now that everything before the stanza with this number is done.
    pub fn due(&mut self, done: u64) -> Option<u32> {
        self.since?;
        let mut due = false;
        while self.owed.front().is_some_and(|at| *at <= done) {
            self.owed.pop_front();
            due = true;
        }
        due.then(|| self.handled(done))
    }

    /// How many of the peer's stanzas are done, where all before the one with this number are (section 4).
    pub fn handled(&self, done: u64) -> u32 {
        done.saturating_sub(self.since.unwrap_or(0)) as u32
    }

    /// Remembers a stanza until the peer acknowledges it. True: the peer is to be asked for that now.
    pub fn remember(&mut self, stanza: Box<[u8]>, delivery: Option<Handed>) -> bool {
        self.sent.push_back(Sent { stanza, delivery: delivery.map(Box::new) });
        self.unasked += 1;
        !self.asked
    }

    /// The peer was asked.
    pub fn ask(&mut self) {
        self.asked = true;
        self.unasked = 0;
    }

    /// What the peer has not acknowledged.
    pub fn unacked(&self) -> usize {
        self.sent.len()
    }

    /// The peer has handled `h` stanzas of ours: the deliveries that are done.
    ///
    /// # Errors
    /// More than was ever sent (section 4): how many that was.
    pub fn confirm(&mut self, h: u32) -> Result<Vec<Handed>, u32> {
        let new = h.wrapping_sub(self.acked) as usize;
        if new > self.sent.len() {
            return Err(self.acked.wrapping_add(self.sent.len() as u32));
        }
        let done = self.sent.drain(..new).filter_map(|sent| sent.delivery).map(|handed| *handed).collect();
        if self.sent.is_empty() {
            self.allowance = 0;
        }
        self.acked = h;
        self.asked = false;
        Ok(done)
    }

    /// Was anything sent since we last asked, and is not acknowledged all the same?
    pub fn is_unasked(&self) -> bool {
        self.unasked > 0 && !self.sent.is_empty()
    }
}

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
