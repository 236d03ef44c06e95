//! MESSAGE (RFC 3428), both ways.

use std::sync::Arc;

use connector::Output;
use model::{
    Address, Delivery, DeliveryId, Endpoint, Envelope, EnvelopeId, Event, MAX_HOPS, Now, Outcome, Reason,
    Refusal, Role, Settlement, Timestamp,
};

use sha2::{Digest as _, Sha256};

use super::registrar::Binding;
use super::tickets::Draft;
use super::{ACCEPT, Job, SOFTWARE, Sent, SipMachine, Waiting};
use crate::transaction::Hop;
use crate::translate::message::{self, Context, Incoming, Outgoing};
use crate::translate::{address, refusal};
use crate::wire::{MAX_UDP_REQUEST, Response, Writer};

/// A MESSAGE on its way to a device.
#[derive(Debug)]
pub(super) struct SentMessage {
    delivery: DeliveryId,
    device: Endpoint,
    envelope: Arc<Envelope>,
    delayed_since: Option<Timestamp>,
    losses: Vec<model::Loss>,
    /// Content-Type of what was sent.
    mime: String,
    /// It was sent as its sender wrote it, or in an envelope, and can be sent plainer.
    as_written: bool,
}

/// How somebody is reached, and what their device can read.
pub(super) struct Road {
    /// The Request-URI.
    pub target: String,
    pub hop: Hop,
    pub cpim: bool,
    pub composing: bool,
}

