//! Our own subscriptions to presence elsewhere (RFC 8048 5.2): asked for, refreshed, ended.
//!
//! What is left with the hub is the truth: several connections may know of one dialog, so whoever wants to act on it
//! takes it over first.

use std::time::Duration;

use bytes::Bytes;
use connector::{Flow, Output};
use model::{
    Address, Ask, Authorize, Basic, Decision, DeliveryId, Endpoint, Event, LeaseKey, MAX_HOPS, Now, Outcome,
    Publish, Reason, Tick, Tuple,
};

use super::Asked;
pub(super) use super::dialog::Backend;
use super::dialog::key_of;
use crate::machine::tickets::Draft;
use crate::machine::{Due, Job, SOFTWARE, Sent, SipMachine, Waiting};
use crate::pidf;
use crate::transaction::Hop;
use crate::translate::{address, refusal};
use crate::wire::{Response, Writer, seconds};

/// What we ask for (RFC 8048 5.1).
const TERM: u32 = 3600;
/// How long after its end a dialog is still known, so that it can be begun anew.
const GRACE: u32 = 600;
/// How long the last word of a dialog that we ended may take.
const FAREWELL: u32 = 40;
/// When a refresh that failed is tried again.
const AGAIN: Duration = Duration::from_secs(300);
/// Subscriptions of ours on one connection.
const MAX_BACKENDS: usize = 50_000;

/// What is to be done with a subscription of ours.
#[derive(Debug)]
pub(super) enum Act {
    /// One of us asks for lasting consent.
    Ask(DeliveryId),
    /// One of us wants to see them no more.
    End(DeliveryId),
    /// Somebody wants to know how they are. `lasting`: they have consent, so that a subscription is in its place.
    Look { to: Endpoint, lasting: bool },
    /// It is time.
    Refresh,
    /// It is time, and nobody is there who would hear.
    Rest,
    /// They tell something.
    News(Box<Job>),
}

/// What a claim is for.
#[derive(Debug)]
pub(in crate::machine) struct Claiming {
    key: LeaseKey,
    watcher: Address,
    presentity: Address,
    act: Act,
}

impl Claiming {
    pub(super) fn between(&self) -> (Address, Address) {
        (self.watcher.clone(), self.presentity.clone())
    }
}

/// A SUBSCRIBE on its way.
#[derive(Debug)]
pub(in crate::machine) struct Asking {
    key: LeaseKey,
    call_id: String,
    delivery: Option<DeliveryId>,
    term: u32,
    /// It was sent in a dialog that stood.
    inside: bool,
    /// It has been tried another way already.
    again: bool,
}

impl SipMachine {
    /// Takes over the subscription between two people, and acts.
    pub(super) fn claim_backend(&mut self, now: Now, watcher: &Address, presentity: &Address, act: Act) {
        let once = matches!(act, Act::Look { lasting: false, .. })
            || matches!(&act, Act::News(job) if job.request.to.tag().is_some_and(super::dialog::is_once));
        let key = key_of(watcher, presentity, once);
        let (watcher, presentity) = (watcher.clone(), presentity.clone());
        let ask = Ask::Claim { key: key.clone(), owner: watcher.clone() };
        let claiming = Claiming { key, watcher, presentity, act };
        self.ask(now, ask, Waiting::Trunk(Asked::Backend(Box::new(claiming))));
    }

