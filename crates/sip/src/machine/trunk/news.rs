//! NOTIFY from elsewhere (RFC 6665 4.1.3, RFC 8048 5.2): what somebody there lets one of us know.

use std::time::Duration;

use model::{Address, Basic, Decision, Device, Endpoint, Event, LeaseKey, Now, Publish, Tuple};

use super::Asked;
use super::backend::{Act, Backend};
use super::dialog::{is_once, key_of};
use crate::machine::tickets::Draft;
use crate::machine::{Job, SipMachine, Waiting};
use crate::pidf;
use crate::translate::address;
use crate::wire::{NameAddr, seconds};

/// When a subscription that they ended is begun anew, if they do not say.
const AGAIN: u32 = 60;
/// Devices of one person that are shown.
const DEVICES: usize = 32;

impl SipMachine {
    /// Takes a NOTIFY in a dialog of ours.
    pub(super) fn news(&mut self, now: Now, job: Job) {
        let (to, from) = (address::from_header(&job.request.to), address::from_header(&job.request.from));
        let (Some(to), Some(from)) = (to, from) else { return self.refuse(now, &job, 481) };
        let (watcher, presentity) = (to.address, from.address);
        let key = key_of(&watcher, &presentity, job.request.to.tag().is_some_and(is_once));
        let known = self.trunk.as_ref().and_then(|t| t.backends.get(&key));
        match known.cloned().filter(|back| is_of(back, &job)) {
            Some(back) => self.heard_of(now, job, key, back),
            // Another connection may know it.
            None => self.claim_backend(now, &watcher, &presentity, Act::News(Box::new(job))),
        }
    }

    /// What another connection left is here.
    pub(super) fn claimed_news(&mut self, now: Now, job: Job, key: LeaseKey, back: Backend) {
        self.hold(now, key.clone(), back.clone());
        match is_of(&back, &job) {
            true => self.heard_of(now, job, key, back),
            false => self.refuse(now, &job, 481),
        }
    }

    fn heard_of(&mut self, now: Now, job: Job, key: LeaseKey, mut back: Backend) {
        let Some(state) = job.request.params("Subscription-State") else {
            return self.refuse(now, &job, 400);
        };
        if job.request.cseq <= back.their_cseq {
            // RFC 3261 12.2.2.
            return self.refuse(now, &job, 500);
        }
        let mime = job.request.params("Content-Type").map(|m| m.head.to_ascii_lowercase());
        let body = job.request.body();
        let tuples = match (body.is_empty(), mime.as_deref()) {
            (true, _) => Some(Vec::new()),
            (false, Some(pidf::MIME)) => pidf::parse(body, now.wall),
            (false, _) => {
                return self.answer(now, &job, 415, |w| {
                    w.header("Accept", pidf::MIME);
                });
            }
        };
        let Some(mut tuples) = tuples else { return self.refuse(now, &job, 400) };
        tuples.truncate(DEVICES);
        self.learn_dialog(&job, &mut back);
        self.refuse(now, &job, 200);
        if back.ended {
            return self.drop_backend(&key);
        }
        let status = state.head.to_ascii_lowercase();
        if let (Some(asker), true) = (back.asker.clone(), status != "pending") {
            self.drop_backend(&key);
            return self.show(now, &key, &back.presentity, asker, tuples);
        }
        match status.as_str() {
            "terminated" => self.terminated(now, key, back, &state),
            // Nothing is to be known before consent (RFC 8048 5.2.1).
            "pending" => self.note(now, key, back, &state),
            _ => {
                back.tuples = Some(tuples);
                let first = !std::mem::replace(&mut back.granted, true);
                self.note(now, key.clone(), back.clone(), &state);
                if first {
                    // What is told before the consent is noted would not be heard.
                    let waiting = Waiting::Trunk(Asked::Granted(key));
                    self.decided(now, &back, Decision::Granted, waiting);
                } else {
                    self.show_all(now, &key);
                }
            }
        }
    }

