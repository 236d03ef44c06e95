//! Unwanted messages of strangers: what a first contact may carry and how many there may be, lists of known offenders,
//! reputation that is fed by what people report and rules find, and questions that a person can answer.
//!
//! Pure but for the store: the time comes with each envelope. Nothing here keeps content, only hashes and names.

mod block;
mod desk;
mod follow;
mod guard;
mod keys;
mod known;
mod list;
mod lists;
mod personal;
mod recent;
mod repute;
mod settings;
mod waiting;

pub use block::Block;
pub use desk::{Counts, Party, Standings};
pub use follow::Change;
pub use guard::{Act, Guard, SpimError};
pub use lists::ListView;
pub use repute::{Mark, Record};
pub use settings::{Answer, Greylist, ListSettings, ListSource, Node, Settings};