    /// What the hub has of it is here; or there is nothing.
    pub(super) fn claimed_backend(&mut self, now: Now, claiming: Claiming, state: Option<Bytes>) {
        let Claiming { key, watcher, presentity, act } = claiming;
        let Some(trunk) = &mut self.trunk else { return };
        let cached = trunk.backends.remove(&key);
        if let Some(cached) = &cached {
            self.timers.remove(&(cached.due, Due::Backend(key.clone())));
        }
        let mut back = state.as_deref().and_then(Backend::load);
        if let (Some(back), Some(cached)) = (&mut back, cached)
            && back.call_id == cached.call_id
        {
            (back.tuples, back.cseq) = (cached.tuples, back.cseq.max(cached.cseq));
        }
        match (act, back) {
            (Act::End(delivery), back) => {
                self.out.push_back(Output::ack(delivery, Outcome::Delivered));
                if let Some(mut back) = back.filter(Backend::lasts) {
                    back.ended = true;
                    self.send_subscribe(now, back, 0, None, false);
                }
            }
            (Act::News(job), None) => self.refuse(now, &job, 481),
            (Act::News(job), Some(back)) => self.claimed_news(now, *job, key, back),
            (Act::Refresh | Act::Rest, None) => {}
            (Act::Refresh | Act::Rest, Some(back)) if !back.lasts() => {}
            (Act::Refresh | Act::Rest, Some(back))
                if now.wall.unix_ms() + 1000 * u64::from(TERM / 12) < back.until =>
            {
                // Another connection has done it.
                self.hold(now, key, back);
            }
            (Act::Refresh, Some(back)) => self.send_subscribe(now, back, TERM, None, false),
            (Act::Rest, Some(back)) => self.rest(now, &key, back),
            (Act::Look { to, .. }, Some(back)) if back.lasts() && back.tuples.is_some() => {
                let tuples = back.tuples.clone().unwrap_or_default();
                self.hold(now, key.clone(), back);
                self.show(now, &key, &presentity, to, tuples);
            }
            (Act::Look { lasting: true, .. }, Some(back)) if back.lasts() => {
                self.send_subscribe(now, back, TERM, None, false);
            }
            (Act::Look { to, lasting }, _) => {
                let asker = (!lasting).then_some(to);
                let mut back = Backend::new(watcher, presentity, asker, &mut self.dice);
                back.granted = lasting;
                let term = if lasting { TERM } else { 0 };
                self.send_subscribe(now, back, term, None, false);
            }
            (Act::Ask(delivery), back) => {
                let fresh = || Backend::new(watcher, presentity, None, &mut self.dice);
                let mut back = back.filter(Backend::lasts).unwrap_or_else(fresh);
                back.granted = false;
                self.send_subscribe(now, back, TERM, Some(delivery), false);
            }
        }
    }

    /// A connection before this one left it.
    pub(super) fn inherit_backend(&mut self, now: Now, key: LeaseKey, state: &Bytes) {
        if let Some(back) = Backend::load(state) {
            self.hold(now, key, back);
        }
    }

    /// Keeps it, with a time for its refresh.
    pub(super) fn hold(&mut self, now: Now, key: LeaseKey, mut back: Backend) {
        let Some(trunk) = &mut self.trunk else { return };
        if trunk.backends.len() >= MAX_BACKENDS {
            return;
        }
        let left = Duration::from_millis(back.until.saturating_sub(now.wall.unix_ms()));
        // What has not been answered yet is looked at when its transaction is over at the latest.
        let wait = if back.until == 0 { AGAIN } else { left * 5 / 6 };
        back.due = now.tick + wait.max(Duration::from_secs(5));
        self.timers.insert((back.due, Due::Backend(key.clone())));
        trunk.backends.insert(key, back);
    }

    /// Leaves it with the hub as it is now.
    pub(super) fn leave_backend(&mut self, now: Now, key: &LeaseKey, back: &Backend) {
        let left = back.until.saturating_sub(now.wall.unix_ms()).div_ceil(1000);
        let secs = match back.lasts() {
            true => u32::try_from(left).unwrap_or(TERM).max(60) + GRACE,
            false => FAREWELL,
        };
        let (key, owner) = (key.clone(), back.watcher.clone());
        self.out.push_back(Output::Lease { key, owner, state: back.save(), secs });
    }

    /// Forgets it.
    pub(super) fn drop_backend(&mut self, key: &LeaseKey) {
        let Some(back) = self.trunk.as_mut().and_then(|t| t.backends.remove(key)) else { return };
        self.timers.remove(&(back.due, Due::Backend(key.clone())));
        let (key, owner) = (key.clone(), back.watcher);
        self.out.push_back(Output::Lease { key, owner, state: Bytes::new(), secs: 0 });
    }

    /// It is time to look after one.
    pub(in crate::machine) fn backend_due(&mut self, now: Now, key: &LeaseKey) {
        let Some(back) = self.trunk.as_ref().and_then(|t| t.backends.get(key)) else { return };
        if !back.lasts() {
            return self.drop_backend(key);
        }
        let (watcher, presentity) = back.between();
        if !back.granted {
            // Nobody asks again for a consent that is still to come.
            return self.claim_backend(now, &watcher, &presentity, Act::Refresh);
        }
        let ask = Ask::Watches { watcher, presentity };
        self.ask(now, ask, Waiting::Trunk(Asked::Watched(key.clone())));
    }

