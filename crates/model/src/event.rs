use crate::Private;
use crate::{Lang, LeaseKey, Message, Notify, Original, Publish, Refusal};
use compact_str::CompactString;
use std::fmt;

/// What an envelope carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An instant message.
    Message(Message),
    /// News of an earlier message.
    Receipt(Receipt),
    /// Somebody is typing, or stopped.
    Composing(Composing),
    /// A device tells its presence: to everybody entitled when `to` is its own bare address, else to `to` alone.
    Publish(Publish),
    /// A watcher asks for, renews or ends its view of a presentity's presence.
    Subscribe(Subscribe),
    /// A presentity decides about a watcher.
    Authorize(Authorize),
    /// The hub tells a watcher how a presentity is. Doors receive it, and never submit it.
    Notify(Notify),
    /// Same-dialect talk between devices that the hub does not understand. Routed, never translated.
    Opaque(Opaque),
    /// A request about a call between two devices of one dialect. Passed on over a [`crate::Line`], and never kept.
    Call(Call),
}

impl Event {
    /// A short name for logs, journal and console.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Receipt(_) => "receipt",
            Self::Composing(_) => "composing",
            Self::Publish(_) => "publish",
            Self::Subscribe(_) => "subscribe",
            Self::Authorize(_) => "authorize",
            Self::Notify(_) => "notify",
            Self::Opaque(_) => "opaque",
            Self::Call(_) => "call",
        }
    }

    /// News that something did not arrive, with words of whoever sends it?
    pub fn is_failure_with_words(&self) -> bool {
        matches!(self, Self::Receipt(Receipt { kind: ReceiptKind::Failed(no), original, .. })
            if no.text.is_some() || no.alternative.is_some() || original.is_some())
    }

    /// Takes the words from such news: what is left is which message, and one of our reasons. `false` where there are none.
    pub fn hush(&mut self) -> bool {
        if !self.is_failure_with_words() {
            return false;
        }
        if let Self::Receipt(Receipt { kind: ReceiptKind::Failed(no), original, .. }) = self {
            (no.text, no.alternative, *original) = (None, None, None);
        }
        true
    }

    /// True for what must be on record before it is delivered.
    pub fn is_journalled(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Receipt(_) | Self::Subscribe(_) | Self::Authorize(_))
    }
}

/// What became of an earlier message (XEP-0184, XEP-0333, IMDN of RFC 5438, an error stanza).
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// The `id` the message's sender gave it.
    pub of: CompactString,
    /// What became of it.
    pub kind: ReceiptKind,
    /// The sender's rendering.
    pub original: Option<Original>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum ReceiptKind {
    /// It reached a device.
    Delivered,
    /// Somebody saw it.
    Displayed,
    /// It did not arrive after all.
    Failed(Refusal),
}

/// A chat state (XEP-0085) or isComposing document (RFC 3994).
#[derive(Debug, Clone, PartialEq)]
pub struct Composing {
    /// True while typing.
    pub active: bool,
    /// The conversation.
    pub thread: Option<CompactString>,
    /// Language of the conversation.
    pub lang: Option<Lang>,
    /// The sender's rendering.
    pub original: Option<Original>,
}

/// A watcher's wish: XMPP `subscribe`/`unsubscribe`/`probe`, SIP SUBSCRIBE (RFC 8048 section 5.1).
#[derive(Clone, PartialEq)]
pub struct Subscribe {
    /// For how long, and in which sense.
    pub term: Term,
    /// A few words to the presentity (the status of an XMPP subscription request).
    pub note: Option<String>,
    /// The sender's rendering.
    pub original: Option<Original>,
}

impl fmt::Debug for Subscribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = self.note.as_ref().map(Private);
        f.debug_struct("Subscribe")
            .field("term", &self.term)
            .field("note", &note)
            .field("original", &self.original)
            .finish()
    }
}

/// The two meanings of "subscription" (RFC 8048 section 5.1), kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// Lasting consent (XMPP `subscribe`): the watch follows from the watcher's sessions.
    Lasting,
    /// End of the lasting consent, by the watcher (XMPP `unsubscribe`).
    End,
    /// A lease under a key the door names (SIP SUBSCRIBE), for so many seconds; 0 ends the lease, not the consent.
    /// A lease on a key that exists renews it.
    Lease {
        /// Names the watch; the hub's `Notify` carries it back.
        key: LeaseKey,
        /// Seconds.
        secs: u32,
    },
    /// Tell me once (XMPP `probe`; SIP SUBSCRIBE with Expires 0 in a new dialog, RFC 8048 section 7).
    Once {
        /// Carried back by the one `Notify`.
        key: Option<LeaseKey>,
    },
}

/// A presentity's decision about a watcher.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorize {
    /// The decision.
    pub decision: Decision,
    /// The sender's rendering.
    pub original: Option<Original>,
}

/// Consent given or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// XMPP `subscribed`.
    Granted,
    /// XMPP `unsubscribed`: a request refused, or a consent taken back.
    Denied,
}

/// Talk within one dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct Opaque {
    /// The bytes; only a door of their dialect can read them.
    pub original: Original,
    /// True where the sender waits for an answer of its own protocol (an XMPP iq get or set): when it cannot be
    /// routed, the hub settles it as refused instead of dropping it.
    pub wants_answer: bool,
}

/// A request about a call (SIP INVITE and what follows it): the hub decides whether it may pass and to whose devices, and
/// does not read it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The request; only a door of its dialect can read it.
    pub original: Original,
    /// True for a new call, false for what belongs to one that is up.
    pub opens: bool,
    /// True where answers are expected: then each device that gets the request is at the other end of a line.
    pub wants_answer: bool,
}
