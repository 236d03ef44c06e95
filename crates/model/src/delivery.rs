use crate::{Address, DeliveryId, Endpoint, Envelope, Line, RosterItem, Ticket, Timestamp};
use bytes::Bytes;
use std::sync::Arc;

/// Why a device gets an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is for this device, or for the person this device belongs to.
    Primary,
    /// Another device of the same person sent or got it.
    Copy,
}

/// An envelope for one device. The machine that bound the device answers with an `Ack` for `id`, always.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Names this delivery in the `Ack`.
    pub id: DeliveryId,
    /// The bound device it is for (an account and device this machine bound).
    pub device: Endpoint,
    /// What is delivered.
    pub envelope: Arc<Envelope>,
    /// Why this device.
    pub role: Role,
    /// Set when it waited: since when (XEP-0203 delay; the Date of a SIP MESSAGE).
    pub delayed_since: Option<Timestamp>,
}

/// News of a line.
#[derive(Debug, Clone)]
pub enum LineNews {
    /// A call submitted under this ticket is with so many devices; each is at the other end of one of these.
    Calling(Ticket, Vec<Line>),
    /// A call for a bound device. Without a line nobody waits for an answer.
    Called(Option<Line>, Delivery),
    /// The machine at the other end says this.
    Said(Line, Bytes),
    /// The other end has gone.
    Ended(Line),
}

/// News for a bound device that is not somebody's envelope.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The account's contact list changed: the item as it now is (RFC 6121 section 2.1.6 roster push).
    Roster(RosterItem),
    /// A contact left the account's list.
    RosterRemoved(Address),
    /// These were put on the list of those whom the account's owner does not want to hear from.
    Blocked(Vec<Address>),
    /// These were taken off it; none: everybody was.
    Unblocked(Vec<Address>),
    /// Another machine bound the same device: this one must end (XMPP stream error `conflict`).
    Replaced,
    /// Another machine goes on with this session: this one must hand it over (`Output::Linger`) and end.
    Taken,
    /// The account was removed or its password changed: this device must end.
    Revoked,
}
