//! One connection between two servers: its state, what both ends of it do alike, and the dispatch of what the driver
//! gives it.

use std::sync::Arc;

use connector::{Dice, Errand, Flow, Input, Machine, Output, Seed, TlsFacts, TlsMode};
use model::{
    Address, Admission, Answer, Ask, DomainPair, Endpoint, Now, Opener, Reason, Settlement, Tick, Ticket,
};

use crate::features::acks::Acks;
use crate::machine::{Config, Out, Reader, Reading, Submissions};
use crate::translate::refusal::StanzaError;
use crate::wire::{
    Condition, DIALBACK, Header, Kind, Limits, SERVER, STREAM_ERRORS, STREAMS, Stanza, Writer, escape_attr,
};

use super::inbound::Stub;
use super::opened::Opened;
use super::phase::{Asked, Phase};
use super::side::Side;
use super::timers::Timers;

/// A pair of domains whose remote side is proved.
#[derive(Debug)]
pub(super) struct Proved {
    pub pair: DomainPair,
    /// By their certificate, not by a call back.
    pub certified: bool,
    /// The connection carries what we send, too.
    pub bound: Option<Endpoint>,
    /// Its mailbox was asked for.
    pub asked: bool,
}

/// A connection between two servers, RFC 6120 and XEP-0220.
#[derive(Debug)]
pub struct S2s {
    pub(super) config: Arc<Config>,
    pub(super) now: Now,
    pub(super) dice: Dice,
    pub(super) out: Out,
    pub(super) phase: Phase,
    pub(super) side: Side,
    pub(super) tls_mode: TlsMode,
    pub(super) tls: Option<Box<TlsFacts>>,
    pub(super) reader: Reader,
    paused: bool,
    pub(super) header_sent: bool,
    /// What the server that was called calls the stream.
    pub(super) id: String,
    /// The domain of ours that the stream header names.
    pub(super) local: Option<Address>,
    /// The domain of theirs.
    pub(super) remote: Option<Address>,
    /// The default language of their stanzas.
    pub(super) lang: Option<Box<str>>,
    /// What the hub said of the two.
    pub(super) admission: Option<Admission>,
    /// Their certificate proved them, by SASL.
    pub(super) external: bool,
    /// Stanzas go both ways (XEP-0288).
    pub(super) bidi: bool,
    pub(super) proved: Vec<Proved>,
    pub(super) submissions: Submissions<Stub, Asked>,
    pub(super) acks: Acks,
    pub(super) timers: Timers,
    /// The server stops, since when.
    pub(super) draining: Option<Tick>,
}

impl S2s {
    /// A machine for a connection just accepted.
    pub fn accept(config: Arc<Config>, tls_mode: TlsMode, seed: Seed) -> S2s {
        Self::new(config, tls_mode, seed, Side::Accepted(Default::default()))
    }

    /// A machine for a connection we open.
    pub fn open(config: Arc<Config>, errand: Errand, tls_mode: TlsMode, seed: Seed) -> S2s {
        let pair = errand.pair().clone();
        let mut machine = Self::new(config, tls_mode, seed, Side::Opened(Opened::new(errand)));
        (machine.local, machine.remote) = (Some(pair.local), Some(pair.remote));
        machine
    }

    fn new(config: Arc<Config>, tls_mode: TlsMode, seed: Seed, side: Side) -> S2s {
        let limits = config.before_auth;
        S2s {
            config,
            now: Now::default(),
            dice: Dice::new(seed),
            out: Out::default(),
            phase: Phase::Opening,
            side,
            tls_mode,
            tls: None,
            reader: Reader::new(limits),
            paused: false,
            header_sent: false,
            id: String::new(),
            local: None,
            remote: None,
            lang: None,
            admission: None,
            external: false,
            bidi: false,
            proved: Vec::new(),
            submissions: Submissions::default(),
            acks: Acks::default(),
            timers: Timers::default(),
            draining: None,
        }
    }

    /// The domains of the stream header.
    pub(super) fn pair(&self) -> Option<DomainPair> {
        Some(DomainPair { local: self.local.clone()?, remote: self.remote.clone()? })
    }

    pub(super) fn is_proved(&self, pair: &DomainPair) -> bool {
        self.proved.iter().any(|p| p.pair == *pair)
    }

    pub(super) fn accepted(&mut self) -> Option<&mut super::accepted::Accepted> {
        match &mut self.side {
            Side::Accepted(accepted) => Some(accepted),
            Side::Opened(_) => None,
        }
    }

    pub(super) fn opened(&mut self) -> Option<&mut Opened> {
        match &mut self.side {
            Side::Opened(opened) => Some(opened),
            Side::Accepted(_) => None,
        }
    }

