//! The door itself: makes a machine for each connection.

use std::net::SocketAddr;
use std::sync::Arc;

use connector::{Connector, Errand, Listener, Machine, Peer, Search, Seed, Service, TlsMode};
use model::Dialect;

use super::{C2s, Config};
use crate::s2s::S2s;

/// RFC 6120 section 3.2 and XEP-0368 section 3: both kinds of record are one list.
const SEARCH: Search = Search {
    naptr: &[],
    services: &[&[
        Service { name: "_xmpps-server._tcp", tls: TlsMode::Direct },
        Service { name: "_xmpp-server._tcp", tls: TlsMode::Upgrade },
    ]],
    fallback: (5269, TlsMode::Upgrade),
    alpn: Some("xmpp-server"),
};

/// The XMPP front door.
#[derive(Clone, Debug)]
pub struct Door {
    config: Arc<Config>,
}

impl Door {
    /// Opens the door with these settings.
    pub fn new(config: Config) -> Door {
        Door { config: Arc::new(config) }
    }
}

impl Connector for Door {
    fn dialect(&self) -> Dialect {
        Dialect::Xmpp
    }

    fn listeners(&self) -> Vec<Listener> {
        self.config.listeners.clone()
    }

    fn shard(&self, _: &[u8], _: SocketAddr, _: usize) -> usize {
        0
    }

    fn search(&self) -> Option<Search> {
        Some(SEARCH)
    }

    fn dial(&self, errand: Errand, tls: TlsMode, _peer: Peer, seed: Seed) -> Option<Box<dyn Machine>> {
        Some(Box::new(S2s::open(self.config.clone(), errand, tls, seed)))
    }

    fn accept(&self, listener: usize, _peer: Peer, seed: Seed) -> Box<dyn Machine> {
        let listener = self.config.listeners.get(listener);
        let tls = listener.map_or(TlsMode::None, |l| l.tls);
        if listener.is_some_and(|l| l.servers) {
            return Box::new(S2s::accept(self.config.clone(), tls, seed));
        }
        Box::new(C2s::new(self.config.clone(), tls, seed))
    }
}
