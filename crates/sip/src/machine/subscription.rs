//! SUBSCRIBE and NOTIFY for `presence` (RFC 3856, RFC 6665): a dialog of ours, a watch of the hub.
//!
//! The dialog is left with the hub as a lease, so a watcher that comes back on another connection finds it again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connector::{Flow, Output};
use model::{
    Address, Ask, Basic, Delivery, Endpoint, Event, LeaseKey, MAX_HOPS, Notify, Now, Outcome, PresenceDoc,
    Settlement, Subscribe, Term, Tick, WatchState,
};
use sha2::{Digest as _, Sha256};

use super::tickets::Draft;
use super::trunk::cseq_after;
use super::{Due, Job, Owed, SOFTWARE, Sent, SipMachine, Waiting, inherit};
use crate::pidf;
use crate::transaction::Hop;
use crate::translate::{address, presence};
use crate::wire::{Contact, MAX_UDP_REQUEST, NameAddr, Request, Response, Writer, clean};

/// How long the hub's own first news may take before we send a NOTIFY without it (RFC 6665 4.2.1.2 wants one at once).
const FIRST: Duration = Duration::from_millis(300);
/// Watches of one machine.
const MAX_WATCHES: usize = 20_000;

/// One subscription, which is also one dialog.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Watch {
    pub account: Address,
    pub presentity: Address,
    call_id: String,
    tag: String,
    /// Our side, as the watcher wrote it in To.
    local: String,
    /// Their side with its tag.
    remote: String,
    remote_tag: String,
    /// Where NOTIFY goes.
    target: String,
    routes: Vec<String>,
    event_id: Option<String>,
    cseq: u32,
    their_cseq: u32,
    hop: Hop,
    until: Tick,
    state: WatchState,
    doc: Option<Arc<PresenceDoc>>,
    /// The SUBSCRIBE is answered: NOTIFY may go out.
    ready: bool,
    /// The hub has told something since the last SUBSCRIBE.
    news: bool,
    in_flight: bool,
    dirty: bool,
    /// The next NOTIFY is the last.
    ending: bool,
    /// The last NOTIFY was sent once more.
    again: bool,
}

impl SipMachine {
    /// Carries out a SUBSCRIBE of an account.
    pub(super) fn subscribe(&mut self, now: Now, job: Job, account: Address) {
        let accept = job.request.list("Accept");
        let reads = |a: &String| {
            let a = a.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
            a == pidf::MIME || a == "*/*" || a == "application/*"
        };
        if !accept.is_empty() && !accept.iter().any(reads) {
            return self.answer(now, &job, 406, |w| {
                w.header("Accept", pidf::MIME);
            });
        }
        let Some(secs) = self.config.grant(job.request.seconds("Expires")) else {
            let min = self.config.min_expires;
            return self.answer(now, &job, 423, |w| {
                w.header("Min-Expires", min);
            });
        };
        let Some(tag) = job.request.to.tag().map(str::to_owned) else {
            return self.watch(now, job, account, secs);
        };
        let key = self.key_of(&job, &tag);
        if self.watches.contains_key(&key) {
            return self.refresh(now, job, account, &key, secs);
        }
        // Another machine may have left it with the hub.
        let ask = Ask::Claim { key: key.clone(), owner: account.clone() };
        self.ask(now, ask, Waiting::ClaimWatch { job: Box::new(job), account, key });
    }

    /// The lease of an older machine is here, or is not.
    pub(super) fn claimed_watch(
        &mut self,
        now: Now,
        job: Job,
        account: Address,
        key: LeaseKey,
        state: Option<Bytes>,
    ) {
        let secs = self.config.grant(job.request.seconds("Expires"));
        let watch = state
            .as_deref()
            .and_then(|s| load(s, &account, self.gap()))
            .map(|(w, _)| Watch { hop: job.source, ..w });
        let (Some(watch), Some(secs)) = (watch, secs) else {
            return self.refuse(now, &job, 481);
        };
        self.hold_watch(&key, watch);
        self.refresh(now, job, account, &key, secs);
    }

