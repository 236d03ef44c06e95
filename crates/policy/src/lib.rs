//! Who may do what with whom: rules, verdicts, and why. Pure: no clock, no store, no socket.

mod compile;
mod condition;
mod content;
mod document;
mod facts;
mod feature;
mod hours;
mod index;
mod kinds;
mod mistake;
mod policy;
mod rule;
mod who;

pub use content::{clean, fold, markup, shown, texts};
pub use facts::{FILE_HEAD, Facts, FileFacts};
pub use feature::{Feature, Features};
pub use kinds::{features, is_encrypted};
pub use mistake::{Mistake, complaint, nearest, place};
pub use policy::{Decision, Near, Policy, Said, Verdict};
pub use who::{Belonging, Judge, Society};