    /// Our stream header. `id` is for whoever was called to give.
    pub(super) fn send_header(&mut self) {
        if self.header_sent {
            return;
        }
        self.header_sent = true;
        let mut head = Vec::with_capacity(256);
        head.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
        head.extend_from_slice(SERVER.as_bytes());
        head.extend_from_slice(b"' xmlns:stream='");
        head.extend_from_slice(STREAMS.as_bytes());
        head.extend_from_slice(b"' xmlns:db='");
        head.extend_from_slice(DIALBACK.as_bytes());
        if matches!(self.side, Side::Accepted(_)) {
            self.id = self.dice.token(20);
            head.extend_from_slice(b"' id='");
            head.extend_from_slice(self.id.as_bytes());
        }
        let local = self.local.as_ref().map_or(self.config.first(), Address::as_str);
        for (name, value) in [("from", Some(local)), ("to", self.remote.as_ref().map(Address::as_str))] {
            if let Some(value) = value {
                head.extend_from_slice(format!("' {name}='").as_bytes());
                escape_attr(value, &mut head);
            }
        }
        head.extend_from_slice(b"' version='1.0' xml:lang='en'>");
        self.out.write_vec(head);
    }

    /// May this pair be served?
    pub(super) fn ask_to_admit(&mut self, pair: DomainPair, asked: Asked) {
        let opener = if matches!(self.side, Side::Opened(_)) { Opener::Us } else { Opener::Them };
        let ask = Ask::Admit {
            pair,
            dialect: model::Dialect::Xmpp,
            opener,
            certificates: self.tls.as_ref().and_then(|facts| facts.certificates.clone()),
            secured: self.tls.is_some(),
        };
        self.ask(ask, asked);
    }

    pub(super) fn ask(&mut self, ask: Ask, asked: Asked) {
        let ticket = self.submissions.asked(asked, u64::MAX, self.now.tick);
        self.out.push(Output::Ask { ticket, ask });
    }

    /// Their side of a pair is proved: its stanzas may come. `certified`: by their certificate.
    pub(super) fn prove(&mut self, pair: DomainPair, certified: bool) {
        if self.is_proved(&pair) {
            return;
        }
        self.proved.push(Proved { pair, certified, bound: None, asked: false });
        if matches!(self.side, Side::Accepted(_)) {
            self.timers.proved(self.now.tick);
            self.carry_back();
        }
    }

    /// Where they take our stanzas on the stream that they opened, it carries for every pair that is proved; but not
    /// before our own header is out on it.
    pub(super) fn carry_back(&mut self) {
        if !self.bidi || self.phase != Phase::Open {
            return;
        }
        let fresh = |p: &mut Proved| (!std::mem::replace(&mut p.asked, true)).then(|| p.pair.clone());
        let pairs: Vec<_> = self.proved.iter_mut().filter_map(fresh).collect();
        pairs.into_iter().for_each(|pair| self.bind(pair));
    }

    /// Certificates end, and partners part: what was proved long ago is looked at again.
    pub(super) fn check_again(&mut self) {
        let pairs: Vec<_> = self.proved.iter().map(|p| p.pair.clone()).collect();
        pairs.into_iter().for_each(|pair| self.ask_to_admit(pair.clone(), Asked::Again(pair)));
    }

    fn checked(&mut self, pair: &DomainPair, answer: Answer) {
        let by_certificate = self.proved.iter().any(|p| p.pair == *pair && p.certified);
        let why = match answer {
            Answer::Admitted(admission) => match admission.certified {
                Err(why) if by_certificate || !admission.dialback => why,
                _ => return,
            },
            // Nobody could say.
            Answer::Refused(refusal) if matches!(refusal.reason, Reason::Internal | Reason::Overloaded) => {
                return;
            }
            Answer::Refused(refusal) => refusal.to_string(),
            _ => return,
        };
        self.fail_with(Condition::PolicyViolation, Some(&why));
    }

    /// From now on this connection carries for the pair.
    pub(super) fn bind(&mut self, pair: DomainPair) {
        let ask = Ask::Bind { account: pair.mailbox(), device: None, attend: Some(0) };
        self.ask(ask, Asked::Bind(pair));
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer) {
        let Some((asked, _)) = self.submissions.answered(ticket) else { return };
        match asked {
            Asked::Header(pair) if matches!(self.side, Side::Opened(_)) => self.admitted_us(pair, answer),
            Asked::Header(pair) => self.admitted_them(pair, answer),
            Asked::Dialback(pair, key) => self.dialback_admitted(pair, key, answer),
            Asked::Confirm(pair) => self.dialback_confirmed(pair, answer),
            Asked::Bind(pair) => self.bound(pair, answer),
            Asked::Again(pair) => self.checked(&pair, answer),
        }
    }

