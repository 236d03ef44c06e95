//! The XMPP door: streams of clients and of other servers (RFC 6120, RFC 6121) as pure machines.
//!
//! Five layers, each testable alone. [`wire`] turns bytes into validated elements and back; [`sasl`] proves who
//! somebody is; [`machine`] is the stream of a client and its session, [`s2s`] the stream between servers; `features` holds one file for each extension;
//! [`translate`] maps stanzas to the neutral nouns and back. [`jid`] is the only place where addresses are taken
//! apart. [`pubsub`] is what the server itself says to services that publish lists.
//!
//! [`Door`] is what the house wires up; [`Config`] is what an operator may choose.

mod features;
pub mod jid;
pub mod machine;
pub mod pubsub;
pub mod s2s;
pub mod sasl;
pub mod translate;
pub mod wire;

pub use machine::{C2s, Config, Door};