    /// A machine of this socket had this dialog: its watcher is told how things stand now.
    pub(super) fn inherit_watch(
        &mut self,
        now: Now,
        key: LeaseKey,
        owner: &Address,
        state: &Bytes,
        secs: u32,
    ) {
        let Some((watch, lasts)) = load(state, owner, self.gap()) else { return };
        if !lasts && self.trunk.is_none() {
            return;
        }
        if self.watches.len() >= MAX_WATCHES {
            return;
        }
        let until = now.tick + Duration::from_secs(u64::from(secs));
        let presentity = watch.presentity.clone();
        self.hold_watch(&key, Watch { until, ready: true, ..watch });
        self.timers.insert((self.watch_due(until), Due::Watch(key.clone())));
        self.wish(now, owner.clone(), presentity, MAX_HOPS, Term::Lease { key, secs }, Waiting::Nothing);
    }

    /// The older machine may have sent more since it left a dialog; a gap in CSeq is allowed, a repetition is not. On
    /// trunks the numbers follow the clock.
    fn gap(&self) -> u32 {
        if self.trunk.is_some() { 0 } else { 10_000 }
    }

    /// A new watch (RFC 6665 4.2.1).
    fn watch(&mut self, now: Now, job: Job, account: Address, secs: u32) {
        let to = address::from_uri(&job.request.target()).filter(|e| e.address.user().is_some());
        let Some(presentity) = to.map(|e| e.address) else {
            return self.refuse(now, &job, 404);
        };
        let target = match job.request.contacts().as_deref() {
            Some([Contact::One(c), ..]) => c.uri.clone(),
            _ => return self.refuse(now, &job, 400),
        };
        if self.watches.len() >= MAX_WATCHES {
            return self.refuse(now, &job, 500);
        }
        let tag = self.dice.token(16);
        if self.has_enough(&account, &presentity) {
            return self.forbid(now, &job, 403, "too many subscriptions of the same kind");
        }
        let key = self.key_of(&job, &tag);
        let r = &job.request;
        let watch = Watch {
            account: account.clone(),
            presentity: presentity.clone(),
            call_id: r.call_id.clone(),
            tag,
            local: r.to.render(),
            remote: with_tag(&r.from),
            remote_tag: r.from.tag().unwrap_or_default().to_owned(),
            target,
            routes: r.list("Record-Route"),
            event_id: r.params("Event").and_then(|p| p.get("id").map(str::to_owned)),
            cseq: 0,
            their_cseq: r.cseq,
            hop: job.source,
            until: now.tick + Duration::from_secs(u64::from(secs)),
            state: WatchState::Pending,
            doc: None,
            ready: false,
            news: false,
            in_flight: false,
            dirty: false,
            // Expires 0 outside a dialog asks once (RFC 6665 4.4.3).
            ending: secs == 0,
            again: false,
        };
        self.lease(&key, &watch, secs.max(self.config.min_expires));
        self.hold_watch(&key, watch);
        let term = match secs {
            0 => Term::Once { key: Some(key.clone()) },
            secs => Term::Lease { key: key.clone(), secs },
        };
        let waiting = Waiting::Subscribe { owed: job.receipt(), key };
        self.wish(now, account, presentity, super::im::hops(&job), term, waiting);
    }

    fn wish(
        &mut self,
        now: Now,
        watcher: Address,
        presentity: Address,
        hops: u8,
        term: Term,
        waiting: Waiting,
    ) {
        let event = Event::Subscribe(Subscribe { term, note: None, original: None });
        let draft = Draft::new(Endpoint::bare(watcher), Endpoint::bare(presentity), event).after(hops);
        self.submit(now, draft, waiting);
    }

    fn lease(&mut self, key: &LeaseKey, watch: &Watch, secs: u32) {
        self.out.push_back(Output::Lease {
            key: key.clone(),
            owner: watch.account.clone(),
            state: save(watch, self.peer.local),
            secs,
        });
    }

    /// The hub has decided about a new watch.
    pub(super) fn subscribed(&mut self, now: Now, owed: Owed, key: &LeaseKey, outcome: Outcome) {
        let Some(watch) = self.watches.get_mut(key) else {
            return self.answer_owed(now, &owed, 500, None, |_| {});
        };
        match outcome {
            Outcome::Refused(no) => {
                self.forget_watch(key, true);
                return self.answer_refusal(now, &owed, &no, false);
            }
            Outcome::Delivered | Outcome::Accepted if !watch.news => watch.state = WatchState::Active,
            _ => {}
        }
        watch.ready = true;
        let (tag, left, fetch, news, until, hop) =
            (watch.tag.clone(), left(watch, now), watch.ending, watch.news, watch.until, watch.hop);
        let presentity = watch.presentity.clone();
        let contact = self.contact(hop, &presentity);
        self.answer_owed(now, &owed, 200, Some(&tag), |w| {
            w.header("Contact", contact).header("Expires", left);
        });
        if !fetch {
            self.timers.insert((self.watch_due(until), Due::Watch(key.clone())));
        }
        if news {
            self.notify(now, key);
        } else {
            self.timers.insert((now.tick + FIRST, Due::FirstNotify(key.clone())));
        }
    }