    fn bound(&mut self, pair: DomainPair, answer: Answer) {
        match answer {
            Answer::Bound(endpoint) => {
                if let Some(proved) = self.proved.iter_mut().find(|p| p.pair == pair) {
                    proved.bound = Some(endpoint);
                }
                self.timers.proved(self.now.tick);
                self.errand_done(Ok(()));
            }
            Answer::Refused(refusal) if matches!(self.side, Side::Opened(_)) => self.give_up(refusal),
            // What we have to send goes another way.
            _ => {}
        }
    }

    fn kept(&mut self, ticket: Ticket) {
        if let Some(seq) = self.submissions.kept(ticket, self.now.tick) {
            self.finished(seq);
        }
    }

    fn settled(&mut self, ticket: Ticket, settlement: Settlement) {
        let Some((stub, unkept)) = self.submissions.settled(ticket) else { return };
        if let model::Outcome::Refused(refusal) = settlement.outcome {
            self.refused(&stub, &refusal);
        }
        if let Some(seq) = unkept {
            self.finished(seq);
        }
    }

    /// A stanza is done; an acknowledgement may be due.
    pub(super) fn finished(&mut self, seq: u64) {
        self.submissions.finish(seq);
        let done = self.submissions.done_before();
        if let Some(h) = self.acks.due(done) {
            self.out.write(format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>").as_bytes());
        }
    }

    /// TLS begins, once what was said is out.
    pub(super) fn secure(&mut self) {
        let named = self.local.as_ref().map(|local| local.domain().into());
        self.out.push(Output::Secure(Flow::ACCEPTED, named));
        self.phase = Phase::Securing;
        self.reader.forget();
    }

    fn secured(&mut self, facts: TlsFacts) {
        self.tls = Some(Box::new(facts));
        let upgraded = self.phase == Phase::Securing;
        self.phase = Phase::Opening;
        self.header_sent = false;
        if upgraded || self.tls_mode == TlsMode::Direct {
            self.begin();
        }
    }

    /// Whoever opened the connection speaks first.
    fn begin(&mut self) {
        if matches!(self.side, Side::Opened(_)) {
            self.send_header();
        }
    }

    /// The stream as a whole is another one now: with TLS, or with somebody who is known.
    pub(super) fn restart(&mut self) {
        self.phase = Phase::Opening;
        self.header_sent = false;
        self.reader.restart();
        self.begin();
    }

    /// Ends the stream with an error (RFC 6120 section 4.9).
    pub(super) fn fail(&mut self, condition: Condition) {
        self.fail_with(condition, None);
    }

    /// The same with words.
    pub(super) fn fail_with(&mut self, condition: Condition, text: Option<&str>) {
        if self.phase == Phase::Over {
            return;
        }
        if self.phase != Phase::Securing {
            // An error is only an error inside a stream (RFC 6120 section 4.9.1.2).
            self.send_header();
            let mut w = Writer::new();
            w.open("stream:error").empty_ns(condition.name(), STREAM_ERRORS);
            if let Some(text) = text {
                w.open_ns("text", STREAM_ERRORS).attr("xml:lang", "en").text(text).end();
            }
            self.out.write_vec(w.finish());
        }
        self.say_goodbye();
    }

    /// Closes the stream in order (RFC 6120 section 4.4).
    pub(super) fn say_goodbye(&mut self) {
        if self.phase == Phase::Over {
            return;
        }
        if self.phase != Phase::Securing && self.header_sent {
            self.out.write(b"</stream:stream>");
        }
        self.out.push(Output::Close(Flow::ACCEPTED));
        self.let_go();
    }

    /// Nothing more will be said or heard. Deliveries that were never acknowledged go back to the mailbox by themselves.
    pub(super) fn let_go(&mut self) {
        self.phase = Phase::Over;
        self.reader.end();
        for proved in std::mem::take(&mut self.proved) {
            if let Some(bound) = proved.bound {
                self.out.push(Output::Unbind(bound));
            }
        }
    }

    /// Answers something of dialback.
    pub(super) fn dialback_answer(
        &mut self,
        name: &'static str,
        pair: &DomainPair,
        id: Option<&str>,
        verdict: Result<bool, StanzaError>,
    ) {
        let mut w = Writer::new();
        w.open(name).attr("from", pair.local.as_str()).attr("to", pair.remote.as_str()).attr_if("id", id);
        match verdict {
            Ok(valid) => {
                w.attr("type", if valid { "valid" } else { "invalid" });
            }
            Err(error) => {
                w.attr("type", "error");
                error.write(pair.local.as_str(), &mut w);
            }
        }
        self.out.write_vec(w.finish());
    }

    /// Stops or restarts reading as the window demands.
    fn regulate(&mut self) {
        if self.phase == Phase::Over {
            return;
        }
        let unkept = self.submissions.unkept();
        let window = self.config.s2s_window;
        let full = if self.paused { unkept > window / 2 } else { unkept >= window };
        // What they still have to acknowledge is waited for, and nothing else.
        let drained = self.draining.is_some() && self.acks.unacked() == 0;
        let stop = self.reader.is_parked() || full || drained;
        if stop != self.paused {
            self.paused = stop;
            self.out.push(if stop { Output::Pause(Flow::ACCEPTED) } else { Output::Resume(Flow::ACCEPTED) });
        }
    }

    /// The server stops.
    fn drain(&mut self) {
        self.draining.get_or_insert(self.now.tick);
        if self.acks.unacked() > 0 {
            self.request_ack();
        }
    }

    /// The stream ends once what they handed over is on record, and they have acknowledged what we did; for that they
    /// have a moment.
    fn drained(&mut self) {
        let Some(since) = self.draining else { return };
        let done = self.acks.unacked() == 0 || self.now.tick >= since + super::timers::LAST_ACKS;
        if self.phase != Phase::Over && self.submissions.unkept() == 0 && done {
            self.fail(Condition::SystemShutdown);
        }
    }

    /// Is it we who do not listen?
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }
}

