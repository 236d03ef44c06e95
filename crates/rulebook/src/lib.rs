//! The policy in force, its versions, and what others would have decided.

mod book;
mod budget;
mod replay;
mod trial;
mod version;

pub use book::{Checked, Rulebook, RulebookError};
pub use replay::{Replayed, replay};
pub use trial::{Counted, Difference, Report};
pub use version::{Version, differences};
