//! A bad line: whatever goes over it breaks off after a while, wherever it is in what it says.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::dice::Dice;

/// A port whose connections lead to a server, and are cut.
pub struct Cutter {
    port: u16,
    state: Arc<State>,
}

struct State {
    server: u16,
    dice: Mutex<Dice>,
    whole: AtomicBool,
    cuts: AtomicUsize,
}

impl Cutter {
    /// A bad line to this port of a server.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn before(server: u16, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (whole, cuts) = (AtomicBool::new(false), AtomicUsize::new(0));
        let state = Arc::new(State { server, dice: Mutex::new(Dice::new(seed)), whole, cuts });
        let shared = state.clone();
        thread::spawn(move || {
            for peer in listener.incoming().flatten() {
                shared.carry(&peer);
            }
        });
        Self { port, state }
    }

    /// Where peers connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were cut.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::Relaxed)
    }

    /// From now on nothing is cut.
    pub fn mend(&self) {
        self.state.whole.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn carry(self: &Arc<Self>, peer: &TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
        // A handshake takes some thousand bytes; what comes after that is cut anywhere.
        let length = self.dice.lock().map_or(0, |mut dice| 4_000 + dice.roll() as usize % 40_000);
        let left = Arc::new(Mutex::new(length));
        for (from, to) in [(peer, &server), (&server, peer)] {
            let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
            let (state, left) = (self.clone(), left.clone());
            thread::spawn(move || {
                let mut piece = [0u8; 1_000];
                while let Ok(read) = from.read(&mut piece) {
                    if read == 0 {
                        break;
                    }
                    let (passes, over) = {
                        let mut left = left.lock().expect("no thread panics with it");
                        let before = *left;
                        *left = before.saturating_sub(read);
                        (read.min(before), before > 0 && before <= read)
                    };
                    let cut = !state.whole.load(Ordering::Relaxed);
                    if to.write_all(&piece[..if cut { passes } else { read }]).is_err() {
                        break;
                    }
                    if cut && (over || passes < read) {
                        state.cuts.fetch_add(usize::from(over), Ordering::Relaxed);
                        let _ = from.shutdown(Shutdown::Both);
                        let _ = to.shutdown(Shutdown::Both);
                        return;
                    }
                }
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    }
}
