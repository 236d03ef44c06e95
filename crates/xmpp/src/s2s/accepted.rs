//! A connection that another server opened: its stream header, STARTTLS, SASL EXTERNAL (XEP-0178), bidirectional
//! streams (XEP-0288).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connector::TlsMode;
use model::{Answer, DomainPair, Reason};

use crate::wire::{
    BIDI, BIDI_FEATURE, Condition, DIALBACK, DIALBACK_FEATURE, Header, SASL, SERVER, SM, Stanza, TLS, Writer,
    content,
};

use super::S2s;
use super::phase::{Asked, Phase, domain};

/// How many times somebody may fail to prove who they are on one connection.
pub(super) const TRIES: u32 = 5;

/// What only those who accept keep.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    /// Pairs of which a dialback is under way.
    pub pending: Vec<DomainPair>,
    /// Proofs that failed.
    pub failures: u32,
    /// EXTERNAL was chosen without its first message.
    chosen: bool,
}

impl S2s {
    pub(super) fn header_of_theirs(&mut self, header: &Header) {
        let named = header.to.as_deref().map(domain);
        let local = match named {
            Some(Some(to)) if self.config.is_reached_here(to.domain()) => Some(to),
            None if self.config.domains.len() == 1 => domain(self.config.first()),
            _ => None,
        };
        let remote = header.from.as_deref().map(domain);
        // What TLS or SASL was done for cannot change (RFC 6120 section 4.7).
        let changed = self.external
            && (local.as_ref() != self.local.as_ref()
                || remote.as_ref().is_some_and(|from| from.as_ref() != self.remote.as_ref()));
        if !self.external {
            self.local.clone_from(&local);
            self.remote = remote.clone().flatten();
            self.admission = None;
        }
        self.header_sent = false;
        self.send_header();
        self.phase = Phase::Open;
        if header.content != SERVER {
            return self.fail(Condition::InvalidNamespace);
        }
        if header.version.0 < 1 {
            return self.fail(Condition::UnsupportedVersion);
        }
        if local.is_none() {
            return self.fail(Condition::HostUnknown);
        }
        if remote == Some(None) || changed {
            return self.fail(Condition::InvalidFrom);
        }
        match self.pair().filter(|_| !self.external && self.is_ready()) {
            Some(pair) => {
                self.reader.park();
                self.ask_to_admit(pair.clone(), Asked::Header(pair));
            }
            None => {
                self.send_features();
                self.carry_back();
            }
        }
    }

    /// Is the connection as secure as it will be?
    pub(super) fn is_ready(&self) -> bool {
        self.tls.is_some() || self.tls_mode != TlsMode::Upgrade
    }

    /// The hub said whether those of the stream header may come.
    pub(super) fn admitted_them(&mut self, _: DomainPair, answer: Answer) {
        self.reader.unpark();
        match answer {
            Answer::Admitted(admission) => {
                self.admission = Some(admission);
                self.send_features();
            }
            Answer::Refused(refusal) => {
                let condition = match refusal.reason {
                    Reason::RemoteNotFound => Condition::HostUnknown,
                    Reason::NotAuthorized => Condition::InvalidFrom,
                    Reason::Internal | Reason::Overloaded => Condition::InternalServerError,
                    _ => Condition::PolicyViolation,
                };
                self.fail_with(condition, refusal.text.as_deref());
            }
            _ => self.fail(Condition::InternalServerError),
        }
    }

    fn send_features(&mut self) {
        let mut w = Writer::new();
        w.open("stream:features");
        if !self.is_ready() {
            w.open_ns("starttls", TLS).open("required").end().end();
        } else {
            if self.is_certified() && !self.external {
                w.open_ns("mechanisms", SASL).leaf("mechanism", "EXTERNAL").end();
            }
            if !self.bidi {
                w.empty_ns("bidi", BIDI_FEATURE);
            }
            w.open_ns("dialback", DIALBACK_FEATURE).open("errors").end().end();
            w.empty_ns("sm", SM);
        }
        self.out.write_vec(w.finish());
    }

