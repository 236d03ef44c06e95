//! Driving the machines that share a datagram socket.

use crate::admit::Gate;
use crate::clock::Clock;
use crate::draining::Draining;
use crate::drive::{input_of, pass_to_hub};
use crate::tally::Tally;
use connector::{Connector, Input, Machine, Output};
use hub::{HubEvent, Inbox, Link};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// Datagrams that may wait for one shard; more are dropped, as any router on the way would.
const QUEUE: usize = 1024;
/// The largest datagram there is.
const LARGEST: usize = 65_535;

type Datagram = (SocketAddr, Vec<u8>);

/// A fresh machine for a shard.
pub(crate) struct Fresh {
    pub machine: Box<dyn Machine>,
    pub link: Link,
    pub inbox: Inbox,
    /// What an earlier machine left that this one is to go on with.
    pub estate: Vec<model::Left>,
}

/// Makes a fresh machine for a shard: at the start, and after one broke.
pub(crate) type Make = Box<dyn Fn() -> Fresh + Send>;

/// Reads the socket and gives each datagram to its shard.
pub(crate) async fn read(
    socket: Arc<UdpSocket>,
    door: Arc<dyn Connector>,
    shards: Vec<Sender<Datagram>>,
    gate: Gate,
    tally: Arc<Tally>,
    stop: CancellationToken,
) {
    let mut buffer = vec![0u8; LARGEST];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = stop.cancelled() => return,
        };
        match received {
            Ok((n, source)) => {
                let bytes = &buffer[..n];
                let at = door.shard(bytes, source, shards.len()).min(shards.len() - 1);
                tally.datagrams.one();
                // Whoever floods the socket does not take the others' places in the queue.
                if !gate.may_send(source.ip(), n) {
                    tally.slowed.one();
                    tally.datagrams_dropped.one();
                    continue;
                }
                if shards[at].try_send((source, bytes.to_vec())).is_err() {
                    tally.datagrams_dropped.one();
                }
            }
            // An ICMP error of an earlier send; the socket itself is well.
            Err(error) => tracing::debug!(%error, "datagram not received"),
        }
    }
}

/// A shard's queue.
pub(crate) fn queue() -> (Sender<Datagram>, Receiver<Datagram>) {
    channel(QUEUE)
}

struct Shard {
    machine: Box<dyn Machine>,
    link: Link,
    inbox: Inbox,
    clock: Clock,
    out: Vec<(SocketAddr, bytes::Bytes)>,
    /// The server stops, and nothing is open here any more.
    done: bool,
}

/// Drives one shard. A machine that panics is replaced by a fresh one: its transactions are lost, the socket is not.
pub(crate) async fn drive(
    socket: Arc<UdpSocket>,
    mut datagrams: Receiver<Datagram>,
    clock: Clock,
    make: Make,
    drain: Arc<Draining>,
    tally: Arc<Tally>,
    stop: CancellationToken,
) {
    let mut shard = Shard::new(&make, clock);
    let mut busy = Some(drain.shard());
    let mut told = false;
    let begun = drain.begun();
    tokio::pin!(begun);
    let mut events: Vec<HubEvent> = Vec::new();
    loop {
        let deadline = shard.machine.deadline().map(|tick| clock.instant(tick));
        let alarm = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let whole = tokio::select! {
            datagram = datagrams.recv() => match datagram {
                Some((source, bytes)) => shard.feed(Input::Datagram(source, &bytes)),
                None => return,
            },
            _ = poll_fn(|cx| shard.inbox.poll_take(cx, &mut events, 128)) => {
                events.drain(..).all(|event| shard.feed(input_of(event)))
            }
            () = alarm => shard.feed(Input::Tick),
            () = &mut begun, if !told => {
                told = true;
                shard.feed(Input::Drain(drain.go_to()))
            }
            () = stop.cancelled() => return,
        };
        for (to, bytes) in std::mem::take(&mut shard.out) {
            if let Err(error) = socket.send_to(&bytes, to).await {
                tracing::debug!(%error, "datagram not sent");
            }
        }
        if shard.done {
            drop(busy.take());
        }
        if !whole {
            tally.panics.one();
            tracing::error!("a machine panicked; a fresh one takes its place");
            shard = Shard::new(&make, clock);
            if told {
                // It has nothing open, but must send away what comes.
                shard.feed(Input::Drain(drain.go_to()));
            }
        }
    }
}

impl Shard {
    fn new(make: &Make, clock: Clock) -> Self {
        let Fresh { machine, link, inbox, estate } = make();
        let mut shard = Self { machine, link, inbox, clock, out: Vec::new(), done: false };
        for model::Left { key, owner, state, secs } in estate {
            let name = key.clone();
            if !shard.feed(Input::Inherited { key, owner, state, secs }) {
                // It would break the next machine as well: that one starts with empty hands.
                tracing::error!(lease = %name.0, "a machine panicked over what another one had left");
                let Fresh { machine, link, inbox, .. } = make();
                return Self { machine, link, inbox, clock, out: Vec::new(), done: false };
            }
        }
        shard
    }

    /// One input, all outputs. `false` if the machine broke.
    fn feed(&mut self, input: Input<'_>) -> bool {
        let now = self.clock.now();
        let machine = &mut self.machine;
        if catch_unwind(AssertUnwindSafe(|| machine.handle(now, input))).is_err() {
            return false;
        }
        loop {
            let machine = &mut self.machine;
            match catch_unwind(AssertUnwindSafe(|| machine.poll())) {
                Ok(Some(Output::Datagram(to, bytes))) => self.out.push((to, bytes)),
                Ok(Some(Output::Close(_))) => self.done = true,
                Ok(Some(output)) => pass_to_hub(&self.link, output),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}
