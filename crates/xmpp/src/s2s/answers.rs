//! What we say to another server's users in the name of ours: errors, and answers of the server itself.
//!
//! A stream of servers goes one way (RFC 6120 section 4.3), so all this is handed to the hub like anything else that
//! leaves, and finds the connection that carries for the pair.

use bytes::Bytes;
use model::{Dialect, Event, Opaque, Original, Receipt, ReceiptKind, Refusal, Vouch};

use crate::features::{disco, vars};
use crate::jid;
use crate::machine::discreet;
use crate::translate::refusal::StanzaError;
use crate::wire::{ChildRef, DISCO_INFO, DISCO_ITEMS, Kind, PING, Writer};

use super::S2s;
use super::inbound::Stub;

impl S2s {
    /// The hub took a stanza of theirs not, or what it became of failed.
    pub(super) fn refused(&mut self, stub: &Stub, refusal: &Refusal) {
        if !stub.quiet {
            let bytes = self.error(stub, &discreet(stub.kind, refusal));
            self.send_error(stub, bytes, refusal);
        }
    }

    /// Sends a stanza back as an error (RFC 6120 section 8.3).
    pub(super) fn answer_error(&mut self, stub: &Stub, error: &StanzaError) {
        let bytes = self.error(stub, error);
        self.send_error(stub, bytes, &Refusal::new(model::Reason::Unavailable));
    }

    fn send_error(&mut self, stub: &Stub, bytes: Bytes, refusal: &Refusal) {
        let original = Original { dialect: Dialect::Xmpp, bytes };
        // News of a message is worth keeping until their server takes it; other errors are not.
        let event = match (&stub.id, stub.kind) {
            (Some(id), Kind::Message) => Event::Receipt(Receipt {
                of: id.clone(),
                kind: ReceiptKind::Failed(refusal.clone()),
                original: Some(original),
            }),
            _ => Event::Opaque(Opaque { original, wants_answer: false }),
        };
        self.say(stub, event);
    }

    fn error(&self, stub: &Stub, error: &StanzaError) -> Bytes {
        let mut w = Writer::new();
        w.open(match stub.kind {
            Kind::Message => "message",
            Kind::Presence => "presence",
            _ => "iq",
        });
        w.attr("from", &jid::text(&stub.to)).attr("to", &jid::text(&stub.from)).attr("type", "error");
        w.attr_if("id", stub.id.as_deref());
        error.write(stub.to.address.domain(), &mut w);
        w.finish().into()
    }

    /// A request that the server answers itself.
    pub(super) fn answer_iq(&mut self, stub: &Stub, payload: &ChildRef<'_>, set: bool) {
        let server = stub.to.address.user().is_none();
        let node = || payload.attr("node").is_some_and(|n| !n.is_empty());
        let inner = match (server, set) {
            (true, false) if payload.is("ping", PING) => Vec::new(),
            (true, false) if payload.is("query", DISCO_INFO) && !node() => disco::about(true, vars(), |_| {}),
            (true, false) if payload.is("query", DISCO_ITEMS) && !node() => {
                Writer::new().empty_ns("query", DISCO_ITEMS).finish()
            }
            _ => return self.answer_error(stub, &StanzaError::SERVICE_UNAVAILABLE),
        };
        let mut w = Writer::new();
        w.open("iq")
            .attr("from", &jid::text(&stub.to))
            .attr("to", &jid::text(&stub.from))
            .attr("type", "result");
        w.attr_if("id", stub.id.as_deref()).raw(&inner);
        let original = Original { dialect: Dialect::Xmpp, bytes: w.finish().into() };
        self.say(stub, Event::Opaque(Opaque { original, wants_answer: false }));
    }

    fn say(&mut self, stub: &Stub, event: Event) {
        let ends = (stub.to.clone(), stub.from.clone());
        let quiet = Stub { quiet: true, named: None, ..stub.clone() };
        // No stanza of theirs: it has no number.
        self.hand_over(event, ends, Vouch::Server, quiet, u64::MAX);
    }
}
