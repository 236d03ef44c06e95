//! What each listener counts. Relaxed additions, nothing else.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Default)]
pub(crate) struct Tally {
    pub accepted: Count,
    pub refused: Count,
    pub ended: Count,
    pub slowed: Count,
    pub handshakes_failed: Count,
    pub handshakes_late: Count,
    pub datagrams: Count,
    pub datagrams_dropped: Count,
    pub panics: Count,
}

#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub fn one(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What a listener has counted since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerCounts {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused because there are too many.
    pub refused: u64,
    /// Reads after which a peer had to wait, because it sent too fast.
    pub slowed: u64,
    /// Accepted connections that are open.
    pub open: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// TLS handshakes that took too long.
    pub handshakes_late: u64,
    /// Datagrams received.
    pub datagrams: u64,
    /// Datagrams dropped because a shard's queue was full.
    pub datagrams_dropped: u64,
    /// Machines that broke: our bugs.
    pub panics: u64,
}

impl Tally {
    /// Connections that have not ended.
    pub fn open(&self) -> u64 {
        let ended = self.ended.get();
        self.accepted.get().saturating_sub(ended)
    }

    pub fn counts(&self, name: String, addr: SocketAddr) -> ListenerCounts {
        // Read in this order, so that a connection that ends meanwhile cannot make the difference negative.
        let ended = self.ended.get();
        let accepted = self.accepted.get();
        ListenerCounts {
            name,
            addr,
            accepted,
            refused: self.refused.get(),
            slowed: self.slowed.get(),
            open: accepted.saturating_sub(ended),
            handshakes_failed: self.handshakes_failed.get(),
            handshakes_late: self.handshakes_late.get(),
            datagrams: self.datagrams.get(),
            datagrams_dropped: self.datagrams_dropped.get(),
            panics: self.panics.get(),
        }
    }
}
