//! The contract of a front door.
//!
//! A door is a *machine*: bytes and neutral events go in, bytes and neutral events come out. It owns no socket, no
//! clock, no database and no task. One driver, in `net`, gives every machine its bytes, its time and its hub. So each
//! protocol is tested by replaying text files, a crash in one session stays in that session, and no protocol knows
//! that another exists.
//!
//! The one law of driving: after each [`Machine::handle`], [`Machine::poll`] is called until it returns `None`.

mod carries;
mod dice;
mod door;
mod io;

pub use carries::Carries;
pub use dice::{Dice, Seed};
pub use door::{Connector, Errand, Listener, Machine, Search, Service, Sharing, TlsMode, Transport};
pub use io::{Flow, FlushedAck, Input, Output, Peer, TlsFacts};
