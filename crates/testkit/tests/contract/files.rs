//! A file over MSRP (RFC 4975): chunks go through the machine, never to stay. In: a window of bytes that are on their
//! way to the house's keeping. Out: the next piece is read when the last one is written.

use crate::wide::{Blob, Get, Give, Wide};
use bytes::Bytes;
use connector::{Flow, Input, Output};
use model::{
    Delivery, DeliveryId, Envelope, EnvelopeId, Event, MAX_HOPS, Message, Now, Origin, Outcome, Part, Tick,
    Ticket,
};
use std::collections::VecDeque;
use testkit::Clock;
use testkit::words::endpoint;

const FLOW: Flow = Flow::ACCEPTED;
const BLOB: Blob = Blob(1);
/// Bytes that may be on their way to the disk; a small number, so that a transcript shows it.
const WINDOW: usize = 16;
const PIECE: usize = 8;

/// One file in, or one file out.
#[derive(Default)]
pub struct Transfer {
    window: Option<usize>,
    wanted: u64,
    taken: u64,
    under_way: usize,
    paused: bool,
    sending: Option<(DeliveryId, u64, u64)>,
    out: VecDeque<Get>,
}

impl Transfer {
    fn window(&self) -> usize {
        self.window.unwrap_or(WINDOW)
    }

    fn now(&mut self, output: Output) {
        self.out.push_back(Get::Now(output));
    }

    fn say(&mut self, text: &str) {
        self.now(Output::Bytes(FLOW, Bytes::copy_from_slice(text.as_bytes())));
    }

    fn chunk(&mut self, bytes: &[u8]) {
        self.taken += bytes.len() as u64;
        self.under_way += bytes.len();
        self.out.push_back(Get::Spool(BLOB, Bytes::copy_from_slice(bytes)));
        if self.under_way >= self.window() && !self.paused {
            self.paused = true;
            self.now(Output::Pause(FLOW));
        }
    }

    fn spooled(&mut self, now: Now, bytes: usize) {
        self.under_way -= bytes;
        if self.paused && self.under_way <= self.window() / 2 {
            self.paused = false;
            self.now(Output::Resume(FLOW));
        }
        if self.taken == self.wanted && self.under_way == 0 {
            // Only now is there a message: it names the content and does not hold it.
            let mime = format!("message/external-body;blob={};size={}", BLOB.0, self.wanted);
            let part = Part { mime: mime.into(), lang: None, body: Bytes::new() };
            let envelope = Envelope {
                id: EnvelopeId(1),
                at: now.wall,
                origin: Origin::server(),
                from: endpoint("romeo@example.net/phone"),
                to: endpoint("juliet@example.com"),
                hops: MAX_HOPS,
                event: Event::Message(Message { parts: vec![part], lasting: true, ..Message::default() }),
            };
            let (ticket, envelope) = (Ticket(1), Box::new(envelope));
            self.now(Output::Submit { ticket, envelope, outcome_wanted: true });
        }
    }

    fn send(&mut self, delivery: &Delivery) {
        let size = match &delivery.envelope.event {
            // In a transcript the text of the message is the size.
            Event::Message(m) => m.text().and_then(|t| t.parse().ok()).unwrap_or(0),
            _ => 0,
        };
        self.sending = Some((delivery.id, 0, size));
        self.next();
    }

    fn next(&mut self) {
        let Some((id, from, size)) = self.sending else { return };
        if from < size {
            return self.out.push_back(Get::Fetch(BLOB, from, PIECE));
        }
        self.sending = None;
        self.now(Output::ack(id, Outcome::Delivered));
    }
}

impl Wide for Transfer {
    fn handle(&mut self, now: Now, given: Give<'_>) {
        match given {
            Give::Now(Input::Bytes(_, bytes)) => match bytes.strip_prefix(b"SEND ") {
                Some(size) => self.wanted = String::from_utf8_lossy(size).parse().unwrap_or(0),
                None => self.chunk(bytes),
            },
            Give::Spooled(BLOB, bytes) => self.spooled(now, bytes),
            Give::Now(Input::Settled(_, settlement)) => {
                let ok = matches!(settlement.outcome, Outcome::Delivered | Outcome::Accepted);
                self.say(if ok { "200 OK" } else { "413 No" });
            }
            Give::Now(Input::Deliver(delivery)) => self.send(&delivery),
            Give::Fetched(BLOB, bytes) => {
                if let Some((_, from, _)) = &mut self.sending {
                    *from += bytes.len() as u64;
                    self.now(Output::Bytes(FLOW, bytes));
                    self.out.push_back(Get::WhenWritten(FLOW));
                }
            }
            Give::Writable(FLOW) => self.next(),
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Get> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Tick> {
        None
    }
}

/// A gigabyte, from a peer that always has more to send, to a disk that is always behind.
pub fn gigabyte() {
    const SIZE: u64 = 1 << 30;
    const CHUNK: usize = 16 * 1024;
    const WINDOW: usize = 256 * 1024;
    let now = Clock::start().now();
    let mut machine = Transfer { window: Some(WINDOW), ..Transfer::default() };
    machine.handle(now, Give::Now(Input::Bytes(FLOW, format!("SEND {SIZE}").as_bytes())));
    let chunk = vec![7; CHUNK];
    let (mut sent, mut most, mut submitted, mut paused) = (0, 0, false, false);
    let mut disk: VecDeque<usize> = VecDeque::new();
    while !submitted {
        if paused || sent == SIZE {
            let bytes = disk.pop_front().expect("a paused flow has bytes on their way to the disk");
            machine.handle(now, Give::Spooled(BLOB, bytes));
        } else {
            machine.handle(now, Give::Now(Input::Bytes(FLOW, &chunk)));
            sent += CHUNK as u64;
        }
        while let Some(output) = machine.poll() {
            match output {
                Get::Spool(_, bytes) => disk.push_back(bytes.len()),
                Get::Now(Output::Pause(_)) => paused = true,
                Get::Now(Output::Resume(_)) => paused = false,
                Get::Now(Output::Submit { .. }) => submitted = true,
                _ => panic!("nothing else happens"),
            }
        }
        most = most.max(disk.iter().sum());
    }
    assert_eq!((sent, disk.len()), (SIZE, 0));
    assert!(most <= WINDOW, "{most} bytes were in memory");
}
