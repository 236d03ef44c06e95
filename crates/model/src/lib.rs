//! The nouns of Rialto: what every room of the house talks about.
//!
//! Nothing here knows a protocol, a socket, a clock or a database. Names are taken from the presence and
//! instant-messaging model of RFC 2778, RFC 3859 and RFC 3860; where XMPP and SIP name a thing differently the
//! doc comment gives both.

mod address;
mod ask;
mod blocking;
pub mod codec;
mod delivery;
mod envelope;
mod event;
mod federation;
mod ident;
mod message;
mod outcome;
mod presence;
mod private;
mod remains;
mod roster;
mod text;
mod time;
mod upload;

pub use address::{Address, AddressError, Device, Endpoint};
pub use ask::{Answer, Ask, Credential, Left, Scheme, Secret};
pub use blocking::{BlockEdit, Complaint, Report};
pub use delivery::{Delivery, LineNews, Notice, Role};
pub use envelope::{Dialect, Envelope, MAX_HOPS, Origin, Original, Proof, Security, Vouch};
pub use event::{Authorize, Call, Composing, Decision, Event, Opaque, Receipt, ReceiptKind, Subscribe, Term};
pub use federation::{Admission, Certificates, DomainPair, Opener, Way};
pub use ident::{DeliveryId, EnvelopeId, LeaseKey, Line, Seq, Ticket};
pub use message::{Lang, Message, Part, Wants};
pub use outcome::{Fault, Hold, Judgement, LATE, Loss, LossKind, Outcome, Reason, Refusal, Settlement};
pub use presence::{Activity, Basic, Notify, PresenceDoc, Publish, Tuple, WatchState};
pub use private::Private;
pub use remains::Remains;
pub use roster::{RosterEdit, RosterItem, Subscription};
pub use text::lossy;
pub use time::{Now, Tick, Timestamp};
pub use upload::{FileOffer, NoSlot, Slot};
