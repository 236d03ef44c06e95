use crate::Private;
use crate::{Address, Device, Lang, LeaseKey, Original, Timestamp};
use compact_str::CompactString;
use std::fmt;
use std::sync::Arc;

/// Whether a device can be reached for instant messages (PIDF `<basic/>`, RFC 3863; XMPP available/unavailable).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basic {
    /// Reachable.
    Open,
    /// Not reachable.
    Closed,
}

/// What somebody is doing: XMPP `<show/>` (RFC 6121 4.7.2.1) and RPID activities (RFC 4480 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// Nothing said: simply there.
    #[default]
    Available,
    /// XMPP `chat`.
    Chatty,
    /// XMPP `away`; RPID away.
    Away,
    /// XMPP `xa`; RPID away for long (vacation, permanent-absence, sleeping).
    ExtendedAway,
    /// XMPP `dnd`; RPID busy.
    Busy,
    /// RPID on-the-phone; XMPP `dnd`.
    OnThePhone,
    /// RPID meeting, appointment, presentation; XMPP `dnd`.
    InMeeting,
}

/// The presence of one device: a PIDF tuple (RFC 3863 section 4.1.2), an XMPP presence stanza of one resource.
#[derive(Clone, PartialEq)]
pub struct Tuple {
    /// Which device; the PIDF tuple id without its `ID-` prefix (RFC 8048 section 6.2).
    pub device: Option<Device>,
    /// Reachable or not.
    pub basic: Basic,
    /// What its user is doing.
    pub activity: Activity,
    /// XMPP priority (-128 to 127), or the PIDF contact priority scaled to 0 to 127 (RFC 8048 section 6.2).
    pub priority: Option<i8>,
    /// Free text by language.
    pub notes: Vec<(Option<Lang>, String)>,
    /// PIDF `<contact/>`.
    pub contact: Option<CompactString>,
    /// When it was said.
    pub at: Timestamp,
    /// The publisher's rendering.
    pub original: Option<Original>,
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tuple")
            .field("device", &self.device)
            .field("basic", &self.basic)
            .field("activity", &self.activity)
            .field("priority", &self.priority)
            .field("notes", &Private(&self.notes))
            .field("contact", &self.contact)
            .field("at", &self.at)
            .field("original", &self.original)
            .finish()
    }
}

impl Tuple {
    /// A tuple that says no more than open or closed.
    pub fn plain(device: Option<Device>, basic: Basic, at: Timestamp) -> Self {
        Self {
            device,
            basic,
            activity: Activity::Available,
            priority: None,
            notes: Vec::new(),
            contact: None,
            at,
            original: None,
        }
    }
}

/// Everything known of a presentity's presence (RFC 2778).
#[derive(Debug, Clone, PartialEq)]
pub struct PresenceDoc {
    /// Whose presence.
    pub presentity: Address,
    /// One tuple per device or publication; empty means unavailable.
    pub tuples: Vec<Tuple>,
}

impl PresenceDoc {
    /// Presence of somebody of whom nothing is known, or may be told.
    pub fn empty(presentity: Address) -> Self {
        Self { presentity, tuples: Vec::new() }
    }

    /// True if any device is reachable.
    pub fn is_open(&self) -> bool {
        self.tuples.iter().any(|t| t.basic == Basic::Open)
    }
}

/// A device or application states presence: an XMPP presence broadcast, a SIP PUBLISH (RFC 3903).
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// Which publication this replaces: the device for XMPP, the lineage of entity-tags for SIP.
    pub key: LeaseKey,
    /// What is published; empty removes the publication.
    pub tuples: Vec<Tuple>,
    /// Seconds until it lapses by itself, whatever happens to the flow it came by. `None`: it lives as long as
    /// the device (`from`) stays bound.
    pub secs: Option<u32>,
}

/// Where a watch stands (RFC 6665 Subscription-State).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchState {
    /// Consent given: the document is true.
    Active,
    /// Consent awaited: the document is empty.
    Pending,
    /// Ended because the presentity refused or took consent back (`reason=rejected`).
    Rejected,
    /// Ended because its time ran out or the watcher ended it (`reason=timeout`).
    Expired,
}

/// The hub tells a watcher of a presentity (`from`).
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// The watch, for dialects that lease them; `None` where it follows from a session.
    pub key: Option<LeaseKey>,
    /// Where the watch stands.
    pub state: WatchState,
    /// The whole composed document.
    pub doc: Arc<PresenceDoc>,
    /// Only these tuples changed (indexes into `doc.tuples`), plus `gone` devices which left it. `None`: all of it is
    /// news (a first notification or an answer to a probe). Dialects that send whole documents ignore this.
    pub changed: Option<Vec<usize>>,
    /// Devices that were in the last document and are no longer, with their last words if any.
    pub gone: Vec<Tuple>,
}
