//! The XMPP door: client streams (RFC 6120, RFC 6121) as a pure machine.

pub mod jid;
pub mod sasl;
pub mod translate;
pub mod wire;
