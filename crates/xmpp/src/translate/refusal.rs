//! Refusals and stanza errors (RFC 6120 section 8.3; RFC 7247 section 7 by way of the neutral reasons).

use compact_str::CompactString;
use model::{Fault, Reason, Refusal};

use crate::jid;
use crate::wire::{ChildRef, STANZA_ERRORS, Tree, Writer};

/// A stanza error: RFC 6120 section 8.3.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// The defined condition, RFC 6120 section 8.3.3.
    pub condition: &'static str,
    /// What to do about it: `auth`, `cancel`, `continue`, `modify` or `wait`.
    pub kind: &'static str,
    /// In words.
    pub text: Option<CompactString>,
    /// The new address of `gone` and `redirect`.
    pub alternative: Option<String>,
    /// Who says so, where that is this server.
    pub by_us: bool,
    /// An element of an application's own, RFC 6120 section 8.3.4.
    pub more: Option<Box<[u8]>>,
}

impl StanzaError {
    const fn new(condition: &'static str, kind: &'static str) -> StanzaError {
        StanzaError { condition, kind, text: None, alternative: None, by_us: true, more: None }
    }

    /// 8.3.3.1
    pub const BAD_REQUEST: StanzaError = StanzaError::new("bad-request", "modify");
    /// 8.3.3.4
    pub const FORBIDDEN: StanzaError = StanzaError::new("forbidden", "auth");
    /// 8.3.3.8
    pub const JID_MALFORMED: StanzaError = StanzaError::new("jid-malformed", "modify");
    /// 8.3.3.9
    pub const NOT_ACCEPTABLE: StanzaError = StanzaError::new("not-acceptable", "modify");
    /// 8.3.3.10
    pub const NOT_ALLOWED: StanzaError = StanzaError::new("not-allowed", "cancel");
    /// 8.3.3.19
    pub const SERVICE_UNAVAILABLE: StanzaError = StanzaError::new("service-unavailable", "cancel");
    /// 8.3.3.7
    pub const ITEM_NOT_FOUND: StanzaError = StanzaError::new("item-not-found", "cancel");
    /// 8.3.3.6
    pub const INTERNAL: StanzaError = StanzaError::new("internal-server-error", "cancel");

    /// The same with words.
    pub fn with_text(mut self, text: &str) -> StanzaError {
        self.text = Some(text.into());
        self
    }

    /// Appends the `<error/>` element; `us` is this server's domain.
    pub fn write(&self, us: &str, w: &mut Writer) {
        w.open("error").attr("type", self.kind);
        if self.by_us {
            w.attr("by", us);
        }
        w.open_ns(self.condition, STANZA_ERRORS);
        if let Some(alternative) = &self.alternative {
            w.text(alternative);
        }
        w.end();
        if let Some(text) = &self.text {
            w.open_ns("text", STANZA_ERRORS).text(text).end();
        }
        if let Some(more) = &self.more {
            w.raw(more);
        }
        w.end();
    }
}

/// Every reason with its condition and type.
const TABLE: [(Reason, &str, &str); 21] = [
    (Reason::BadRequest, "bad-request", "modify"),
    (Reason::BadAddress, "jid-malformed", "modify"),
    (Reason::Conflict, "conflict", "cancel"),
    (Reason::Unsupported, "feature-not-implemented", "cancel"),
    (Reason::Forbidden, "forbidden", "auth"),
    (Reason::Gone, "gone", "cancel"),
    (Reason::Redirect, "redirect", "modify"),
    (Reason::Internal, "internal-server-error", "cancel"),
    (Reason::NotFound, "item-not-found", "cancel"),
    (Reason::NotAcceptable, "not-acceptable", "modify"),
    (Reason::Policy, "policy-violation", "modify"),
    (Reason::NotAuthorized, "not-authorized", "auth"),
    (Reason::Unavailable, "recipient-unavailable", "wait"),
    (Reason::RegistrationRequired, "registration-required", "auth"),
    (Reason::RemoteNotFound, "remote-server-not-found", "cancel"),
    (Reason::RemoteTimeout, "remote-server-timeout", "wait"),
    (Reason::Overloaded, "resource-constraint", "wait"),
    (Reason::SubscriptionRequired, "subscription-required", "auth"),
    (Reason::Unexpected, "unexpected-request", "wait"),
    // Two reasons that share a condition with another; a peer that answers with it is read as the first.
    (Reason::TooLarge, "policy-violation", "modify"),
    (Reason::Loop, "not-acceptable", "cancel"),
];

