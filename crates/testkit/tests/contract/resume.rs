//! XEP-0198 resumption in the contract as it is: what was sent is left as a lease when the flow closes; the next
//! machine claims it, binds the same device, and so gets every unacknowledged delivery again. Those that the client
//! says it has are acknowledged without being sent.

use bytes::Bytes;
use connector::{Flow, Input, Machine, Output};
use model::{
    Answer, Ask, Delivery, DeliveryId, Endpoint, EnvelopeId, Event, LeaseKey, Now, Outcome, Tick, Ticket,
};
use std::collections::VecDeque;

const CLAIM: Ticket = Ticket(1);
const BIND: Ticket = Ticket(2);
/// How long a client may stay away.
const SECS: u32 = 300;

pub struct Session {
    device: Endpoint,
    key: LeaseKey,
    /// Sent and not acknowledged, in order; the first is number `acked + 1`.
    sent: VecDeque<(EnvelopeId, DeliveryId)>,
    acked: u32,
    /// What the older machine sent and this client has: to be acknowledged, not sent.
    has: Vec<EnvelopeId>,
    out: VecDeque<Output>,
}

impl Session {
    pub fn new(device: &str) -> Self {
        Self {
            device: testkit::words::endpoint(device),
            key: LeaseKey::new("xmpp-sm:token"),
            sent: VecDeque::new(),
            acked: 0,
            has: Vec::new(),
            out: VecDeque::new(),
        }
    }

    fn say(&mut self, text: String) {
        self.out.push_back(Output::Bytes(Flow::ACCEPTED, text.into()));
    }

    fn heard(&mut self, line: &str) {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["a", h] => {
                let h: u32 = h.parse().unwrap_or(0);
                while self.acked < h {
                    let Some((_, id)) = self.sent.pop_front() else { return };
                    self.acked += 1;
                    self.out.push_back(Output::ack(id, Outcome::Delivered));
                }
            }
            ["resume", h] => {
                self.acked = h.parse().unwrap_or(0);
                let (key, owner) = (self.key.clone(), self.device.address.clone());
                self.out.push_back(Output::Ask { ticket: CLAIM, ask: Ask::Claim { key, owner } });
            }
            _ => self.say("error".into()),
        }
    }

    fn claimed(&mut self, state: Option<Bytes>) {
        let Some(state) = state else { return self.say("failed".into()) };
        // "acknowledged so far", then what was sent after that.
        let text = String::from_utf8_lossy(&state).into_owned();
        let mut numbers = text.split(' ').filter_map(|n| n.parse::<u128>().ok());
        let before = numbers.next().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        self.has = numbers.take(self.acked.saturating_sub(before) as usize).map(EnvelopeId).collect();
        let (account, device) = (self.device.address.clone(), self.device.device.clone());
        let ask = Ask::Bind { account, device, attend: Some(0) };
        self.out.push_back(Output::Ask { ticket: BIND, ask });
    }

    fn deliver(&mut self, delivery: &Delivery) {
        let id = delivery.envelope.id;
        if let Some(at) = self.has.iter().position(|has| *has == id) {
            self.has.remove(at);
            return self.out.push_back(Output::ack(delivery.id, Outcome::Delivered));
        }
        self.sent.push_back((id, delivery.id));
        if let Event::Message(message) = &delivery.envelope.event {
            self.say(message.text().unwrap_or_default().to_owned());
        }
    }

    /// The last words of the older machine.
    fn leave(&mut self) {
        let sent: String = self.sent.iter().map(|(id, _)| format!(" {}", id.0)).collect();
        self.out.push_back(Output::Lease {
            key: self.key.clone(),
            owner: self.device.address.clone(),
            state: format!("{}{sent}", self.acked).into(),
            secs: SECS,
        });
    }
}

impl Machine for Session {
    fn handle(&mut self, _: Now, input: Input<'_>) {
        match input {
            Input::Bytes(_, bytes) => self.heard(&String::from_utf8_lossy(bytes)),
            Input::Deliver(delivery) => self.deliver(&delivery),
            Input::Answer(CLAIM, Answer::Claimed(state)) => self.claimed(state),
            Input::Answer(BIND, Answer::Bound(_)) => self.say(format!("resumed {}", self.acked)),
            Input::Closed(_) => self.leave(),
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Tick> {
        None
    }
}
