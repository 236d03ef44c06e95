//! The called half: one client transaction towards one device, or towards a partner's server.

use connector::Output;
use model::{Delivery, Event, Line, Now};

use super::{CANCEL, IN_CALLS, MAX_CALLS, SILENCE};
use crate::machine::SipMachine;
use crate::transaction::{ClientEvent, Hop};
use crate::wire::{Framed, Onward, Request, Response, Unit, datagram};

/// A request that went on.
#[derive(Debug)]
pub(super) struct Called {
    /// Where whoever waits for the answer hears it.
    line: Option<Line>,
    hop: Hop,
    branch: String,
    /// An INVITE as it went out.
    invite: Option<Box<Request>>,
    /// The caller does not want it any more.
    cancelled: bool,
}

impl SipMachine {
    /// Sends on what the hub passes to a device of this machine.
    pub(super) fn called(&mut self, now: Now, line: Option<Line>, delivery: &Delivery) {
        if self.pass_to_device(now, line, delivery).is_none()
            && let Some(line) = line
        {
            self.out.push_back(Output::HangUp(line));
        }
    }

    fn pass_to_device(&mut self, now: Now, line: Option<Line>, delivery: &Delivery) -> Option<()> {
        let Event::Call(call) = &delivery.envelope.event else { return None };
        let Some(Framed::Unit(Unit::Request(request))) = datagram(&call.original.bytes) else { return None };
        let method = *IN_CALLS.iter().find(|method| **method == request.method())?;
        let side = if self.trunk.is_some() { &delivery.envelope.to } else { &delivery.device };
        let road = self.road(side)?;
        if self.calls().called.len() >= MAX_CALLS {
            return None;
        }
        if let Some(trunk) = &mut self.trunk {
            trunk.use_now(now.tick);
        }
        let branch = self.branch();
        let via = self.via(road.hop, &branch);
        let record = (method == "INVITE" && call.opens)
            .then(|| self.record_route(road.hop, &delivery.envelope.from.address, side));
        // A partner's server knows best what the caller meant; a device is called by its contact.
        let target = (call.opens && self.trunk.is_none()).then_some(road.target.as_str());
        let onward = Onward { target, via: Some(&via), record: record.as_deref(), ..Onward::default() };
        let bytes = request.onward(&onward);
        let Some(line) = line else {
            self.transactions.send(road.hop, bytes);
            return Some(());
        };
        let invite = match (method == "INVITE", datagram(&bytes)) {
            (false, _) => None,
            (true, Some(Framed::Unit(Unit::Request(request)))) => Some(request),
            (true, _) => return None,
        };
        let number = self.number();
        if !self.transactions.request(now.tick, road.hop, &branch, method, number, bytes) {
            return None;
        }
        let called = Called { line: Some(line), hop: road.hop, branch, invite, cancelled: false };
        let calls = self.calls();
        calls.lines.insert(line, number);
        calls.called.insert(number, called);
        Some(())
    }

    /// A device answered what came over a line, or did not. False if the number is of something else.
    pub(in crate::machine) fn called_answered(&mut self, now: Now, event: &ClientEvent) -> bool {
        let (number, response) = match event {
            ClientEvent::Provisional(number, response) | ClientEvent::Final(number, response) => {
                (*number, Some(response))
            }
            ClientEvent::Timeout(number) | ClientEvent::Over(number) => (*number, None),
        };
        let calls = self.calls.get_or_insert_default();
        let Some(called) = calls.called.get(&number) else { return false };
        let Some(response) = response else {
            if let (Some(line), ClientEvent::Timeout(_)) = (called.line, event) {
                self.out.push_back(Output::Say(line, SILENCE.into()));
            }
            self.forget_called(number);
            return true;
        };
        if let Some(line) = called.line.filter(|_| response.status > 100) {
            self.out.push_back(Output::Say(line, response.bytes().into()));
        }
        match (response.status, &called.invite) {
            (..200, Some(_)) if called.cancelled => self.send_cancel(now, number),
            (..200, _) | (200..300, Some(_)) => {}
            (300.., Some(invite)) => {
                let ack = invite.follow("ACK", &to_of(response));
                self.transactions.acknowledge(&called.branch, ack);
                self.forget_called(number);
            }
            _ => self.forget_called(number),
        }
        true
    }

    /// The caller's half says something.
    pub(super) fn called_hears(&mut self, now: Now, number: u64, bytes: &[u8]) {
        if bytes == CANCEL {
            self.withdraw(now, number);
        }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn caller_left(&mut self, now: Now, number: u64) {
        if let Some(called) = self.calls().called.get_mut(&number) {
            called.line = None;
            self.withdraw(now, number);
        }
    }

    fn withdraw(&mut self, now: Now, number: u64) {
        let calls = self.calls.get_or_insert_default();
        let Some(called) = calls.called.get_mut(&number).filter(|c| c.invite.is_some() && !c.cancelled)
        else {
            return;
        };
        called.cancelled = true;
        // Before its first word a device may not know of the INVITE (RFC 3261 9.1).
        if self.transactions.is_ringing(&called.branch) {
            self.send_cancel(now, number);
        }
    }

    fn send_cancel(&mut self, now: Now, number: u64) {
        let calls = self.calls.get_or_insert_default();
        let Some(called) = calls.called.get(&number) else { return };
        let Some(invite) = &called.invite else { return };
        if !self.transactions.is_cancelled(&called.branch) {
            let bytes = invite.follow("CANCEL", &invite.header("To").unwrap_or_default());
            let (hop, branch) = (called.hop, called.branch.clone());
            self.next += 1;
            self.transactions.request(now.tick, hop, &branch, "CANCEL", self.next, bytes);
            self.transactions.limit(now.tick, &branch);
        }
    }

    fn forget_called(&mut self, number: u64) {
        let calls = self.calls();
        if let Some(called) = calls.called.remove(&number)
            && let Some(line) = called.line
        {
            calls.lines.remove(&line);
        }
    }
}

fn to_of(response: &Response) -> String {
    response.header("To").unwrap_or_default()
}