    /// Does their certificate prove that they are who the stream header says?
    fn is_certified(&self) -> bool {
        self.admission.as_ref().is_some_and(|a| a.certified.is_ok())
    }

    /// An element of theirs that is no stanza.
    pub(super) fn nonza_of_theirs(&mut self, stanza: &Stanza<'_>) {
        let ns = stanza.ns();
        if ns == TLS.as_bytes() {
            self.starttls(stanza);
        } else if !self.is_ready() {
            self.fail_with(Condition::PolicyViolation, Some("Begin TLS first."));
        } else if ns == SASL.as_bytes() {
            self.sasl(stanza);
        } else if ns == DIALBACK.as_bytes() {
            self.dialback(stanza);
        } else if stanza.is("bidi", BIDI) {
            self.both_ways();
        } else {
            let known = if self.proved.is_empty() {
                Condition::NotAuthorized
            } else {
                Condition::UnsupportedStanzaType
            };
            self.fail(known);
        }
    }

    fn starttls(&mut self, stanza: &Stanza<'_>) {
        if stanza.name() != b"starttls" || self.tls.is_some() || self.tls_mode != TlsMode::Upgrade {
            // RFC 6120 section 5.4.2.2: failure ends the stream.
            self.out.write(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            return self.say_goodbye();
        }
        self.out.write(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.secure();
    }

    fn sasl(&mut self, stanza: &Stanza<'_>) {
        let text = content(stanza.inner());
        let chosen = self.accepted().is_some_and(|a| std::mem::take(&mut a.chosen));
        let failure = match stanza.name() {
            b"auth" if stanza.attr("mechanism").as_deref() != Some("EXTERNAL") => "invalid-mechanism",
            b"auth" if text.trim().is_empty() => {
                self.out.write(b"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</challenge>");
                if let Some(accepted) = self.accepted() {
                    accepted.chosen = true;
                }
                return;
            }
            b"response" if !chosen => "malformed-request",
            b"auth" | b"response" => match self.external(text.trim()) {
                Ok(()) => return,
                Err(failure) => failure,
            },
            b"abort" => "aborted",
            _ => return self.fail(Condition::InvalidXml),
        };
        let mut w = Writer::new();
        w.open_ns("failure", SASL).open(failure).end();
        let why = self.admission.as_ref().and_then(|a| a.certified.clone().err());
        if let (Some(why), "not-authorized") = (why, failure) {
            w.open("text").attr("xml:lang", "en").text(&why).end();
        }
        self.out.write_vec(w.finish());
        self.proof_failed();
    }

    /// XEP-0178 section 4: the certificate speaks for the domain of the stream header, and for no other.
    fn external(&mut self, message: &str) -> Result<(), &'static str> {
        let pair = self.pair().filter(|_| !self.external).ok_or("invalid-authzid")?;
        if message != "=" && !message.is_empty() {
            let given = STANDARD.decode(message).map_err(|_| "incorrect-encoding")?;
            let given = String::from_utf8(given).map_err(|_| "invalid-authzid")?;
            if domain(&given).as_ref() != Some(&pair.remote) {
                return Err("invalid-authzid");
            }
        }
        if !self.is_certified() {
            return Err("not-authorized");
        }
        self.out.write(b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        self.external = true;
        self.restart();
        self.prove(pair, true);
        Ok(())
    }

    /// Whoever fails again and again is sent away: each attempt may cost us a connection of our own.
    pub(super) fn proof_failed(&mut self) {
        let Some(accepted) = self.accepted() else { return };
        accepted.failures += 1;
        if accepted.failures >= TRIES {
            self.fail_with(Condition::PolicyViolation, Some("Too many failed attempts to prove a domain."));
        }
    }

    /// XEP-0288: they take our stanzas on this stream, too.
    fn both_ways(&mut self) {
        self.bidi = true;
        self.carry_back();
    }
}