    /// A SUBSCRIBE inside the dialog: refresh, or end with Expires 0 (RFC 6665 4.1.2.2, 4.1.2.3).
    fn refresh(&mut self, now: Now, job: Job, account: Address, key: &LeaseKey, secs: u32) {
        let Some(watch) = self.watches.get_mut(key).filter(|w| w.account == account) else {
            return self.refuse(now, &job, 481);
        };
        if job.request.cseq <= watch.their_cseq {
            // RFC 3261 12.2.2.
            return self.refuse(now, &job, 500);
        }
        watch.their_cseq = job.request.cseq;
        watch.hop = job.source;
        if let Some([Contact::One(c), ..]) = job.request.contacts().as_deref() {
            watch.target.clone_from(&c.uri);
        }
        let before = watch.until;
        watch.until = now.tick + Duration::from_secs(u64::from(secs));
        (watch.ready, watch.news) = (true, false);
        watch.ending = secs == 0;
        let (until, presentity, copy) = (watch.until, watch.presentity.clone(), watch.clone());
        self.timers.remove(&(self.watch_due(before), Due::Watch(key.clone())));
        let contact = self.contact(job.source, &presentity);
        self.answer(now, &job, 200, |w| {
            w.header("Contact", contact).header("Expires", secs);
        });
        if secs > 0 {
            self.lease(key, &copy, secs);
            self.timers.insert((self.watch_due(until), Due::Watch(key.clone())));
            let term = Term::Lease { key: key.clone(), secs };
            self.wish(now, account, presentity, super::im::hops(&job), term, Waiting::Nothing);
            // The hub tells a renewed watch how things stand, and that goes on to the watcher.
            self.timers.insert((now.tick + FIRST, Due::FirstNotify(key.clone())));
        } else {
            self.notify(now, key);
        }
    }

    /// The hub tells a watcher something.
    pub(super) fn watch_news(&mut self, now: Now, delivery: &Delivery, news: Notify) {
        let losses = presence::losses(&news, delivery.envelope.origin.dialect);
        // NOTIFY is not journalled and the newest state wins, so it counts as delivered once it is in the dialog.
        self.out.push_back(Output::Ack(delivery.id, Settlement { outcome: Outcome::Delivered, losses }));
        let Some((key, watch)) = news.key.and_then(|k| self.watches.get_mut(&k).map(|w| (k, w))) else {
            return;
        };
        watch.state = news.state;
        watch.doc = Some(news.doc);
        watch.news = true;
        if watch.ready {
            self.notify(now, &key);
        }
    }

    /// The hub had no news in time: say at least where the watch stands.
    pub(super) fn first_notify(&mut self, now: Now, key: &LeaseKey) {
        if self.watches.get(key).is_some_and(|w| w.ready && !w.news) {
            self.notify(now, key);
        }
    }

    fn notify(&mut self, now: Now, key: &LeaseKey) {
        let Some(watch) = self.watches.get_mut(key) else { return };
        if watch.in_flight && !watch.ending && !presence::is_end(watch.state) {
            // One at a time; the newest state goes out when this one is answered.
            watch.dirty = true;
            return;
        }
        watch.cseq = if self.trunk.is_some() { cseq_after(now, watch.cseq) } else { watch.cseq + 1 };
        (watch.in_flight, watch.dirty) = (true, false);
        let over = watch.ending || presence::is_end(watch.state);
        let watch = watch.clone();
        let branch = self.branch();
        let mut bytes = self.render_notify(now, &watch, &branch, watch.doc.as_deref());
        if matches!(watch.hop, Hop::Udp(_)) && bytes.len() > MAX_UDP_REQUEST {
            // A datagram has room for one device and no long words: the best one.
            let short = watch.doc.as_deref().map(shortened);
            bytes = self.render_notify(now, &watch, &branch, short.as_ref());
        }
        let number = self.number();
        if self.transactions.request(now.tick, watch.hop, &branch, "NOTIFY", number, bytes) {
            self.sent.insert(number, Sent::Notify(key.clone()));
        }
        if over {
            // The hub knows of ends it told us itself; the others it must hear.
            if !presence::is_end(watch.state) {
                let term = Term::Lease { key: key.clone(), secs: 0 };
                self.wish(now, watch.account.clone(), watch.presentity, MAX_HOPS, term, Waiting::Nothing);
            }
            self.forget_watch(key, true);
        }
    }

