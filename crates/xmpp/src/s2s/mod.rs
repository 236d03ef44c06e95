//! The stream between two servers as a pure machine: RFC 6120, with SASL EXTERNAL (XEP-0178) or dialback (XEP-0220).
//!
//! One [`S2s`] is one connection, opened by them (`accepted`, `dialback`) or by us (`opened`). What both share is in
//! `stream`; once a pair of domains is proved its stanzas come in (`inbound`, `answers`), and where the connection
//! carries for it, ours go out (`deliver`). `keys` has the keys of dialback, `timers` watches the clock.

mod accepted;
mod answers;
mod deliver;
mod dialback;
mod inbound;
mod keys;
mod opened;
mod phase;
mod side;
mod stream;
mod timers;

pub use stream::S2s;
