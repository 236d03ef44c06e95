//! A machine's tie to the hub.

use crate::account::Account;
use crate::choice::Choice;
use crate::house::Hub;
use crate::router::Committed;
use crate::sessions::Handover;
use crate::trace::Trail;
use model::{
    Address, Answer, Ask, Delivery, DeliveryId, Dialect, Endpoint, Envelope, Event, LeaseKey, Line, LineNews,
    Notice, Remains, Seq, Settlement, Ticket, Way,
};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use store::SettledRow;

/// Events that may queue for a machine whose peer does not read, before the hub gives it up. Messages are bounded
/// by the mailbox's window long before; this bounds what is not journalled.
const OVERRUN: usize = 20_000;
/// The same for a session whose connection is gone.
const OVERRUN_PARKED: usize = 2_000;

/// What the hub tells a machine.
#[derive(Debug)]
pub enum HubEvent {
    /// An envelope for a bound device or a held lease.
    Deliver(Delivery),
    /// News of a line.
    Line(LineNews),
    /// News for a bound device.
    Notice(Endpoint, Notice),
    /// A submission is on record.
    Kept(Ticket),
    /// How a submission ended.
    Settled(Ticket, Settlement),
    /// The answer to an ask.
    Answer(Ticket, Answer),
    /// The answer to a wish to resume: the machine goes on with another tie to the hub.
    Resumed(Ticket, Handover),
    /// The machine takes its events too slowly: it must end.
    Overrun,
}

/// A delivery that waits for its acknowledgement.
pub(crate) struct Flight {
    pub account: Arc<Account>,
    pub seq: u64,
    /// Between whom, where it goes to another company.
    pub path: u64,
    /// The sender's dialect.
    pub from: Dialect,
    /// What flies, where another protocol may be tried if it is refused; and what was said to it over the first one.
    pub choice: Option<Box<Choice>>,
    /// Where the envelope is followed.
    pub trail: Option<Box<Trail>>,
}

/// One thing that may have to wait for the disk, run in the order the machine asked for it.
pub(crate) enum Job {
    Submit {
        ticket: Ticket,
        envelope: Box<Envelope>,
        outcome_wanted: bool,
    },
    /// An act of the presence kind that is on record under this number.
    Apply {
        seq: Seq,
        ticket: Ticket,
        envelope: Arc<Envelope>,
        outcome_wanted: bool,
    },
    /// An act of the presence kind that is on record and leaves for another server.
    Depart {
        seq: Seq,
        account: Arc<Account>,
        committed: Box<Committed>,
        /// Its mailbox keeps it from everybody until then.
        kept_back: bool,
    },
    Ask(Ticket, Ask),
    Attend(Endpoint, Option<i8>),
    Unbind(Endpoint),
    Lease {
        key: LeaseKey,
        owner: Address,
        state: bytes::Bytes,
        secs: u32,
    },
    Leave,
}

#[derive(Default)]
pub(crate) struct Lane {
    pub jobs: VecDeque<Job>,
    pub running: bool,
}

/// Events on their way to a machine. Not a channel: those of the runtime keep a block of slots for every idle
/// connection, which was a fifth of its memory.
#[derive(Default)]
struct Queue {
    events: VecDeque<HubEvent>,
    /// What must be heard although the peer does not read.
    first: Option<Box<HubEvent>>,
    waker: Option<Waker>,
    overrun: bool,
}

/// The hub's side of a link.
pub(crate) struct LinkCore {
    pub dialect: Dialect,
    queue: Mutex<Queue>,
    pub closed: AtomicBool,
    pub flights: Mutex<(u64, HashMap<u64, Flight>)>,
    pub lane: Mutex<Lane>,
    pub bound: Mutex<Vec<Endpoint>>,
    /// Under which name the whole may be resumed.
    pub session: Mutex<Option<Box<LeaseKey>>>,
    /// No machine has it at the moment.
    pub parked: AtomicBool,
    /// What its connection was opened for, if we opened it.
    pub opened_for: OnceLock<Box<Way>>,
    /// Where its connection comes from, if it is one.
    pub from: OnceLock<IpAddr>,
}

impl LinkCore {
    /// A link nobody listens to yet; the hub's own stays so.
    pub fn new(dialect: Dialect) -> Arc<Self> {
        Arc::new(Self {
            dialect,
            queue: Mutex::default(),
            closed: AtomicBool::new(dialect == Dialect::Hub),
            flights: Mutex::default(),
            lane: Mutex::default(),
            bound: Mutex::default(),
            session: Mutex::default(),
            parked: AtomicBool::new(false),
            opened_for: OnceLock::new(),
            from: OnceLock::new(),
        })
    }