    /// RFC 8048 9: what is refreshed for ever must be of use to somebody. Whoever comes back has it begun anew.
    pub(super) fn backend_watched(&mut self, now: Now, key: &LeaseKey, watched: bool) {
        let Some(back) = self.trunk.as_ref().and_then(|t| t.backends.get(key)) else { return };
        let (watcher, presentity) = back.between();
        let act = if watched { Act::Refresh } else { Act::Rest };
        self.claim_backend(now, &watcher, &presentity, act);
    }

    /// Ends what is of no use. What was known of them is so no longer.
    fn rest(&mut self, now: Now, key: &LeaseKey, mut back: Backend) {
        let gone = back.clone();
        if back.remote_tag.is_empty() || back.until <= now.wall.unix_ms() {
            // There is no dialog that could be ended.
            self.hold(now, key.clone(), back);
            self.drop_backend(key);
        } else {
            back.ended = true;
            self.send_subscribe(now, back, 0, None, false);
        }
        self.show_gone(now, key, &gone);
    }

    /// Asks, renews or (`term` 0) ends.
    pub(super) fn send_subscribe(
        &mut self,
        now: Now,
        mut back: Backend,
        term: u32,
        delivery: Option<DeliveryId>,
        again: bool,
    ) {
        let lapsed = back.until != 0 && back.until <= now.wall.unix_ms();
        if lapsed && back.lasts() {
            back.anew(&mut self.dice);
        }
        let key = back.key();
        let hop = Hop::Stream(Flow::ACCEPTED);
        let (branch, cseq) = (self.branch(), back.next_cseq(now));
        let inside = !back.remote_tag.is_empty();
        let (us, them) = (address::to_uri(&back.watcher), address::to_uri(&back.presentity));
        let target = if inside && !back.target.is_empty() { &back.target } else { &them };
        let mut w = Writer::request("SUBSCRIBE", target);
        w.header("Via", self.via(hop, &branch)).header("Max-Forwards", MAX_HOPS);
        for route in &back.routes {
            w.header("Route", route);
        }
        let to = match inside {
            true => format!("<{them}>;tag={}", back.remote_tag),
            false => format!("<{them}>"),
        };
        w.header("From", format!("<{us}>;tag={}", back.tag))
            .header("To", to)
            .header("Call-ID", &back.call_id)
            .header("CSeq", format!("{cseq} SUBSCRIBE"))
            .header("Contact", self.contact(hop, &back.watcher))
            .header("Event", "presence")
            .header("Accept", pidf::MIME)
            .header("Expires", term)
            .header("User-Agent", SOFTWARE);
        let number = self.number();
        if !self.transactions.request(now.tick, hop, &branch, "SUBSCRIBE", number, w.finish(b"")) {
            if let Some(delivery) = delivery {
                let no = model::Refusal::new(model::Reason::Overloaded);
                self.out.push_back(Output::ack(delivery, Outcome::Refused(no)));
            }
            return self.hold(now, key, back);
        }
        let call_id = back.call_id.clone();
        let asking = Asking { key: key.clone(), call_id, delivery, term, inside, again };
        self.sent.insert(number, Sent::Subscribe(Box::new(asking)));
        self.leave_backend(now, &key, &back);
        self.hold(now, key, back);
    }

