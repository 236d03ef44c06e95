//! Other companies: what was agreed with each, and whether who calls is who it says.

mod agreement;
mod book;
mod crl;
mod dane;
mod disclaim;
mod federation;
mod handshake;
mod inspect;
mod learnt;
mod names;
mod notes;
mod paper;
mod people;
mod proof;
mod rules;
mod snapshot;
mod society;
mod trust;

/// The user of each domain that answers partners' tests, and is nobody.
pub const RESPONDER: &str = "rialto-conformance";

pub use agreement::{Limits, Partner, Protocol, RouteSecurity, StaticRoute, Trust};
pub use book::BookError;
pub use dane::Dane;
pub use disclaim::Disclaimer;
pub use federation::{Federation, Mode, Settings};
pub use handshake::{Accepted, By, Invitation, Shown, Waiting, Wish};
pub use inspect::Inspected;
pub use learnt::Learnt;
pub use names::ascii;
pub use notes::{Contact, Observed};
pub use paper::{Half, Signer};
pub use people::{Group, is_who};
pub use policy::Feature;
pub use trust::{Pin, Roots, RootsError};
