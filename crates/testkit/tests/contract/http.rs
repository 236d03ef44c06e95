//! A door borne by HTTP, in the manner of BOSH (XEP-0124): a session that outlives its requests, and a request that is
//! held until there is something to say.
//!
//! One listener of the house hands each door the requests on the paths it declared; the machine is shared by them all,
//! as the machines of a datagram socket are.

use crate::wide::{Exchange, Get, Give, Wide};
use connector::{Input, Output};
use model::{Answer, Ask, DeliveryId, Event, Now, Outcome, Secret, Tick, Ticket};
use std::collections::VecDeque;
use std::time::Duration;

/// How long a request is held.
const HOLD: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Polling {
    asked: Option<(Exchange, model::Endpoint)>,
    /// The request held, its number, and until when.
    held: Option<(Exchange, u64, Tick)>,
    /// The last reply, for a client that lost it, with the deliveries in it.
    last: (u64, String, Vec<DeliveryId>),
    waiting: VecDeque<(DeliveryId, String)>,
    out: VecDeque<Get>,
}

impl Polling {
    fn request(&mut self, now: Now, exchange: Exchange, text: &str) {
        match text.split(' ').collect::<Vec<_>>().as_slice() {
            ["POST", "/poll", "open", account, password] => {
                let who = testkit::words::endpoint(account);
                let (account, password) = (who.address.clone(), Secret::new(*password));
                self.asked = Some((exchange, who));
                self.ask(1, Ask::Verify { account, password });
            }
            ["POST", "/poll", rid] => self.poll_request(now, exchange, rid.parse().unwrap_or(0)),
            _ => self.reply(exchange, 404, ""),
        }
    }

    fn poll_request(&mut self, now: Now, exchange: Exchange, rid: u64) {
        if rid == self.last.0 {
            // The reply was lost on the way: the same again.
            let body = self.last.1.clone();
            return self.reply(exchange, 200, &body);
        }
        // The next number says that the last reply arrived.
        for id in std::mem::take(&mut self.last.2) {
            self.out.push_back(Get::Now(Output::ack(id, Outcome::Delivered)));
        }
        self.held = Some((exchange, rid, now.tick + HOLD));
        self.flush(false);
    }

    fn flush(&mut self, empty_too: bool) {
        if self.waiting.is_empty() && !empty_too {
            return;
        }
        let Some((exchange, rid, _)) = self.held.take() else { return };
        let (ids, texts): (Vec<_>, Vec<_>) = self.waiting.drain(..).unzip();
        self.last = (rid, texts.join("|"), ids);
        let body = self.last.1.clone();
        self.reply(exchange, 200, &body);
    }

    fn reply(&mut self, exchange: Exchange, status: u16, body: &str) {
        self.out.push_back(Get::Reply(exchange, status, body.to_owned()));
    }

    fn ask(&mut self, ticket: u64, ask: Ask) {
        self.out.push_back(Get::Now(Output::Ask { ticket: Ticket(ticket), ask }));
    }
}

impl Wide for Polling {
    fn handle(&mut self, now: Now, given: Give<'_>) {
        match given {
            Give::Request(exchange, text) => self.request(now, exchange, text),
            Give::Gone(exchange) => {
                self.held.take_if(|(held, ..)| *held == exchange);
            }
            Give::Now(Input::Answer(_, Answer::Verified(true))) => {
                if let Some((_, who)) = self.asked.clone() {
                    self.ask(2, Ask::Bind { account: who.address, device: who.device, attend: Some(0) });
                }
            }
            Give::Now(Input::Answer(_, answer)) => {
                let status = if matches!(answer, Answer::Bound(_)) { 200 } else { 403 };
                if let Some((exchange, _)) = self.asked.take() {
                    self.reply(exchange, status, "");
                }
            }
            Give::Now(Input::Deliver(delivery)) => {
                if let Event::Message(message) = &delivery.envelope.event {
                    self.waiting.push_back((delivery.id, message.text().unwrap_or_default().to_owned()));
                }
                self.flush(false);
            }
            Give::Now(Input::Tick) if self.held.as_ref().is_some_and(|(_, _, until)| *until <= now.tick) => {
                self.flush(true);
            }
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Get> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Tick> {
        self.held.as_ref().map(|(_, _, until)| *until)
    }
}
