//! Flows of numbered messages: who sends, how many may be unconfirmed, what has arrived, what was answered.
//!
//! One rig per generator thread. Clients report what they read to it as a [`Sink`]; it sends through [`Sender`]s.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use crate::{
    clock::{self, SECOND},
    hist::Histogram,
    mark::Mark,
    sip::parse::Message,
    tracker::{Seen, Tracker},
};

/// Where clients report what they receive. `now` is the time of the read.
pub trait Sink {
    /// A message, status or notification with a mark, received by client (or subscription) `who`.
    fn arrived(&self, _who: u32, _mark: Mark, _now: u64) {}
    /// An XMPP error instead of a delivery.
    fn bounced(&self, _flow: u32, _seq: u32, _condition: &str, _now: u64) {}
    /// A final SIP response to a message of a flow.
    fn answered(&self, _flow: u32, _seq: u32, _attempt: u8, _response: &Message<'_>, _now: u64) {}
    /// A request that the server sent again was answered again, and not reported.
    fn absorbed(&self) {}
    /// Everything read at once has been reported.
    fn batch_done(&self) {}
    /// A connection has ended.
    fn closed(&self) {}
}

/// A sink for clients that only have to stay connected.
#[derive(Default)]
pub struct Idle {
    /// Connections that have ended.
    pub closed: Cell<u64>,
}

impl Sink for Idle {
    fn closed(&self) {
        self.closed.set(self.closed.get() + 1);
    }
}

/// The sending side of a flow.
pub trait Sender {
    /// Queues the message for `mark`. Returns a copy if it may have to be sent again.
    fn emit(&self, mark: &Mark, attempt: u8) -> Option<Box<[u8]>>;
    /// Sends what is queued.
    fn flush(&self);
    /// Whether each message is answered, apart from being delivered.
    fn is_answered(&self) -> bool;
    /// Sends a copy again.
    fn resend(&self, _copy: &[u8]) {}
    /// Takes a demand for credentials; false if it cannot be met.
    fn challenged(&self, _response: &Message<'_>) -> bool {
        false
    }
}

/// What a run has counted. Deliveries and latencies: while counting was on; everything else: from start to end.
#[derive(Default, Clone)]
pub struct Stats {
    /// First deliveries.
    pub delivered: u64,
    /// From due to delivered.
    pub latency: Histogram,
    /// From due to the final response.
    pub answers: Histogram,
    /// All messages sent.
    pub sent: u64,
    /// Sent, never delivered.
    pub lost: u64,
    /// Delivered more than once.
    pub duplicates: u64,
    /// Overtaken within a flow.
    pub out_of_order: u64,
    /// Errors by kind.
    pub errors: BTreeMap<String, u64>,
    /// Messages given up so that a closed window could move on.
    pub window_timeouts: u64,
    /// Messages of earlier runs.
    pub stale: u64,
    /// Requests sent again.
    pub retransmitted: u64,
    /// Requests received again.
    pub absorbed: u64,
    /// Connections that ended.
    pub closed: u64,
}

impl Stats {
    /// Adds another thread's counts.
    pub fn merge(&mut self, o: &Self) {
        self.latency.merge(&o.latency);
        self.answers.merge(&o.answers);
        for (k, n) in &o.errors {
            *self.errors.entry(k.clone()).or_default() += n;
        }
        for (mine, theirs) in [
            (&mut self.delivered, o.delivered),
            (&mut self.sent, o.sent),
            (&mut self.lost, o.lost),
            (&mut self.duplicates, o.duplicates),
            (&mut self.out_of_order, o.out_of_order),
            (&mut self.window_timeouts, o.window_timeouts),
            (&mut self.stale, o.stale),
            (&mut self.retransmitted, o.retransmitted),
            (&mut self.absorbed, o.absorbed),
            (&mut self.closed, o.closed),
        ] {
            *mine += theirs;
        }
    }

    /// Counts an error.
    pub fn error(&mut self, what: String) {
        *self.errors.entry(what).or_default() += 1;
    }
}

/// When deliveries count.
#[derive(Default)]
pub struct Gate(Cell<(u64, u64)>);

impl Gate {
    /// Counting goes from `from` up to `to`.
    pub fn set(&self, from: u64, to: u64) {
        self.0.set((from, to));
    }

