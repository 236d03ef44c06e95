//! What the hub hands out: envelopes become stanzas, news become roster pushes or the end.

use bytes::Bytes;
use connector::{Flow, FlushedAck, Output};
use model::{
    Decision, Delivery, Endpoint, Envelope, Event, Loss, Notice, Notify, Outcome, Refusal, Role, Settlement,
    Term, Tuple, WatchState,
};

use crate::features::stream_management::Handed;
use crate::features::{carbons, delayed, roster};
use crate::jid;
use crate::translate::{composing, message, ours, presence, receipt};
use crate::wire::{Condition, STREAM_ERRORS, Writer, with_children};

use super::C2s;
use super::c2s::Phase;

/// Stanzas for one delivery.
enum Wire {
    One(Bytes),
    Many(Vec<Vec<u8>>),
}

impl C2s {
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let Delivery { id, envelope, role, delayed_since, .. } = delivery;
        if self.phase != Phase::Bound {
            return;
        }
        if self.has_already(envelope.id) {
            return self.out.push(Output::ack(id, Outcome::Delivered));
        }
        let (wire, losses) = match self.render(&envelope) {
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

    fn render(&self, envelope: &Envelope) -> Result<(Wire, Vec<Loss>), Refusal> {
        let id = || envelope.id.to_string();
        let from = || jid::text(&envelope.from);
        let to = || jid::text(&envelope.to);
        let dialect = envelope.origin.dialect;
        let one = |(xml, losses): (Bytes, Vec<Loss>)| (Wire::One(xml), losses);
        Ok(match &envelope.event {
            Event::Message(m) => match ours(&m.original) {
                Some(bytes) => (Wire::One(bytes.clone()), Vec::new()),
                None => one(message::render(m, dialect, &id(), &from(), &to())?),
            },
            Event::Composing(c) => one(composing::render(c, &id(), &from(), &to())),
            Event::Receipt(r) => {
                one(receipt::render(r, &id(), &from(), &to(), self.domain.as_deref().unwrap_or("")))
            }
            Event::Opaque(o) => match ours(&Some(o.original.clone())) {
                Some(bytes) => (Wire::One(bytes.clone()), Vec::new()),
                None => return Err(Refusal::new(model::Reason::Unsupported)),
            },
            Event::Subscribe(s) => match (ours(&s.original), &s.term) {
                (_, Term::Once { .. } | Term::Lease { secs: 0, .. }) => (Wire::Many(Vec::new()), Vec::new()),
                (Some(bytes), _) => (Wire::One(bytes.clone()), Vec::new()),
                (None, term) => {
                    let kind = if *term == Term::End { "unsubscribe" } else { "subscribe" };
                    self.subscription(kind, envelope, s.note.as_deref())
                }
            },
            Event::Authorize(a) => match ours(&a.original) {
                Some(bytes) => (Wire::One(bytes.clone()), Vec::new()),
                None => {
                    let kind = if a.decision == Decision::Granted { "subscribed" } else { "unsubscribed" };
                    self.subscription(kind, envelope, None)
                }
            },
            Event::Notify(n) => self.notify(n, &to()),
            Event::Publish(p) => {
                let (from, to) = (from(), to());
                if p.tuples.is_empty() {
                    return Ok((
                        Wire::Many(vec![presence::simple("unavailable", &from, &to, None)]),
                        Vec::new(),
                    ));
                }
                let (list, losses) =
                    p.tuples.iter().map(|t| presence::render(t, &from, &to)).unzip::<_, _, Vec<_>, Vec<_>>();
                (Wire::Many(list), losses.concat())
            }
        })
    }

    /// Subscription traffic is between bare addresses (RFC 6121 section 3).
    fn subscription(&self, kind: &str, envelope: &Envelope, note: Option<&str>) -> (Wire, Vec<Loss>) {
        let xml = presence::simple(
            kind,
            &jid::bare(&envelope.from.address),
            &jid::bare(&envelope.to.address),
            note,
        );
        (Wire::Many(vec![xml]), Vec::new())
    }

    /// RFC 8048 section 5.2.1: what is pending is not shown; nothing known is `unavailable`.
    fn notify(&self, notify: &Notify, to: &str) -> (Wire, Vec<Loss>) {
        let who = |tuple: &Tuple| {
            jid::text(&Endpoint { address: notify.doc.presentity.clone(), device: tuple.device.clone() })
        };
        let mut list = Vec::new();
        let mut losses = Vec::new();
        let mut add = |(xml, lost): (Vec<u8>, Vec<Loss>)| {
            list.push(xml);
            losses.extend(lost);
        };
        match notify.state {
            WatchState::Pending => {}
            WatchState::Rejected | WatchState::Expired => {
                add((
                    presence::simple("unavailable", &jid::bare(&notify.doc.presentity), to, None),
                    Vec::new(),
                ));
            }
            WatchState::Active => {
                for tuple in &notify.gone {
                    add(presence::render_gone(tuple, &who(tuple), to));
                }
                let all = &notify.doc.tuples;
                match &notify.changed {
                    Some(changed) => {
                        changed
                            .iter()
                            .filter_map(|i| all.get(*i))
                            .for_each(|t| add(presence::render(t, &who(t), to)));
                    }
                    None if all.is_empty() && notify.gone.is_empty() => {
                        let from = jid::bare(&notify.doc.presentity);
                        add((presence::simple("unavailable", &from, to, None), Vec::new()));
                    }
                    None => all.iter().for_each(|t| add(presence::render(t, &who(t), to))),
                }
            }
        }
        (Wire::Many(list), losses)
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
