//! The hub: everything Rialto does that is no protocol.
//!
//! One envelope's way: a door's [`Link`] submits it; the [`pipeline`] judges it; the journal keeps it, whatever the
//! verdict; the router rings the addressee's account; the mailbox hands it to devices; the settlement goes back to
//! the sender. Presence and contact lists go the same way and end in `presence` instead of a mailbox.
//!
//! No XML, no SIP header and no SQL is to be found here.

mod account;
mod again;
mod asks;
mod blocklist;
mod book;
mod choice;
mod clock;
mod copies;
mod drain;
mod expiry;
mod house;
mod kept;
mod late;
mod lease;
mod limit;
mod lines;
mod link;
mod logins;
mod mailbox;
mod moving;
mod paths;
pub mod pipeline;
mod presence;
mod quarantine;
mod remote;
mod report;
mod roster;
mod router;
mod rules;
mod say;
mod secluded;
mod sessions;
mod settle;
pub mod stages;
mod submit;
mod tally;
mod trace;
mod twice;

pub use house::{Consents, Hub, Parts};
pub use limit::{Limit, Rates};
pub use link::{HubEvent, Inbox, Link};
pub use moving::{MovedContact, MovedList};
pub use quarantine::{HeldRow, QuarantineError};
pub use report::{AccountReport, DeviceReport};
pub use rules::{RuleSet, Rules};
pub use secluded::Secluded;
pub use sessions::Handover;
pub use store::Trouble;
pub use tally::{Counters, Load};
pub use trace::{ROOT, Span, Tracer};