    fn render_notify(&self, now: Now, watch: &Watch, branch: &str, doc: Option<&PresenceDoc>) -> Vec<u8> {
        let state = if watch.ending && watch.state != WatchState::Rejected {
            presence::state(WatchState::Expired, 0)
        } else {
            presence::state(watch.state, left(watch, now))
        };
        let event = match &watch.event_id {
            Some(id) => format!("presence;id={id}"),
            None => "presence".to_owned(),
        };
        let empty;
        let doc = match doc {
            Some(doc) => doc,
            None => {
                empty = PresenceDoc::empty(watch.presentity.clone());
                &empty
            }
        };
        let body = presence::body(watch.state, doc);
        let mut w = Writer::request("NOTIFY", &watch.target);
        w.header("Via", self.via(watch.hop, branch)).header("Max-Forwards", MAX_HOPS);
        for route in &watch.routes {
            w.header("Route", route);
        }
        w.header("From", format!("{};tag={}", watch.local, watch.tag))
            .header("To", &watch.remote)
            .header("Call-ID", &watch.call_id)
            .header("CSeq", format!("{} NOTIFY", watch.cseq))
            .header("Contact", self.contact(watch.hop, &watch.presentity))
            .header("Event", event)
            .header("Subscription-State", state)
            .header("User-Agent", SOFTWARE);
        if body.is_some() {
            w.header("Content-Type", pidf::MIME);
        }
        w.finish(body.unwrap_or_default().as_bytes())
    }

    /// The watcher answered a NOTIFY. One that does not take it has lost the dialog (RFC 6665 4.2.2).
    pub(super) fn notify_answered(&mut self, now: Now, key: &LeaseKey, response: Option<&Response>) {
        let Some(watch) = self.watches.get_mut(key) else { return };
        watch.in_flight = false;
        let status = response.map(|r| r.status);
        let again = watch.again;
        watch.again = status == Some(500) && self.trunk.is_some() && !again;
        if watch.again {
            // Another connection went on with the dialog at the same time, and its number was higher.
            watch.cseq = watch.cseq.saturating_add(1_000);
            return self.notify(now, key);
        }
        if status.is_some_and(|status| (200..300).contains(&status)) {
            if watch.dirty {
                self.notify(now, key);
            }
            return;
        }
        if response.is_none() && self.trunk.is_some() {
            // The connection is dead, and the next one goes on with the dialog.
            return self.unanswered(now.tick);
        }
        let (account, presentity) = (watch.account.clone(), watch.presentity.clone());
        let term = Term::Lease { key: key.clone(), secs: 0 };
        self.wish(now, account, presentity, MAX_HOPS, term, Waiting::Nothing);
        self.forget_watch(key, true);
    }

    /// Nobody refreshed it in time (RFC 6665 4.2.2), or not here: the hub has said so to whoever has the dialog now.
    pub(super) fn watch_expired(&mut self, key: &LeaseKey) {
        self.forget_watch(key, false);
    }

    fn forget_watch(&mut self, key: &LeaseKey, lease_too: bool) {
        if let Some(watch) = self.watches.remove(key) {
            self.uncount(&watch.account, &watch.presentity);
            self.timers.remove(&(self.watch_due(watch.until), Due::Watch(key.clone())));
            if lease_too {
                self.out.push_back(Output::Lease {
                    key: key.clone(),
                    owner: watch.account,
                    state: Bytes::new(),
                    secs: 0,
                });
            }
        }
    }
}

fn left(watch: &Watch, now: Now) -> u64 {
    u64::try_from(watch.until.since(now.tick).as_millis().div_ceil(1000)).unwrap_or(0)
}

