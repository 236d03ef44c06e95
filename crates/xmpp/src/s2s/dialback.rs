//! Dialback (XEP-0220) on connections that another server opened: it proves a domain with a key that the domain's own
//! server knows, or with its certificate alone (XEP-0344); and it asks whether a key is one of ours.
//!
//! Several pairs of domains may share a stream: each is admitted and proved for itself (XEP-0220 section 2.6).

use model::{Answer, Ask, DomainPair, Reason, Refusal};

use crate::translate::refusal::{self, StanzaError};
use crate::wire::{Condition, Stanza, content};

use super::S2s;
use super::keys;
use super::phase::{Asked, domain};

/// Dialbacks of one connection that may be under way at a time.
const PENDING: usize = 8;
/// Pairs that one connection may carry.
const PAIRS: usize = 256;

impl S2s {
    /// An element of dialback.
    pub(super) fn dialback(&mut self, stanza: &Stanza<'_>) {
        if stanza.attr("type").is_some() {
            // An answer, and we have asked nothing here.
            return;
        }
        let (from, to) = (stanza.attr("from"), stanza.attr("to"));
        let (Some(from), Some(to)) = (from.as_deref().and_then(domain), to.as_deref().and_then(domain))
        else {
            return self.fail(Condition::ImproperAddressing);
        };
        let pair = DomainPair { local: to, remote: from };
        let key = content(stanza.inner()).trim().to_owned();
        match stanza.name() {
            b"result" => self.result(pair, key),
            b"verify" => self.verify(&pair, &stanza.attr("id").unwrap_or_default(), &key),
            _ => self.fail(Condition::UnsupportedStanzaType),
        }
    }

    /// They say who they are: is it true?
    fn result(&mut self, pair: DomainPair, key: String) {
        if !self.config.is_reached_here(pair.local.domain()) {
            self.dialback_answer("db:result", &pair, None, Err(StanzaError::ITEM_NOT_FOUND));
            return self.proof_failed();
        }
        if self.is_proved(&pair) {
            return self.dialback_answer("db:result", &pair, None, Ok(true));
        }
        let proved = self.proved.len();
        let Some(accepted) = self.accepted() else { return };
        if accepted.pending.contains(&pair) {
            return;
        }
        if accepted.pending.len() >= PENDING || proved >= PAIRS {
            let error = refusal::render(&Refusal::new(Reason::Overloaded));
            return self.dialback_answer("db:result", &pair, None, Err(error));
        }
        accepted.pending.push(pair.clone());
        self.ask_to_admit(pair.clone(), Asked::Dialback(pair, key));
    }

    /// The hub said whether the pair may be served, and what their certificate is worth.
    pub(super) fn dialback_admitted(&mut self, pair: DomainPair, key: String, answer: Answer) {
        match answer {
            Answer::Admitted(admission) if admission.certified.is_ok() => {
                self.dialback_ended(pair, Ok(true), true);
            }
            Answer::Admitted(admission) if admission.dialback => {
                let proof = format!("{} {key}", self.id);
                self.timers.confirming(self.now.tick);
                self.ask(Ask::Confirm { pair: pair.clone(), proof: proof.into() }, Asked::Confirm(pair));
            }
            Answer::Admitted(admission) => {
                let why = admission.certified.err().unwrap_or_default();
                let refusal = Refusal::new(Reason::NotAuthorized).with_text(why);
                self.dialback_ended(pair, Err(refusal), false);
            }
            Answer::Refused(refusal) => self.dialback_ended(pair, Err(refusal), false),
            _ => self.dialback_ended(pair, Err(Refusal::new(Reason::Internal)), false),
        }
    }

    /// The domain's own server said whether the key is its.
    pub(super) fn dialback_confirmed(&mut self, pair: DomainPair, answer: Answer) {
        match answer {
            Answer::Verified(valid) => self.dialback_ended(pair, Ok(valid), false),
            Answer::Refused(refusal) => self.dialback_ended(pair, Err(refusal), false),
            _ => self.dialback_ended(pair, Err(Refusal::new(Reason::Internal)), false),
        }
    }

    fn dialback_ended(&mut self, pair: DomainPair, verdict: Result<bool, Refusal>, certified: bool) {
        if let Some(accepted) = self.accepted() {
            accepted.pending.retain(|p| p != &pair);
        }
        let valid = verdict == Ok(true);
        self.dialback_answer("db:result", &pair, None, verdict.map_err(|r| refusal::render(&r)));
        match valid {
            true => self.prove(pair, certified),
            false => self.proof_failed(),
        }
    }

    /// Somebody asks whether we said this. Nothing is remembered, so any connection will do.
    fn verify(&mut self, pair: &DomainPair, id: &str, key: &str) {
        let verdict = match self.config.is_reached_here(pair.local.domain()) {
            true => {
                let ends = (pair.remote.domain(), pair.local.domain());
                Ok(keys::is_key(&self.config.dialback_secret, ends, id, key))
            }
            false => Err(StanzaError::ITEM_NOT_FOUND),
        };
        self.dialback_answer("db:verify", pair, Some(id), verdict);
    }
}
