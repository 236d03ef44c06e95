//! Listening sockets.

use crate::admit::{Admission, Gate};
use crate::clock::Clock;
use crate::datagram;
use crate::drive::{Gear, drive};
use crate::tls::Tls;
use connector::{Connector, Listener, Peer, Seed, TlsMode, Transport};
use hub::Hub;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

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
    #[error("{0} wants TLS, but no certificate is configured")]
    NoCertificate(String),
}

/// An open listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// What was asked for, with the address that was got.
    pub listener: Listener,
}

/// The network: opens doors' listeners and drives their machines.
pub struct Net {
    hub: Arc<Hub>,
    tls: Option<Arc<Tls>>,
    gate: Gate,
    clock: Clock,
    /// Machines that share one datagram socket.
    shards: usize,
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Net {
    /// A network for this hub. `shards` is the number of machines for each datagram socket.
    pub fn new(hub: Arc<Hub>, tls: Option<Arc<Tls>>, admission: Admission, shards: usize) -> Self {
        Self {
            hub,
            tls,
            gate: Gate::new(admission),
            clock: Clock::start(),
            shards: shards.max(1),
            drain: CancellationToken::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Opens all listeners of a door, or none.
    ///
    /// # Errors
    /// [`ListenError`], naming the listener.
    pub async fn open(&self, door: Arc<dyn Connector>) -> Result<Vec<Bound>, ListenError> {
        let mut opened = Vec::new();
        for (index, listener) in door.listeners().into_iter().enumerate() {
            if listener.tls != TlsMode::None && self.tls.is_none() {
                return Err(ListenError::NoCertificate(listener.name));
            }
            let fail = |error| ListenError::Bind { name: listener.name.clone(), addr: listener.addr, error };
            let socket = match listener.transport {
                Transport::Tcp => Socket::Tcp(tcp(listener.addr).map_err(fail)?),
                Transport::Udp => Socket::Udp(Arc::new(UdpSocket::bind(listener.addr).await.map_err(fail)?)),
            };
            opened.push((index, listener, socket));
        }
        let mut bound = Vec::new();
        for (index, mut listener, socket) in opened {
            let fail = |error| ListenError::Bind { name: listener.name.clone(), addr: listener.addr, error };
            let mode = listener.tls;
            listener.addr = match socket {
                Socket::Tcp(socket) => {
                    let addr = socket.local_addr().map_err(fail)?;
                    self.serve(socket, door.clone(), index, mode);
                    addr
                }
                Socket::Udp(socket) => {
                    let addr = socket.local_addr().map_err(fail)?;
                    self.serve_datagrams(socket, door.clone(), index, addr);
                    addr
                }
            };
            bound.push(Bound { listener });
        }
        Ok(bound)
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.gate.open()
    }

    /// Asks every machine to say goodbye; new connections are refused.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    fn serve(&self, socket: TcpListener, door: Arc<dyn Connector>, index: usize, mode: TlsMode) {
        let (hub, tls, gate, clock, drain) =
            (self.hub.clone(), self.tls.clone(), self.gate.clone(), self.clock, self.drain.clone());
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = socket.accept() => accepted,
                    () = drain.cancelled() => return,
                };
                let (stream, remote) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, most likely: those that end will free some.
                        tracing::warn!(%error, "connection not accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let Some(pass) = gate.admit(remote.ip()) else {
                    tracing::warn!(source = %remote.ip(), "too many connections; refused one");
                    continue;
                };
                let (Ok(local), Ok(seed)) = (stream.local_addr(), seed()) else { continue };
                let _ = stream.set_nodelay(true);
                let machine = door.accept(index, Peer { remote, local }, seed);
                let (link, inbox) = hub.join(door.dialect());
                let (tls, drain) = (tls.clone(), drain.clone());
                tokio::spawn(drive(stream, Gear { machine, link, inbox, clock, tls, mode, drain, pass }));
            }
        });
    }

    fn serve_datagrams(
        &self,
        socket: Arc<UdpSocket>,
        door: Arc<dyn Connector>,
        index: usize,
        local: SocketAddr,
    ) {
        let mut senders = Vec::new();
        for _ in 0..self.shards {
            let (sender, receiver) = datagram::queue();
            senders.push(sender);
            let (door, hub) = (door.clone(), self.hub.clone());
            let unspecified =
                SocketAddr::new(if local.is_ipv6() { [0u16; 8].into() } else { [0u8; 4].into() }, 0);
            let make: datagram::Make = Box::new(move || {
                // Without randomness the shard still works; its tokens are then guessable, so say so.
                let seed = seed().unwrap_or_else(|error| {
                    tracing::error!(%error, "no randomness");
                    [0; 32]
                });
                let machine = door.accept(index, Peer { remote: unspecified, local }, seed);
                let (link, inbox) = hub.join(door.dialect());
                (machine, link, inbox)
            });
            tokio::spawn(datagram::drive(socket.clone(), receiver, self.clock, make, self.stop.clone()));
        }
        tokio::spawn(datagram::read(socket, door, senders, self.stop.clone()));
    }
}

enum Socket {
    Tcp(TcpListener),
    Udp(Arc<UdpSocket>),
}

/// A listening TCP socket with room for a storm of logins in its queue.
fn tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        // An IPv6 wildcard listens for IPv6 only; IPv4 has a listener of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4096)?;
    TcpListener::from_std(socket.into())
}

fn seed() -> io::Result<Seed> {
    let mut seed = [0u8; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}
