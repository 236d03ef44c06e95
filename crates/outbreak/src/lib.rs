//! What spreads like a worm is seen, and contained: the same link, file or text that people receive and send on at once
//! to many others. Knows no clock: every call says what time it is.

mod artefact;
mod gather;
mod link;
mod order;
mod people;
mod settings;
mod shape;
mod spread;
mod watch;

pub use artefact::{Artefact, Kind};
pub use gather::{Carried, artefacts};
pub use order::{Order, Target};
pub use settings::Settings;
pub use watch::{Counts, OutbreakError, Outbreaks, Step};
