//! Who may do what with whom: rules, verdicts, and why. Pure: no clock, no store, no socket.

mod feature;
mod kinds;

pub use feature::Feature;
pub use kinds::{features, is_encrypted};
