//! Resumption, XEP-0198 section 5: a client that lost its connection goes on with its session over another one.
//!
//! While nobody has it the session waits in the hub, with its device still bound; what comes for it waits there too. The
//! machine of the new connection gets everything the old one knew, so that nothing is lost, doubled or reordered.

use std::any::Any;

use bytes::Bytes;
use connector::Output;
use model::{Ask, Endpoint, EnvelopeId, LeaseKey, Remains, Ticket};

use super::acks::{Acks, Resumption};
use super::carbons::Carbons;
use crate::machine::{Asked, C2s, Stub, Submissions};
use crate::wire::{SM, STANZA_ERRORS, Stanza, Writer};

/// More events than the hub keeps for a session without connection.
const WAITING: usize = 2_500;

/// All that one machine leaves to the next.
pub(crate) struct Session {
    pub(super) device: Endpoint,
    pub(super) full: String,
    pub(super) lang: Option<Box<str>>,
    pub(super) attending: bool,
    pub(super) submissions: Submissions<Stub, Asked>,
    pub(super) acks: Acks,
    pub(super) carbons: Carbons,
    /// What is delivered again and need not be sent again.
    pub(super) has: Vec<EnvelopeId>,
    /// What it was delivered is delivered again, and under other numbers.
    pub(super) is_of_last_process: bool,
}

impl Session {
    /// What another machine left, or one of the last process.
    fn of(left: Box<dyn Remains>) -> Option<Self> {
        let left: Box<dyn Any> = left;
        match left.downcast::<Self>() {
            Ok(session) => Some(*session),
            Err(left) => Self::parse(&left.downcast::<Bytes>().ok()?),
        }
    }
}

/// Where a stream stands that resumes a session.
#[derive(Debug)]
pub(crate) enum Resuming {
    /// The hub was asked.
    Asked { h: u32 },
    /// The session is here; what the client sent on the old stream is not all on record yet.
    Settling,
}

fn key(id: &str) -> LeaseKey {
    LeaseKey::new(format!("xmpp-session:{id}"))
}

pub(super) fn failed(c2s: &mut C2s, condition: &'static str) {
    let mut w = Writer::new();
    w.open_ns("failed", SM).empty_ns(condition, STANZA_ERRORS);
    c2s.out.write_vec(w.finish());
}

/// Answers `<enable/>`.
pub(super) fn enabled(c2s: &mut C2s, stanza: &Stanza<'_>) {
    let mut w = Writer::new();
    w.open_ns("enabled", SM);
    let wanted = matches!(stanza.attr("resume").as_deref(), Some("true" | "1"));
    let max = stanza.attr("max").and_then(|max| max.trim().parse().ok()).unwrap_or(u32::MAX);
    let secs = c2s.config.resume_secs.min(max);
    if let (true, true, Some(owner)) = (wanted, secs > 0, c2s.account.clone()) {
        // 160 bits: nobody guesses it, and whoever learns it must still be the same account.
        let id = c2s.dice.token(32);
        w.attr("id", &id).attr("resume", "true").attr("max", &secs.to_string());
        c2s.out.push(Output::Resumable { key: key(&id), owner });
        c2s.acks.resumption = Some(Resumption { id, secs });
    }
    c2s.out.write_vec(w.finish());
}

/// `<resume/>`: instead of binding.
pub(super) fn resume(c2s: &mut C2s, stanza: &Stanza<'_>) {
    let h = stanza.attr("h").and_then(|h| h.trim().parse().ok());
    let previd = stanza.attr("previd").map(|id| id.into_owned());
    let (Some(owner), None, None) = (c2s.account.clone(), &c2s.bound, &c2s.resuming) else {
        return failed(c2s, "unexpected-request");
    };
    let (Some(h), Some(previd)) = (h, previd) else { return failed(c2s, "bad-request") };
    let is_ours = previd.len() == 32 && previd.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_ours || c2s.config.resume_secs == 0 {
        return failed(c2s, "item-not-found");
    }
    c2s.park();
    let ask = Ask::Resume { key: key(&previd), owner };
    c2s.resuming = Some(Resuming::Asked { h });
    c2s.ask_to_resume(ask);
}

impl C2s {
    /// Is there a session which the client may not be told of yet?
    pub(crate) fn is_resuming(&self) -> bool {
        matches!(self.resuming, Some(Resuming::Settling))
    }

    /// What the machine that comes next needs, if there may be one. Ends this one.
    pub(crate) fn leave(&mut self, device: &Endpoint) -> Option<Output> {
        let secs = self.acks.resumption.as_ref()?.secs;
        let session = Session {
            device: device.clone(),
            full: std::mem::take(&mut self.full),
            lang: self.lang.take(),
            attending: self.attending,
            submissions: std::mem::take(&mut self.submissions),
            acks: std::mem::take(&mut self.acks),
            carbons: self.carbons,
            has: std::mem::take(&mut self.has),
            is_of_last_process: false,
        };
        Some(Output::Linger { state: Box::new(session), secs })
    }

    /// There is no such session, or not any more: the client binds anew (section 5).
    pub(crate) fn not_resumed(&mut self) {
        self.unpark();
        if self.resuming.take().is_some() {
            failed(self, "item-not-found");
        }
    }

    /// Did the client get this before the server was restarted?
    pub(crate) fn has_already(&mut self, envelope: EnvelopeId) -> bool {
        let at = self.has.iter().position(|has| *has == envelope);
        at.map(|at| self.has.swap_remove(at)).is_some()
    }

    /// How many of the client's stanzas are done (section 4).
    fn handled_of_theirs(&self) -> u32 {
        self.acks.handled(self.done_before())
    }

    /// The session is ours now.
    pub(crate) fn resumed(&mut self, _: Ticket, left: Box<dyn Remains>) {
        let (Some(Resuming::Asked { h }), Some(mut session)) = (self.resuming.take(), Session::of(left))
        else {
            return self.fail(crate::wire::Condition::InternalServerError);
        };
        if session.is_of_last_process {
            session.has.extend(session.acks.go_on(h));
        }
        let Session { device, full, lang, attending, submissions, acks, carbons, has, .. } = session;
        self.session(device);
        (self.full, self.attending) = (full, attending);
        self.lang = self.lang.take().or(lang);
        (self.submissions, self.acks, self.carbons, self.has) = (submissions, acks, carbons, has);
        // Requests of the old stream are not answered on the new one.
        self.acks.owed.clear();
        self.resuming = Some(Resuming::Settling);
        if !self.handled(h) {
            self.resuming = None;
        }
    }

    /// Goes on once all that the client sent on the old stream is done, so that our count covers it.
    pub(crate) fn settle_resumption(&mut self) {
        if !self.is_resuming() || self.done_before() < self.next_number() {
            return;
        }
        self.resuming = None;
        self.unpark();
        let id = self.acks.resumption.as_ref().map(|r| r.id.clone()).unwrap_or_default();
        let h = self.handled_of_theirs();
        let mut w = Writer::new();
        w.open_ns("resumed", SM).attr("previd", &id).attr("h", &h.to_string());
        self.out.write_vec(w.finish());
        for sent in &self.acks.sent {
            self.out.write(&sent.stanza);
        }
        self.acks.asked = false;
        self.acks.allowance = self.acks.sent.len() + WAITING;
        if !self.acks.sent.is_empty() {
            self.request_ack();
        }
    }
}