impl SipMachine {
    /// Carries out a MESSAGE of an account: translate, submit, and answer when it is settled.
    pub(super) fn message(&mut self, now: Now, job: Job, account: Address) {
        let Some(to) = address::from_uri(&job.request.target()).filter(|e| e.address.user().is_some()) else {
            return self.refuse(now, &job, 404);
        };
        let coding = job.request.header("Content-Encoding").unwrap_or_default();
        if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
            return self.answer(now, &job, 415, |w| {
                w.header("Accept-Encoding", "identity");
            });
        }
        let translated = match message::from_sip(&Incoming::of(&job.request)) {
            Ok(t) => t,
            Err(no) if no.reason == Reason::NotAcceptable => return self.unreadable(now, &job, &no),
            Err(no) => return self.answer_refusal(now, &job.receipt(), &no, true),
        };
        let cpim = translated.cpim;
        let event = match translated.said_by(&account) {
            Ok(event) => event,
            Err(no) => return self.answer_refusal(now, &job.receipt(), &no, true),
        };
        if cpim && self.trunk.is_some() {
            self.learn_cpim(&account, true);
        } else if cpim {
            let source = job.source;
            for b in self.bindings.values_mut().filter(|b| b.hop == source && b.endpoint.address == account) {
                b.cpim = true;
            }
        }
        let from = match self.trunk.is_some() {
            // Their server answers for the device as well (RFC 7247 6.3).
            true => address::from_header(&job.request.from).unwrap_or_else(|| Endpoint::bare(account)),
            false => self.device_at(job.source, &account).unwrap_or_else(|| Endpoint::bare(account)),
        };
        let full = to.device.is_some();
        let waiting = Waiting::Message { owed: job.receipt(), full };
        let named = self.trunk.is_some().then(|| named(&job, &from, &to)).flatten();
        let draft = Draft::new(from, to, event).after(hops(&job)).named(named);
        self.submit(now, draft, waiting);
    }

    /// A body in a form that nobody here can read (RFC 3261 21.4.13).
    fn unreadable(&mut self, now: Now, job: &Job, no: &Refusal) {
        let tag = self.dice.token(10);
        let mut w = job.request.reply.answer_with(415, &refusal::words(no, 415), &tag);
        w.header("Accept", ACCEPT).header("Server", SOFTWARE);
        self.send_answer(now, job.id, job.back, w);
    }

    /// Sends what the hub delivers to a device.
    pub(super) fn send_message(&mut self, now: Now, delivery: Delivery) {
        if delivery.role == Role::Copy {
            // A SIP client would show its user's own words as somebody else's.
            let no = Refusal::new(Reason::Unsupported);
            return self.out.push_back(Output::ack(delivery.id, Outcome::Refused(no)));
        }
        let sent = SentMessage {
            delivery: delivery.id,
            device: match self.trunk.is_some() {
                // What is in hand there is the mailbox of a pair.
                true => delivery.envelope.to.clone(),
                false => delivery.device,
            },
            envelope: delivery.envelope,
            delayed_since: delivery.delayed_since,
            losses: Vec::new(),
            mime: String::new(),
            as_written: true,
        };
        self.try_message(now, sent, true);
    }

    /// How somebody is reached: over the trunk, or as they registered.
    pub(super) fn road(&self, to: &Endpoint) -> Option<Road> {
        self.trunk_road(to).or_else(|| {
            let binding = self.bindings.get(to)?;
            let Binding { uri, hop, cpim, composing, .. } = binding;
            Some(Road { target: uri.clone(), hop: *hop, cpim: *cpim, composing: *composing })
        })
    }

    /// `as_written`: in its sender's own form, or in ours with an envelope; else as plain as can be.
    fn try_message(&mut self, now: Now, mut sent: SentMessage, as_written: bool) {
        let refuse =
            |this: &mut Self, no| this.out.push_back(Output::ack(sent.delivery, Outcome::Refused(no)));
        let Some(Road { target: uri, hop, cpim, composing }) = self.road(&sent.device) else {
            return refuse(self, Refusal::new(Reason::Unavailable));
        };
        if matches!(sent.envelope.event, Event::Composing(_)) && !composing {
            return refuse(self, Refusal::new(Reason::Unsupported));
        }
        let from = address::to_uri(&sent.envelope.from.address);
        let to = address::to_uri(&sent.device.address);
        let cx = Context {
            cpim: as_written && cpim,
            apart: !as_written,
            from: &from,
            to: &to,
            at: sent.delayed_since.unwrap_or(sent.envelope.at),
            dialect: sent.envelope.origin.dialect,
        };
        let out = match message::to_sip(&sent.envelope.event, &cx) {
            Ok(out) => out,
            Err(no) => return refuse(self, no),
        };
        let branch = self.branch();
        let bytes = self.render_message(&sent, &out, &uri, hop, &branch, [&from, &to]);
        if matches!(hop, Hop::Udp(_)) && bytes.len() > MAX_UDP_REQUEST {
            // RFC 3428 8: not over a way without congestion control.
            let no = Refusal::new(Reason::TooLarge).with_text("too long for this recipient's connection");
            return refuse(self, no);
        }
        sent.mime.clone_from(&out.mime);
        sent.as_written = as_written;
        sent.losses = out.losses;
        let number = self.number();
        if self.transactions.request(now.tick, hop, &branch, "MESSAGE", number, bytes) {
            self.sent.insert(number, Sent::Message(sent));
        } else {
            self.out
                .push_back(Output::ack(sent.delivery, Outcome::Refused(Refusal::new(Reason::Overloaded))));
        }
    }

    fn render_message(
        &mut self,
        sent: &SentMessage,
        out: &Outgoing,
        uri: &str,
        hop: Hop,
        branch: &str,
        [from, to]: [&str; 2],
    ) -> Vec<u8> {
        // To another server: the same names whenever it is sent, so that it is known again.
        let same = self.trunk.is_some().then(|| sent.envelope.id.to_string().replace('-', ""));
        let call_id = out.call_id.clone().or_else(|| same.clone()).unwrap_or_else(|| self.dice.token(24));
        let cseq = if same.is_some() { 1 } else { self.next.clamp(1, 0x7fff_ffff) };
        let tag = same.unwrap_or_else(|| self.dice.token(10));
        let mut w = Writer::request("MESSAGE", uri);
        w.header("Via", self.via(hop, branch))
            .header("Max-Forwards", sent.envelope.hops.max(1))
            .header("From", format!("<{from}>;tag={tag}"))
            .header("To", format!("<{to}>"))
            .header("Call-ID", call_id)
            .header("CSeq", format!("{cseq} MESSAGE"))
            .header("User-Agent", SOFTWARE);
        if let Some(at) = sent.delayed_since {
            w.header("Date", http_date(at));
        }
        if let Some(subject) = &out.subject {
            w.header("Subject", subject);
        }
        w.header("Content-Type", &out.mime);
        if let Some(lang) = &out.lang {
            w.header("Content-Language", lang);
        }
        w.finish(&out.body)
    }

    /// A device answered, or did not in time.
    pub(super) fn message_answered(&mut self, now: Now, sent: SentMessage, response: Option<&Response>) {
        let Some(response) = response else {
            // The contact is dead. The refusal is a transient one, so the hub may keep the message for another day.
            let no = Refusal::new(Reason::RemoteTimeout);
            self.out.push_back(Output::Ack(sent.delivery, Outcome::Refused(no).into()));
            let device = sent.device;
            self.unbind(&device);
            return self.unanswered(now.tick);
        };
        let status = response.status;
        if matches!(status, 406 | 415 | 488 | 606) {
            let is_cpim = sent.mime == message::CPIM;
            if is_cpim && !matches!(sent.envelope.event, Event::Receipt(_)) {
                // It does not open envelopes after all: once more without.
                if let Some(b) = self.bindings.get_mut(&sent.device) {
                    b.cpim = false;
                }
                self.learn_cpim(&sent.device.address, false);
                return self.try_message(now, sent, false);
            }
            if message::has_parts(&sent.mime) && sent.as_written {
                return self.try_message(now, sent, false);
            }
            if matches!(sent.envelope.event, Event::Composing(_)) {
                if let Some(b) = self.bindings.get_mut(&sent.device) {
                    b.composing = false;
                }
                self.learn_silence(&sent.device.address);
            }
        }
        let outcome = match status {
            202 => Outcome::Accepted,
            200..=299 => Outcome::Delivered,
            _ => {
                let contact = response.header("Contact");
                Outcome::Refused(refusal::refusal(status, &response.reason(), contact.as_deref()))
            }
        };
        self.out.push_back(Output::Ack(sent.delivery, Settlement { outcome, losses: sent.losses }));
    }
}

