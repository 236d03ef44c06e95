//! The server's end, as every connection and shard hears of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Whether the server stops, and what still has to end.
#[derive(Default)]
pub(crate) struct Draining {
    token: CancellationToken,
    /// The same for whoever has a waker there already: the token's locks are everybody's.
    told: AtomicBool,
    go_to: OnceLock<Arc<str>>,
    /// Shards of datagram sockets with something open.
    shards: AtomicUsize,
}

impl Draining {
    /// Begins, once.
    pub fn begin(&self, go_to: Option<Arc<str>>) {
        if let Some(go_to) = go_to {
            let _ = self.go_to.set(go_to);
        }
        // Before those who listen wake.
        self.told.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// Has it begun?
    pub fn has_begun(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    /// Where clients should go instead.
    pub fn go_to(&self) -> Option<Arc<str>> {
        self.go_to.get().cloned()
    }

    pub fn begun(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }

    pub fn busy_shards(&self) -> usize {
        self.shards.load(Ordering::Acquire)
    }

    /// A shard that counts as busy until this is dropped.
    pub fn shard(self: &Arc<Self>) -> BusyShard {
        self.shards.fetch_add(1, Ordering::AcqRel);
        BusyShard(self.clone())
    }
}

/// See [`Draining::shard`].
pub(crate) struct BusyShard(Arc<Draining>);

impl Drop for BusyShard {
    fn drop(&mut self) {
        self.0.shards.fetch_sub(1, Ordering::AcqRel);
    }
}
