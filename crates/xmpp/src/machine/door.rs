//! The door itself: makes a machine for each connection.

use std::net::SocketAddr;
use std::sync::Arc;

use connector::{Connector, Listener, Machine, Peer, Seed, TlsMode};
use model::Dialect;

use super::{C2s, Config};

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

    fn accept(&self, listener: usize, _peer: Peer, seed: Seed) -> Box<dyn Machine> {
        let tls = self.config.listeners.get(listener).map_or(TlsMode::None, |l| l.tls);
        Box::new(C2s::new(self.config.clone(), tls, seed))
    }
}
