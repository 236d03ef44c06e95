//! The caller's half: the server transaction, and everybody who was asked.

use std::collections::BTreeMap;
use std::time::Duration;

use connector::Output;
use model::{
    Address, Call, Device, Dialect, Endpoint, Event, Line, Now, Original, Reason, Refusal, Tick, Ticket,
};

use super::best::{Last, best, challenges, told};
use super::{CANCEL, MAX_CALLS, RINGING, SILENCE};
use crate::machine::im::hops;
use crate::machine::tickets::Draft;
use crate::machine::{Due, Job, Owed, SOFTWARE, SipMachine, Waiting};
use crate::transaction::{Hop, LONG, ServerId};
use crate::translate::{address, refusal};
use crate::wire::{Framed, Onward, Response, Unit, clean, datagram, quote};

/// How long those that were cancelled may take to say so, and more: nobody rings after that.
const LAST_WORDS: Duration = Duration::from_secs(40);

/// How long a transaction is kept without another word: longer than it takes to answer it.
const STAY: Duration = RINGING.saturating_add(LAST_WORDS).saturating_add(LONG);

/// A request that is being passed on.
#[derive(Debug)]
pub(super) struct Caller {
    owed: Owed,
    source: Hop,
    call_id: String,
    cseq: u32,
    invite: bool,
    /// Who was asked; `None` until the hub has said.
    lines: Option<BTreeMap<Line, ()>>,
    /// How those ended who have.
    lasts: Vec<Last>,
    accepted: bool,
    cancelled: bool,
    expired: bool,
    due: Tick,
}

impl SipMachine {
    /// Passes on a request of somebody who proved to be `account`.
    pub(in crate::machine) fn proxy(&mut self, now: Now, job: Job, account: Address) {
        let (tagged, ack) = (job.request.reply.has_to_tag(), job.request.method() == "ACK");
        let own = self.own_route(&job);
        let to = match (&own, tagged) {
            (Some((_, device)), true) => address::from_header(&job.request.to).map(|to| Endpoint {
                address: to.address,
                device: device.as_deref().and_then(|device| Device::new(device).ok()),
            }),
            _ => address::from_uri(&job.request.target()),
        };
        let Some(to) = to.filter(|to| to.address.user().is_some()) else {
            return self.forbid(now, &job, 404, "the address names nobody");
        };
        let from = self.speaker(&job, &account).or_else(|| tagged.then(|| Endpoint::bare(account)));
        let Some(from) = from else {
            return self.forbid(now, &job, 403, "only registered phones make calls; register this one first");
        };
        if !ack && self.calls().callers.len() >= MAX_CALLS {
            return self.refuse(now, &job, 503);
        }
        // Preloaded routes are not followed: where a call goes is for the hub to say.
        let routes = own.filter(|_| tagged).map(|(routes, _)| routes).unwrap_or_default();
        let invite = job.request.method() == "INVITE";
        let record = (invite && !tagged).then(|| self.record_route(job.source, &to.address, &from));
        // What a phone asserts of itself counts for nothing (RFC 3325 5).
        let without: &[&'static str] = match self.trunk.is_some() {
            true => &[],
            false => &["P-Asserted-Identity", "P-Preferred-Identity"],
        };
        let onward = Onward {
            record: record.as_deref(),
            routes: Some(&routes),
            hops: Some(hops(&job)),
            without,
            realms: &self.config.domains,
            ..Onward::default()
        };
        let original = Original { dialect: Dialect::Sip, bytes: job.request.onward(&onward).into() };
        let event = Event::Call(Call { original, opens: !tagged, wants_answer: !ack });
        let hops = hops(&job).max(1);
        if ack {
            return self.submit(now, Draft::new(from, to, event).after(hops), Waiting::Nothing);
        }
        let number = self.number();
        if invite {
            let trying = job.request.reply.answer(100, "").finish(b"");
            self.transactions.provisional(now.tick, job.id, job.back, trying, STAY);
            self.calls().by_invite.insert(job.id, number);
        }
        let due = now.tick + if invite { RINGING } else { LONG };
        self.timers.insert((due, Due::Call(number)));
        let caller = Caller {
            owed: job.receipt(),
            source: job.source,
            call_id: job.request.call_id.clone(),
            cseq: job.request.cseq,
            invite,
            lines: None,
            lasts: Vec::new(),
            accepted: false,
            cancelled: false,
            expired: false,
            due,
        };
        self.calls().callers.insert(number, caller);
        self.submit(now, Draft::new(from, to, event).after(hops), Waiting::Call(number));
    }

    /// The device that speaks. A phone is found again in its call by the device it registered.
    fn speaker(&self, job: &Job, account: &Address) -> Option<Endpoint> {
        if self.trunk.is_some() {
            return address::from_header(&job.request.from);
        }
        let here = || self.bindings.iter().filter(|(e, b)| e.address == *account && b.hop == job.source);
        let contact = job.request.contacts().into_iter().flatten().find_map(|contact| match contact {
            crate::wire::Contact::One(one) => Some(one.uri),
            crate::wire::Contact::All => None,
        });
        let named = here().find(|(_, b)| contact.as_deref() == Some(b.uri.as_str()));
        named.or_else(|| here().next()).map(|(endpoint, _)| endpoint.clone())
    }

