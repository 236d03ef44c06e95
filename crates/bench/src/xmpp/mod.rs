//! The XMPP client's side.

pub mod scan;
pub mod session;
pub mod stanza;
