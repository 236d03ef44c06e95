//! Over which protocol people of partners were last heard, where a partner speaks two: kept in the store, for a while.

use crate::agreement::Protocol;
use crate::clock::wall;
use crate::error::{BookError, written};
use model::{Address, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use store::{Shelf, Trouble};
use utoipa::ToSchema;

/// After so long somebody who was not heard since is asked for again, milliseconds.
const AGE: u64 = 7 * DAY;
/// What is known is written down anew when it is older than this.
const FRESH: u64 = DAY;
const DAY: u64 = 86_400_000;
/// People remembered at most; the one not heard for longest goes.
const REMEMBERED: usize = 20_000;

/// Over which protocol somebody was last heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Learnt {
    /// Who.
    pub who: String,
    /// Over which.
    pub protocol: Protocol,
    /// When, RFC 3339, to the day: it is not written down more often.
    pub at: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Heard {
    protocol: Protocol,
    /// Unix milliseconds.
    at: u64,
}

/// What is known of people.
#[derive(Default)]
pub(crate) struct Memory {
    people: Mutex<HashMap<Address, Heard>>,
    /// Those whose entry in the store is not as it is here.
    unwritten: Mutex<BTreeSet<Address>>,
    /// Held while it is brought there.
    writing: Mutex<()>,
}

impl Memory {
    /// What the store has, as far as it is not too old. Blocks.
    pub fn read(store: &dyn store::Partners) -> Result<Self, Trouble> {
        let memory = Self::default();
        let now = wall().unix_ms();
        for (name, doc) in store.documents(Shelf::Learnt)? {
            let (Ok(who), Ok(heard)) = (Address::parse(&name), serde_json::from_slice::<Heard>(&doc)) else {
                return Err(Trouble::Damaged(format!("what was learnt of {name}")));
            };
            match heard.at + AGE > now {
                true => drop(memory.people.lock().insert(who, heard)),
                false => drop(store.remove_document(Shelf::Learnt, &name)?),
            }
        }
        Ok(memory)
    }

    pub fn over(&self, who: &Address) -> Option<Protocol> {
        let heard = *self.people.lock().get(who)?;
        (heard.at + AGE > wall().unix_ms()).then_some(heard.protocol)
    }

    /// All that is known and not too old, by address.
    pub fn known(&self) -> Vec<(Address, Learnt)> {
        let oldest = wall().unix_ms().saturating_sub(AGE);
        let people = self.people.lock();
        let known = people.iter().filter(|(_, heard)| heard.at > oldest);
        let shown = |(who, heard): (&Address, &Heard)| {
            let at = Timestamp(heard.at).to_string();
            (who.clone(), Learnt { who: who.to_string(), protocol: heard.protocol, at })
        };
        let mut all: Vec<_> = known.map(shown).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// `true` if that must be written down.
    pub fn note(&self, who: &Address, over: Option<Protocol>) -> bool {
        let now = wall().unix_ms();
        let mut people = self.people.lock();
        let Some(protocol) = over else {
            return people.remove(who).is_some() && self.unwritten.lock().insert(who.clone());
        };
        if people.get(who).is_some_and(|h| h.protocol == protocol && h.at + FRESH > now) {
            return false;
        }
        if people.len() >= REMEMBERED && !people.contains_key(who) {
            let oldest = people.iter().min_by_key(|(_, heard)| heard.at).map(|(who, _)| who.clone());
            if let Some(oldest) = oldest {
                people.remove(&oldest);
                self.unwritten.lock().insert(oldest);
            }
        }
        people.insert(who.clone(), Heard { protocol, at: now });
        self.unwritten.lock().insert(who.clone());
        true
    }

    /// Brings the store up to date. Blocks.
    pub fn write(&self, store: &dyn store::Partners) -> Result<(), BookError> {
        let _writing = self.writing.lock();
        loop {
            let Some(who) = self.unwritten.lock().pop_first() else { return Ok(()) };
            let heard = self.people.lock().get(&who).copied();
            let written = match heard {
                Some(heard) => store.put_document(Shelf::Learnt, who.as_str(), &written(&heard)?),
                None => store.remove_document(Shelf::Learnt, who.as_str()).map(drop),
            };
            if let Err(trouble) = written {
                self.unwritten.lock().insert(who);
                return Err(trouble.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::MemoryStore;

    fn who(name: &str) -> Address {
        Address::new(name, "acme.example").unwrap()
    }

    #[test]
    fn what_was_learnt_is_written_once_and_outlives_the_process() {
        let store = MemoryStore::new();
        let memory = Memory::read(&store).unwrap();
        assert!(memory.note(&who("romeo"), Some(Protocol::Xmpp)));
        assert!(!memory.note(&who("romeo"), Some(Protocol::Xmpp)), "no news");
        assert!(memory.note(&who("romeo"), Some(Protocol::Sip)), "he moved");
        assert!(memory.note(&who("tybalt"), Some(Protocol::Sip)));
        assert!(memory.note(&who("tybalt"), None) || memory.over(&who("tybalt")).is_none());
        memory.write(&store).unwrap();
        let again = Memory::read(&store).unwrap();
        assert_eq!(again.over(&who("romeo")), Some(Protocol::Sip));
        assert_eq!(again.over(&who("tybalt")), None);
    }

    #[test]
    fn what_is_old_is_asked_again_and_gone() {
        use store::Partners as _;
        let store = MemoryStore::new();
        let old = Heard { protocol: Protocol::Sip, at: wall().unix_ms() - AGE - 1 };
        store.put_document(Shelf::Learnt, "romeo@acme.example", &written(&old).unwrap()).unwrap();
        let memory = Memory::read(&store).unwrap();
        assert_eq!(memory.over(&who("romeo")), None);
        assert!(store.documents(Shelf::Learnt).unwrap().is_empty());
        memory.people.lock().insert(who("juliet"), old);
        assert_eq!(memory.over(&who("juliet")), None, "while the server runs, too");
    }

    #[test]
    fn no_more_are_remembered_than_may_be() {
        let memory = Memory::default();
        for n in 0..REMEMBERED + 3 {
            memory.note(&who(&format!("u{n}")), Some(Protocol::Sip));
        }
        assert_eq!(memory.people.lock().len(), REMEMBERED);
    }
}
