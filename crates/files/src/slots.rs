//! Places that were promised and not used yet. They live in memory: after a restart a client asks for another one.

use model::{Address, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
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

/// Promises by their tokens.
#[derive(Default)]
pub(crate) struct Slots(Mutex<HashMap<String, Promise>>);

impl Slots {
    /// Bytes and number of what an account was promised and has not sent yet.
    pub fn open(&self, owner: &Address, now: Timestamp) -> (u64, usize) {
        let slots = self.0.lock();
        let theirs = slots.values().filter(|slot| slot.owner == *owner && slot.until > now);
        theirs.fold((0, 0), |(bytes, n), slot| (bytes + slot.size, n + 1))
    }

    /// Keeps a promise under its token; `false` where there are too many.
    pub fn promise(&self, token: &str, promise: Promise, now: Timestamp) -> bool {
        let theirs = self.open(&promise.owner, now).1;
        let mut slots = self.0.lock();
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
        self.0.lock().get(token).filter(|slot| slot.until > now).map(|slot| slot.size)
    }

    /// Uses one up.
    pub fn take(&self, token: &str, now: Timestamp) -> Option<Promise> {
        self.0.lock().remove(token).filter(|slot| slot.until > now)
    }

    /// Forgets those that nobody used.
    pub fn tidy(&self, now: Timestamp) {
        self.0.lock().retain(|_, slot| slot.until > now);
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
        assert!(slots.take("one", start).is_some() && slots.take("one", start).is_none());
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