impl Reading for S2s {
    fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn is_securing(&self) -> bool {
        self.phase == Phase::Securing || (self.tls_mode == TlsMode::Direct && self.tls.is_none())
    }

    fn limits_before(&self) -> Limits {
        self.config.before_auth
    }

    fn limits_now(&self) -> Limits {
        if self.proved.is_empty() { self.config.before_auth } else { self.config.limits }
    }

    fn header(&mut self, header: Header) {
        self.lang = header.lang.clone().filter(|l| l.len() <= 64).map(String::into_boxed_str);
        match self.side {
            Side::Accepted(_) => self.header_of_theirs(&header),
            Side::Opened(_) => self.header_of_answer(&header),
        }
    }

    fn element(&mut self, stanza: &Stanza<'_>) {
        if self.phase == Phase::Opening {
            return self.fail(Condition::NotAuthorized);
        }
        let ns = stanza.ns();
        match stanza.kind() {
            Kind::Nonza if ns == STREAMS.as_bytes() && stanza.name() == b"error" => self.their_error(stanza),
            Kind::Nonza if ns == crate::wire::SM.as_bytes() && self.acknowledgement(stanza) => {}
            Kind::Nonza => match self.side {
                Side::Accepted(_) => self.nonza_of_theirs(stanza),
                Side::Opened(_) => self.nonza_of_answer(stanza),
            },
            kind => self.stanza(kind, stanza),
        }
    }

    fn closed(&mut self) {
        self.errand_done(Err(super::opened::ended("")));
        self.send_header();
        self.say_goodbye();
    }

    fn broken(&mut self, condition: Condition) {
        self.errand_done(Err(super::opened::ended(condition.name())));
        self.fail(condition);
    }
}

impl S2s {
    /// A stream error of theirs: they are about to close.
    fn their_error(&mut self, stanza: &Stanza<'_>) {
        self.errand_done(Err(super::opened::stream_error(stanza)));
        self.send_header();
        self.say_goodbye();
    }
}

impl Machine for S2s {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.now = now;
        if self.phase == Phase::Over {
            return;
        }
        match input {
            Input::Opened(_) => {
                self.timers.opened(now.tick);
                if self.tls_mode != TlsMode::Direct {
                    self.begin();
                }
            }
            Input::Bytes(_, bytes) => {
                self.timers.heard(now.tick);
                self.read(bytes);
            }
            Input::Secured(_, facts) => self.secured(facts),
            Input::Closed(_) => {
                self.errand_done(Err(super::opened::ended("")));
                self.let_go();
            }
            Input::Drain(_) => self.drain(),
            Input::Deliver(delivery) => self.deliver(delivery),
            Input::Kept(ticket) => self.kept(ticket),
            Input::Settled(ticket, settlement) => self.settled(ticket, settlement),
            Input::Answer(ticket, answer) => self.answered(ticket, answer),
            Input::Tick => self.tick(),
            Input::Notice(..)
            | Input::Resumed(..)
            | Input::Datagram(..)
            | Input::Inherited { .. }
            | Input::Line(_) => {}
        }
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
