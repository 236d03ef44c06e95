//! The bus: *the store remembers, the bus rings the bell*.
//!
//! Whoever wants to hear of a topic attends it; whoever has news rings it, after the news is on record. A ring that
//! nobody hears loses nothing. Inside one process the parcel itself is handed over; a bus between nodes carries its
//! bytes instead, which is why a parcel can make them.

mod local;

pub use local::LocalBus;

use std::any::Any;
use std::sync::Arc;

/// What a ring carries.
pub trait Parcel: Any + Send + Sync {
    /// The parcel for another node. Not called inside one process.
    fn to_bytes(&self) -> Vec<u8>;
}

/// Hears a topic. Called on the ringer's thread, in the ringer's order: must be quick and must not ring back.
pub trait Ear: Send + Sync {
    /// The bell rang.
    fn hear(&self, parcel: &Arc<dyn Parcel>);
}

/// How many ears heard a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard(pub usize);

/// Two verbs, no more.
pub trait Bus: Send + Sync {
    /// Lets `ear` hear `topic` until [`Bus::leave`] with the same ear.
    fn attend(&self, topic: &str, ear: Arc<dyn Ear>);

    /// Ends what `attend` began.
    fn leave(&self, topic: &str, ear: &Arc<dyn Ear>);

    /// Tells everybody who attends the topic.
    fn ring(&self, topic: &str, parcel: Arc<dyn Parcel>) -> Heard;
}
