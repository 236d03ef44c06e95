//! One connection of one door, driven as `net` drives it, but without a socket.

use connector::{Flow, Input, Machine, Output};
use hub::{HubEvent, Inbox, Link};
use model::Now;
use std::collections::VecDeque;
use std::task::{Context, Waker};

pub struct Side {
    pub name: String,
    pub sip: bool,
    pub out: VecDeque<String>,
    ended: bool,
    closed: bool,
    machine: Box<dyn Machine>,
    link: Link,
    inbox: Inbox,
}

impl Side {
    pub fn new(name: &str, sip: bool, machine: Box<dyn Machine>, (link, inbox): (Link, Inbox)) -> Self {
        Self {
            name: name.to_owned(),
            sip,
            out: VecDeque::new(),
            ended: false,
            closed: false,
            machine,
            link,
            inbox,
        }
    }

    pub fn deadline(&self) -> Option<model::Tick> {
        self.machine.deadline()
    }

    pub fn give(&mut self, now: Now, input: Input<'_>) {
        self.machine.handle(now, input);
        while let Some(output) = self.machine.poll() {
            self.take(output);
        }
    }

    /// Has its machine said goodbye?
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn bytes(&mut self, now: Now, bytes: &[u8]) {
        self.give(now, Input::Bytes(Flow::ACCEPTED, bytes));
    }

    /// Hears what the hub has told so far.
    pub fn hear(&mut self, now: Now) {
        if self.ended {
            return;
        }
        let mut events = Vec::new();
        let _ = self.inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut events, 1000);
        for event in events {
            let event = match event {
                HubEvent::Resumed(ticket, handover) => {
                    let (link, inbox, state) = handover.take().expect("it was just handed over");
                    (self.link, self.inbox) = (link, inbox);
                    self.give(now, Input::Resumed(ticket, state));
                    continue;
                }
                event => event,
            };
            self.give(
                now,
                match event {
                    HubEvent::Deliver(delivery) => Input::Deliver(delivery),
                    HubEvent::Line(news) => Input::Line(news),
                    HubEvent::Notice(endpoint, notice) => Input::Notice(endpoint, notice),
                    HubEvent::Kept(ticket) => Input::Kept(ticket),
                    HubEvent::Settled(ticket, settlement) => Input::Settled(ticket, settlement),
                    HubEvent::Answer(ticket, answer) => Input::Answer(ticket, answer),
                    HubEvent::Resumed(..) | HubEvent::Overrun => Input::Drain(None),
                },
            );
        }
    }

    /// What is for the hub goes there and is no line of the transcript; a wire without delay has written at once.
    fn take(&mut self, output: Output) {
        match output {
            Output::Submit { ticket, envelope, outcome_wanted } => {
                self.link.submit(ticket, envelope, outcome_wanted)
            }
            Output::Ask { ticket, ask } => self.link.ask(ticket, ask),
            Output::Say(line, bytes) => self.link.say(line, bytes),
            Output::HangUp(line) => self.link.hang_up(line),
            Output::Login { account, from, proven } => self.link.login(account.as_ref(), from, proven),
            Output::Attend(endpoint, priority) => self.link.attend(endpoint, priority),
            Output::Unbind(endpoint) => self.link.unbind(endpoint),
            Output::Resumable { key, owner } => self.link.resumable(key, owner),
            Output::Linger { state, secs } => {
                self.link.linger(state, secs, &[]);
                // What comes now is the next machine's to hear.
                self.ended = true;
            }
            Output::Lease { key, owner, state, secs } => self.link.lease(key, owner, state, secs),
            Output::Ack(delivery, settlement) => self.link.ack(delivery, settlement),
            Output::AckWhenWritten(ack) => self.link.ack(ack.delivery, ack.settlement),
            wire => {
                self.closed |= matches!(wire, Output::Close(_));
                let sip = self.sip;
                let bytes = |bytes: &[u8]| match sip {
                    true => crate::house::text::shown(bytes),
                    false if bytes == b" " => " (white space, to keep the connection)".to_owned(),
                    false => format!(" {}", String::from_utf8_lossy(bytes).replace('\n', "\\n")),
                };
                self.out.push_back(testkit::words::output(&wire, bytes, |_| String::new()));
            }
        }
    }
}
