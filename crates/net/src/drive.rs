//! The one driver: a machine, its connection, its hub and its time.

use crate::admit::Pass;
use crate::clock::Clock;
use crate::draining::Draining;
use crate::outbox::{HIGH_WATER, Outbox};
use crate::rein::Rein;
use crate::stream::Stream;
use crate::tally::Tally;
use crate::tls::{self, Side};
use connector::{Flow, Input, Machine, Output, TlsMode};
use hub::{HubEvent, Inbox, Link};
use model::{Answer, Reason, Refusal, Tick};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// A peer that takes this long for a handshake is not one.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A peer that reads nothing for so long while bytes wait for it is given up.
const SLOW_READER: Duration = Duration::from_secs(30);
/// How long a closing connection may take to take its last bytes.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long, and how much, a peer may go on sending after our last word.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;
/// Bytes read at a time: also the most a machine sees at once.
const CHUNK: usize = 16 * 1024;
/// Hub events taken at a time.
const EVENTS: usize = 128;

thread_local! {
    // Shared by all connections of a thread, so that a quiet one owns no buffer.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
    static TAKEN: RefCell<Vec<HubEvent>> = const { RefCell::new(Vec::new()) };
}

/// What a connection is driven with.
pub(crate) struct Gear {
    pub machine: Box<dyn Machine>,
    pub link: Link,
    pub inbox: Inbox,
    pub clock: Clock,
    pub side: Side,
    pub mode: TlsMode,
    pub drain: Arc<Draining>,
    /// `None` for connections we opened ourselves.
    pub pass: Option<Pass>,
    /// Another server's.
    pub server: bool,
    pub tally: Arc<Tally>,
    /// Who waits to hear what became of the machine's errand.
    pub errand: Option<oneshot::Sender<Result<(), Refusal>>>,
}

/// What the connection does next, beyond moving bytes and events.
enum Step {
    Upgrade,
    End,
}

struct Driver {
    machine: Box<dyn Machine>,
    link: Link,
    inbox: Inbox,
    clock: Clock,
    stream: Stream,
    outbox: Outbox,
    paused: bool,
    upgrading: bool,
    /// The domain of ours that the peer named before.
    named: Option<Box<str>>,
    tally: Arc<Tally>,
    closing: Option<Instant>,
    closed: bool,
    stuck_since: Option<Instant>,
    /// How fast it is read; `None` for connections we opened ourselves.
    rein: Option<Box<Rein>>,
    timer: Option<Pin<Box<Sleep>>>,
    draining: Arc<Draining>,
    errand: Option<oneshot::Sender<Result<(), Refusal>>>,
    drain: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// It will wake this task, which is one for as long as there is a connection.
    drain_wakes: bool,
}

/// Drives one connection from its first byte to its last.
pub(crate) async fn drive(stream: tokio::net::TcpStream, gear: Gear) {
    let Gear { machine, link, inbox, clock, side, mode, drain, pass, server, tally, errand } = gear;
    let _counted = Counted(tally.clone());
    let mut driver = Driver {
        machine,
        link,
        inbox,
        clock,
        stream: Stream::Plain(stream),
        outbox: Outbox::default(),
        paused: false,
        upgrading: false,
        named: None,
        tally,
        closing: None,
        closed: false,
        stuck_since: None,
        rein: pass.as_ref().map(|pass| Box::new(pass.rein(server))),
        timer: None,
        drain: Some(Box::pin(drain.begun())),
        drain_wakes: false,
        draining: drain,
        errand,
    };
    if driver.live(&side, mode).await.is_err() && !driver.closed {
        driver.feed(Input::Closed(Flow::ACCEPTED));
    }
    drop(pass);
}

/// Counts the end of a connection, also of one whose task is given up.
struct Counted(Arc<Tally>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.ended.one();
    }
}

/// The machine broke: our bug. Its connection ends, nothing else does.
struct Broken;

