//! Sessions that outlive their connection: a link that stays, with all it has bound and all that comes for it, until
//! another machine goes on with it or the time is over.

use crate::clock;
use crate::expiry::Expiry;
use crate::house::Hub;
use crate::link::{HubEvent, Inbox, Job, Link, LinkCore};
use model::{Address, Answer, Delivery, DeliveryId, Endpoint, Event, LeaseKey, Notice, Remains, Ticket};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What the machine that ended left for the one that goes on. Only their door can read it.
type Left = Box<dyn Remains>;

struct Session {
    owner: Address,
    core: Arc<LinkCore>,
    /// Set while no machine has it; with the time at which it ends.
    parked: Option<(Left, u64)>,
    /// The machine that wants it, while another one still has it.
    heir: Option<(Arc<LinkCore>, Ticket)>,
    /// It comes from the last process, and its client has not come back yet.
    revived: bool,
}

/// A session that waits, taken out.
pub(crate) struct Waiting {
    pub key: LeaseKey,
    pub core: Arc<LinkCore>,
    pub left: Left,
    /// Unix milliseconds at which it ends.
    pub until: u64,
}

/// All sessions that may be resumed.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<LeaseKey, Session>>);

impl Sessions {
    /// Takes out a waiting session that is to end: from then on nobody can go on with it.
    fn take_parked(&self, key: &LeaseKey, which: impl Fn(&Session) -> bool) -> Option<Arc<LinkCore>> {
        let mut sessions = self.0.lock();
        sessions.get(key).filter(|s| s.parked.is_some() && which(s))?;
        sessions.remove(key).map(|s| s.core)
    }

    /// Takes out all that wait: nobody comes any more.
    pub fn take_all_parked(&self) -> Vec<Waiting> {
        let mut sessions = self.0.lock();
        let parked = sessions.extract_if(|_, s| s.parked.is_some());
        let waiting = parked.filter_map(|(key, Session { core, parked, .. })| {
            let (left, until) = parked?;
            Some(Waiting { key, core, left, until })
        });
        waiting.collect()
    }
}

/// A session on its way from one machine to another. One that never arrives waits on.
pub struct Handover {
    hub: Arc<Hub>,
    core: Arc<LinkCore>,
    left: Option<(Left, u64)>,
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover(..)")
    }
}

impl Handover {
    /// The tie to the hub that the machine goes on with, and what was left for it.
    pub fn take(mut self) -> Option<(Link, Inbox, Left)> {
        let (left, _) = self.left.take()?;
        let link = Link { core: self.core.clone(), hub: self.hub.clone() };
        Some((link, Inbox::of(self.core.clone()), left))
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some((left, until)) = self.left.take() {
            self.hub.park(self.core.clone(), left, until);
        }
    }
}

impl Hub {
    /// A machine's session may be resumed from now on.
    pub(crate) fn resumable(&self, link: &Arc<LinkCore>, key: LeaseKey, owner: Address) {
        *link.session.lock() = Some(Box::new(key.clone()));
        let session = Session { owner, core: link.clone(), parked: None, heir: None, revived: false };
        self.sessions.0.lock().insert(key, session);
    }

    /// A session of the last process waits for its client.
    pub(crate) fn revive_session(
        &self,
        key: LeaseKey,
        owner: Address,
        core: Arc<LinkCore>,
        left: Left,
        until: u64,
    ) {
        core.parked.store(true, Ordering::Release);
        *core.session.lock() = Some(Box::new(key.clone()));
        let session = Session { owner, core, parked: Some((left, until)), heir: None, revived: true };
        self.sessions.0.lock().insert(key.clone(), session);
        self.expiries.add(until, Expiry::Session(key));
    }

    /// A machine ended and leaves its session. `unwritten` are deliveries whose bytes nobody has seen.
    pub(crate) fn linger(
        self: &Arc<Self>,
        core: Arc<LinkCore>,
        left: Left,
        secs: u32,
        unwritten: &[DeliveryId],
    ) {
        let flights: Vec<_> = unwritten.iter().filter_map(|id| core.land(*id)).collect();
        self.returned(&core, &flights);
        self.park(core, left, clock::wall().unix_ms() + u64::from(secs) * 1000);
    }

    fn park(self: &Arc<Self>, core: Arc<LinkCore>, left: Left, until: u64) {
        let key = core.session.lock().clone();
        let mut sessions = self.sessions.0.lock();
        let found = key.as_ref().and_then(|key| sessions.get_mut(&**key));
        let (Some(key), Some(session), false) = (key, found, core.is_overrun()) else {
            drop(sessions);
            return self.end_link(&core);
        };
        core.parked.store(true, Ordering::Release);
        session.parked = Some((left, until));
        match session.heir.take().filter(|(heir, _)| !heir.closed.load(Ordering::Acquire)) {
            Some((heir, ticket)) => self.hand_over(sessions, &key, &heir, ticket),
            None => self.expiries.add(until, Expiry::Session(*key)),
        }
    }