fn with_tag(from: &NameAddr) -> String {
    match from.tag() {
        Some(tag) => format!("{};tag={tag}", from.render()),
        None => from.render(),
    }
}

/// Names the dialog (RFC 3261 12): our tag, and a hash of what the watcher chose.
pub(super) fn name_of(request: &Request, tag: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(request.call_id.as_bytes());
    hash.update([0]);
    hash.update(request.from.tag().unwrap_or_default().as_bytes());
    let hex: String = hash.finalize().iter().take(12).map(|b| format!("{b:02x}")).collect();
    let tag: String = tag.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    format!("{tag}:{hex}")
}

fn shortened(doc: &PresenceDoc) -> PresenceDoc {
    let best =
        doc.tuples.iter().max_by_key(|t| (t.basic == Basic::Open, t.priority.unwrap_or(0), t.at)).cloned();
    let mut tuples: Vec<_> = best.into_iter().collect();
    for t in &mut tuples {
        t.notes.truncate(1);
        if let Some((_, text)) = t.notes.first_mut() {
            *text = text.chars().take(80).collect();
        }
    }
    PresenceDoc { presentity: doc.presentity.clone(), tuples }
}

/// The dialog as text, one field a line, for the machine that claims it.
fn save(w: &Watch, local: SocketAddr) -> Bytes {
    let mut out = inherit::first_line(w.hop, local);
    out.push_str(&format!(
        "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n",
        clean(w.presentity.as_str()),
        clean(&w.call_id),
        w.tag,
        clean(&w.local),
        clean(&w.remote),
        clean(&w.remote_tag),
        clean(&w.target),
        w.event_id.as_deref().map(clean).unwrap_or_default(),
        w.cseq,
        w.their_cseq
    ));
    for route in &w.routes {
        out.push_str(&clean(route));
        out.push('\n');
    }
    Bytes::from(out)
}

/// Gives the dialog, and whether its hop outlives a connection.
fn load(state: &[u8], account: &Address, gap: u32) -> Option<(Watch, bool)> {
    let mut lines = std::str::from_utf8(state).ok()?.lines();
    let hop = inherit::read_first(&mut lines)?;
    let mut next = || lines.next().map(str::to_owned);
    let watch = Watch {
        account: account.clone(),
        presentity: Address::parse(&next()?).ok()?,
        call_id: next()?,
        tag: next()?,
        local: next()?,
        remote: next()?,
        remote_tag: next()?,
        target: next()?,
        event_id: next().filter(|s| !s.is_empty()),
        cseq: next()?.parse::<u32>().ok()?.saturating_add(gap),
        their_cseq: next()?.parse().ok()?,
        routes: lines.map(str::to_owned).collect(),
        hop: hop.unwrap_or(Hop::Stream(Flow::ACCEPTED)),
        until: Tick::default(),
        state: WatchState::Active,
        doc: None,
        ready: false,
        news: false,
        in_flight: false,
        dirty: false,
        ending: false,
        again: false,
    };
    Some((watch, hop.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_survives_its_machine() {
        let account = Address::parse("romeo@example.net").unwrap();
        let hop = Hop::Udp("192.0.2.1:5060".parse().unwrap());
        let w = Watch {
            account: account.clone(),
            presentity: Address::parse("juliet@example.com").unwrap(),
            call_id: "c".into(),
            tag: "t".into(),
            local: "<sip:juliet@example.com>".into(),
            remote: "<sip:romeo@example.net>;tag=9".into(),
            remote_tag: "9".into(),
            target: "sip:romeo@192.0.2.1".into(),
            routes: vec!["<sip:p;lr>".into()],
            event_id: None,
            cseq: 3,
            their_cseq: 7,
            hop,
            until: Tick::default(),
            state: WatchState::Active,
            doc: None,
            ready: false,
            news: false,
            in_flight: false,
            dirty: false,
            ending: false,
            again: false,
        };
        let local = "203.0.113.5:5060".parse().unwrap();
        let back = load(&save(&w, local), &account, 10_000).unwrap();
        assert_eq!(back, (Watch { cseq: 10_003, ..w }, true));
        for bad in ["", "2\n", "1\nx", "1\na@b\nc\nt\nl\nr\nr\nt\n\nx\n1\n"] {
            assert!(load(bad.as_bytes(), &account, 0).is_none(), "{bad}");
        }
    }
}
