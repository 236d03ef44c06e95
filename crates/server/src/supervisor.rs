//! What we tell the service manager that started us, by the protocol of sd_notify(3). Without one, nothing.

use crate::failure::Failure;
use rustix::time::{ClockId, clock_gettime};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// The service manager, if there is one.
#[derive(Clone)]
pub struct Supervisor {
    socket: Option<Arc<UnixDatagram>>,
    /// How often it wants a sign of life.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Nobody listens.
    pub fn none() -> Self {
        Self { socket: None, watchdog: None }
    }

    /// The one that the environment names.
    ///
    /// # Errors
    /// [`Failure`] when it names one that cannot be reached: the operator must know before it gives us up.
    pub fn from_environment() -> Result<Self, Failure> {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::none());
        };
        let fail = |error| Failure::new(format!("NOTIFY_SOCKET {}: {error}", name.display()));
        let address = match name.as_encoded_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&name),
        };
        let socket = UnixDatagram::unbound().map_err(fail)?;
        socket.connect_addr(&address.map_err(fail)?).map_err(fail)?;
        socket.set_nonblocking(true).map_err(fail)?;
        let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
        // The variable may have been meant for the process that started us.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|us| ours && *us > 0).map(Duration::from_micros);
        Ok(Self { socket: Some(Arc::new(socket)), watchdog })
    }

    /// All listeners are open, or a reload is over.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=running");
    }

    /// A reload begins.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let us = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={us}\nSTATUS=reloading"));
    }

    /// The end begins and may take so long.
    pub fn stopping(&self, patience: Duration) {
        // The journal is closed after the drain; that takes less than this.
        let us = (patience + Duration::from_secs(10)).as_micros();
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={us}\nSTATUS=draining"));
    }

    /// From now on gives signs of life, from the threads that serve connections: if they hang, so does this.
    pub fn watch(&self) {
        let Some(every) = self.watchdog else { return };
        let supervisor = self.clone();
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(every / 2);
            loop {
                interval.tick().await;
                supervisor.tell("WATCHDOG=1");
            }
        });
    }

    fn tell(&self, what: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(what.as_bytes())
        {
            tracing::warn!(%error, what, "the service manager was not told");
        }
    }
}
