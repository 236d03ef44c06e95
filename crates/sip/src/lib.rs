//! The SIP/SIMPLE door.
//!
//! A pure protocol machine behind the contract of `connector`: registrations, instant messages (RFC 3428) and
//! presence (RFC 3856, RFC 3903) of SIP user agents, in the nouns of `model`. No socket, no clock, no randomness of
//! its own.

pub mod cpim;
pub mod digest;
pub mod imdn;
pub mod iscomposing;
pub mod pidf;
pub mod transaction;
pub mod wire;
pub mod xml;
