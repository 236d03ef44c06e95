//! The door itself: listeners, shards, machines.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use connector::{Connector, Errand, Listener, Machine, Peer, Search, Seed, Service, TlsMode, Transport};
use model::{Dialect, LeaseKey};

use crate::config::Config;
use crate::machine::SipMachine;

/// The SIP/SIMPLE connector.
#[derive(Debug, Clone)]
pub struct Sip {
    config: Arc<Config>,
}

impl Sip {
    /// Opens the door with these settings.
    pub fn new(config: Config) -> Self {
        Self { config: Arc::new(config) }
    }
}

impl Connector for Sip {
    fn dialect(&self) -> Dialect {
        Dialect::Sip
    }

    fn listeners(&self) -> Vec<Listener> {
        self.config.listeners.clone()
    }

    /// By the peer's address. All of one device then meets in one machine: its registration, its nonces, its dialogs
    /// and publications, and its answers, which come from where our requests went (RFC 3581). A device that moves to
    /// another address finds what it left as leases of the hub.
    fn shard(&self, _datagram: &[u8], source: SocketAddr, shards: usize) -> usize {
        let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
        let mut h = 0xcbf2_9ce4_8422_2325;
        match source.ip().to_canonical() {
            IpAddr::V4(ip) => h = ip.octets().into_iter().fold(h, hash),
            IpAddr::V6(ip) => h = ip.octets().into_iter().fold(h, hash),
        }
        h = source.port().to_be_bytes().into_iter().fold(h, hash);
        // Neighbouring ports differ in few bits; this spreads them.
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h ^= h >> 33;
        usize::try_from(h % shards.max(1) as u64).unwrap_or(0)
    }

    fn heir(&self, local: SocketAddr, _: &LeaseKey, state: &[u8], shards: usize) -> Option<usize> {
        crate::machine::peer_of(local, state).map(|peer| self.shard(b"", peer, shards))
    }

    /// RFC 3263 section 4, as far as it is about TLS; and the name that other systems announce themselves under.
    fn search(&self) -> Option<Search> {
        const SIPS: Service = Service { name: "_sips._tcp", tls: TlsMode::Direct };
        const FEDERATION: Service = Service { name: "_sipfederationtls._tcp", tls: TlsMode::Direct };
        const SERVICES: &[&[Service]] = &[&[SIPS], &[FEDERATION]];
        const NAPTR: &[Service] = &[Service { name: "SIPS+D2T", tls: TlsMode::Direct }];
        Some(Search { naptr: NAPTR, services: SERVICES, fallback: (5061, TlsMode::Direct), alpn: None })
    }

    fn dial(&self, errand: Errand, tls: TlsMode, peer: Peer, seed: Seed) -> Option<Box<dyn Machine>> {
        Some(Box::new(SipMachine::dial(self.config.clone(), errand, tls, peer, seed)?))
    }

    fn accept(&self, listener: usize, peer: Peer, seed: Seed) -> Box<dyn Machine> {
        let (transport, tls) = match self.config.listeners.get(listener) {
            Some(l) if l.servers => {
                let tls = l.tls != TlsMode::None;
                return Box::new(SipMachine::trunk(self.config.clone(), tls, peer, seed));
            }
            Some(l) => (l.transport, l.tls != TlsMode::None),
            None => (Transport::Tcp, false),
        };
        Box::new(SipMachine::new(self.config.clone(), transport, tls, peer, seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_stays_in_its_shard_and_peers_are_spread() {
        let door = Sip::new(Config::new(["example.com"]));
        let at = |a: &str| door.shard(b"", a.parse().unwrap(), 4);
        assert_eq!(at("192.0.2.1:5060"), at("[::ffff:192.0.2.1]:5060"));
        let mut seen = [0; 4];
        for port in 10_000..14_000 {
            seen[at(&format!("192.0.2.1:{port}"))] += 1;
        }
        assert!(seen.iter().all(|n| (700..1300).contains(n)), "{seen:?}");
        assert_eq!(door.shard(b"", "192.0.2.1:1".parse().unwrap(), 0), 0);
    }
}
