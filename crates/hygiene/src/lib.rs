//! What is unclean in what people send: links on lists, names that look like ours. Rules of hygiene decide before
//! anybody reads, and say why.

mod eyes;
mod links;
mod list;
mod lists;
mod names;

pub use eyes::{Acquaintances, Eyes, Lookalike, Settings};
pub use lists::{ListSettings, ListView, Listed};
