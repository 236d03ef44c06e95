//! Presence on the record, where the house wants that.

use super::from_hub;
use crate::house::Hub;
use model::codec::{encode_body, encode_head};
use model::{Address, Basic, Envelope, Event, Judgement, LeaseKey, Publish, Tuple};
use std::hash::BuildHasher;
use store::{Draft, RowKind};

/// What was last put on record, for so many devices and applications of an account.
const REMEMBERED: usize = 64;

/// What of somebody's presence is on record: the publication, and a digest of what it said.
#[derive(Default)]
pub(crate) struct Recorded(Vec<(LeaseKey, u64)>);

impl Recorded {
    /// Notes what is said; `false` where the same is the last that is on record.
    fn is_news(&mut self, key: &LeaseKey, said: u64) -> bool {
        if self.0.contains(&(key.clone(), said)) {
            return false;
        }
        self.forget(key);
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push((key.clone(), said));
        true
    }

    /// Nothing is said any more, or it is not on record after all.
    pub fn forget(&mut self, key: &LeaseKey) {
        self.0.retain(|(known, _)| known != key);
    }
}

impl Hub {
    /// Must it be on record? Presence that is only said again, as phones do all day, is not. Asked once for each publication, in the
    /// order in which they come: what is said again may then overtake what is still being written, and is the same.
    pub(crate) fn is_presence_recorded(&self, envelope: &Envelope, publish: &Publish, passes: bool) -> bool {
        if !self.parts.presence {
            return false;
        }
        let is_own = envelope.to.address == envelope.from.address;
        let Some(account) = self.account_at_hand(&envelope.from.address).filter(|_| is_own && passes) else {
            return true;
        };
        let mut state = account.state.lock();
        if publish.tuples.iter().all(|tuple| tuple.basic == Basic::Closed) {
            state.recorded.forget(&publish.key);
            return true;
        }
        state.recorded.is_news(&publish.key, self.hasher.hash_one(encode_body(envelope)))
    }

    /// It could not be put on record, and is news again if it is said again.
    pub(crate) fn presence_unrecorded(&self, envelope: &Envelope) {
        if let Event::Publish(publish) = &envelope.event
            && let Some(account) = self.account_at_hand(&envelope.from.address)
        {
            account.state.lock().recorded.forget(&publish.key);
        }
    }

    /// What ended without a word, a session or a publication: a row of the server's own.
    pub(crate) fn record_silence(&self, presentity: &Address, gone: &[Tuple]) {
        if !self.parts.presence || gone.is_empty() {
            return;
        }
        let publish = Publish { key: LeaseKey::new(""), tuples: gone.to_vec(), secs: None };
        let envelope = from_hub(presentity.clone(), presentity.clone(), Event::Publish(publish));
        let draft = Draft {
            kind: RowKind::Envelope,
            at: envelope.at,
            mailbox: None,
            parties: (presentity.clone(), presentity.clone()),
            head: encode_head(&envelope, &Judgement::default()),
            body: encode_body(&envelope),
        };
        let end = move |end: Result<_, _>| {
            if let Err(trouble) = end {
                tracing::warn!(presentity = %envelope.from.address, %trouble, "that a session ended is not on record");
            }
        };
        self.parts.journal.append(draft, Box::new(end));
    }
}
