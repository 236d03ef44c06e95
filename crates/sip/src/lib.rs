//! The SIP/SIMPLE door.
//!
//! A pure protocol machine behind the contract of `connector`: registrations, instant messages (RFC 3428) and
//! presence (RFC 3856, RFC 3903) of SIP user agents, in the nouns of `model`. No socket, no clock, no randomness of
//! its own.
//!
//! Five layers, each testable alone: [`wire`] bytes to typed units; [`transaction`] repeated datagrams to requests;
//! [`machine`] dispatch and one file per method; the bodies ([`pidf`], [`cpim`], [`iscomposing`], [`imdn`],
//! [`multipart`], [`content`]); and
//! [`translate`], the pure tables between SIP and the model.

mod config;
pub mod content;
pub mod cpim;
pub mod digest;
mod door;
pub mod imdn;
pub mod iscomposing;
pub mod machine;
pub mod multipart;
pub mod pidf;
pub mod transaction;
mod transfer;
pub mod translate;
pub mod wire;
pub mod xml;

pub use config::Config;
pub use door::Sip;
