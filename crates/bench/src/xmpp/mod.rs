//! The XMPP client's side.

pub mod partner;
pub mod scan;
pub mod session;
pub mod stanza;