    /// Whether `at` counts.
    pub fn open(&self, at: u64) -> bool {
        let (from, to) = self.0.get();
        (from..to).contains(&at)
    }
}

struct Slot {
    at: u64,
    delivered: bool,
    answered: bool,
    done: bool,
    attempt: u8,
    copy: Option<Box<[u8]>>,
    interval: u64,
    resend_at: u64,
}

struct Flow {
    sender: Rc<dyn Sender>,
    tracker: Tracker,
    slots: VecDeque<Slot>,
    base: u32,
    sent: u32,
    in_flight: u32,
    progress: u64,
}

/// SIP timers (RFC 3261, 17.1.2.1).
const T1: u64 = SECOND / 2;
const T2: u64 = 4 * SECOND;
/// After this long without any progress a closed window gives its messages up: timer F, near enough.
const GIVE_UP: u64 = 32 * SECOND;

/// All flows of one thread.
pub struct Rig {
    run: u32,
    first_flow: u32,
    window: u32,
    flows: RefCell<Vec<Flow>>,
    changed: RefCell<Vec<usize>>,
    stats: RefCell<Stats>,
    /// Whether windows are filled as they empty.
    pub closed_loop: Cell<bool>,
    /// When deliveries count.
    pub gate: Gate,
}

impl Rig {
    /// A rig whose flows are numbered from `first_flow`.
    pub fn new(run: u32, first_flow: u32, window: u32) -> Rc<Self> {
        Rc::new(Self {
            run,
            first_flow,
            window,
            flows: RefCell::default(),
            changed: RefCell::default(),
            stats: RefCell::default(),
            closed_loop: Cell::new(false),
            gate: Gate::default(),
        })
    }

    /// The number that the next flow will get.
    pub fn next_flow(&self) -> u32 {
        self.first_flow + self.flows.borrow().len() as u32
    }

    /// Adds a flow.
    pub fn add(&self, sender: Rc<dyn Sender>) {
        self.flows.borrow_mut().push(Flow {
            sender,
            tracker: Tracker::default(),
            slots: VecDeque::new(),
            base: 0,
            sent: 0,
            in_flight: 0,
            progress: 0,
        });
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.flows.borrow().len()
    }

    /// Whether there are no flows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts the closed loop.
    pub fn start(&self) {
        self.closed_loop.set(true);
        self.changed.borrow_mut().extend(0..self.len());
        self.pump();
    }

    /// Sends the next message of flow `index` (of this thread), due at `at`.
    pub fn send_due(&self, index: usize, at: u64) {
        let mut flows = self.flows.borrow_mut();
        emit(&mut flows[index], self.run, self.first_flow + index as u32, at);
        self.changed.borrow_mut().push(index);
    }

    /// Fills the windows that have changed and flushes.
    pub fn pump(&self) {
        let mut changed = self.changed.borrow_mut();
        if changed.is_empty() {
            return;
        }
        let mut flows = self.flows.borrow_mut();
        if self.closed_loop.get() {
            let now = clock::now();
            for &index in changed.iter() {
                let flow = &mut flows[index];
                while flow.in_flight < self.window {
                    emit(flow, self.run, self.first_flow + index as u32, now);
                }
            }
        }
        for index in changed.drain(..) {
            flows[index].sender.flush();
        }
    }

    /// Retransmits what is due and frees windows that are stuck. To be called some times a second.
    pub fn tick(&self) {
        let now = clock::now();
        let mut stats = self.stats.borrow_mut();
        for (index, flow) in self.flows.borrow_mut().iter_mut().enumerate() {
            let Flow { slots, sender, .. } = flow;
            for slot in slots.iter_mut().filter(|s| !s.answered && now >= s.resend_at) {
                let Some(copy) = slot.copy.as_deref().filter(|_| now < slot.at + GIVE_UP) else { continue };
                sender.resend(copy);
                stats.retransmitted += 1;
                slot.interval = (slot.interval * 2).min(T2);
                slot.resend_at = now + slot.interval;
            }
            if self.closed_loop.get() && flow.in_flight > 0 && now > flow.progress + GIVE_UP {
                stats.window_timeouts += u64::from(flow.in_flight);
                flow.slots.iter_mut().for_each(|s| s.done = true);
                flow.in_flight = 0;
                flow.progress = now;
                self.changed.borrow_mut().push(index);
            }
            flow.sender.flush();
        }
        drop(stats);
        self.pump();
    }

    /// Whether everything sent has been delivered and answered, or has failed.
    pub fn is_settled(&self) -> bool {
        self.flows.borrow().iter().all(|f| f.in_flight == 0)
    }

    /// When anything last moved.
    pub fn last_progress(&self) -> u64 {
        self.flows.borrow().iter().map(|f| f.progress).max().unwrap_or(0)
    }

    /// The final count.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.borrow().clone();
        for f in self.flows.borrow().iter() {
            stats.sent += u64::from(f.sent);
            stats.lost += f.tracker.lost(u64::from(f.sent));
            stats.duplicates += f.tracker.duplicates;
            stats.out_of_order += f.tracker.out_of_order;
        }
        stats
    }

    /// Lets `act` change the slot of a message still open, then frees its place in the window if it is done.
    fn with_slot(&self, flow: u32, seq: u32, now: u64, act: impl FnOnce(&mut Slot, &Rc<dyn Sender>)) {
        let index = flow.wrapping_sub(self.first_flow) as usize;
        let mut flows = self.flows.borrow_mut();
        let Some(flow) = flows.get_mut(index) else { return };
        let Some(slot) = flow.slots.get_mut(seq.wrapping_sub(flow.base) as usize) else { return };
        act(slot, &flow.sender);
        flow.progress = now;
        if slot.answered && slot.delivered && !slot.done {
            slot.done = true;
            slot.copy = None;
            flow.in_flight -= 1;
            let mut changed = self.changed.borrow_mut();
            if changed.last() != Some(&index) {
                changed.push(index);
            }
        }
        while flow.slots.front().is_some_and(|s| s.done) {
            flow.slots.pop_front();
            flow.base += 1;
        }
    }
}

