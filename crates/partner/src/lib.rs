//! Other companies: what was agreed with each, and whether who calls is who it says.

mod agreement;
mod book;
mod clock;
mod crl;
mod dane;
mod disclaim;
mod error;
mod federation;
mod handshake;
mod inspect;
mod learnt;
mod membership;
mod names;
mod notes;
mod paper;
mod people;
mod proof;
mod recall;
mod rules;
mod settings;
mod snapshot;
mod society;
mod trust;

/// The user of each domain that answers partners' tests, and is nobody.
pub const RESPONDER: &str = "rialto-conformance";

pub use agreement::{Limits, Partner, Protocol, RouteSecurity, StaticRoute, Trust};
pub use dane::Dane;
pub use disclaim::Disclaimer;
pub use error::BookError;
pub use federation::Federation;
pub use handshake::{Accepted, By, Invitation, Shown, Waiting, Wish};
pub use inspect::Inspected;
pub use learnt::Learnt;
pub use names::ascii;
pub use notes::{Contact, Observed};
pub use paper::{Half, Signer};
pub use people::{Group, is_who};
pub use policy::Feature;
pub use settings::{Mode, Settings};
pub use trust::{Pin, Roots, RootsError};
