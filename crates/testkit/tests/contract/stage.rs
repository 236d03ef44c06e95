//! Several machines, each with its name, on one clock. Bytes stand behind the number of their flow.

use crate::wide::{Blob, Exchange, Get, Give, Wide};
use connector::{Flow, Input, Output};
use model::{
    Delivery, DeliveryId, Envelope, EnvelopeId, Event, Message, Now, Origin, Part, Role, Tick, Timestamp,
};
use std::collections::VecDeque;
use std::sync::Arc;
use testkit::words::{self, endpoint};
use testkit::{Clock, Names, Stage, Step};

struct Side {
    name: &'static str,
    machine: Box<dyn Wide>,
    out: VecDeque<String>,
}

pub struct Sides(Vec<Side>);

impl Sides {
    pub fn new(sides: Vec<(&'static str, Box<dyn Wide>)>) -> Self {
        let side = |(name, machine)| Side { name, machine, out: VecDeque::new() };
        Self(sides.into_iter().map(side).collect())
    }

    fn side(&mut self, who: &str) -> &mut Side {
        self.0.iter_mut().find(|side| side.name == who).unwrap_or_else(|| panic!("no machine {who}"))
    }
}

impl Side {
    fn give(&mut self, now: Now, given: Give<'_>) {
        self.machine.handle(now, given);
        while let Some(output) = self.machine.poll() {
            self.out.push_back(show(&output));
        }
    }

    fn told(&mut self, now: Now, text: &str) {
        let words: Vec<&str> = text.splitn(3, ' ').collect();
        let number = |at: usize| words[at].parse::<u64>().expect(text);
        let flow = |at: usize| Flow(words[at].parse().expect(text));
        match words.as_slice() {
            ["opened", _] => self.give(now, Give::Now(Input::Opened(flow(1)))),
            ["closed", _] => self.give(now, Give::Now(Input::Closed(flow(1)))),
            ["failed", _, reason] => self.give(now, Give::Failed(flow(1), words::refusal(reason).reason)),
            ["request", _, request] => self.give(now, Give::Request(Exchange(number(1)), request)),
            ["gone", _] => self.give(now, Give::Gone(Exchange(number(1)))),
            ["spooled", _, bytes] => {
                let bytes = bytes.parse().expect(text);
                self.give(now, Give::Spooled(Blob(number(1)), bytes));
            }
            ["fetched", _, bytes] => {
                let bytes = bytes.as_bytes().to_vec().into();
                self.give(now, Give::Fetched(Blob(number(1)), bytes));
            }
            ["writable", _] => self.give(now, Give::Writable(flow(1))),
            ["deliver", _, rest] => {
                let delivery = delivery(number(1), rest);
                self.give(now, Give::Now(Input::Deliver(delivery)));
            }
            _ => self.give(now, Give::Now(words::input(text).expect(text))),
        }
    }
}

/// `deliver 7 41 romeo@example.net > juliet@example.com text`: delivery 7 of envelope 41.
fn delivery(id: u64, text: &str) -> Delivery {
    let words: Vec<&str> = text.splitn(5, ' ').collect();
    let message = Message { parts: vec![Part::text(words[4].to_owned(), None)], ..Message::default() };
    let envelope = Envelope {
        id: EnvelopeId(words[0].parse().expect(text)),
        at: Timestamp(0),
        origin: Origin::server(),
        from: endpoint(words[1]),
        to: endpoint(words[3]),
        hops: 70,
        event: Event::Message(message),
    };
    let device = envelope.to.clone();
    Delivery {
        id: DeliveryId(id),
        device,
        envelope: Arc::new(envelope),
        role: Role::Primary,
        delayed_since: None,
    }
}

fn show(output: &Get) -> String {
    match output {
        Get::Now(Output::Bytes(flow, bytes)) => format!(">> {} {}", flow.0, String::from_utf8_lossy(bytes)),
        Get::Now(Output::Close(flow)) => format!("=> close {}", flow.0),
        Get::Now(output) => {
            let event = |envelope: &Envelope| match &envelope.event {
                Event::Message(m) => {
                    let part = m.parts.first().expect("a part");
                    format!("message {} {:?}", part.mime, m.text().unwrap_or_default())
                }
                other => other.kind().to_owned(),
            };
            words::output(output, |_| String::new(), event)
        }
        Get::Open(flow, domain) => format!("=> open {} {domain}", flow.0),
        Get::Reply(exchange, status, body) => {
            format!("=> reply {} {status} {body}", exchange.0).trim_end().to_owned()
        }
        Get::Spool(blob, bytes) => format!("=> spool {} {}", blob.0, String::from_utf8_lossy(bytes)),
        Get::Fetch(blob, from, len) => format!("=> fetch {} {from} {len}", blob.0),
        Get::WhenWritten(flow) => format!("=> when-written {}", flow.0),
    }
}

impl Stage for Sides {
    fn is_block(&self, _: &str) -> bool {
        false
    }

    fn input(&mut self, clock: &mut Clock, step: &Step<'_>, names: &mut Names) {
        let text = names.fill(step.rest);
        match step.mark {
            "<<" => {
                let (flow, bytes) = text.split_once(' ').expect("flow and bytes");
                let input = Input::Bytes(Flow(flow.parse().expect("a flow")), bytes.as_bytes());
                self.side(step.who).give(clock.now(), Give::Now(input));
            }
            "<=" => self.side(step.who).told(clock.now(), &text),
            other => panic!("unknown step {other}"),
        }
    }

    fn output(&mut self, _: Now, who: &str) -> Option<String> {
        self.side(who).out.pop_front()
    }

    fn sides(&self) -> Vec<String> {
        self.0.iter().map(|side| side.name.to_owned()).collect()
    }

    fn deadline(&self) -> Option<Tick> {
        self.0.iter().filter_map(|side| side.machine.deadline()).min()
    }

    fn tick(&mut self, now: Now) {
        for side in &mut self.0 {
            if side.machine.deadline().is_some_and(|due| due <= now.tick) {
                side.give(now, Give::Now(Input::Tick));
            }
        }
    }
}
