//! Stanzas of another server: only between domains that are proved, and then what they say (RFC 6120 sections 8 and 10,
//! RFC 6121 sections 3 to 5 and 8).

use bytes::Bytes;
use compact_str::CompactString;
use connector::Output;
use model::{
    Basic, Dialect, DomainPair, Endpoint, Envelope, EnvelopeId, Event, LeaseKey, MAX_HOPS, Opaque, Origin,
    Original, Proof, Publish, Reason, Refusal, Security, Vouch,
};

use sha2::{Digest, Sha256};

use crate::jid;
use crate::machine::{is_beside, is_forged, is_report};
use crate::translate::refusal::StanzaError;
use crate::translate::{message, presence};
use crate::wire::{ChildRef, Condition, Kind, STANZA_ID, Stamp, Stanza, UNFIT};

use super::S2s;
use super::side::Side;

/// What is needed to answer a stanza later.
#[derive(Clone, Debug)]
pub(super) struct Stub {
    pub kind: Kind,
    pub id: Option<CompactString>,
    /// Who is answered.
    pub from: Endpoint,
    /// In whose name.
    pub to: Endpoint,
    /// Never answered: results, errors, answers of our own.
    pub quiet: bool,
    /// What their server calls it, if it does.
    pub named: Option<EnvelopeId>,
}

/// The id that a message has from its sender's server (XEP-0359): when that sends it again because it was not sure that
/// we have it, the hub knows it again. Their ids are theirs alone, so the domain is a part of ours.
fn named(stanza: &Stanza<'_>, from: &Endpoint) -> Option<EnvelopeId> {
    let domain = from.address.domain();
    let by_them = |child: &ChildRef<'_>| {
        child.is("stanza-id", STANZA_ID) && child.attr("by").is_some_and(|by| by == domain)
    };
    let id = stanza.children().find(by_them)?.attr("id").filter(|id| !id.is_empty())?.into_owned();
    let hash = Sha256::new().chain_update(domain).chain_update([0]).chain_update(id).finalize();
    let mut half = [0u8; 16];
    half.copy_from_slice(&hash[..16]);
    Some(EnvelopeId::named(half))
}

impl S2s {
    /// A message, presence or iq.
    pub(super) fn stanza(&mut self, kind: Kind, stanza: &Stanza<'_>) {
        if self.proved.is_empty() || (matches!(self.side, Side::Opened(_)) && !self.bidi) {
            return self.fail(Condition::NotAuthorized);
        }
        let (from, to) = (stanza.attr("from"), stanza.attr("to"));
        let (Some(from), Some(to)) = (from, to) else { return self.fail(Condition::ImproperAddressing) };
        let Ok(from) = jid::parse(&from) else { return self.fail(Condition::InvalidFrom) };
        let Ok(to) = jid::parse(&to) else { return self.fail(Condition::ImproperAddressing) };
        let pair = DomainPair::between(&to.address, &from.address);
        if !self.is_proved(&pair) {
            let theirs = self.proved.iter().any(|p| p.pair.remote == pair.remote);
            return self.fail(match (theirs, self.config.is_reached_here(pair.local.domain())) {
                (false, _) => Condition::InvalidFrom,
                (true, false) => Condition::HostUnknown,
                (true, true) => Condition::NotAuthorized,
            });
        }
        self.timers.used(self.now.tick);
        let seq = self.submissions.begin();
        let id = stanza.attr("id").map(|id| CompactString::from(id.as_ref()));
        let named = if kind == Kind::Message { named(stanza, &from) } else { None };
        let stub = Stub { kind, id, from, to, quiet: false, named };
        if stanza.unfit {
            // One bad stanza of theirs is no reason to end what carries all others.
            if !matches!(stanza.attr("type").as_deref(), Some("error" | "result")) {
                let refusal = Refusal::new(Reason::BadRequest).with_text(UNFIT);
                self.refused(&stub, &refusal);
            }
            return self.finished(seq);
        }
        let submitted = match kind {
            Kind::Message => self.message(stanza, stub, seq),
            Kind::Presence => self.presence(stanza, stub, seq),
            _ => self.iq(stanza, stub, seq),
        };
        if !submitted {
            self.finished(seq);
        }
    }

    /// True: handed to the hub, and done only when that has kept it.
    fn message(&mut self, stanza: &Stanza<'_>, mut stub: Stub, seq: u64) -> bool {
        let kind = stanza.attr("type").unwrap_or_default();
        stub.quiet = kind == "error";
        let ours = self.config.hosts(stub.to.address.domain());
        if ours && (kind == "groupchat" || stub.to.address.user().is_none()) {
            // No rooms, and nobody who reads (RFC 6121 sections 8.3 and 8.5).
            if !stub.quiet {
                self.answer_error(&stub, &StanzaError::SERVICE_UNAVAILABLE);
            }
            return false;
        }
        let (bytes, moved) = self.stamped(stanza, &stub.from, None, false);
        match message::read(stanza, &kind, bytes, moved) {
            Some(event) => {
                self.submit(event, stub, seq);
                true
            }
            None => false,
        }
    }