    /// In a call the registration is the witness: an ACK cannot be challenged, and not every phone expects it of a BYE. Who
    /// does not know the names of the dialog can do nothing.
    pub(in crate::machine) fn in_call(&mut self, now: Now, job: Job) {
        let from = address::from_header(&job.request.from).map(|from| from.address);
        let known = |account: &Address| {
            self.bindings.iter().any(|(e, b)| e.address == *account && b.hop == job.source)
        };
        match from.filter(known) {
            Some(account) => self.proxy(now, job, account),
            None if job.request.method() == "ACK" => {}
            None => self.authenticate(now, job),
        }
    }

    /// The ACK of what was accepted goes the way of the request; only who made the call sends it.
    pub(in crate::machine) fn is_expected(&self, job: &Job) -> bool {
        self.trunk.is_some()
            || self.calls.iter().flat_map(|calls| calls.callers.values()).any(|c| {
                c.accepted
                    && c.source == job.source
                    && c.call_id == job.request.call_id
                    && c.cseq == job.request.cseq
            })
    }

    /// Who is asked.
    pub(super) fn calling(&mut self, now: Now, ticket: Ticket, lines: Vec<Line>) {
        let number = match self.tickets.remove(&ticket) {
            Some((_, Waiting::Call(number))) => number,
            _ => 0,
        };
        let calls = self.calls();
        let Some(caller) = calls.callers.get_mut(&number) else {
            return self.out.extend(lines.into_iter().map(Output::HangUp));
        };
        caller.lines = Some(lines.iter().map(|line| (*line, ())).collect());
        calls.lines.extend(lines.iter().map(|line| (*line, number)));
        self.decide(now, number);
    }

    /// The hub does not pass it on.
    pub(in crate::machine) fn call_refused(&mut self, now: Now, number: u64, no: &Refusal) {
        let Some(caller) = self.forget_caller(number) else { return };
        let status = match (no.reason, refusal::status(no, true)) {
            // A 401 or 407 of ours would only go in circles; and nobody can mend what others cannot do.
            (_, 401 | 407) => 403,
            (Reason::Unsupported, _) => 488,
            (Reason::Overloaded, _) => 503,
            (_, status) => status,
        };
        let why = refusal::words(no, status);
        let tag = self.dice.token(10);
        let mut w = caller.owed.reply.answer_with(status, &why, &tag);
        let why: String = clean(&why).chars().take(200).collect();
        w.header("Warning", format!("399 {} {}", self.sent_by(caller.source), quote(&why)))
            .header("Server", SOFTWARE);
        self.send_answer(now, caller.owed.id, caller.owed.back, w);
    }

    /// One who was asked says something.
    pub(super) fn caller_hears(&mut self, now: Now, number: u64, line: Line, bytes: &[u8]) {
        if bytes == SILENCE {
            return self.ended(now, number, line, Last::Silent(408));
        }
        let Some(Framed::Unit(Unit::Response(response))) = datagram(bytes) else {
            return self.ended(now, number, line, Last::Silent(480));
        };
        match response.status {
            ..200 => self.rings(now, number, &response),
            200..300 => self.accepted(now, number, line, &response),
            600.. => {
                self.ended(now, number, line, Last::Response(response));
                self.cancel_rest(number, None);
            }
            _ => self.ended(now, number, line, Last::Response(response)),
        }
    }

    fn rings(&mut self, now: Now, number: u64, response: &Response) {
        let calls = self.calls.get_or_insert_default();
        let Some(caller) = calls.callers.get_mut(&number).filter(|c| c.invite && !c.accepted) else { return };
        if !caller.expired {
            self.timers.remove(&(caller.due, Due::Call(number)));
            caller.due = now.tick + RINGING;
            self.timers.insert((caller.due, Due::Call(number)));
        }
        let (id, back) = (caller.owed.id, caller.owed.back);
        let bytes = caller.owed.reply.relayed(response, response.status, &[]);
        self.transactions.provisional(now.tick, id, back, bytes, STAY);
    }

    fn accepted(&mut self, now: Now, number: u64, line: Line, response: &Response) {
        let calls = self.calls.get_or_insert_default();
        let Some(caller) = calls.callers.get_mut(&number) else { return };
        let (id, back) = (caller.owed.id, caller.owed.back);
        let bytes = caller.owed.reply.relayed(response, response.status, &[]);
        if !caller.invite {
            self.transactions.respond(now.tick, id, back, bytes);
            self.resume_if_idle(back);
            self.forget_caller(number);
            return;
        }
        if !std::mem::replace(&mut caller.accepted, true) {
            self.timers.remove(&(caller.due, Due::Call(number)));
            caller.due = now.tick + LONG;
            self.timers.insert((caller.due, Due::Call(number)));
        }
        // Each who accepts is told to the caller, at once and whenever they say so again.
        self.transactions.accept(now.tick, id, back, bytes);
        self.resume_if_idle(back);
        self.cancel_rest(number, Some(line));
    }

