//! What the hub hands out: envelopes become stanzas, news become roster pushes or the end.

use connector::{Flow, FlushedAck, Output};
use model::{Delivery, Endpoint, Notice, Outcome, Role, Settlement};

use crate::features::acks::Handed;
use crate::features::{blocking, carbons, delayed, roster};
use crate::translate::render::{self, Wire};
use crate::wire::{Condition, STREAM_ERRORS, Writer, with_children};

use super::C2s;
use super::phase::Phase;

impl C2s {
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let Delivery { id, envelope, role, delayed_since, .. } = delivery;
        if self.phase != Phase::Bound {
            return;
        }
        if self.has_already(envelope.id) {
            return self.out.push(Output::ack(id, Outcome::Delivered));
        }
        let (wire, losses) = match render::stanzas(&envelope, self.domain.as_deref().unwrap_or("")) {
            Ok(rendered) => rendered,
            Err(refusal) => return self.out.push(Output::ack(id, Outcome::Refused(refusal))),
        };
        let mut stanzas = match (wire, role) {
            (Wire::One(xml), Role::Copy) => match carbons::wrap(self, &envelope, &xml) {
                Some(copy) => vec![copy],
                None => Vec::new(),
            },
            (Wire::Many(_), Role::Copy) => Vec::new(),
            (Wire::One(xml), Role::Primary) => {
                let extra = delayed::extra(self, &envelope, delayed_since);
                let mut out = Vec::new();
                with_children(&xml, &extra, &mut out);
                vec![out]
            }
            (Wire::Many(list), Role::Primary) => list,
        };
        let settlement = Settlement { outcome: Outcome::Delivered, losses };
        let Some(last) = stanzas.pop() else {
            return self.out.push(Output::Ack(id, settlement));
        };
        for stanza in stanzas {
            self.send(stanza, None);
        }
        self.send(last, Some(Handed { id, envelope: envelope.id, settlement }));
    }

    /// Writes a stanza. A delivery is acknowledged when the client does (XEP-0198), else when it is written.
    pub(crate) fn send(&mut self, stanza: Vec<u8>, delivery: Option<Handed>) {
        if self.acks.enabled() {
            let kept = if self.acks.resumption.is_some() { stanza.as_slice().into() } else { Box::default() };
            if !self.is_resuming() {
                self.out.write_vec(stanza);
            }
            return self.acknowledged_later(kept, delivery);
        }
        self.out.write_vec(stanza);
        if let Some(Handed { id: delivery, settlement, .. }) = delivery {
            self.out.push(Output::AckWhenWritten(FlushedAck { flow: Flow::ACCEPTED, delivery, settlement }));
        }
    }

    pub(super) fn notice(&mut self, device: &Endpoint, notice: Notice) {
        if notice == Notice::Taken {
            // Section 5: the same client is back, over a connection that works.
            return self.taken();
        }
        if self.bound.as_ref() != Some(device) {
            return;
        }
        match notice {
            Notice::Roster(item) => roster::push(self, &item),
            Notice::RosterRemoved(contact) => roster::push_removed(self, &contact),
            Notice::Blocked(who) => blocking::push(self, "block", &who),
            Notice::Unblocked(who) => blocking::push(self, "unblock", &who),
            Notice::Replaced => {
                // The device is somebody else's now: it is not ours to unbind.
                self.bound = None;
                self.fail_with(Condition::Conflict, Some("Replaced by a new connection."));
            }
            Notice::Taken => {}
            Notice::Revoked => {
                self.fail_with(Condition::NotAuthorized, Some("The account was changed or removed."))
            }
        }
    }

    /// The session goes on elsewhere; this stream ends.
    fn taken(&mut self) {
        let mut w = Writer::new();
        w.open("stream:error").empty_ns(Condition::Conflict.name(), STREAM_ERRORS);
        w.open_ns("text", STREAM_ERRORS).attr("xml:lang", "en").text("Resumed by a new connection.").end();
        let error = w.finish();
        self.out.write(&error);
        self.out.write(b"</stream:stream>");
        self.hang_up_for_now();
    }
}
