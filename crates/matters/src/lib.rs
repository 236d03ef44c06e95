//! What must be kept, what must go, and what people look through.
//!
//! A *matter* is a reason to keep: its holds override every rule and every request to erase, for rows that are written and
//! for those that are not yet. *Rules* say for how long content is kept. Whatever is destroyed is first named, row by row,
//! in an act on the chain.

mod clock;
mod destroy;
mod erase;
mod error;
mod facts;
mod hold;
mod matters;
mod preview;
mod review;
mod rules;

pub use clock::Clock;
pub use destroy::{Copies, Destroyer, Done};
pub use erase::{Erased, Subject};
pub use error::MatterError;
pub use facts::{Facts, Kind};
pub use hold::{Hold, Matter, Released, Wanted};
pub use matters::Matters;
pub use preview::{PersonLine, Preview, RuleLine};
pub use review::{Decision, MOST_ROWS, Mark, Progress, Review, Reviews, Sample, rows_of, sampled};
pub use rules::{RuleSet, Rules, Term, Version};
