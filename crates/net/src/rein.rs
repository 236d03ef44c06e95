//! How fast what peers send is read. Whoever sends faster is not refused but read more slowly, so that TCP slows them down
//! and nobody else.

use meter::{Dial, Meter, Meters, Rate};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Sources that are remembered.
const SOURCES: usize = 65_536;
/// Nobody is left unread for longer at a time.
const LONGEST: u64 = 5_000;

/// How fast may be read, and how often may be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Bytes of one client's connection.
    pub connection: Rate,
    /// Bytes of all connections together that come from one address and have not proved yet whose they are.
    pub unproven: Rate,
    /// Connections that one address may open.
    pub connections: Rate,
}

/// The paces in force, and what sources have used up.
#[derive(Debug)]
pub(crate) struct Reins {
    begun: Instant,
    connection: Dial,
    unproven: Dial,
    connections: Dial,
    unproven_by: Meters<IpAddr>,
    connections_by: Meters<IpAddr>,
}

impl Reins {
    pub fn new(pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            connection: Dial::new(pace.connection),
            unproven: Dial::new(pace.unproven),
            connections: Dial::new(pace.connections),
            unproven_by: Meters::new(SOURCES),
            connections_by: Meters::new(SOURCES),
        })
    }

    pub fn set(&self, pace: Pace) {
        self.connection.set(pace.connection);
        self.unproven.set(pace.unproven);
        self.connections.set(pace.connections);
    }

    fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    /// May one more connection come from there?
    pub fn may_connect(&self, source: IpAddr, now: Instant) -> bool {
        self.connections_by.take(&source, self.connections.get(), 1, self.ms(now)).is_ok()
    }

    /// May so many bytes in a datagram from there be taken?
    pub fn may_send(&self, source: IpAddr, bytes: usize, now: Instant) -> bool {
        self.unproven_by.take(&source, self.unproven.get(), bytes as u64, self.ms(now)).is_ok()
    }
}

/// One connection's rein.
pub(crate) struct Rein {
    reins: Arc<Reins>,
    source: IpAddr,
    used: Meter,
    /// Another server's: what they may send is a matter of what was agreed.
    server: bool,
    proven: bool,
    /// What could not be taken from the allowance yet.
    owed: u64,
    until: Option<Instant>,
}

impl Rein {
    pub fn new(reins: Arc<Reins>, source: IpAddr, server: bool) -> Self {
        Self { reins, source, used: Meter::default(), server, proven: false, owed: 0, until: None }
    }

    /// Whoever it is has proved it.
    pub fn proven(&mut self) {
        self.proven = true;
    }

    /// So much was read. True where that was too fast.
    pub fn read(&mut self, bytes: usize, at: Instant) -> bool {
        self.owed += bytes as u64;
        let now = self.reins.ms(at);
        let taken = match (self.proven, self.server) {
            (false, _) => {
                self.reins.unproven_by.take(&self.source, self.reins.unproven.get(), self.owed, now)
            }
            (true, false) => self.used.take(self.reins.connection.get(), self.owed, now),
            (true, true) => Ok(()),
        };
        match taken {
            Ok(()) => {
                self.owed = 0;
                false
            }
            Err(wait) => {
                self.until = Some(at + Duration::from_millis(wait.min(LONGEST)));
                true
            }
        }
    }

    /// Until when nothing is read; `None` where something may be.
    pub fn until(&mut self, now: Instant) -> Option<Instant> {
        self.until = self.until.filter(|until| *until > now);
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_too_fast_is_read_more_slowly_and_nobody_else() {
        let pace = Pace {
            connection: Rate::per_second(1_000, 2_000),
            unproven: Rate::per_second(100, 400),
            connections: Rate::per_minute(2, 2),
        };
        let reins = Reins::new(pace);
        let now = Instant::now();
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let mut rein = Rein::new(reins.clone(), here, false);
        assert!(!rein.read(400, now) && rein.until(now).is_none());
        assert!(rein.read(200, now) && rein.until(now).is_some());
        assert!(Rein::new(reins.clone(), here, false).read(1, now), "another one from there shares that");
        assert!(!reins.may_send(here, 1, now));
        assert!(!Rein::new(reins.clone(), there, false).read(400, now));
        let later = now + Duration::from_secs(3);
        assert!(rein.until(later).is_none());
        rein.proven();
        assert!(!rein.read(1_800, later), "it has its own now, and owes what was read before");
        assert!(rein.read(1_000, later));
        let mut server = Rein::new(reins.clone(), there, true);
        server.proven();
        assert!(!server.read(1_000_000, later));
        assert_eq!([(); 3].map(|()| reins.may_connect(here, now)), [true, true, false]);
        assert!(reins.may_connect(there, now));
        reins.set(Pace::default());
        assert!(reins.may_connect(here, now) && !rein.read(1_000_000, later));
    }
}
