//! The handbook held against the code: its commands run, its tables are what the code says. A page whose table says
//! something else fails here, `UPDATE_DOCS=1` mends it.

mod blocks;
mod commands;
mod losses;
mod names;
mod page;
mod refusals;
mod source;
mod standards;
mod summary;
