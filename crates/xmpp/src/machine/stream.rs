//! Stream negotiation: headers, features, STARTTLS, errors and the end (RFC 6120 sections 4 and 5).

use connector::{Flow, Output, TlsFacts, TlsMode};

use crate::features;
use crate::jid;
use crate::sasl::Offer;
use crate::wire::{
    CLIENT, Condition, Header, Kind, Limits, SASL, STREAM_ERRORS, STREAMS, Stanza, TLS, Writer, escape_attr,
};

use super::C2s;
use super::phase::Phase;
use super::reading::{Reader, Reading};

impl Reading for C2s {
    fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn is_securing(&self) -> bool {
        self.phase == Phase::Securing
    }

    fn limits_before(&self) -> Limits {
        self.config.before_auth
    }

    fn limits_now(&self) -> Limits {
        if self.account.is_some() { self.config.limits } else { self.config.before_auth }
    }

    fn header(&mut self, header: Header) {
        self.opened(header);
    }

    fn element(&mut self, stanza: &Stanza<'_>) {
        self.first_level(stanza);
    }

    fn closed(&mut self) {
        self.said_goodbye();
    }

    fn broken(&mut self, condition: Condition) {
        self.fail(condition);
    }
}

impl C2s {
    fn opened(&mut self, header: Header) {
        let wanted = header.to.as_deref().map(jid::domain);
        let domain = match (&wanted, &self.account) {
            (Some(Ok(domain)), None) if self.config.hosts(domain) => Some(domain.clone()),
            (None, None) if self.config.domains.len() == 1 => Some(self.config.first().to_owned()),
            // Once authenticated, the domain cannot change (RFC 6120 section 4.7.2).
            (Some(Ok(domain)), Some(account)) if domain == account.domain() => Some(domain.clone()),
            (None, Some(account)) => Some(account.domain().to_owned()),
            _ => None,
        };
        self.lang = header.lang.filter(|l| l.len() <= 64).map(String::into_boxed_str);
        let known = domain.is_some();
        self.domain = domain.or_else(|| self.domain.take());
        self.header_sent = false;
        self.send_header();
        if header.content != CLIENT {
            return self.fail(Condition::InvalidNamespace);
        }
        if header.version.0 < 1 {
            return self.fail(Condition::UnsupportedVersion);
        }
        if !known {
            return self.fail(Condition::HostUnknown);
        }
        self.send_features();
        self.phase = if self.account.is_some() { Phase::Unbound } else { Phase::Negotiating };
    }

    fn send_header(&mut self) {
        if self.header_sent {
            return;
        }
        self.header_sent = true;
        let id = self.dice.token(20);
        let from = self.domain.as_deref().unwrap_or(self.config.first());
        let mut head = Vec::with_capacity(220);
        head.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
        head.extend_from_slice(CLIENT.as_bytes());
        head.extend_from_slice(b"' xmlns:stream='");
        head.extend_from_slice(STREAMS.as_bytes());
        head.extend_from_slice(b"' id='");
        head.extend_from_slice(id.as_bytes());
        head.extend_from_slice(b"' from='");
        escape_attr(from, &mut head);
        if let Some(account) = &self.account {
            head.extend_from_slice(b"' to='");
            escape_attr(&jid::bare(account), &mut head);
        }
        head.extend_from_slice(b"' version='1.0' xml:lang='en'>");
        self.out.write_vec(head);
    }

    fn send_features(&mut self) {
        let mut w = Writer::new();
        w.open("stream:features");
        if self.account.is_some() {
            features::advertise(self, &mut w);
        } else {
            if self.tls.is_none() && self.tls_mode == TlsMode::Upgrade {
                w.open_ns("starttls", TLS);
                if self.config.require_tls {
                    w.open("required").end();
                }
                w.end();
            }
            self.login.offer = Offer::of(self.tls.as_deref());
            if self.may_login() {
                self.login.offer.write(&mut w);
            }
        }
        let features = w.finish();
        self.out.write(&features);
    }

    /// Is this channel good enough for a log-in?
    pub(super) fn may_login(&self) -> bool {
        self.tls.is_some() || !self.config.require_tls
    }

    /// A first-level element.
    fn first_level(&mut self, stanza: &Stanza<'_>) {
        let ns = stanza.ns();
        match stanza.kind() {
            Kind::Nonza if self.phase == Phase::Negotiating && ns == TLS.as_bytes() => self.starttls(stanza),
            Kind::Nonza if self.phase == Phase::Negotiating && ns == SASL.as_bytes() => self.sasl(stanza),
            Kind::Nonza if self.phase >= Phase::Unbound && features::nonza(self, stanza) => {}
            // A stream error of theirs: they are about to close.
            Kind::Nonza if ns == STREAMS.as_bytes() && stanza.name() == b"error" => self.said_goodbye(),
            Kind::Nonza if self.phase < Phase::Unbound => self.fail(Condition::NotAuthorized),
            Kind::Nonza if ns == STREAMS.as_bytes() => self.fail(Condition::InvalidXml),
            Kind::Nonza => self.fail(Condition::UnsupportedStanzaType),
            _ if self.phase < Phase::Unbound => self.fail(Condition::NotAuthorized),
            kind => self.stanza(kind, stanza),
        }
    }

    fn starttls(&mut self, stanza: &Stanza<'_>) {
        if stanza.name() != b"starttls" || self.tls.is_some() || self.tls_mode != TlsMode::Upgrade {
            // RFC 6120 section 5.4.2.2: failure ends the stream.
            self.out.write(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
            return self.hang_up();
        }
        self.out.write(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.out.push(Output::Secure(Flow::ACCEPTED, self.domain.as_deref().map(Box::from)));
        self.phase = Phase::Securing;
        self.reader.forget();
    }

    /// TLS is up.
    pub(super) fn secured(&mut self, facts: TlsFacts) {
        self.tls = Some(Box::new(facts));
        if self.phase == Phase::Securing {
            self.phase = Phase::Opening;
            self.header_sent = false;
        }
    }

    /// Ends the stream with an error (RFC 6120 section 4.9).
    pub(crate) fn fail(&mut self, condition: Condition) {
        self.fail_with(condition, None);
    }

    /// The same with words.
    pub(crate) fn fail_with(&mut self, condition: Condition, text: Option<&str>) {
        if self.phase == Phase::Over {
            return;
        }
        if self.phase != Phase::Securing {
            // An error is only an error inside a stream (RFC 6120 section 4.9.1.2).
            self.send_header();
            let mut w = Writer::new();
            w.open("stream:error").empty_ns(condition.name(), STREAM_ERRORS);
            if let Some(text) = text {
                w.open_ns("text", STREAM_ERRORS).attr("xml:lang", "en").text(text).end();
            }
            let error = w.finish();
            self.out.write(&error);
            self.out.write(b"</stream:stream>");
        }
        match condition {
            // Not the client's doing: it may come back and go on.
            Condition::ConnectionTimeout | Condition::SystemShutdown => self.hang_up_for_now(),
            _ => self.hang_up(),
        }
    }

    /// The client closed its stream: so do we (RFC 6120 section 4.4).
    fn said_goodbye(&mut self) {
        self.send_header();
        self.out.write(b"</stream:stream>");
        self.hang_up();
    }
}
