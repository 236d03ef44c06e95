//! Server dialback (XEP-0220): to believe a peer, a machine dials a second flow to the domain the peer says it is.
//!
//! Keys are derived from a secret of the whole server (XEP-0185), so whichever machine is asked can answer, and nothing
//! of the exchange outlives its machines.

use crate::wide::{Get, Give, Wide};
use connector::{Dice, Flow, Input, Output};
use model::{Now, Reason, Tick};
use std::collections::VecDeque;
use std::time::Duration;

/// The flow to the authoritative server.
const AUTHORITY: Flow = Flow(1);
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    domain: &'static str,
    secret: u8,
    /// Who claims to be at the other end of the accepted flow, with which key.
    claim: Option<(String, String)>,
    until: Option<Tick>,
    out: VecDeque<Get>,
}

impl Server {
    pub fn new(domain: &'static str, secret: u8) -> Self {
        Self { domain, secret, claim: None, until: None, out: VecDeque::new() }
    }

    /// Stands in for the HMAC of XEP-0185.
    fn key(&self, receiver: &str) -> String {
        let mut seed = [self.secret; 32];
        receiver.bytes().enumerate().for_each(|(at, b)| seed[at % 32] ^= b);
        Dice::new(seed).token(8)
    }

    fn say(&mut self, flow: Flow, text: String) {
        self.out.push_back(Get::Now(Output::Bytes(flow, text.into())));
    }

    fn heard(&mut self, now: Now, flow: Flow, line: &str) {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            // We are the receiving server: is it true?
            ["result", from, key] => {
                self.claim = Some(((*from).to_owned(), (*key).to_owned()));
                self.until = Some(now.tick + PATIENCE);
                self.out.push_back(Get::Open(AUTHORITY, (*from).to_owned()));
            }
            // We are the authoritative server: was it us?
            ["verify", from, key] => {
                let verdict = if self.key(from) == *key { "valid" } else { "invalid" };
                self.say(flow, format!("verify {verdict}"));
            }
            ["verify-result", verdict] if flow == AUTHORITY => self.decide(verdict),
            _ => self.say(flow, "error".into()),
        }
    }

    fn decide(&mut self, verdict: &str) {
        self.until = None;
        if self.claim.take().is_none() {
            return;
        }
        self.say(Flow::ACCEPTED, format!("result {verdict}"));
        self.out.push_back(Get::Now(Output::Close(AUTHORITY)));
        if verdict != "valid" {
            self.out.push_back(Get::Now(Output::Close(Flow::ACCEPTED)));
        }
    }
}

impl Wide for Server {
    fn handle(&mut self, now: Now, given: Give<'_>) {
        match given {
            Give::Now(Input::Bytes(flow, bytes)) => {
                self.heard(now, flow, &String::from_utf8_lossy(bytes));
            }
            Give::Now(Input::Opened(AUTHORITY)) => {
                if let Some((_, key)) = self.claim.clone() {
                    self.say(AUTHORITY, format!("verify {} {key}", self.domain));
                }
            }
            // We are the originating server: the hub has something for a domain.
            Give::Now(Input::Deliver(delivery)) => {
                let key = self.key(delivery.envelope.to.address.domain());
                self.say(Flow::ACCEPTED, format!("result {} {key}", self.domain));
            }
            Give::Failed(AUTHORITY, reason) => {
                self.decide(if reason == Reason::RemoteNotFound { "unknown" } else { "error" })
            }
            Give::Now(Input::Closed(AUTHORITY)) => self.decide("error"),
            Give::Now(Input::Tick) if self.until.is_some_and(|until| until <= now.tick) => {
                self.decide("timeout");
            }
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Get> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Tick> {
        self.until
    }
}
