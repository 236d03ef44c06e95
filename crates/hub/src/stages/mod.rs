//! The stages of the pipeline, one file each.

mod consent;
mod federation;
mod hygiene;
mod identity;
mod limits;
mod outbreak;
mod policy;
mod spim;
mod throttle;

pub use consent::{Consent, Strangers};
pub use federation::Federation;
pub use hygiene::Hygiene;
pub use identity::Identity;
pub use limits::Limits;
pub use outbreak::Outbreak;
pub use policy::Policy;
pub use spim::{SPIM, Spim};
pub use throttle::Throttle;
