//! What is in force: the configuration and our certificates. Whoever works in the background asks here each time; a
//! change replaces what there was as a whole, and nobody waits for one that is being made.

use crate::config::Config;
use net::Tls;
use parking_lot::RwLock;
use std::sync::Arc;

/// The configuration and the certificates that are in force.
pub struct InForce {
    now: RwLock<(Arc<Config>, Option<Arc<Tls>>)>,
}

impl InForce {
    /// From the start.
    pub fn new(config: Config, tls: Option<Arc<Tls>>) -> Self {
        Self { now: RwLock::new((Arc::new(config), tls)) }
    }

    /// The configuration.
    pub fn config(&self) -> Arc<Config> {
        self.now.read().0.clone()
    }

    /// Our certificates, if we have any.
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.now.read().1.clone()
    }

    /// Replaces both.
    pub fn set(&self, config: Config, tls: Option<Arc<Tls>>) {
        *self.now.write() = (Arc::new(config), tls);
    }

    /// Replaces the certificates.
    pub fn secure(&self, tls: Option<Arc<Tls>>) {
        self.now.write().1 = tls;
    }
}
