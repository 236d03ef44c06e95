//! The listeners: opened, changed and closed while the server runs.

use crate::admit::Pass;
use crate::admit::{Admission, Gate};
use crate::clock::Clock;
use crate::datagram;
use crate::dial::{Dialler, Ground};
use crate::draining::Draining;
use crate::drive::{Gear, drive};
use crate::proxy::{self, Header, Network};
use crate::resolve::Resolver;
use crate::seed::seed;
use crate::tally::{ListenerCounts, Tally};
use crate::tls::{Side, Tls};
use crate::{tcp, udp};
use connector::{Connector, Listener, Peer, TlsMode, Transport};
use hub::{Hub, Trouble};
use parking_lot::{Mutex, RwLock};
use ports::Partners;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;

/// A proxy that takes this long to say whom it speaks for is not one.
const HEADER: Duration = Duration::from_secs(5);

/// A listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, or not ours, or not allowed.
    #[error("cannot listen for {name} on {addr}: {error}")]
    Bind {
        /// Which listener.
        name: String,
        /// Where.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// A listener wants TLS and there is no certificate.
    #[error("{name} on {addr} wants TLS, but no certificate is configured")]
    NoCertificate {
        /// Which listener.
        name: String,
        /// Where.
        addr: SocketAddr,
    },
}

impl ListenError {
    /// Which address it is about.
    pub fn addr(&self) -> SocketAddr {
        match self {
            Self::Bind { addr, .. } | Self::NoCertificate { addr, .. } => *addr,
        }
    }
}

/// An open listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// What was asked for, with the address that was got.
    pub listener: Listener,
}

/// A listener that is wanted.
#[derive(Clone)]
pub struct Opening {
    /// Whose.
    pub door: Arc<dyn Connector>,
    /// The door's number for it.
    pub index: usize,
    /// What and where.
    pub listener: Listener,
    /// Connections begin with a PROXY protocol header, and come from here only.
    pub proxies: Option<Arc<[Network]>>,
}

impl Opening {
    /// All listeners of a door.
    pub fn of(door: &Arc<dyn Connector>) -> Vec<Self> {
        let listeners = door.listeners().into_iter().enumerate();
        listeners
            .map(|(index, listener)| Self { door: door.clone(), index, listener, proxies: None })
            .collect()
    }
}

/// What connections of an open listener are served with; a reload replaces it for those that come after.
type Seat = Arc<RwLock<Opening>>;

/// A listener that is open.
struct Open {
    /// What was asked for; port 0 stays 0 here.
    asked: (Transport, SocketAddr),
    addr: SocketAddr,
    seat: Seat,
    stop: CancellationToken,
    tally: Arc<Tally>,
}

enum Socket {
    Tcp(TcpListener),
    Udp(Arc<UdpSocket>),
}

/// What the connections of one listener go through.
struct Entrance {
    hub: Arc<Hub>,
    tls: Arc<RwLock<Option<Arc<Tls>>>>,
    gate: Gate,
    clock: Clock,
    drain: Arc<Draining>,
    seat: Seat,
    tally: Arc<Tally>,
}

impl Entrance {
    /// Lets a connection in, or not.
    fn enter(self: Arc<Self>, mut stream: TcpStream, remote: SocketAddr) {
        let opening = self.seat.read().clone();
        let Ok(local) = stream.local_addr() else { return };
        let _ = stream.set_nodelay(true);
        let Some(proxies) = &opening.proxies else {
            if let Some(pass) = self.admit(remote) {
                self.start(stream, opening, Peer { remote, local }, pass);
            }
            return;
        };
        if !proxies.iter().any(|network| network.contains(remote.ip())) {
            self.tally.refused.one();
            tracing::warn!(source = %remote.ip(), "not a trusted proxy; refused");
            return;
        }
        tokio::spawn(async move {
            let header = tokio::time::timeout(HEADER, proxy::read(&mut stream)).await;
            let peer = match header {
                Ok(Ok(Header::Proxied { remote, local })) => Peer { remote, local },
                Ok(Ok(Header::Local)) => Peer { remote, local },
                Ok(Err(error)) => {
                    self.tally.refused.one();
                    return tracing::warn!(proxy = %remote, %error, "refused");
                }
                Err(_) => {
                    self.tally.refused.one();
                    return tracing::warn!(proxy = %remote, "the PROXY protocol header took too long; refused");
                }
            };
            tracing::debug!(proxy = %remote, source = %peer.remote, "proxied");
            if let Some(pass) = self.admit(peer.remote) {
                self.start(stream, opening, peer, pass);
            }
        });
    }

    fn admit(&self, remote: SocketAddr) -> Option<Pass> {
        let pass = self.gate.admit(remote.ip());
        if pass.is_none() {
            self.tally.refused.one();
            tracing::warn!(source = %remote.ip(), "too many connections; refused one");
        }
        pass
    }

