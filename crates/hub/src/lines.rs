//! Lines: what two machines of one dialect have to say to each other about a call. A line lives from a request to its
//! last answer, not as long as the call: each request is judged, and finds its devices, anew.

use crate::account::{Account, Slot};
use crate::drain::UNTRACKED;
use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use bytes::Bytes;
use model::{Delivery, Dialect, Endpoint, Envelope, Event, Line, LineNews, Reason, Refusal, Role, Ticket};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Who is at the ends, by the even end's number.
#[derive(Default)]
pub(crate) struct Lines {
    next: AtomicU64,
    open: Mutex<HashMap<u64, [Weak<LinkCore>; 2]>>,
}

fn holds(end: &Weak<LinkCore>, link: &Arc<LinkCore>) -> bool {
    std::ptr::eq(end.as_ptr(), Arc::as_ptr(link))
}

impl Lines {
    /// Opens a line. The even end is the caller's.
    fn open(&self, caller: &Arc<LinkCore>, called: &Arc<LinkCore>) -> Line {
        let number = self.next.fetch_add(2, Ordering::Relaxed);
        self.open.lock().insert(number, [Arc::downgrade(caller), Arc::downgrade(called)]);
        Line(number)
    }

    /// Says something at one end; it is heard at the other.
    pub fn say(&self, link: &Arc<LinkCore>, line: Line, bytes: Bytes) {
        if let Some(other) = self.opposite(link, line, false) {
            other.send(HubEvent::Line(LineNews::Said(line.other(), bytes)));
        }
    }

    /// Ends a line.
    pub fn hang_up(&self, link: &Arc<LinkCore>, line: Line) {
        if let Some(other) = self.opposite(link, line, true) {
            other.send(HubEvent::Line(LineNews::Ended(line.other())));
        }
    }

    /// Who is at the other end, where this link holds this one.
    fn opposite(&self, link: &Arc<LinkCore>, line: Line, end: bool) -> Option<Arc<LinkCore>> {
        let number = line.0 & !1;
        let mut open = self.open.lock();
        let ends = open.get(&number)?;
        let [own, other] = if line.0 == number { [&ends[0], &ends[1]] } else { [&ends[1], &ends[0]] };
        if !holds(own, link) {
            return None;
        }
        let other = other.upgrade();
        if end {
            open.remove(&number);
        }
        other
    }

    /// A link ended, and with it every line that it held an end of.
    pub fn leave(&self, link: &Arc<LinkCore>) {
        let mut gone = Vec::new();
        self.open.lock().retain(|number, ends| {
            for (at, end) in ends.iter().enumerate() {
                if holds(end, link) {
                    let other = Line(number + at as u64).other();
                    gone.push((ends[1 - at].clone(), other));
                    return false;
                }
            }
            true
        });
        for (other, line) in gone {
            if let Some(other) = other.upgrade().filter(|other| !Arc::ptr_eq(other, link)) {
                other.send(HubEvent::Line(LineNews::Ended(line)));
            }
        }
    }
}

impl Hub {
    /// Gives a call to every device of somebody that can take it, or to the one it is for.
    pub(crate) fn connect(
        &self,
        link: &Arc<LinkCore>,
        ticket: Ticket,
        account: &Arc<Account>,
        envelope: &Arc<Envelope>,
    ) -> Result<(), Refusal> {
        let Event::Call(call) = &envelope.event else { return Err(Refusal::new(Reason::BadRequest)) };
        let state = account.state.lock();
        let ready = |s: &&Slot| s.attend.is_some() && !s.link.closed.load(Ordering::Acquire);
        let there: Vec<&Slot> = match &envelope.to.device {
            Some(device) => state.devices.iter().filter(|s| s.device == *device).filter(ready).collect(),
            None => state.devices.iter().filter(ready).collect(),
        };
        let able: Vec<&Slot> =
            there.iter().copied().filter(|s| s.link.dialect == call.original.dialect).collect();
        if able.is_empty() {
            return Err(match there.first() {
                Some(slot) => unable(slot.link.dialect),
                None => Refusal::new(Reason::Unavailable).with_text("the addressee is not there"),
            });
        }
        let sender = call.wants_answer.then_some((link, ticket));
        ring(account, &able, envelope, sender);
        Ok(())
    }

    /// Hands what is not kept to the connection that carries for a pair of domains.
    pub(crate) fn pass_over(
        &self,
        account: &Arc<Account>,
        slot: &Slot,
        envelope: &Arc<Envelope>,
        sender: Option<&(Weak<LinkCore>, Ticket)>,
    ) {
        let Event::Call(call) = &envelope.event else { return self.tell(account, slot, envelope) };
        let link = sender.and_then(|(link, ticket)| Some((link.upgrade()?, *ticket)));
        match (&link, call.wants_answer) {
            (Some((link, ticket)), true) => ring(account, &[slot], envelope, Some((link, *ticket))),
            // Whoever asked has gone.
            (None, true) => {}
            (_, false) => ring(account, &[slot], envelope, None),
        }
    }
}

fn unable(dialect: Dialect) -> Refusal {
    let text = format!("the addressee uses {dialect}, which takes no calls of this kind");
    Refusal::new(Reason::Unsupported).with_text(text)
}

/// The caller learns the lines before anybody can say anything on them.
fn ring(
    account: &Arc<Account>,
    slots: &[&Slot],
    envelope: &Arc<Envelope>,
    sender: Option<(&Arc<LinkCore>, Ticket)>,
) {
    let Some(hub) = account.hub() else { return };
    let lines: Vec<Option<Line>> =
        slots.iter().map(|slot| sender.map(|(link, _)| hub.lines.open(link, &slot.link))).collect();
    if let Some((link, ticket)) = sender {
        let ends = lines.iter().copied().flatten().collect();
        link.send(HubEvent::Line(LineNews::Calling(ticket, ends)));
    }
    for (slot, line) in slots.iter().zip(lines) {
        let delivery = Delivery {
            id: UNTRACKED,
            device: Endpoint::full(account.address.clone(), slot.device.clone()),
            envelope: envelope.clone(),
            role: Role::Primary,
            delayed_since: None,
        };
        slot.link.send(HubEvent::Line(LineNews::Called(line.map(Line::other), delivery)));
    }
}