    /// One who was asked will not.
    fn ended(&mut self, now: Now, number: u64, line: Line, last: Last) {
        self.out.push_back(Output::HangUp(line));
        let calls = self.calls();
        calls.lines.remove(&line);
        let Some(caller) = calls.callers.get_mut(&number) else { return };
        if caller.lines.as_mut().is_some_and(|lines| lines.remove(&line).is_some()) {
            caller.lasts.push(last);
        }
        self.decide(now, number);
    }

    /// One who was asked is gone.
    pub(super) fn line_lost(&mut self, now: Now, number: u64, line: Line) {
        let calls = self.calls();
        if let Some(caller) = calls.callers.get_mut(&number)
            && caller.lines.as_mut().is_some_and(|lines| lines.remove(&line).is_some())
        {
            caller.lasts.push(Last::Silent(480));
        }
        self.decide(now, number);
    }

    /// Answers once everybody has said no (RFC 3261 16.7 step 6).
    fn decide(&mut self, now: Now, number: u64) {
        let Some(caller) = self.calls().callers.get(&number) else { return };
        let all = caller.lines.as_ref().is_some_and(BTreeMap::is_empty);
        match (all, caller.accepted) {
            (true, false) => self.answer_best(now, number),
            (false, false) if caller.cancelled || caller.expired => self.cancel_rest(number, None),
            _ => {}
        }
    }

    fn answer_best(&mut self, now: Now, number: u64) {
        let Some(caller) = self.forget_caller(number) else { return };
        let chosen = best(&caller.lasts);
        let silence = if caller.cancelled { 487 } else { 408 };
        match chosen.and_then(|at| Some((at, caller.lasts.get(at)?))) {
            Some((at, Last::Response(response))) => {
                let status = told(response.status, caller.expired && !caller.cancelled);
                let more = challenges(&caller.lasts, at);
                let bytes = caller.owed.reply.relayed(response, status, &more);
                self.transactions.respond(now.tick, caller.owed.id, caller.owed.back, bytes);
                self.resume_if_idle(caller.owed.back);
            }
            // RFC 4320 4.2: nobody hears that any more.
            _ if !caller.invite => {}
            Some((_, Last::Silent(status))) => {
                let status = if *status == 408 { silence } else { *status };
                self.answer_owed(now, &caller.owed, status, None, |_| {});
            }
            None => self.answer_owed(now, &caller.owed, silence, None, |_| {}),
        }
    }

    /// A CANCEL (RFC 3261 16.10): everybody who still rings hears it, and the INVITE is answered when they have ended.
    pub(in crate::machine) fn cancel(&mut self, now: Now, id: ServerId) {
        let calls = self.calls();
        let Some(&number) = calls.by_invite.get(&id) else { return };
        let Some(caller) = calls.callers.get_mut(&number).filter(|c| !c.accepted) else { return };
        caller.cancelled = true;
        match caller.lines {
            Some(_) => self.cancel_rest(number, None),
            // The hub has not found anybody yet.
            None => self.answer_best(now, number),
        }
    }

    fn cancel_rest(&mut self, number: u64, but: Option<Line>) {
        let Some(caller) = self.calls.as_ref().and_then(|calls| calls.callers.get(&number)) else { return };
        let rest = caller.lines.iter().flat_map(BTreeMap::keys).filter(|line| Some(**line) != but);
        self.out.extend(rest.map(|line| Output::Say(*line, CANCEL.into())));
    }

    /// It rang long enough, or what was kept of it is not needed any more.
    pub(in crate::machine) fn call_due(&mut self, now: Now, number: u64) {
        let calls = self.calls.get_or_insert_default();
        let Some(caller) = calls.callers.get_mut(&number) else { return };
        if !caller.invite || caller.accepted {
            self.forget_caller(number);
        } else if caller.expired {
            self.answer_best(now, number);
        } else {
            caller.expired = true;
            caller.due = now.tick + LAST_WORDS;
            self.timers.insert((caller.due, Due::Call(number)));
            self.cancel_rest(number, None);
        }
    }

    /// Nothing more comes of it: all lines end.
    fn forget_caller(&mut self, number: u64) -> Option<Caller> {
        let calls = self.calls.get_or_insert_default();
        let caller = calls.callers.remove(&number)?;
        calls.by_invite.remove(&caller.owed.id);
        self.timers.remove(&(caller.due, Due::Call(number)));
        for line in caller.lines.iter().flat_map(BTreeMap::keys) {
            calls.lines.remove(line);
            self.out.push_back(Output::HangUp(*line));
        }
        Some(caller)
    }
}
