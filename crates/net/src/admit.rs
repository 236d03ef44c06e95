//! How many connections are let in, in all and from one address.

use crate::rein::{Pace, Rein, Reins};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// Limits on connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// In all.
    pub total: usize,
    /// From one address; an IPv6 /64 counts as one.
    pub per_source: usize,
    /// How fast.
    pub pace: Pace,
}

impl Default for Admission {
    fn default() -> Self {
        Self { total: 100_000, per_source: 10_000, pace: Pace::default() }
    }
}

struct Counts {
    limits: Admission,
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// Counts the connections that are open.
#[derive(Clone)]
pub(crate) struct Gate {
    counts: Arc<Mutex<Counts>>,
    reins: Arc<Reins>,
}

/// One admitted connection; counts until dropped.
pub(crate) struct Pass {
    gate: Gate,
    source: IpAddr,
}

impl Gate {
    pub fn new(limits: Admission) -> Self {
        let counts = Counts { limits, total: 0, by_source: HashMap::new() };
        Self { counts: Arc::new(Mutex::new(counts)), reins: Reins::new(limits.pace) }
    }

    /// Puts other limits in force. Who is in stays in.
    pub fn set(&self, limits: Admission) {
        self.reins.set(limits.pace);
        self.counts.lock().limits = limits;
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.counts.lock().total
    }

    /// May so many bytes in a datagram from there be taken?
    pub fn may_send(&self, source: IpAddr, bytes: usize) -> bool {
        self.reins.may_send(neighbourhood(source), bytes, Instant::now())
    }

    /// Lets a connection in, or not.
    pub fn admit(&self, source: IpAddr) -> Option<Pass> {
        let source = neighbourhood(source);
        if !self.reins.may_connect(source, Instant::now()) {
            return None;
        }
        let mut counts = self.counts.lock();
        let here = counts.by_source.get(&source).copied().unwrap_or(0);
        if counts.total >= counts.limits.total || here >= counts.limits.per_source {
            return None;
        }
        counts.total += 1;
        counts.by_source.insert(source, here + 1);
        Some(Pass { gate: self.clone(), source })
    }
}

impl Pass {
    /// How fast the connection is read.
    pub fn rein(&self, server: bool) -> Rein {
        Rein::new(self.gate.reins.clone(), self.source, server)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock();
        counts.total -= 1;
        if let Some(here) = counts.by_source.get_mut(&self.source) {
            *here -= 1;
            if *here == 0 {
                counts.by_source.remove(&self.source);
            }
        }
    }
}

/// One household of IPv6 addresses counts as one source.
fn neighbourhood(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_are_given_back() {
        let gate = Gate::new(Admission { total: 3, per_source: 2, ..Admission::default() });
        let a: IpAddr = "192.0.2.1".parse().unwrap();
        let (one, two) = (gate.admit(a), gate.admit(a));
        assert!(one.is_some() && two.is_some() && gate.admit(a).is_none());
        let b = gate.admit("2001:db8::1".parse().unwrap());
        assert!(b.is_some() && gate.admit("2001:db8:1::1".parse().unwrap()).is_none());
        drop(one);
        assert!(gate.admit(a).is_some());
        gate.set(Admission { total: 0, per_source: 0, ..Admission::default() });
        assert!(gate.admit(a).is_none() && gate.open() == 2);
    }
}