/// Conditions no reason of ours renders to, and what they are read as.
const READ: [(&str, Reason); 3] = [
    ("not-allowed", Reason::Policy),
    ("service-unavailable", Reason::Unavailable),
    ("undefined-condition", Reason::BadRequest),
];

/// A refusal as a stanza error.
pub fn render(refusal: &Refusal) -> StanzaError {
    let row = TABLE.iter().find(|(reason, ..)| *reason == refusal.reason);
    let (condition, kind) =
        row.map_or(("undefined-condition", "cancel"), |(_, condition, kind)| (*condition, *kind));
    let text = match (&refusal.text, refusal.reason) {
        (None, Reason::TooLarge) => Some("The message is too long for the way it would have to go.".into()),
        (None, Reason::Loop) => Some("The message went in circles.".into()),
        (text, _) => text.clone(),
    };
    let alternative = matches!(refusal.reason, Reason::Gone | Reason::Redirect)
        .then(|| refusal.alternative.as_ref().map(|a| format!("xmpp:{}", jid::bare(a))))
        .flatten();
    StanzaError { condition, kind, text, alternative, by_us: refusal.fault == Fault::Server, more: None }
}

/// An `<error/>` element as a refusal.
pub fn read(error: &ChildRef<'_>) -> Refusal {
    let mut refusal = Refusal::new(Reason::BadRequest);
    // The error element stands in the stanza's own namespace, which no tree needs to know here.
    let Some(tree) = Tree::read(error.whole(), &[]) else { return refusal };
    for child in tree.root().children().filter(|c| c.ns() == STANZA_ERRORS.as_bytes()) {
        if child.name() == b"text" {
            refusal.text = Some(child.text().as_ref().into());
            continue;
        }
        let table = TABLE.iter().map(|(reason, name, _)| (*name, *reason)).chain(READ);
        if let Some((_, reason)) = table.into_iter().find(|(name, _)| name.as_bytes() == child.name()) {
            refusal.reason = reason;
            refusal.fault = reason.fault();
            let target = child.text();
            let target = target.trim();
            let target = target.strip_prefix("xmpp:").unwrap_or(target);
            if matches!(reason, Reason::Gone | Reason::Redirect) {
                refusal.alternative = jid::parse(target).ok().map(|e| e.address);
            }
        }
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Item, Limits, Scanner};

    fn round(xml: &[u8]) -> Refusal {
        let mut scanner = Scanner::new(Limits::C2S);
        let stream = [
            &b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><message>"[..],
            xml,
            b"</message>",
        ]
        .concat();
        let mut input = &stream[..];
        assert!(matches!(scanner.next(&mut input), Ok(Some(Item::Open(_)))));
        match scanner.next(&mut input) {
            Ok(Some(Item::Element(stanza))) => read(&stanza.children().next().unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_reason_has_a_condition_and_comes_back() {
        for reason in Reason::ALL {
            let mut given = Refusal::new(reason).with_text("why & how");
            if matches!(reason, Reason::Gone | Reason::Redirect) {
                given.alternative = Some(jid::parse("new@example.net").unwrap().address);
            }
            let mut w = Writer::new();
            render(&given).write("example.com", &mut w);
            let back = round(&w.finish());
            let wanted = match reason {
                Reason::TooLarge => Reason::Policy,
                Reason::Loop => Reason::NotAcceptable,
                other => other,
            };
            assert_eq!(back.reason, wanted);
            assert_eq!(back.text, given.text);
            assert_eq!(back.alternative, given.alternative);
        }
    }

    #[test]
    fn conditions_of_other_servers() {
        for (condition, reason) in [
            ("service-unavailable", Reason::Unavailable),
            ("not-allowed", Reason::Policy),
            ("nonsense", Reason::BadRequest),
        ] {
            let xml = format!("<error type='cancel'><{condition} xmlns='{STANZA_ERRORS}'/></error>");
            assert_eq!(round(xml.as_bytes()).reason, reason);
        }
    }
}
