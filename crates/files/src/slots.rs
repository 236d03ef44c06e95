//! Places that were promised and not used yet. They live in memory: after a restart a client asks for another one.

use model::{Address, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use store::Trouble;

/// How long a slot waits for its file, in milliseconds.
pub(crate) const TERM: u64 = 300_000;

/// Slots that one account may have open, and all together.
const OF_ONE: usize = 32;
const OF_ALL: usize = 20_000;

/// A place that was promised.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    pub owner: Address,
    pub name: String,
    pub mime: String,
    pub size: u64,
    pub id: String,
    pub secret: String,
    until: Timestamp,
}

impl Promise {
    pub fn new(
        owner: Address,
        name: String,
        mime: String,
        size: u64,
        now: Timestamp,
    ) -> Result<Self, Trouble> {
        let until = Timestamp(now.unix_ms() + TERM);
        Ok(Self { owner, name, mime, size, id: word(12)?, secret: word(26)?, until })
    }
}

/// Promises by their tokens, and what is on its way.
#[derive(Default)]
pub(crate) struct Slots {
    all: Mutex<HashMap<String, Promise>>,
    sending: Sending,
}

/// Bytes that each account is sending.
type Sending = Arc<Mutex<HashMap<Address, u64>>>;

/// A promise that is being kept; its bytes count until it is dropped.
pub(crate) struct Kept {
    promise: Promise,
    sending: Sending,
}

impl Deref for Kept {
    type Target = Promise;

    fn deref(&self) -> &Promise {
        &self.promise
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut sending = self.sending.lock();
        let Some(bytes) = sending.get_mut(&self.promise.owner) else { return };
        *bytes = bytes.saturating_sub(self.promise.size);
        if *bytes == 0 {
            sending.remove(&self.promise.owner);
        }
    }
}

impl Slots {
    /// Bytes of what an account was promised and has not sent whole, and the number of what it has not begun to send.
    pub fn open(&self, owner: &Address, now: Timestamp) -> (u64, usize) {
        let slots = self.all.lock();
        let theirs = slots.values().filter(|slot| slot.owner == *owner && slot.until > now);
        let sending = self.sending.lock().get(owner).copied().unwrap_or_default();
        theirs.fold((sending, 0), |(bytes, n), slot| (bytes + slot.size, n + 1))
    }

    /// Keeps a promise under its token; `false` where there are too many.
    pub fn promise(&self, token: &str, promise: Promise, now: Timestamp) -> bool {
        let theirs = self.open(&promise.owner, now).1;
        let mut slots = self.all.lock();
        if slots.len() >= OF_ALL {
            slots.retain(|_, slot| slot.until > now);
        }
        let fits = theirs < OF_ONE && slots.len() < OF_ALL;
        if fits {
            slots.insert(token.to_owned(), promise);
        }
        fits
    }

    /// The size that was promised under a token.
    pub fn size(&self, token: &str, now: Timestamp) -> Option<u64> {
        self.all.lock().get(token).filter(|slot| slot.until > now).map(|slot| slot.size)
    }

    /// Uses one up.
    pub fn take(&self, token: &str, now: Timestamp) -> Option<Kept> {
        let mut slots = self.all.lock();
        let promise = slots.remove(token).filter(|slot| slot.until > now)?;
        *self.sending.lock().entry(promise.owner.clone()).or_default() += promise.size;
        Some(Kept { promise, sending: self.sending.clone() })
    }

    /// Forgets those that nobody used.
    pub fn tidy(&self, now: Timestamp) {
        self.all.lock().retain(|_, slot| slot.until > now);
    }
}

/// So many random letters and digits, five bits each, which nobody can guess.
pub(crate) fn word(len: usize) -> Result<String, Trouble> {
    let mut random = vec![0u8; len];
    getrandom::fill(&mut random).map_err(|e| Trouble::Failed(format!("no randomness: {e}")))?;
    let letters = b"abcdefghijklmnopqrstuvwxyz234567";
    Ok(random.iter().map(|b| char::from(letters[usize::from(b & 31)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_once_and_not_for_ever() {
        let slots = Slots::default();
        let (me, start) = (Address::parse("romeo@example.com").unwrap(), Timestamp(1_000));
        let promise = |size| Promise::new(me.clone(), "a".into(), String::new(), size, start).unwrap();
        assert!(slots.promise("one", promise(5), start) && slots.promise("two", promise(7), start));
        assert_eq!((slots.open(&me, start), slots.size("one", start)), ((12, 2), Some(5)));
        let kept = slots.take("one", start).unwrap();
        assert!(slots.take("one", start).is_none());
        assert_eq!(slots.open(&me, start), (12, 1), "what is on its way counts");
        drop(kept);
        assert_eq!(slots.open(&me, start), (7, 1));
        let late = Timestamp(1_000 + TERM);
        assert!(slots.size("two", late).is_none() && slots.take("two", late).is_none());
        for n in 0..OF_ONE {
            assert!(slots.promise(&n.to_string(), promise(1), start));
        }
        assert!(!slots.promise("more", promise(1), start));
        slots.tidy(late);
        assert!(slots.promise("more", promise(1), late));
    }
}