fn emit(flow: &mut Flow, run: u32, id: u32, at: u64) {
    let mark = Mark { run, flow: id, seq: flow.sent, at };
    let copy = flow.sender.emit(&mark, 0);
    flow.slots.push_back(Slot {
        at,
        delivered: false,
        answered: !flow.sender.is_answered(),
        done: false,
        attempt: 0,
        copy,
        interval: T1,
        resend_at: at + T1,
    });
    if flow.in_flight == 0 {
        flow.progress = at;
    }
    flow.sent += 1;
    flow.in_flight += 1;
}

impl Sink for Rig {
    fn arrived(&self, _who: u32, mark: Mark, now: u64) {
        let index = mark.flow.wrapping_sub(self.first_flow) as usize;
        if mark.run != self.run || index >= self.len() {
            self.stats.borrow_mut().stale += 1;
            return;
        }
        let seen = self.flows.borrow_mut()[index].tracker.see(u64::from(mark.seq));
        if seen == Seen::Twice {
            return;
        }
        let mut stats = self.stats.borrow_mut();
        if self.gate.open(now) {
            stats.delivered += 1;
        }
        if self.gate.open(mark.at) {
            stats.latency.record(now.saturating_sub(mark.at));
        }
        drop(stats);
        self.with_slot(mark.flow, mark.seq, now, |slot, _| slot.delivered = true);
    }

    fn bounced(&self, flow: u32, seq: u32, condition: &str, now: u64) {
        self.stats.borrow_mut().error(condition.to_owned());
        self.with_slot(flow, seq, now, |slot, _| slot.delivered = true);
    }

    fn answered(&self, flow: u32, seq: u32, attempt: u8, response: &Message<'_>, now: u64) {
        let code = response.code().unwrap_or(0);
        let id = Mark { run: self.run, flow, seq, at: 0 };
        self.with_slot(flow, seq, now, |slot, sender| {
            if slot.answered || attempt != slot.attempt {
                return; // a response sent again
            }
            if matches!(code, 401 | 407) && attempt < 3 && sender.challenged(response) {
                slot.attempt += 1;
                slot.copy = sender.emit(&Mark { at: slot.at, ..id }, slot.attempt);
                (slot.interval, slot.resend_at) = (T1, now + T1);
                sender.flush();
                return;
            }
            slot.answered = true;
            let mut stats = self.stats.borrow_mut();
            if code < 300 {
                if self.gate.open(slot.at) {
                    stats.answers.record(now.saturating_sub(slot.at));
                }
            } else {
                stats.error(code.to_string());
                slot.delivered = true;
            }
        });
    }

    fn absorbed(&self) {
        self.stats.borrow_mut().absorbed += 1;
    }

    fn batch_done(&self) {
        self.pump();
    }

    fn closed(&self) {
        self.stats.borrow_mut().closed += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Recorder(RefCell<Vec<Mark>>);

    impl Sender for Recorder {
        fn emit(&self, mark: &Mark, _attempt: u8) -> Option<Box<[u8]>> {
            self.0.borrow_mut().push(*mark);
            None
        }
        fn flush(&self) {}
        fn is_answered(&self) -> bool {
            true
        }
    }

    #[test]
    fn window_moves_when_delivered_and_answered() {
        let rig = Rig::new(1, 10, 2);
        let sent = Rc::new(Recorder::default());
        rig.add(sent.clone());
        rig.gate.set(0, u64::MAX);
        rig.start();
        assert_eq!(sent.0.borrow().len(), 2);
        let ok = Message { first: b"SIP/2.0 200 OK", ..Message::default() };
        let (first, second) = (sent.0.borrow()[0], sent.0.borrow()[1]);
        assert_eq!((first.flow, first.seq, second.seq), (10, 0, 1));
        rig.arrived(0, second, first.at + 5);
        rig.pump();
        assert_eq!(sent.0.borrow().len(), 2);
        rig.answered(10, 1, 0, &ok, first.at + 9);
        rig.answered(10, 1, 0, &ok, first.at + 9);
        rig.pump();
        assert_eq!(sent.0.borrow().len(), 3);
        let no = Message { first: b"SIP/2.0 404 Not Found", ..Message::default() };
        rig.answered(10, 0, 0, &no, first.at + 9);
        rig.closed_loop.set(false);
        rig.pump();
        let third = sent.0.borrow()[2];
        rig.arrived(0, third, 20);
        rig.arrived(0, third, 20);
        rig.arrived(0, Mark { run: 2, ..third }, 20);
        assert!(!rig.is_settled());
        rig.answered(10, 2, 0, &ok, third.at);
        assert!(rig.is_settled());
        let s = rig.stats();
        assert_eq!((s.sent, s.lost, s.delivered, s.duplicates, s.stale), (3, 1, 2, 1, 1));
        assert_eq!(s.errors["404"], 1);
    }
}
