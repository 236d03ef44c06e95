//! Other companies: what was agreed with each, and whether who calls is who it says.

mod federation;
mod names;
mod trust;

pub use federation::{Federation, Mode, Settings};
pub use trust::{Roots, RootsError};
