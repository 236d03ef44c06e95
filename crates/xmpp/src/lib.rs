//! The XMPP door: client streams (RFC 6120, RFC 6121) as a pure machine.

mod features;
pub mod jid;
pub mod machine;
pub mod sasl;
pub mod translate;
pub mod wire;

pub use machine::{C2s, Config, Door};