    fn presence(&mut self, stanza: &Stanza<'_>, mut stub: Stub, seq: u64) -> bool {
        let kind = stanza.attr("type").unwrap_or_default();
        match &*kind {
            "" | "unavailable" => {
                stub.quiet = true;
                let basic = if kind.is_empty() { Basic::Open } else { Basic::Closed };
                let (bytes, _) = self.stamped(stanza, &stub.from, None, true);
                let device = stub.from.device.clone();
                let tuple = presence::read(stanza, device, basic, self.now.wall, bytes);
                let key = LeaseKey::new(format!("xmpp:{}", stub.from));
                self.submit(Event::Publish(Publish { key, tuples: vec![tuple], secs: None }), stub, seq);
                true
            }
            word if presence::is_act(word) => {
                // RFC 6121 sections 3.1.2 and 3.2.2: both ends are bare; a probe may be one device's question.
                stub.quiet = word == "probe";
                if !stub.quiet {
                    stub.from.device = None;
                }
                stub.to.device = None;
                let (bytes, _) = self.stamped(stanza, &stub.from, Some(&stub.to), false);
                self.submit(presence::act(word, stanza, bytes), stub, seq);
                true
            }
            "error" => false,
            _ => {
                // RFC 6121 section 4.7.1: no such type.
                self.answer_error(&stub, &StanzaError::BAD_REQUEST);
                false
            }
        }
    }

    fn iq(&mut self, stanza: &Stanza<'_>, mut stub: Stub, seq: u64) -> bool {
        let kind = stanza.attr("type").unwrap_or_default();
        let asks = matches!(&*kind, "get" | "set");
        stub.quiet = !asks;
        if !asks && !matches!(&*kind, "result" | "error") {
            self.answer_error(&stub, &StanzaError::BAD_REQUEST);
            return false;
        }
        let mut children = stanza.children();
        let payload = (children.next(), children.next());
        // RFC 6120 section 8.2.3: an id always, and exactly one child in a request.
        if asks && (stub.id.is_none() || payload.0.is_none() || payload.1.is_some()) {
            self.answer_error(&stub, &StanzaError::BAD_REQUEST);
            return false;
        }
        if stub.to.device.is_none() && self.config.hosts(stub.to.address.domain()) {
            // For the domain, or for somebody's account, in whose name the server answers (RFC 6121 section
            // 8.5.2.1.3). Answers to what we asked need nothing further.
            if let (true, Some(payload)) = (asks, payload.0) {
                self.answer_iq(&stub, &payload, &*kind == "set");
            }
            return false;
        }
        let (bytes, _) = self.stamped(stanza, &stub.from, None, false);
        let original = Original { dialect: Dialect::Xmpp, bytes };
        self.submit(Event::Opaque(Opaque { original, wants_answer: asks }), stub, seq);
        true
    }

    /// The stanza as it goes on: addresses normalised, forgeries out, everything else as it came.
    fn stamped(
        &self,
        stanza: &Stanza<'_>,
        from: &Endpoint,
        to: Option<&Endpoint>,
        without_to: bool,
    ) -> (Bytes, Option<isize>) {
        let mut out = Vec::new();
        let (from, to) = (jid::text(from), to.map(jid::text));
        let stamp = Stamp { from: &from, to: to.as_deref(), lang: self.lang.as_deref(), without_to };
        let report = is_report(stanza);
        let strip =
            |child: &ChildRef<'_>| is_forged(child, |d| self.config.hosts(d)) || (report && is_beside(child));
        let moved = stanza.write(&stamp, strip, b"", &mut out);
        (out.into(), moved)
    }

    /// Hands an event of theirs to the hub. `seq` numbers the stanza it came in.
    fn submit(&mut self, event: Event, stub: Stub, seq: u64) {
        let pair = DomainPair::between(&stub.to.address, &stub.from.address);
        let certified = self.proved.iter().any(|p| p.pair == pair && p.certified);
        let proof = if certified { Proof::Certificate } else { Proof::Dialback };
        let vouch = Vouch::Domain(stub.from.address.to_domain(), proof);
        let ends = (stub.from.clone(), stub.to.clone());
        self.hand_over(event, ends, vouch, stub, seq);
    }

    pub(super) fn hand_over(
        &mut self,
        event: Event,
        (from, to): (Endpoint, Endpoint),
        vouch: Vouch,
        stub: Stub,
        seq: u64,
    ) {
        let security = if self.tls.is_some() { Security::Tls } else { Security::Plain };
        // An error that goes back is not what came, and must not be taken for it coming again.
        let named = stub.named.filter(|_| matches!(vouch, Vouch::Domain(..)));
        let id = named.unwrap_or_else(|| EnvelopeId::v7(self.now.wall.unix_ms(), self.dice.u128()));
        let envelope = Envelope {
            id,
            at: self.now.wall,
            origin: Origin { dialect: Dialect::Xmpp, security, vouch },
            from,
            to,
            hops: MAX_HOPS,
            event,
        };
        let ticket = self.submissions.submitted(stub, seq, self.now.tick);
        self.out.push(Output::Submit { ticket, envelope: Box::new(envelope), outcome_wanted: false });
    }
}
