//! What people upload, so that others can fetch it by a link (XEP-0363): slots, content kept by its hash, and the verdict
//! without which nothing is handed out.
//!
//! Everything here blocks, and nothing here knows HTTP.

mod blobs;
mod files;
mod incoming;
mod judging;
mod links;
mod settings;
mod slots;
mod tally;
mod verdict;

pub use blobs::Content;
pub use files::{Files, Found, Spare};
pub use incoming::{Broken, Incoming};
pub use settings::Settings;
pub use tally::Counts;
pub use verdict::Denied;