    /// Keeps what a NOTIFY says of its dialog.
    fn note(&mut self, now: Now, key: LeaseKey, mut back: Backend, state: &crate::wire::Params) {
        if let Some(secs) = state.get("expires").and_then(seconds) {
            back.until = Self::until(now, secs.min(86_400));
        }
        self.timers.remove(&(back.due, crate::machine::Due::Backend(key.clone())));
        self.leave_backend(now, &key, &back);
        self.hold(now, key, back);
    }

    fn learn_dialog(&self, job: &Job, back: &mut Backend) {
        back.their_cseq = job.request.cseq;
        if back.remote_tag.is_empty() {
            job.request.from.tag().unwrap_or_default().clone_into(&mut back.remote_tag);
            back.routes = job.request.list("Record-Route");
        }
        if let Some(contact) = job.request.list("Contact").first().and_then(|c| NameAddr::parse(c)) {
            back.target = contact.uri;
        }
    }

    /// They ended it (RFC 6665 4.1.3).
    fn terminated(&mut self, now: Now, key: LeaseKey, mut back: Backend, state: &crate::wire::Params) {
        let gone = vec![Tuple::plain(None, Basic::Closed, now.wall)];
        let (presentity, watcher) = (back.presentity.clone(), Endpoint::bare(back.watcher.clone()));
        match state.get("reason").unwrap_or_default() {
            "rejected" => {
                self.drop_backend(&key);
                self.denied(now, &back);
            }
            "noresource" | "invariant" => {
                self.drop_backend(&key);
                self.show(now, &key, &presentity, watcher, gone);
            }
            reason => {
                let wait = match reason {
                    "deactivated" => 10,
                    _ => state.get("retry-after").and_then(seconds).unwrap_or(AGAIN).clamp(10, 3600),
                };
                back.anew(&mut self.dice);
                (back.tuples, back.until) = (None, Self::until(now, 0));
                back.shown.clear();
                self.timers.remove(&(back.due, crate::machine::Due::Backend(key.clone())));
                self.leave_backend(now, &key, &back);
                self.hold(now, key.clone(), back);
                self.retry(now.tick, &key, Duration::from_secs(u64::from(wait)));
                self.show(now, &key, &presentity, watcher, gone);
            }
        }
    }

    /// Tells one of us the last document, and which devices are in it no more.
    pub(super) fn show_all(&mut self, now: Now, key: &LeaseKey) {
        let Some(back) = self.trunk.as_mut().and_then(|t| t.backends.get_mut(key)) else { return };
        let Some(mut tuples) = back.tuples.clone() else { return };
        let is_open = |t: &&Tuple| t.basic == Basic::Open;
        let names = |t: &Tuple| t.device.as_ref().map(|d| d.as_str().to_owned());
        let shown: Vec<String> = tuples.iter().filter(is_open).filter_map(names).collect();
        for device in std::mem::replace(&mut back.shown, shown) {
            if !tuples.iter().any(|t| names(t).as_ref() == Some(&device))
                && let Ok(device) = Device::new(&device)
            {
                tuples.push(Tuple::plain(Some(device), Basic::Closed, now.wall));
            }
        }
        let (presentity, to, back) = (back.presentity.clone(), back.watcher.clone(), back.clone());
        self.leave_backend(now, key, &back);
        self.show(now, key, &presentity, Endpoint::bare(to), tuples);
    }

    /// Tells one of us, or one device, how somebody elsewhere is.
    pub(super) fn show(
        &mut self,
        now: Now,
        key: &LeaseKey,
        presentity: &Address,
        to: Endpoint,
        mut tuples: Vec<Tuple>,
    ) {
        if tuples.is_empty() {
            tuples.push(Tuple::plain(None, Basic::Closed, now.wall));
        }
        let event = Event::Publish(Publish { key: key.clone(), tuples, secs: None });
        let draft = Draft::new(Endpoint::bare(presentity.clone()), to, event);
        self.submit(now, draft, Waiting::Nothing);
    }
}

/// Is this NOTIFY in this dialog? The first one from them decides who they are (RFC 6665 4.4.1).
fn is_of(back: &Backend, job: &Job) -> bool {
    let theirs = job.request.from.tag().unwrap_or_default();
    back.call_id == job.request.call_id
        && job.request.to.tag() == Some(back.tag.as_str())
        && (back.remote_tag.is_empty() || back.remote_tag == theirs)
}
