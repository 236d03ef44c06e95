//! What the hub hands out for another server, and its acknowledgements (XEP-0198).

use connector::{Flow, FlushedAck, Output};
use model::{Delivery, Envelope, Event, Loss, Outcome, Reason, Refusal, Settlement, Subscribe, Term};

use crate::features::acks::Handed;
use crate::features::delayed;
use crate::features::stream_management::too_high;
use crate::jid;
use crate::translate::presence;
use crate::translate::render::{self, Wire};
use crate::wire::{Condition, SM, STANZA_ERRORS, Stanza, Writer, with_children};

use super::S2s;

/// How long something may wait for a connection without anybody calling it late, milliseconds.
const CONNECTING: u64 = 10_000;

impl S2s {
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let Delivery { id, envelope, delayed_since, device, .. } = delivery;
        // What comes when the server stops waits for the next connection.
        if self.draining.is_some() {
            return;
        }
        if !self.proved.iter().any(|p| p.bound.as_ref() == Some(&device)) {
            // Nobody here carries for that pair any more; another connection will.
            let refusal = Refusal::new(Reason::RemoteTimeout);
            return self.out.push(Output::ack(id, Outcome::Refused(refusal)));
        }
        let (mut stanzas, losses) = match self.stanzas(&envelope, delayed_since) {
            Ok(rendered) => rendered,
            Err(refusal) => return self.out.push(Output::ack(id, Outcome::Refused(refusal))),
        };
        let settlement = Settlement { outcome: Outcome::Delivered, losses };
        let Some(last) = stanzas.pop() else { return self.out.push(Output::Ack(id, settlement)) };
        for stanza in stanzas {
            self.send(stanza, None);
        }
        self.send(last, Some(Handed { id, envelope: envelope.id, settlement }));
    }

    fn stanzas(
        &self,
        envelope: &Envelope,
        delayed_since: Option<model::Timestamp>,
    ) -> Result<(Vec<Vec<u8>>, Vec<Loss>), Refusal> {
        if let Event::Subscribe(Subscribe { term: Term::Once { .. }, .. }) = envelope.event {
            let (from, to) = (jid::text(&envelope.from), jid::bare(&envelope.to.address));
            return Ok((vec![presence::simple("probe", &from, &to, None)], Vec::new()));
        }
        let us = envelope.from.address.domain();
        let (wire, losses) = render::stanzas(envelope, us)?;
        let list = match wire {
            Wire::Many(list) => list,
            Wire::One(xml) => {
                let mut extra = Vec::new();
                // What we only pass on keeps the name that its own server gave it.
                if matches!(&envelope.event, Event::Message(_)) && self.config.hosts(us) {
                    delayed::stanza_id(us, envelope, &mut extra);
                }
                let waited = delayed_since.filter(|at| self.now.wall.unix_ms() > at.unix_ms() + CONNECTING);
                if let (Some(since), Event::Message(_) | Event::Receipt(_)) = (waited, &envelope.event) {
                    delayed::delay(us, since, &mut extra);
                }
                let mut out = Vec::new();
                with_children(&xml, &extra, &mut out);
                vec![out]
            }
        };
        // A prefix would put the stanza into the namespace of clients, and their server would end the stream.
        let sound = |xml: &Vec<u8>| {
            [&b"<message"[..], b"<presence", b"<iq"].iter().any(|start| xml.starts_with(start))
        };
        match list.iter().all(sound) {
            true => Ok((list, losses)),
            false => {
                Err(Refusal::new(Reason::BadRequest).with_text("a stanza must not have a namespace prefix"))
            }
        }
    }

    /// Writes a stanza. A delivery is acknowledged when their server does, else when it is written.
    fn send(&mut self, stanza: Vec<u8>, delivery: Option<Handed>) {
        self.timers.used(self.now.tick);
        self.out.write_vec(stanza);
        if self.acks.enabled() {
            if self.acks.remember(Box::default(), delivery) {
                self.request_ack();
            }
            if self.acks.unacked() > self.config.s2s_unacked {
                // They take and take and say nothing. The mailbox keeps what they did not confirm.
                self.fail_with(Condition::ResourceConstraint, Some("Too many stanzas are not acknowledged."));
            }
            return;
        }
        if let Some(Handed { id: delivery, settlement, .. }) = delivery {
            self.out.push(Output::AckWhenWritten(FlushedAck { flow: Flow::ACCEPTED, delivery, settlement }));
        }
    }

    /// Asks for their count.
    pub(super) fn request_ack(&mut self) {
        self.out.write(b"<r xmlns='urn:xmpp:sm:3'/>");
        self.acks.ask();
    }

    /// Something of XEP-0198. False: not for here.
    pub(super) fn acknowledgement(&mut self, stanza: &Stanza<'_>) -> bool {
        match stanza.name() {
            b"r" if self.acks.enabled() => {
                let next = self.submissions.next();
                self.acks.owe(next);
                self.finished(u64::MAX);
            }
            b"a" if self.acks.enabled() => match stanza.attr("h").and_then(|h| h.trim().parse().ok()) {
                Some(h) => self.acknowledged(h),
                None => self.fail(Condition::InvalidXml),
            },
            b"enable" if self.accepted().is_some() && !self.proved.is_empty() && !self.acks.enabled() => {
                self.out.write(b"<enabled xmlns='urn:xmpp:sm:3'/>");
                let next = self.submissions.next();
                self.acks.enable(next);
            }
            b"enable" | b"resume" | b"r" | b"a" => {
                let mut w = Writer::new();
                w.open_ns("failed", SM).empty_ns("unexpected-request", STANZA_ERRORS);
                self.out.write_vec(w.finish());
            }
            _ => return false,
        }
        true
    }

    fn acknowledged(&mut self, h: u32) {
        match self.acks.confirm(h) {
            Ok(done) => {
                for handed in done {
                    self.out.push(Output::Ack(handed.id, handed.settlement));
                }
                if self.acks.is_unasked() {
                    self.request_ack();
                }
            }
            Err(sent) => {
                let error = too_high(h, sent);
                self.out.write(&error);
                self.say_goodbye();
            }
        }
    }
}
