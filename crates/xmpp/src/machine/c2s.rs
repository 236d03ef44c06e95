//! One client connection: its state, and the dispatch of what the driver gives it.

use std::sync::Arc;

use connector::{Dice, Flow, Input, Machine, Output, Seed, TlsFacts, TlsMode};
use model::{Address, Endpoint, EnvelopeId, Now, Tick};

use super::Config;
use super::asked::{Asked, Stub};
use super::login::Login;
use super::out::Out;
use super::phase::Phase;
use super::reading::{Reader, Reading};
use super::submissions::Submissions;
use super::timers::Timers;
use crate::features::{acks::Acks, carbons::Carbons, resumption::Resuming};
use crate::jid;

/// A client connection, RFC 6120.
#[derive(Debug)]
pub struct C2s {
    pub(crate) config: Arc<Config>,
    pub(crate) now: Now,
    pub(crate) dice: Dice,
    pub(crate) out: Out,
    pub(crate) phase: Phase,
    pub(crate) tls_mode: TlsMode,
    pub(crate) tls: Option<Box<TlsFacts>>,
    pub(super) reader: Reader,
    pub(super) paused: bool,
    /// Our header is out on this stream.
    pub(super) header_sent: bool,
    /// The domain the client talks to.
    pub(crate) domain: Option<String>,
    /// The default language of the client's stanzas.
    pub(crate) lang: Option<Box<str>>,
    pub(super) login: Login,
    pub(crate) account: Option<Address>,
    pub(crate) bound: Option<Endpoint>,
    /// The full JID, as stamped on every stanza.
    pub(crate) full: String,
    /// The bare JID.
    pub(crate) bare: String,
    /// The device is ready for messages.
    pub(crate) attending: bool,
    pub(crate) submissions: Submissions<Stub, Asked>,
    pub(crate) acks: Acks,
    pub(crate) resuming: Option<Resuming>,
    /// What the client got before the server was restarted, as it says, and need not get again.
    pub(crate) has: Vec<EnvelopeId>,
    pub(crate) carbons: Carbons,
    pub(super) timers: Timers,
    /// The server stops; with the host to go to.
    pub(super) draining: Option<Option<Arc<str>>>,
}

// Every session keeps one: a little more, and the allocator's next size costs each of them 256 bytes.
const _: () = assert!(size_of::<C2s>() <= 1024);

impl C2s {
    /// A machine for a connection just accepted.
    pub fn new(config: Arc<Config>, tls_mode: TlsMode, seed: Seed) -> C2s {
        let limits = config.before_auth;
        C2s {
            config,
            now: Now::default(),
            dice: Dice::new(seed),
            out: Out::default(),
            phase: Phase::Opening,
            tls_mode,
            tls: None,
            reader: Reader::new(limits),
            paused: false,
            header_sent: false,
            domain: None,
            lang: None,
            login: Login::default(),
            account: None,
            bound: None,
            full: String::new(),
            bare: String::new(),
            attending: false,
            submissions: Submissions::default(),
            acks: Acks::default(),
            resuming: None,
            has: Vec::new(),
            carbons: Carbons::default(),
            timers: Timers::default(),
            draining: None,
        }
    }

    /// Ends the stream from our side; the device goes with it.
    pub(crate) fn hang_up(&mut self) {
        if self.phase == Phase::Over {
            return;
        }
        self.out.push(Output::Close(Flow::ACCEPTED));
        self.let_go(false);
    }

    /// The same, but the client may come back and go on.
    pub(super) fn hang_up_for_now(&mut self) {
        if self.phase != Phase::Over {
            self.out.push(Output::Close(Flow::ACCEPTED));
            self.let_go(true);
        }
    }

    /// Nothing more will be said or heard. `stays`: the session may be resumed, if the client asked for that.
    pub(super) fn let_go(&mut self, stays: bool) {
        self.phase = Phase::Over;
        self.reader.end();
        self.login = Login::default();
        // Deliveries that were never acknowledged go back to the mailbox by themselves.
        if let Some(device) = self.bound.take() {
            let last = if stays { self.leave(&device) } else { None };
            self.out.push(last.unwrap_or(Output::Unbind(device)));
        }
    }

    /// Reads no further until an answer is there.
    pub(crate) fn park(&mut self) {
        self.reader.park();
    }

    /// Goes on reading.
    pub(crate) fn unpark(&mut self) {
        self.reader.unpark();
    }

    /// The device is bound: stanzas may flow.
    pub(crate) fn session(&mut self, device: Endpoint) {
        self.full = jid::text(&device);
        self.bound = Some(device);
        self.phase = Phase::Bound;
    }

    /// The number the client's next stanza will have.
    pub(crate) fn next_number(&self) -> u64 {
        self.submissions.next()
    }

    /// All the client's stanzas before this number are done.
    pub(crate) fn done_before(&self) -> u64 {
        self.submissions.done_before()
    }

    /// Stops or restarts reading as the window and the parking brake demand.
    fn regulate(&mut self) {
        if self.phase == Phase::Over {
            return;
        }
        let unkept = self.submissions.unkept();
        let full = if self.paused { unkept > self.config.window / 2 } else { unkept >= self.config.window };
        let stop = self.reader.is_parked() || full || self.draining.is_some();
        if stop != self.paused {
            self.paused = stop;
            self.out.push(if stop { Output::Pause(Flow::ACCEPTED) } else { Output::Resume(Flow::ACCEPTED) });
        }
    }
}

impl Machine for C2s {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.now = now;
        if self.phase == Phase::Over {
            return;
        }
        match input {
            Input::Opened(_) => self.timers.opened(now.tick),
            Input::Bytes(_, bytes) => {
                self.timers.heard(now.tick);
                self.read(bytes);
            }
            Input::Secured(_, facts) => self.secured(facts),
            Input::Closed(_) => self.let_go(true),
            Input::Drain(go_to) => self.drain(go_to),
            Input::Deliver(delivery) => self.deliver(delivery),
            Input::Notice(device, notice) => self.notice(&device, notice),
            Input::Kept(ticket) => self.kept(ticket),
            Input::Settled(ticket, settlement) => self.settled(ticket, settlement),
            Input::Answer(ticket, answer) => self.answered(ticket, answer),
            Input::Tick => self.tick(),
            Input::Resumed(ticket, left) => self.resumed(ticket, left),
            Input::Datagram(..) | Input::Inherited { .. } | Input::Line(_) => {}
        }
        self.settle_resumption();
        self.resume_reading();
        self.drained();
        self.regulate();
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop()
    }

    fn deadline(&self) -> Option<Tick> {
        self.next_deadline()
    }
}