    fn start(&self, stream: TcpStream, opening: Opening, peer: Peer, pass: Pass) {
        let Ok(seed) = seed() else { return };
        let Opening { door, index, listener, .. } = opening;
        let from = peer.remote.ip();
        let machine = door.accept(index, peer, seed);
        let (link, inbox) = self.hub.join_from(door.dialect(), from);
        self.tally.accepted.one();
        let (tls, drain, tally) = (self.tls.read().clone(), self.drain.clone(), self.tally.clone());
        let (clock, mode) = (self.clock, listener.tls);
        let side = Side::Server { tls, peers: listener.servers };
        let (pass, errand) = (Some(pass), None);
        let server = listener.servers;
        let gear = Gear { machine, link, inbox, clock, side, mode, drain, pass, server, tally, errand };
        tokio::spawn(drive(stream, gear));
    }
}

/// Where a wanted listener comes from.
enum Source {
    /// It is open already: its place in the list.
    Kept(usize),
    Fresh(Socket, SocketAddr),
}

/// A change of the listeners that is ready: every new socket is open, nothing is served on it yet. Dropping it leaves
/// everything as it was.
pub struct Change {
    wanted: Vec<(Opening, Source)>,
}

/// The network: opens doors' listeners and drives their machines.
pub struct Net {
    hub: Arc<Hub>,
    tls: Arc<RwLock<Option<Arc<Tls>>>>,
    gate: Gate,
    clock: Clock,
    /// Machines that share one datagram socket.
    shards: usize,
    drain: Arc<Draining>,
    open: Mutex<Vec<Open>>,
    dialler: OnceLock<Arc<Dialler>>,
}

impl Net {
    /// A network for this hub. `shards` is the number of machines for each datagram socket.
    pub fn new(hub: Arc<Hub>, admission: Admission, shards: usize) -> Self {
        Self {
            hub,
            tls: Arc::default(),
            gate: Gate::new(admission),
            clock: Clock::start(),
            shards: shards.max(1),
            drain: Arc::default(),
            open: Mutex::default(),
            dialler: OnceLock::new(),
        }
    }

    /// Begins to open connections to other companies' servers, as `partners` says and through these doors; said again,
    /// goes on through others. Blocks.
    ///
    /// # Errors
    /// [`Trouble`] when what waits cannot be read.
    pub fn federate(
        &self,
        partners: Arc<dyn Partners>,
        resolver: Resolver,
        doors: Vec<Arc<dyn Connector>>,
    ) -> Result<(), Trouble> {
        if let Some(dialler) = self.dialler.get() {
            dialler.through(doors);
            dialler.ask(resolver);
            return Ok(());
        }
        let (hub, tls, clock, drain) = (self.hub.clone(), self.tls.clone(), self.clock, self.drain.clone());
        let dialler = Dialler::new(Ground { hub, partners, resolver, tls, clock, drain });
        dialler.through(doors);
        let dialler = self.dialler.get_or_init(|| dialler).clone();
        self.hub.dial_with(dialler)
    }

    /// Opens the sockets that are missing for these listeners; changes nothing yet. `secured`: there will be a
    /// certificate.
    ///
    /// # Errors
    /// [`ListenError`], naming the listener.
    pub fn prepare(&self, wanted: Vec<Opening>, secured: bool) -> Result<Change, ListenError> {
        let open = self.open.lock();
        let mut taken = vec![false; open.len()];
        let mut change = Vec::new();
        for opening in wanted {
            let (name, addr) = (opening.listener.name.clone(), opening.listener.addr);
            if opening.listener.tls != TlsMode::None && !secured {
                return Err(ListenError::NoCertificate { name, addr });
            }
            let asked = (opening.listener.transport, addr);
            let at = (0..open.len()).find(|i| !taken[*i] && open[*i].asked == asked);
            let source = match at {
                Some(at) => {
                    taken[at] = true;
                    Source::Kept(at)
                }
                None => fresh(asked).map_err(|error| ListenError::Bind { name, addr, error })?,
            };
            change.push((opening, source));
        }
        Ok(Change { wanted: change })
    }

