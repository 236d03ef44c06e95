//! Tables of the handbook that the code writes: a page that says something else fails here, `UPDATE_DOCS=1` mends it.

mod losses;
mod page;
mod refusals;
mod source;
mod standards;
mod summary;
