//! Listeners, TLS and the one driver.
//!
//! This is the only room that owns sockets and reads the machine's clock. It knows no protocol: a door gives it
//! listeners and machines, and it gives every machine its bytes, its time and its hub.

mod admit;
mod clock;
mod datagram;
mod dial;
mod draining;
mod drive;
mod listen;
mod outbox;
mod proxy;
mod rein;
mod resolve;
mod ring;
mod seed;
mod shown;
mod stream;
mod tally;
mod tcp;
mod tls;
mod tlsa;
mod udp;
mod visit;

pub use admit::Admission;
pub use listen::{Bound, Change, ListenError, Net, Opening};
pub use proxy::Network;
pub use rein::Pace;
pub use resolve::{Anchors, Resolver};
pub use ring::{KeyFiles, TlsError};
pub use tally::ListenerCounts;
pub use tls::Tls;
pub use visit::{Spot, Survey, Visit};