impl Driver {
    async fn live(&mut self, side: &Side, mode: TlsMode) -> Result<(), Broken> {
        self.feed_checked(Input::Opened(Flow::ACCEPTED))?;
        if mode == TlsMode::Direct {
            self.secure(side).await?;
        }
        loop {
            match poll_fn(|cx| self.poll_turn(cx)).await? {
                Step::Upgrade => {
                    self.upgrading = false;
                    self.secure(side).await?;
                }
                Step::End => {
                    let goodbye = poll_fn(|cx| self.stream.poll_shutdown(cx));
                    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
                    if !self.closed {
                        self.closed = true;
                        self.feed_checked(Input::Closed(Flow::ACCEPTED))?;
                        let _ = tokio::time::timeout(LINGER, self.linger()).await;
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Reads on for a moment after our end is closed: bytes that nobody has read when a socket goes make the system
    /// reset the connection, and the peer may then never see what we said last.
    async fn linger(&mut self) {
        let mut left = LINGER_BYTES;
        while left > 0 {
            let n = poll_fn(|cx| READ.with_borrow_mut(|chunk| self.stream.poll_discard(cx, chunk))).await;
            if n == 0 {
                return;
            }
            left = left.saturating_sub(n);
        }
    }

    /// The TLS handshake. Boxed, because its state is large and short-lived.
    async fn secure(&mut self, side: &Side) -> Result<(), Broken> {
        let Stream::Plain(plain) = std::mem::replace(&mut self.stream, Stream::None) else {
            self.closing.get_or_insert_with(Instant::now);
            return Ok(());
        };
        let handshake =
            Box::pin(tokio::time::timeout(HANDSHAKE, tls::handshake(plain, side, self.named.as_deref())));
        match handshake.await {
            Ok(Ok((stream, facts))) => {
                self.stream = Stream::Tls(Box::new(stream));
                self.feed_checked(Input::Secured(Flow::ACCEPTED, facts))
            }
            Ok(Err((error, plain))) => {
                self.tally.handshakes_failed.one();
                tracing::debug!(%error, "TLS handshake failed");
                if let Some(errand) = self.errand.take() {
                    let text = format!("TLS with their server failed: {error}");
                    let _ = errand.send(Err(Refusal::new(Reason::RemoteTimeout).with_text(text)));
                }
                // Nothing may be said in the clear any more; what stays is to take our alert through.
                self.stream = plain.map_or(Stream::None, Stream::Plain);
                self.drain = None;
                self.closing = Some(Instant::now());
                Ok(())
            }
            Err(_) => {
                self.tally.handshakes_late.one();
                tracing::debug!("TLS handshake took too long");
                self.closing = Some(Instant::now());
                Ok(())
            }
        }
    }

    /// Gives the machine one input and takes all its outputs: the one law of driving.
    fn feed_checked(&mut self, input: Input<'_>) -> Result<(), Broken> {
        let now = self.clock.now();
        let machine = &mut self.machine;
        if catch_unwind(AssertUnwindSafe(|| machine.handle(now, input))).is_err() {
            self.tally.panics.one();
            tracing::error!("a machine panicked; its connection ends");
            self.closed = true;
            return Err(Broken);
        }
        loop {
            let machine = &mut self.machine;
            match catch_unwind(AssertUnwindSafe(|| machine.poll())) {
                Ok(Some(output)) => self.take(output),
                Ok(None) => return Ok(()),
                Err(_) => {
                    self.tally.panics.one();
                    tracing::error!("a machine panicked; its connection ends");
                    self.closed = true;
                    return Err(Broken);
                }
            }
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        let _ = self.feed_checked(input);
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Bytes(_, bytes) => self.outbox.push(&bytes),
            Output::Datagram(..) => tracing::error!("a machine of a stream sent a datagram"),
            Output::Secure(_, named) => {
                self.upgrading = true;
                self.named = named;
            }
            Output::Close(_) => {
                self.closing.get_or_insert_with(Instant::now);
            }
            Output::Pause(_) => self.paused = true,
            Output::Resume(_) => self.paused = false,
            Output::AckWhenWritten(ack) => self.outbox.push_ack(ack),
            Output::Errand(result) => {
                if let Some(errand) = self.errand.take() {
                    let _ = errand.send(result);
                }
            }
            Output::Linger { state, secs } => {
                let unwritten: Vec<_> = std::iter::from_fn(|| self.outbox.drop_ack()).collect();
                self.link.linger(state, secs, &unwritten);
                self.closing.get_or_insert_with(Instant::now);
            }
            other => pass_to_hub(&self.link, other),
        }
    }

    /// Moves events, bytes and time until nothing moves any more, or something bigger is to be done.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Broken>> {
        loop {
            let mut moved = false;
            let open = self.closing.is_none() && !self.upgrading;
            // A peer that does not read gets no more work done for it; its events wait with the hub.
            let roomy = self.outbox.len() < HIGH_WATER;
            if self.closing.is_none() {
                moved |= if roomy { self.poll_hub(cx)? } else { self.poll_first(cx)? };
            }
            if open && roomy && !self.paused && self.reined().is_none() {
                moved |= self.poll_bytes(cx)?;
            }
            moved |= self.poll_time(cx)?;
            let mut wrote = false;
            let written = self.outbox.poll_write(&mut self.stream, cx, &mut wrote);
            if wrote {
                self.stuck_since = None;
            }
            moved |= wrote;
            while let Some(ack) = self.outbox.pop_ack() {
                self.link.ack(ack.delivery, ack.settlement);
            }
            match written {
                Poll::Ready(Ok(())) if self.upgrading && self.outbox.is_flushed() => {
                    return Poll::Ready(Ok(Step::Upgrade));
                }
                Poll::Ready(Ok(())) if self.closing.is_some() => return Poll::Ready(Ok(Step::End)),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(Step::End)),
                Poll::Pending if self.is_hopeless() => return Poll::Ready(Ok(Step::End)),
                Poll::Pending => {}
            }
            if !moved {
                self.arm(cx);
                return Poll::Pending;
            }
        }
    }

    /// Until when nothing is read, because too much came too fast.
    fn reined(&mut self) -> Option<Instant> {
        self.rein.as_mut().and_then(|rein| rein.until(Instant::now()))
    }

    fn is_hopeless(&mut self) -> bool {
        let now = Instant::now();
        let since = *self.stuck_since.get_or_insert(now);
        let patience = if self.closing.is_some() { GOODBYE } else { SLOW_READER };
        now.duration_since(since) >= patience
    }

    fn poll_hub(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        let mut events = TAKEN.take();
        let taken = self.inbox.poll_take(cx, &mut events, EVENTS);
        let mut result = Ok(taken.is_ready());
        for event in events.drain(..) {
            if result.is_ok()
                && let Err(broken) = self.hear(event)
            {
                result = Err(broken);
            }
        }
        TAKEN.set(events);
        result
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        match self.inbox.poll_first(cx) {
            Poll::Ready(event) => self.hear(event).map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    fn hear(&mut self, event: HubEvent) -> Result<(), Broken> {
        match event {
            HubEvent::Resumed(ticket, handover) if self.closing.is_none() => match handover.take() {
                Some((link, inbox, state)) => {
                    (self.link, self.inbox) = (link, inbox);
                    if let Some(rein) = &mut self.rein {
                        rein.proven();
                    }
                    self.feed_checked(Input::Resumed(ticket, state))
                }
                None => Ok(()),
            },
            HubEvent::Overrun => {
                tracing::warn!("a peer does not keep up with what it subscribed to; its connection ends");
                self.closing.get_or_insert_with(Instant::now);
                Ok(())
            }
            event => {
                if let (HubEvent::Answer(_, Answer::Bound(_)), Some(rein)) = (&event, &mut self.rein) {
                    rein.proven();
                }
                self.feed_checked(input_of(event))
            }
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        READ.with_borrow_mut(|chunk| {
            let mut buf = ReadBuf::new(chunk);
            match self.stream.poll_read(cx, &mut buf) {
                Poll::Pending => Ok(false),
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    let bytes = buf.filled();
                    if self.rein.as_mut().is_some_and(|rein| rein.read(bytes.len(), Instant::now())) {
                        self.tally.slowed.one();
                    }
                    self.feed_checked(Input::Bytes(Flow::ACCEPTED, bytes)).map(|()| true)
                }
                // End of stream or failure: nothing can come any more.
                Poll::Ready(_) => {
                    self.closing.get_or_insert_with(Instant::now);
                    if !self.closed {
                        self.closed = true;
                        self.feed_checked(Input::Closed(Flow::ACCEPTED))?;
                    }
                    Ok(true)
                }
            }
        })
    }

    fn poll_time(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        if let Some(drain) = &mut self.drain
            && (!std::mem::replace(&mut self.drain_wakes, true) || self.draining.has_begun())
            && drain.as_mut().poll(cx).is_ready()
        {
            self.drain = None;
            self.feed_checked(Input::Drain(self.draining.go_to()))?;
            return Ok(true);
        }
        let due = self.machine.deadline().is_some_and(|tick| self.clock.now().tick >= tick);
        if due && self.closing.is_none() {
            self.feed_checked(Input::Tick)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Sets the alarm for the machine's deadline or for a peer that does not read.
    fn arm(&mut self, cx: &mut Context<'_>) {
        let deadline: Option<Tick> = if self.closing.is_some() { None } else { self.machine.deadline() };
        let mut at = deadline.map(|tick| self.clock.instant(tick));
        if let Some(since) = self.stuck_since {
            let patience = since + if self.closing.is_some() { GOODBYE } else { SLOW_READER };
            at = Some(at.map_or(patience, |at| at.min(patience)));
        }
        if let Some(until) = self.reined().filter(|_| self.closing.is_none()) {
            at = Some(at.map_or(until, |at| at.min(until)));
        }
        let Some(at) = at else { return };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        // An alarm that rings early is set anew then: moving it for every byte would cost more.
        if timer.deadline() > at || timer.is_elapsed() {
            timer.as_mut().reset(at);
        }
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

/// What the hub tells, in a machine's words.
pub(crate) fn input_of(event: HubEvent) -> Input<'static> {
    match event {
        HubEvent::Deliver(delivery) => Input::Deliver(delivery),
        HubEvent::Line(news) => Input::Line(news),
        HubEvent::Notice(endpoint, notice) => Input::Notice(endpoint, notice),
        HubEvent::Kept(ticket) => Input::Kept(ticket),
        HubEvent::Settled(ticket, settlement) => Input::Settled(ticket, settlement),
        HubEvent::Answer(ticket, answer) => Input::Answer(ticket, answer),
        // Only a machine of its own connection resumes; this one's session waits on.
        HubEvent::Resumed(ticket, _) => Input::Answer(ticket, Answer::Claimed(None)),
        HubEvent::Overrun => Input::Drain(None),
    }
}

/// Passes on those outputs that are for the hub.
pub(crate) fn pass_to_hub(link: &Link, output: Output) {
    match output {
        Output::Submit { ticket, envelope, outcome_wanted } => link.submit(ticket, envelope, outcome_wanted),
        Output::Ask { ticket, ask } => link.ask(ticket, ask),
        Output::Say(line, bytes) => link.say(line, bytes),
        Output::HangUp(line) => link.hang_up(line),
        Output::Login { account, from, proven } => link.login(account.as_ref(), from, proven),
        Output::Attend(endpoint, priority) => link.attend(endpoint, priority),
        Output::Unbind(endpoint) => link.unbind(endpoint),
        Output::Resumable { key, owner } => link.resumable(key, owner),
        Output::Lease { key, owner, state, secs } => link.lease(key, owner, state, secs),
        Output::Ack(delivery, settlement) => link.ack(delivery, settlement),
        Output::AckWhenWritten(ack) => link.ack(ack.delivery, ack.settlement),
        Output::Bytes(..)
        | Output::Datagram(..)
        | Output::Secure(..)
        | Output::Close(_)
        | Output::Pause(_)
        | Output::Errand(_)
        | Output::Linger { .. }
        | Output::Resume(_) => {}
    }
}
