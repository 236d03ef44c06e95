//! What is unclean in what people send: links on lists, names that look like ours, files with
//! malware. Rules of hygiene decide before
//! anybody reads, and say why.

mod archive;
mod clamd;
mod elements;
mod eyes;
mod files;
mod links;
mod list;
mod lists;
mod names;
mod turns;
mod yara;

pub use archive::ArchiveLimits;
pub use clamd::{ClamdAt, ClamdSettings, ScannerView, ping};
pub use eyes::{Acquaintances, Eyes, Lookalike, Settings, WAITS};
pub use links::leads_somewhere;
pub use lists::{ListSettings, ListView, Listed};
pub use yara::{YaraSettings, YaraView, check as check_yara};