    /// Puts a change into force together with the certificate of new handshakes: new listeners are served, those no
    /// longer wanted are closed, the rest goes on with what it was given. Open connections stay.
    pub fn commit(&self, change: Change, tls: Option<Arc<Tls>>) -> Vec<Bound> {
        *self.tls.write() = tls;
        let mut open = self.open.lock();
        let mut before: Vec<Option<Open>> = open.drain(..).map(Some).collect();
        let mut bound = Vec::new();
        for (opening, source) in change.wanted {
            let mut listener = opening.listener.clone();
            let asked = (listener.transport, listener.addr);
            let kept = match source {
                Source::Kept(at) => before[at].take().inspect(|kept| *kept.seat.write() = opening),
                Source::Fresh(socket, addr) => {
                    let seat = Arc::new(RwLock::new(opening));
                    let stop = CancellationToken::new();
                    let tally = Arc::<Tally>::default();
                    match socket {
                        Socket::Tcp(socket) => self.serve(socket, seat.clone(), stop.clone(), tally.clone()),
                        Socket::Udp(socket) => {
                            self.serve_datagrams(socket, seat.clone(), addr, &stop, &tally)
                        }
                    }
                    Some(Open { asked, addr, seat, stop, tally })
                }
            };
            if let Some(kept) = kept {
                listener.addr = kept.addr;
                bound.push(Bound { listener });
                open.push(kept);
            }
        }
        for gone in before.into_iter().flatten() {
            gone.stop.cancel();
        }
        bound
    }

    /// Uses other certificates for handshakes from now on.
    pub fn secure(&self, tls: Option<Arc<Tls>>) {
        *self.tls.write() = tls;
    }

    /// Puts other limits in force.
    pub fn admit(&self, admission: Admission) {
        self.gate.set(admission);
    }

    /// What every open listener has counted.
    pub fn counts(&self) -> Vec<ListenerCounts> {
        let open = self.open.lock();
        open.iter().map(|o| o.tally.counts(o.seat.read().listener.name.clone(), o.addr)).collect()
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.gate.open()
    }

    /// Asks every machine to finish what is open and to say goodbye; new connections are refused. Clients that can be
    /// told are told to go to `go_to`.
    pub fn drain(&self, go_to: Option<Arc<str>>) {
        self.drain.begin(go_to);
    }

    /// After [`Net::drain`]: has everybody gone, and is nothing open on datagram sockets?
    pub fn is_quiet(&self) -> bool {
        let called = self.dialler.get().map_or(0, |d| d.open());
        self.gate.open() == 0 && self.drain.busy_shards() == 0 && called == 0
    }

    fn serve(&self, socket: TcpListener, seat: Seat, stop: CancellationToken, tally: Arc<Tally>) {
        let entrance = Arc::new(Entrance {
            hub: self.hub.clone(),
            tls: self.tls.clone(),
            gate: self.gate.clone(),
            clock: self.clock,
            drain: self.drain.clone(),
            seat,
            tally,
        });
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = socket.accept() => accepted,
                    () = entrance.drain.begun() => return,
                    () = stop.cancelled() => return,
                };
                match accepted {
                    Ok((stream, remote)) => entrance.clone().enter(stream, remote),
                    Err(error) => {
                        // Out of descriptors, most likely: those that end will free some.
                        tracing::warn!(%error, "connection not accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        });
    }

    fn serve_datagrams(
        &self,
        socket: Arc<UdpSocket>,
        seat: Seat,
        local: SocketAddr,
        stop: &CancellationToken,
        tally: &Arc<Tally>,
    ) {
        let mut senders = Vec::new();
        let shards = self.shards;
        for shard in 0..shards {
            let (sender, receiver) = datagram::queue();
            senders.push(sender);
            let (seat, hub) = (seat.clone(), self.hub.clone());
            let unspecified =
                SocketAddr::new(if local.is_ipv6() { [0u16; 8].into() } else { [0u8; 4].into() }, 0);
            let make: datagram::Make = Box::new(move || {
                // Without randomness the shard still works; its tokens are then guessable, so say so.
                let seed = seed().unwrap_or_else(|error| {
                    tracing::error!(%error, "no randomness");
                    [0; 32]
                });
                let Opening { door, index, .. } = seat.read().clone();
                let machine = door.accept(index, Peer { remote: unspecified, local }, seed);
                let (link, inbox) = hub.join(door.dialect());
                let estate =
                    hub.inherit(&link, |key, state| door.heir(local, key, state, shards) == Some(shard));
                datagram::Fresh { machine, link, inbox, estate }
            });
            let drain = self.drain.clone();
            tokio::spawn(datagram::drive(
                socket.clone(),
                receiver,
                self.clock,
                make,
                drain,
                tally.clone(),
                stop.clone(),
            ));
        }
        let door = seat.read().door.clone();
        tokio::spawn(datagram::read(socket, door, senders, self.gate.clone(), tally.clone(), stop.clone()));
    }
}

fn fresh((transport, addr): (Transport, SocketAddr)) -> io::Result<Source> {
    Ok(match transport {
        Transport::Tcp => {
            let socket = tcp::listen(addr)?;
            let addr = socket.local_addr()?;
            Source::Fresh(Socket::Tcp(socket), addr)
        }
        Transport::Udp => {
            let socket = udp::bind(addr)?;
            let addr = socket.local_addr()?;
            Source::Fresh(Socket::Udp(Arc::new(socket)), addr)
        }
    })
}