    /// Queues an event. A machine that lags too far behind is told to end, once, and then nothing more; one that
    /// has ended is told nothing, its deliveries go back when the link is dropped.
    pub fn send(&self, event: HubEvent) {
        self.put(event, true);
    }

    /// The same of what a machine may hear together with something else that is sure to come: no reason to wake it.
    pub fn send_along(&self, event: HubEvent) {
        self.put(event, false);
    }

    fn put(&self, event: HubEvent, wakes: bool) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let mut queue = self.queue.lock();
        if queue.overrun {
            return;
        }
        let limit = if self.parked.load(Ordering::Acquire) { OVERRUN_PARKED } else { OVERRUN };
        queue.overrun = queue.events.len() >= limit;
        let event = if queue.overrun { HubEvent::Overrun } else { event };
        queue.events.push_back(event);
        let waker = if wakes || queue.overrun { queue.waker.take() } else { None };
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Says something before everything else, even to a machine whose peer does not read.
    pub fn send_first(&self, event: HubEvent) {
        let mut queue = self.queue.lock();
        queue.first = Some(Box::new(event));
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What was to be heard before everything else was meant for a machine that has ended.
    pub fn unsay_first(&self) {
        self.queue.lock().first = None;
    }

    /// Nobody hears any more: what was queued is dropped, a session on its way here among it.
    pub fn clear(&self) {
        let events = std::mem::take(&mut self.queue.lock().events);
        drop(events);
    }

    /// Takes all that was queued; `None` where something that was meant for it is lost.
    pub fn take_all(&self) -> Option<Vec<HubEvent>> {
        let mut queue = self.queue.lock();
        let events = std::mem::take(&mut queue.events);
        (!queue.overrun).then(|| events.into())
    }

    /// Takes back the deliveries that it has not heard of and that do not stay.
    pub fn withdraw(&self, stays: impl Fn(&Delivery) -> bool) -> Vec<DeliveryId> {
        let mut gone = Vec::new();
        // Looking takes time, and meanwhile more may come.
        let mut events = std::mem::take(&mut self.queue.lock().events);
        events.retain(|event| match event {
            HubEvent::Deliver(delivery) if !stays(delivery) => {
                gone.push(delivery.id);
                false
            }
            _ => true,
        });
        let mut queue = self.queue.lock();
        events.append(&mut queue.events);
        queue.events = events;
        gone
    }

    /// Something that was meant for it is lost.
    pub fn is_overrun(&self) -> bool {
        self.queue.lock().overrun
    }

    /// Notes a delivery that must be acknowledged, and gives its number.
    pub fn fly(&self, flight: Flight) -> DeliveryId {
        let mut flights = self.flights.lock();
        flights.0 += 1;
        let id = flights.0;
        flights.1.insert(id, flight);
        DeliveryId(id)
    }

    /// Is a delivery's row still in its mailbox? Where another device has it, it is not handed out again.
    pub fn waits(&self, id: DeliveryId) -> bool {
        let flights = self.flights.lock();
        let Some((account, seq)) = flights.1.get(&id.0).map(|f| (f.account.clone(), f.seq)) else {
            return false;
        };
        drop(flights);
        !account.state.lock().mailbox.is_done(seq)
    }

    pub fn land(&self, id: DeliveryId) -> Option<Flight> {
        self.flights.lock().1.remove(&id.0)
    }

    /// Events that wait for the machine, and its jobs that wait for the disk.
    pub fn waiting(&self) -> (u64, u64) {
        let events = self.queue.lock().events.len() as u64;
        (events, self.lane.lock().jobs.len() as u64)
    }

    /// True while nothing of this link waits for the disk: a message may then go the quick way without
    /// overtaking anything.
    pub fn is_quick(&self) -> bool {
        let lane = self.lane.lock();
        lane.jobs.is_empty() && !lane.running
    }
}

/// A machine's tie to the hub. Dropping it unbinds everything the machine bound and returns unacknowledged
/// deliveries to their mailboxes.
pub struct Link {
    pub(crate) core: Arc<LinkCore>,
    pub(crate) hub: Arc<Hub>,
}

/// Where a machine's events arrive.
pub struct Inbox {
    core: Arc<LinkCore>,
}

impl Inbox {
    pub(crate) fn of(core: Arc<LinkCore>) -> Self {
        Self { core }
    }

