//! What was seen of other companies since the start: whether they could be reached, what their certificates proved,
//! and what would have been refused if it were not only observed. Bounded.

use crate::agreement::Protocol;
use model::{Address, Dialect, DomainPair, Opener, Refusal, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::Hash;
use utoipa::ToSchema;

/// Domains remembered at most, of each kind.
const REMEMBERED: usize = 4096;

/// What is known of connections with one domain in one protocol, since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Contact {
    /// Which domain.
    pub domain: String,
    /// Which protocol.
    pub protocol: Protocol,
    /// When we last reached it, RFC 3339.
    pub reached: Option<String>,
    /// When we last failed to.
    pub failed: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// When it last showed itself by certificate, either way.
    pub shown: Option<String>,
    /// Who connected then: `us` or `them`.
    pub opener: Option<String>,
    /// Did the certificate prove that it is the domain?
    pub proved: bool,
    /// In words: why not, or what had to be tolerated.
    pub remark: Option<String>,
}

/// What would have been refused, had the mode not been `observe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Observed {
    /// Which domain.
    pub domain: String,
    /// The rule that would have.
    pub rule: String,
    /// In words, of the last time.
    pub words: String,
    /// How often.
    pub times: u64,
    /// When first, RFC 3339.
    pub first: String,
    /// When last.
    pub last: String,
}

#[derive(Default)]
pub(crate) struct Notes {
    contacts: Mutex<HashMap<(Address, Protocol), Contact>>,
    observed: Mutex<HashMap<(Address, String), Observed>>,
}

/// The place for this key, if there is room.
fn room<K: Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, new: impl FnOnce() -> V) -> Option<&mut V> {
    if map.len() >= REMEMBERED && !map.contains_key(&key) {
        return None;
    }
    Some(map.entry(key).or_insert_with(new))
}

impl Notes {
    fn contact(&self, remote: &Address, dialect: Dialect, note: impl FnOnce(&mut Contact)) {
        let Some(protocol) = Protocol::of(dialect) else { return };
        let new = || Contact {
            domain: remote.to_string(),
            protocol,
            reached: None,
            failed: None,
            why: None,
            shown: None,
            opener: None,
            proved: false,
            remark: None,
        };
        if let Some(contact) = room(&mut self.contacts.lock(), (remote.clone(), protocol), new) {
            note(contact);
        }
    }

    /// A connection was wanted.
    pub fn tried(&self, pair: &DomainPair, dialect: Dialect, how: &Result<(), Refusal>, now: Timestamp) {
        self.contact(&pair.remote, dialect, |contact| match how {
            Ok(()) => contact.reached = Some(now.to_string()),
            Err(refusal) => {
                contact.failed = Some(now.to_string());
                let words = refusal.text.as_deref().unwrap_or(refusal.reason.name());
                contact.why = Some(words.to_owned());
            }
        });
    }

    /// A certificate was looked at; `Ok` with what had to be tolerated.
    pub fn shown(
        &self,
        remote: &Address,
        dialect: Dialect,
        opener: Opener,
        how: &Result<Option<String>, String>,
        now: Timestamp,
    ) {
        self.contact(remote, dialect, |contact| {
            contact.shown = Some(now.to_string());
            contact.opener = Some(if opener == Opener::Us { "us" } else { "them" }.to_owned());
            contact.proved = how.is_ok();
            contact.remark = match how {
                Ok(tolerated) => tolerated.clone(),
                Err(why) => Some(why.clone()),
            };
        });
    }

    /// Something passed that `refusal` would have stopped.
    pub fn let_pass(&self, remote: &Address, refusal: &Refusal, now: Timestamp) {
        let rule = refusal.rule.as_deref().unwrap_or_default().to_owned();
        let words = refusal.text.as_deref().unwrap_or_default();
        let new = || {
            tracing::info!(%remote, rule, words, "only observed: it would have been refused");
            let (domain, rule, now) = (remote.to_string(), rule.clone(), now.to_string());
            Observed { domain, rule, words: String::new(), times: 0, first: now, last: String::new() }
        };
        if let Some(seen) = room(&mut self.observed.lock(), (remote.clone(), rule.clone()), new) {
            seen.times += 1;
            seen.last = now.to_string();
            seen.words = words.to_owned();
        }
    }

    pub fn contacts(&self, which: impl Fn(&Address) -> bool) -> Vec<Contact> {
        let contacts = self.contacts.lock();
        let mut all: Vec<Contact> =
            contacts.iter().filter(|((remote, _), _)| which(remote)).map(|(_, c)| c.clone()).collect();
        all.sort_by(|a, b| (&a.domain, a.protocol).cmp(&(&b.domain, b.protocol)));
        all
    }

    pub fn observed(&self) -> Vec<Observed> {
        let mut all: Vec<Observed> = self.observed.lock().values().cloned().collect();
        all.sort_by(|a, b| (&a.domain, &a.rule).cmp(&(&b.domain, &b.rule)));
        all
    }
}