    /// Gives a waiting session to a machine.
    fn hand_over(
        self: &Arc<Self>,
        mut sessions: parking_lot::MutexGuard<'_, HashMap<LeaseKey, Session>>,
        key: &LeaseKey,
        heir: &Arc<LinkCore>,
        ticket: Ticket,
    ) {
        let Some(session) = sessions.get_mut(key) else { return };
        let left = session.parked.take();
        let revived = std::mem::take(&mut session.revived);
        session.core.parked.store(false, Ordering::Release);
        // The machine that had it may have ended before it heard that this one wants it.
        session.core.unsay_first();
        let handover = Handover { hub: self.clone(), core: session.core.clone(), left };
        // What does not arrive is parked again, which needs the table.
        drop(sessions);
        self.judge_again(&handover.core);
        let core = handover.core.clone();
        heir.send(HubEvent::Resumed(ticket, handover));
        if revived {
            self.greet_elsewhere(&core);
        }
    }

    /// What came for a session while no machine had it has waited like what is in a mailbox, and the rules may have
    /// changed. What does not pass any more goes back there, and ends there; a copy of it is nothing to go on with.
    fn judge_again(self: &Arc<Self>, core: &Arc<LinkCore>) {
        let passes = |delivery: &Delivery| {
            // The news of presence is told anew when rules change, in its order.
            matches!(delivery.envelope.event, Event::Notify(_))
                || self.parts.pipeline.still_passes(&delivery.envelope).is_ok()
        };
        let flights: Vec<_> = core.withdraw(passes).into_iter().filter_map(|id| core.land(id)).collect();
        self.returned(core, &flights);
    }

    /// A machine wants to go on with a session.
    pub(crate) fn resume(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        ticket: Ticket,
        key: &LeaseKey,
        owner: &Address,
    ) {
        let mut sessions = self.sessions.0.lock();
        let Some(session) = sessions.get_mut(key).filter(|s| &s.owner == owner) else {
            return link.send(HubEvent::Answer(ticket, Answer::Claimed(None)));
        };
        if session.core.is_overrun() {
            drop(sessions);
            if let Some(core) = self.sessions.take_parked(key, |s| s.core.is_overrun()) {
                self.end_link(&core);
            }
            return link.send(HubEvent::Answer(ticket, Answer::Claimed(None)));
        }
        if session.parked.is_some() {
            return self.hand_over(sessions, key, link, ticket);
        }
        let older = session.heir.replace((link.clone(), ticket));
        let device = Endpoint::bare(session.owner.clone());
        session.core.send_first(HubEvent::Notice(device, Notice::Taken));
        drop(sessions);
        if let Some((older, ticket)) = older {
            older.send(HubEvent::Answer(ticket, Answer::Claimed(None)));
        }
    }

    /// A link's session ends: nobody can go on with it from now on. True if it waited, so that the link must end too.
    pub(crate) fn forget_session(&self, link: &Arc<LinkCore>) -> bool {
        let Some(key) = link.session.lock().take() else { return false };
        let mut sessions = self.sessions.0.lock();
        if !sessions.get(&*key).is_some_and(|s| Arc::ptr_eq(&s.core, link)) {
            return false;
        }
        let Some(session) = sessions.remove(&*key) else { return false };
        drop(sessions);
        if let Some((heir, ticket)) = session.heir {
            heir.send(HubEvent::Answer(ticket, Answer::Claimed(None)));
        }
        session.parked.is_some()
    }

    /// Nobody came for it in time.
    pub(crate) fn lapse_session(self: &Arc<Self>, key: &LeaseKey, now: u64) {
        let is_due = |s: &Session| s.parked.as_ref().is_some_and(|(_, until)| *until <= now);
        if let Some(core) = self.sessions.take_parked(key, is_due) {
            self.end_link(&core);
        }
    }

    /// The sessions of an account end: its password changed, or it is gone. Those that wait end at once; a machine
    /// that has one is told elsewhere, and cannot leave it to another, whether it hears that or not.
    pub(crate) fn end_sessions(self: &Arc<Self>, owner: &Address) {
        let ended: Vec<Session> = {
            let mut sessions = self.sessions.0.lock();
            sessions.extract_if(|_, s| &s.owner == owner).map(|(_, s)| s).collect()
        };
        for Session { core, parked, heir, .. } in ended {
            if parked.is_some() {
                self.end_link(&core);
            }
            if let Some((heir, ticket)) = heir {
                heir.send(HubEvent::Answer(ticket, Answer::Claimed(None)));
            }
        }
    }

    /// A link ends whose machine has ended before: its devices go, and what they had not acknowledged goes back.
    pub(crate) fn end_link(self: &Arc<Self>, core: &Arc<LinkCore>) {
        core.parked.store(false, Ordering::Release);
        core.closed.store(true, Ordering::Release);
        self.enqueue(core, Job::Leave);
    }
}
