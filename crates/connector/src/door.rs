use crate::{Input, Output, Peer, Seed};
use bytes::Bytes;
use model::{Dialect, DomainPair, LeaseKey, Now, Tick};
use std::net::SocketAddr;

/// One protocol engine instance: a session, a stream, a shard of a UDP socket.
///
/// Pure: `handle` takes time and input, never blocks, never panics on any input. After each `handle` the driver calls
/// `poll` until `None`; then it looks at `deadline` and calls `handle(now, Input::Tick)` once that has passed.
pub trait Machine: Send {
    /// Takes one input.
    fn handle(&mut self, now: Now, input: Input<'_>);

    /// Gives the next output, until there is none.
    fn poll(&mut self) -> Option<Output>;

    /// When it next wants an `Input::Tick`, if at all.
    fn deadline(&self) -> Option<Tick>;
}

/// A front door: makes machines for flows.
pub trait Connector: Send + Sync {
    /// Its dialect.
    fn dialect(&self) -> Dialect;

    /// What to listen on.
    fn listeners(&self) -> Vec<Listener>;

    /// For `Sharing::Shared` listeners: which of `shards` machines a datagram belongs to. Pure, and the same for
    /// all datagrams of one transaction.
    fn shard(&self, datagram: &[u8], source: SocketAddr, shards: usize) -> usize {
        let _ = (datagram, source, shards);
        0
    }

    /// For `Sharing::Shared` listeners: which of `shards` machines of the socket at `local` goes on with a lease that
    /// nobody holds any more. `None`: it waits until some machine claims it. The same machine that
    /// [`Connector::shard`] names for the peer the lease is about.
    fn heir(&self, local: SocketAddr, key: &LeaseKey, state: &[u8], shards: usize) -> Option<usize> {
        let _ = (local, key, state, shards);
        None
    }

    /// How the servers of another domain are found; `None`: this dialect does not federate.
    fn search(&self) -> Option<Search> {
        None
    }

    /// Makes the machine for a connection we open to another server. `tls` says how that is secured; `Opened` and,
    /// for [`TlsMode::Direct`], `Secured` come first.
    fn dial(&self, errand: Errand, tls: TlsMode, peer: Peer, seed: Seed) -> Option<Box<dyn Machine>> {
        let _ = (errand, tls, peer, seed);
        None
    }

    /// Makes the machine for a new connection (`PerFlow`), or for one shard (`Shared`; `peer.remote` is then the
    /// unspecified address). `listener` is the index into [`Connector::listeners`].
    fn accept(&self, listener: usize, peer: Peer, seed: Seed) -> Box<dyn Machine>;
}

/// What we open a connection to another server for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// To carry what waits in the pair's mailbox: the machine proves who we are, binds the mailbox and goes on.
    Carry(DomainPair),
    /// To ask whether the remote domain said this (`Ask::Confirm`), and then to end.
    Confirm(DomainPair, Bytes),
}

impl Errand {
    /// Between whom.
    pub fn pair(&self) -> &DomainPair {
        match self {
            Self::Carry(pair) | Self::Confirm(pair, _) => pair,
        }
    }
}

/// How the servers of a domain are found (RFC 6120 section 3.2, XEP-0368; RFC 3263).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// NAPTR services, such as `SIPS+D2T` (RFC 3263 section 4.1): where a domain has records for one of these, the SRV names
    /// that they lead to come before the usual ones.
    pub naptr: &'static [Service],
    /// SRV services in groups; a group is looked up at once and its answers are tried together, by priority and weight;
    /// the next group is only for those domains that have nothing in the groups before.
    pub services: &'static [&'static [Service]],
    /// Where nothing is found: the domain's own address, with this port and so secured.
    pub fallback: (u16, TlsMode),
    /// The protocol's name in ALPN on connections with [`TlsMode::Direct`] (RFC 7301), if it has one.
    pub alpn: Option<&'static str>,
}

/// One SRV service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Such as `_xmpp-server._tcp`.
    pub name: &'static str,
    /// How what it names is secured.
    pub tls: TlsMode,
}

/// One listening socket of a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name in logs and in `rialto status`, such as `xmpp-c2s` or `sip-udp`.
    pub name: String,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// How it is secured.
    pub tls: TlsMode,
    /// Other servers connect here: they are asked for their certificates.
    pub servers: bool,
}

impl Listener {
    /// One machine for each flow, or machines shared by all.
    pub fn sharing(&self) -> Sharing {
        match self.transport {
            Transport::Tcp => Sharing::PerFlow,
            Transport::Udp => Sharing::Shared,
        }
    }
}

/// What carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A stream.
    Tcp,
    /// Datagrams.
    Udp,
}

/// How a listener is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    None,
    /// TLS from the first byte.
    Direct,
    /// Plain at first; the machine asks for TLS with `Output::Secure`.
    Upgrade,
}

/// How flows and machines relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// One machine for each connection.
    PerFlow,
    /// A few machines for the whole socket.
    Shared,
}
