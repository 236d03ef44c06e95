//! The counters of stream management, XEP-0198 section 4: what the peer sent that is done, and what we sent that it has not
//! acknowledged.

use std::collections::VecDeque;

use model::{DeliveryId, EnvelopeId, Settlement};

/// How a session may be resumed.
#[derive(Debug)]
pub(crate) struct Resumption {
    /// What the client calls it: `id`, later `previd`.
    pub(super) id: String,
    /// How long it waits.
    pub(super) secs: u32,
}

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
