use crate::{DeliveryId, Ticket};
use bytes::Bytes;
use std::any::Any;
use std::fmt;

/// What a machine leaves to the one that goes on with its session. Only a machine of the same door can read it.
pub trait Remains: Any + Send {
    /// The same for a machine of the next process, which gets the bytes themselves; `None` where it cannot outlive this
    /// process. `waits`: is what was delivered under that number still in its mailbox, which then delivers it again?
    fn to_bytes(&self, waits: &dyn Fn(DeliveryId) -> bool) -> Option<Bytes>;

    /// Something that the machine had submitted is on record by now.
    fn kept(&mut self, _: Ticket) {}
}

impl fmt::Debug for dyn Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remains(..)")
    }
}

/// Nothing, and nothing of it lasts.
impl Remains for () {
    fn to_bytes(&self, _: &dyn Fn(DeliveryId) -> bool) -> Option<Bytes> {
        None
    }
}

/// What was left to a machine of this process by one of the last.
impl Remains for Bytes {
    fn to_bytes(&self, _: &dyn Fn(DeliveryId) -> bool) -> Option<Bytes> {
        Some(self.clone())
    }
}