    /// Takes what cannot wait until the peer has read; pending when there is nothing of the kind.
    pub fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<HubEvent> {
        let mut queue = self.core.queue.lock();
        match queue.first.take() {
            Some(event) => Poll::Ready(*event),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes up to `limit` events; pending when there are none.
    pub fn poll_take(&mut self, cx: &mut Context<'_>, into: &mut Vec<HubEvent>, limit: usize) -> Poll<usize> {
        let mut queue = self.core.queue.lock();
        if let Some(first) = queue.first.take() {
            into.push(*first);
            return Poll::Ready(1);
        }
        if queue.events.is_empty() {
            if !queue.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
                queue.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let n = queue.events.len().min(limit);
        into.extend(queue.events.drain(..n));
        // A quiet connection owns no queue.
        if queue.events.is_empty() {
            queue.events = VecDeque::new();
        }
        Poll::Ready(n)
    }

    /// Takes the next event.
    pub async fn next(&mut self) -> HubEvent {
        let mut one = Vec::with_capacity(1);
        std::future::poll_fn(|cx| self.poll_take(cx, &mut one, 1).map(|_| one.pop()))
            .await
            .unwrap_or(HubEvent::Overrun)
    }
}

impl Hub {
    /// Ties a new machine to the hub.
    pub fn join(self: &Arc<Self>, dialect: Dialect) -> (Link, Inbox) {
        let core = LinkCore::new(dialect);
        (Link { core: core.clone(), hub: self.clone() }, Inbox { core })
    }

    /// Ties the machine of a connection that comes from there.
    pub fn join_from(self: &Arc<Self>, dialect: Dialect, from: IpAddr) -> (Link, Inbox) {
        let (link, inbox) = self.join(dialect);
        let _ = link.core.from.set(from);
        (link, inbox)
    }

    /// Ties the machine of a connection that is opened to carry this way.
    pub fn join_for(self: &Arc<Self>, dialect: Dialect, way: Way) -> (Link, Inbox) {
        let (link, inbox) = self.join(dialect);
        let _ = link.core.opened_for.set(Box::new(way));
        (link, inbox)
    }

    /// Queues a job that may wait for the disk; jobs of one link run one at a time, in order.
    pub(crate) fn enqueue(self: &Arc<Self>, link: &Arc<LinkCore>, job: Job) {
        let mut lane = link.lane.lock();
        lane.jobs.push_back(job);
        if lane.running {
            return;
        }
        lane.running = true;
        drop(lane);
        let (hub, link) = (self.clone(), link.clone());
        self.blocking(move || {
            loop {
                let job = {
                    let mut lane = link.lane.lock();
                    match lane.jobs.pop_front() {
                        Some(job) => job,
                        None => {
                            *lane = Lane::default();
                            return;
                        }
                    }
                };
                hub.run(&link, job);
            }
        });
    }

    fn run(self: &Arc<Self>, link: &Arc<LinkCore>, job: Job) {
        let Some(_unended) = self.unended() else { return };
        match job {
            Job::Submit { ticket, envelope, outcome_wanted } => {
                self.submit_slow(link, ticket, envelope, outcome_wanted)
            }
            Job::Apply { seq, ticket, envelope, outcome_wanted } => {
                let outcome = self.apply(link, ticket, &envelope, outcome_wanted);
                self.parts.journal.settle(SettledRow { seq, outcome, losses: Vec::new() });
            }
            Job::Depart { seq, account, committed, kept_back } => {
                // An answer may come back at once, so a wish is noted first; what follows from a decision, such as
                // presence, must not overtake it.
                let envelope = committed.envelope.clone();
                if matches!(envelope.event, Event::Authorize(_)) {
                    self.post_abroad(seq, &account, *committed, kept_back);
                    self.note_departing(&envelope);
                } else {
                    self.note_departing(&envelope);
                    self.post_abroad(seq, &account, *committed, kept_back);
                }
            }
            Job::Ask(ticket, Ask::Bind { account, device, attend }) => {
                // Who is handed something must know already that it is bound.
                let answer = self.answer(link, Ask::Bind { account, device, attend });
                let ready = match &answer {
                    Answer::Bound(endpoint) => attend.map(|priority| (endpoint.clone(), priority)),
                    _ => None,
                };
                link.send(HubEvent::Answer(ticket, answer));
                if let Some((endpoint, priority)) = ready {
                    self.set_attendance(link, &endpoint, Some(priority));
                }
            }
            Job::Ask(ticket, Ask::Confirm { pair, proof }) => self.confirm(link, ticket, &pair, proof),
            Job::Ask(ticket, Ask::Resume { key, owner }) => self.resume(link, ticket, &key, &owner),
            Job::Ask(ticket, ask) => {
                let claim = match &ask {
                    Ask::Claim { key, owner } => Some((key.clone(), owner.clone())),
                    _ => None,
                };
                let answer = self.answer(link, ask);
                let claim = claim.filter(|_| matches!(answer, Answer::Claimed(Some(_))));
                link.send(HubEvent::Answer(ticket, answer));
                if let Some((key, owner)) = claim {
                    self.claim_watches(link, &key, &owner);
                }
            }
            Job::Attend(endpoint, priority) => self.set_attendance(link, &endpoint, priority),
            Job::Unbind(endpoint) => self.unbind(link, &endpoint),
            Job::Lease { key, owner, state, secs } => self.set_lease(link, key, owner, state, secs),
            Job::Leave => self.leave(link),
        }
    }
}

impl Link {
    /// Hands over an envelope. `Kept` and `Settled` name the ticket.
    pub fn submit(&self, ticket: Ticket, envelope: Box<Envelope>, outcome_wanted: bool) {
        if let Err(envelope) = self.hub.submit_quick(&self.core, ticket, envelope, outcome_wanted) {
            self.hub.enqueue(&self.core, Job::Submit { ticket, envelope, outcome_wanted });
        }
    }

    /// Asks something; the answer names the ticket.
    pub fn ask(&self, ticket: Ticket, ask: Ask) {
        self.hub.enqueue(&self.core, Job::Ask(ticket, ask));
    }

    /// Says something to the machine at the other end of a line.
    pub fn say(&self, line: Line, bytes: bytes::Bytes) {
        self.hub.lines.say(&self.core, line, bytes);
    }

    /// Ends a line.
    pub fn hang_up(&self, line: Line) {
        self.hub.lines.hang_up(&self.core, line);
    }

    /// Somebody proved the password of an account, or failed to: from there, or whoever the connection leads to.
    pub fn login(&self, account: Option<&Address>, from: Option<IpAddr>, proven: bool) {
        self.hub.counting.login(self.core.dialect, proven);
        if let (Some(account), Some(ip)) = (account, from.or(self.core.from.get().copied())) {
            self.hub.logins.ends(ip, account, proven, self.hub.parts.rules.login_failures());
        }
    }

    /// A bound device becomes ready for messages, or no longer.
    pub fn attend(&self, endpoint: Endpoint, priority: Option<i8>) {
        self.hub.enqueue(&self.core, Job::Attend(endpoint, priority));
    }

    /// A bound device is gone.
    pub fn unbind(&self, endpoint: Endpoint) {
        self.hub.enqueue(&self.core, Job::Unbind(endpoint));
    }

    /// Leaves state with the hub that outlives the machine.
    pub fn lease(&self, key: LeaseKey, owner: Address, state: bytes::Bytes, secs: u32) {
        self.hub.enqueue(&self.core, Job::Lease { key, owner, state, secs });
    }

    /// What this link has bound may be taken over by another machine that knows the key.
    pub fn resumable(&self, key: LeaseKey, owner: Address) {
        // At once: the connection may be cut before anything that waits in line is done.
        self.hub.resumable(&self.core, key, owner);
    }

    /// The machine ends, what it bound stays for so many seconds. `unwritten` are deliveries that were to be
    /// acknowledged once written, and were not.
    pub fn linger(&mut self, state: Box<dyn Remains>, secs: u32, unwritten: &[DeliveryId]) {
        let core = std::mem::replace(&mut self.core, LinkCore::new(Dialect::Hub));
        self.hub.linger(core, state, secs, unwritten);
    }

    /// What became of a delivery.
    pub fn ack(&self, delivery: DeliveryId, settlement: Settlement) {
        if let Some(flight) = self.core.land(delivery) {
            self.hub.acknowledged(&self.core, &flight, settlement);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.core.closed.store(true, Ordering::Release);
        self.hub.enqueue(&self.core, Job::Leave);
    }
}
