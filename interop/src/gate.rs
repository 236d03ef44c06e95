//! A closed door in front of the server: a peer that must be ready before it is let in waits here.

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// A port that takes connections and passes nothing on until it is opened.
pub struct Gate {
    listener: TcpListener,
    server: u16,
}

impl Gate {
    /// A gate before this port of the server.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn before(server: u16) -> Self {
        Self { listener: TcpListener::bind(("127.0.0.1", 0)).expect("a free port"), server }
    }

    /// Where the peer connects.
    ///
    /// # Panics
    /// If the system does not say.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("it is bound").port()
    }

    /// Lets through who waits and who comes, until the test ends.
    pub fn open(self) {
        thread::spawn(move || {
            for peer in self.listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
                for (from, to) in [(&peer, &server), (&server, &peer)] {
                    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
                    thread::spawn(move || {
                        let _ = copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
    }
}
