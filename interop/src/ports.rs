//! Free ports on the loopback interface, below the range from which the system hands out client ports.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::process;

/// A run of consecutive ports that is ours as long as this value lives.
#[derive(Debug)]
pub struct Ports {
    /// The first of them.
    pub base: u16,
    // Tests run in parallel processes; the lock keeps two of them from choosing the same run.
    _lock: File,
}

/// The ports that one server, or one peer, may use.
const RUN: u16 = 8;
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

impl Ports {
    /// Take a run of free ports.
    ///
    /// # Panics
    /// If no run is free.
    #[must_use]
    pub fn take() -> Self {
        let runs = u32::from((LAST - FIRST) / RUN);
        let dir = std::env::temp_dir().join("rialto-interop-ports");
        std::fs::create_dir_all(&dir).expect("the temporary directory is writable");
        // Start at a place of our own, so that ports in TIME_WAIT are seldom met.
        let start = process::id().wrapping_mul(2_654_435_761) % runs;
        for step in 0..runs {
            let index = u16::try_from((start + step) % runs).expect("fewer runs than ports");
            let base = FIRST + index * RUN;
            let lock = File::create(dir.join(base.to_string())).expect("the temporary directory is writable");
            if lock.try_lock().is_ok() && (base..base + RUN).all(free) {
                return Self { base, _lock: lock };
            }
        }
        panic!("no {RUN} consecutive free ports between {FIRST} and {LAST}");
    }
}

fn free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok()
}