    /// They answered a SUBSCRIBE of ours, or did not in time.
    pub(in crate::machine) fn subscribe_answered(
        &mut self,
        now: Now,
        asking: Asking,
        response: Option<&Response>,
    ) {
        let Asking { key, call_id, delivery, term, inside, again } = asking;
        let ack = |this: &mut Self, outcome| {
            if let Some(delivery) = delivery {
                this.out.push_back(Output::ack(delivery, outcome));
            }
        };
        let known = self.trunk.as_ref().and_then(|t| t.backends.get(&key)).filter(|b| b.call_id == call_id);
        let Some(mut back) = known.cloned() else { return ack(self, Outcome::Delivered) };
        let status = response.map_or(408, |r| r.status);
        match (status, response) {
            (200..=299, Some(response)) => {
                ack(self, Outcome::Delivered);
                if term == 0 {
                    return;
                }
                if back.remote_tag.is_empty() {
                    response.to.tag().unwrap_or_default().clone_into(&mut back.remote_tag);
                    (back.target, back.routes) = match super::remote_of(response) {
                        (Some(target), routes) => (target, routes),
                        (None, routes) => (String::new(), routes),
                    };
                }
                let granted = response.header("Expires").and_then(|e| seconds(&e)).unwrap_or(term);
                back.until = Self::until(now, granted.min(term));
                self.rehold(now, key, back);
            }
            (423, Some(response)) if !again && term > 0 => {
                let least = response.header("Min-Expires").and_then(|e| seconds(&e)).unwrap_or(TERM);
                self.send_subscribe(now, back, least.clamp(TERM, 86_400), delivery, true);
            }
            // The dialog is not known there any more: a new one.
            (404 | 408 | 481 | 500, Some(_)) if inside && !again && term > 0 => {
                back.anew(&mut self.dice);
                self.send_subscribe(now, back, TERM, delivery, true);
            }
            // They decided (RFC 8048 5.2.2).
            (403 | 489 | 603, Some(_)) if back.lasts() => {
                ack(self, Outcome::Delivered);
                self.drop_backend(&key);
                self.denied(now, &back);
            }
            (_, response) => {
                let no = match response {
                    Some(r) => refusal::refusal(r.status, &r.reason(), r.header("Contact").as_deref()),
                    None => model::Refusal::new(model::Reason::RemoteTimeout),
                };
                // Whoever is not there now may be later.
                let away = no.reason == Reason::Unavailable;
                let passing = no.reason.is_transient() || away;
                // What was told of them holds for as long as a dialog stands that they did not end (RFC 6665 4.1.2.2).
                let stands = !back.remote_tag.is_empty() && back.until > now.wall.unix_ms();
                let seen = back.lasts() && (back.granted || back.tuples.is_some());
                if delivery.is_some() || !passing || !back.lasts() {
                    ack(self, Outcome::Refused(no));
                    self.drop_backend(&key);
                    if seen {
                        self.show_gone(now, &key, &back);
                    }
                } else {
                    self.retry(now.tick, &key, AGAIN);
                    if seen && (away || !stands) {
                        self.show_gone(now, &key, &back);
                    }
                }
                if response.is_none() {
                    self.unanswered(now.tick);
                }
            }
        }
    }

    /// They are not to be seen any more.
    fn show_gone(&mut self, now: Now, key: &LeaseKey, back: &Backend) {
        let tuples = vec![Tuple::plain(None, Basic::Closed, now.wall)];
        let event = Event::Publish(Publish { key: key.clone(), tuples, secs: None });
        let (of, to) = (Endpoint::bare(back.presentity.clone()), Endpoint::bare(back.watcher.clone()));
        self.conclude(now, of, to, event);
    }

    fn rehold(&mut self, now: Now, key: LeaseKey, back: Backend) {
        self.timers.remove(&(back.due, Due::Backend(key.clone())));
        self.leave_backend(now, &key, &back);
        self.hold(now, key, back);
    }

    /// Looks after one at another time.
    pub(super) fn retry(&mut self, now: Tick, key: &LeaseKey, wait: Duration) {
        let Some(back) = self.trunk.as_mut().and_then(|t| t.backends.get_mut(key)) else { return };
        self.timers.remove(&(back.due, Due::Backend(key.clone())));
        back.due = now + wait;
        self.timers.insert((back.due, Due::Backend(key.clone())));
    }

    /// They do not want to be seen by one of us.
    pub(super) fn denied(&mut self, now: Now, back: &Backend) {
        self.decided(now, back, Decision::Denied, Waiting::Nothing);
    }

    pub(super) fn decided(&mut self, now: Now, back: &Backend, decision: Decision, waiting: Waiting) {
        let (from, to) = (Endpoint::bare(back.presentity.clone()), Endpoint::bare(back.watcher.clone()));
        let event = Event::Authorize(Authorize { decision, original: None });
        self.submit(now, Draft::new(from, to, event), waiting);
    }

    /// When it runs out, by the seconds they say.
    pub(super) fn until(now: Now, secs: u32) -> u64 {
        now.wall.unix_ms() + 1000 * u64::from(secs)
    }
}
