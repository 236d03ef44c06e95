//! The client stream as a pure machine: RFC 6120 from stream header to stream end.
//!
//! One [`C2s`] is one connection. `stream` negotiates, `login` authenticates, `inbound` routes what the client
//! sends, `submit` follows what was handed to the hub, `deliver` writes what the hub hands out, `timers` watches
//! the clock. Features that are one XEP each live in [`crate::features`].

mod asked;
mod c2s;
mod config;
mod deliver;
mod door;
mod drain;
mod inbound;
mod login;
mod out;
mod phase;
mod reading;
mod stream;
mod submissions;
mod submit;
mod timers;

pub use c2s::C2s;
pub use config::Config;
pub use door::Door;

pub(crate) use asked::{Asked, Reply, Stub};
pub(crate) use inbound::{Request, is_beside, is_forged, is_report};
pub(crate) use out::Out;
pub(crate) use reading::{Reader, Reading};
pub(crate) use submissions::Submissions;
pub(crate) use submit::discreet;