/// The id of a request that another server may send again over another connection, because it was not sure that we have
/// it: From tag, Call-ID and CSeq name it (RFC 3261 section 8.2.2.2), for one recipient.
fn named(job: &Job, from: &Endpoint, to: &Endpoint) -> Option<EnvelopeId> {
    let request = &job.request;
    let cseq = request.cseq.to_string();
    let (domain, to) = (from.address.domain(), to.to_string());
    let parts = [domain, request.from.tag()?, &request.call_id, &cseq, &to];
    let whole = parts.into_iter().fold(Sha256::new(), |hash, part| hash.chain_update(part).chain_update([0]));
    let mut half = [0u8; 16];
    half.copy_from_slice(&whole.finalize()[..16]);
    Some(EnvelopeId::named(half))
}

/// What is left of Max-Forwards after us.
pub(super) fn hops(job: &Job) -> u8 {
    let given = job.request.seconds("Max-Forwards").and_then(|n| u8::try_from(n).ok());
    given.unwrap_or(MAX_HOPS).saturating_sub(1)
}

/// RFC 3261 20.17: RFC 1123 form, always GMT.
fn http_date(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (y, mo, d, h, mi, s, _) = at.civil();
    // 1 January 1970 was a Thursday.
    let day = DAYS[usize::try_from(at.unix_ms() / 86_400_000 % 7).unwrap_or(0)];
    let month = MONTHS[(mo.clamp(1, 12) - 1) as usize];
    format!("{day}, {d:02} {month} {y:04} {h:02}:{mi:02}:{s:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(http_date(Timestamp(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(Timestamp(1_709_251_199_999)), "Thu, 29 Feb 2024 23:59:59 GMT");
    }
}
