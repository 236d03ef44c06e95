use crate::{Address, Endpoint, EnvelopeId, Event, Timestamp};
use bytes::Bytes;
use std::fmt;

/// How many gateways an envelope may still pass when it enters: SIP's Max-Forwards default (RFC 3261 8.1.1.6).
pub const MAX_HOPS: u8 = 70;

/// Which family of protocols spoke. The numbers are part of the journal's row format and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dialect {
    /// The server itself.
    Hub = 0,
    /// XMPP (RFC 6120).
    Xmpp = 1,
    /// SIP/SIMPLE (RFC 3261, 3428, 3856).
    Sip = 2,
}

impl Dialect {
    /// The dialect of a row-format number.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Hub),
            1 => Some(Self::Xmpp),
            2 => Some(Self::Sip),
            _ => None,
        }
    }

    /// The dialect between servers of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Xmpp, Self::Sip].into_iter().find(|dialect| dialect.name() == name)
    }

    /// Does whoever takes a message in this dialect answer for the addressee? Else it only says that it has it, and what
    /// the addressee's side thinks of it comes later, or never.
    pub fn answers(self) -> bool {
        self == Self::Sip
    }

    /// The name shown to people and used in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Xmpp => "xmpp",
            Self::Sip => "sip",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the last hop towards us was protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Plain,
    /// By TLS.
    Tls,
}

/// How a peer server proved its domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By its certificate.
    Certificate,
    /// By a call back to the domain's own servers (XEP-0220).
    Dialback,
    /// The record does not say: the row is of a time when it did not.
    Unsaid,
}

/// Who answers for the `from` of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouch {
    /// Nobody.
    Nobody,
    /// This account proved its password, key or certificate to us.
    Account(Address),
    /// A peer server that proved to be this domain, and how.
    Domain(Address, Proof),
    /// We ourselves made the envelope.
    Server,
}

/// Where an envelope came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Which dialect.
    pub dialect: Dialect,
    /// How the flow was protected.
    pub security: Security,
    /// Who vouches for the sender.
    pub vouch: Vouch,
}

impl Origin {
    /// The origin of what the server itself says.
    pub fn server() -> Self {
        Self { dialect: Dialect::Hub, security: Security::Tls, vouch: Vouch::Server }
    }
}

/// The sender's own rendering of an event, so that a door of the same dialect relays it without loss.
#[derive(Clone, PartialEq, Eq)]
pub struct Original {
    /// Whose rendering.
    pub dialect: Dialect,
    /// The bytes, as the sending door defines them (XMPP: the whole stanza; SIP: the whole body with its type).
    pub bytes: Bytes,
}

impl fmt::Debug for Original {
    // Bodies never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Original({}, {} bytes)", self.dialect, self.bytes.len())
    }
}

/// One thing somebody said or did, on its way from one endpoint to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Names it everywhere.
    pub id: EnvelopeId,
    /// When it entered.
    pub at: Timestamp,
    /// How it entered.
    pub origin: Origin,
    /// Sender; stamped by the door from what was authenticated, never taken from the wire unchecked.
    pub from: Endpoint,
    /// Addressee.
    pub to: Endpoint,
    /// Gateways it may still pass.
    pub hops: u8,
    /// What happened.
    pub event: Event,
}
