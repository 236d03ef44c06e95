//! Who administers: a name, a role, and what proves that it is them.

use crate::token::{self, NewToken, Token};
use crate::{AdminError, Role};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Partners, Shelf, Trouble};

/// Tokens of one administrator that count at a time.
const TOKENS: usize = 16;
/// Administrators.
const MOST: usize = 1_000;
const DAY: u64 = 24 * 3_600_000;

/// Somebody who administers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Administrator {
    /// What they are called, here and on record.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The user of the system that they are, by number.
    #[serde(default)]
    pub uid: Option<u32>,
    /// That user's name when it was looked up.
    #[serde(default)]
    pub user: Option<String>,
    /// Their tokens.
    #[serde(default)]
    pub tokens: Vec<Token>,
    /// Since when, Unix milliseconds.
    pub at: u64,
}

/// What is to be different about an administrator.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Another role.
    pub role: Option<Role>,
    /// Another user of the system, or none.
    pub user: Option<Option<(u32, Option<String>)>>,
}

/// All administrators.
pub struct Administrators {
    store: Arc<dyn Partners>,
    all: RwLock<Vec<Administrator>>,
    /// Held while one is changed.
    changing: Mutex<()>,
}

impl Administrators {
    /// Reads who there is.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn open(store: Arc<dyn Partners>) -> Result<Self, Trouble> {
        let read = |(name, doc): (String, Vec<u8>)| {
            serde_json::from_slice(&doc)
                .map_err(|e| Trouble::Failed(format!("administrator {name} cannot be read: {e}")))
        };
        let all = store.documents(Shelf::Administrator)?.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { store, all: RwLock::new(all), changing: Mutex::new(()) })
    }

    /// All, by name.
    pub fn all(&self) -> Vec<Administrator> {
        self.all.read().clone()
    }

    /// One.
    ///
    /// # Errors
    /// [`AdminError::Missing`]
    pub fn named(&self, name: &str) -> Result<Administrator, AdminError> {
        let all = self.all.read();
        all.iter().find(|a| a.name == name).cloned().ok_or_else(|| {
            let meant = policy::nearest(name, all.iter().map(|a| a.name.as_str()));
            let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            AdminError::Missing(format!("there is no administrator {name:?}{meant}"))
        })
    }

    /// Who this user of the system is.
    pub fn of_user(&self, uid: u32) -> Option<Administrator> {
        self.all.read().iter().find(|a| a.uid == Some(uid)).cloned()
    }

    /// Whose token this is, and what it is called; `now` in Unix milliseconds.
    ///
    /// # Errors
    /// [`AdminError::Refused`] where it is nobody's, or no longer counts.
    pub fn of_token(&self, secret: &str, now: u64) -> Result<(Administrator, String), AdminError> {
        // A hash tells nothing about the secret, however long it takes to compare.
        let hash = token::hash(secret);
        let all = self.all.read();
        let found = all.iter().find_map(|a| Some((a, a.tokens.iter().find(|t| t.hash == hash)?)));
        match found {
            None => Err(AdminError::Refused("this token is nobody's".into())),
            Some((a, token)) if token.until <= now => {
                let (name, id) = (&a.name, &token.id);
                Err(AdminError::Refused(format!(
                    "the token {id} of {name} has expired; `rialto admin token {name}` makes another"
                )))
            }
            Some((a, token)) => Ok((a.clone(), token.id.clone())),
        }
    }

    /// Adds one. Blocks, as all that follow.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn add(
        &self,
        name: &str,
        role: Role,
        user: Option<(u32, Option<String>)>,
        now: u64,
    ) -> Result<Administrator, AdminError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-@".contains(c);
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if name.len() > 64 || !begins || !name.chars().all(plain) {
            return Err(AdminError::Bad(format!(
                "{name:?} is no name for an administrator: small letters, digits, `.`, `_`, `-` and `@`, a letter first"
            )));
        }
        if ["me", "server", "owner", "nobody"].contains(&name) {
            return Err(AdminError::Bad(format!("{name:?} means somebody else: choose another name")));
        }
        let _changing = self.changing.lock();
        if self.named(name).is_ok() {
            return Err(AdminError::Conflict(format!("there is an administrator {name} already")));
        }
        if self.all.read().len() >= MOST {
            return Err(AdminError::Conflict(format!("there are {MOST} administrators already")));
        }
        self.free(&user, name)?;
        let (uid, user) = user.map_or((None, None), |(uid, user)| (Some(uid), user));
        let new = Administrator { name: name.to_owned(), role, uid, user, tokens: Vec::new(), at: now };
        self.put(new)
    }

    /// Changes one.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn change(&self, name: &str, change: Change) -> Result<Administrator, AdminError> {
        let _changing = self.changing.lock();
        let mut one = self.named(name)?;
        one.role = change.role.unwrap_or(one.role);
        if let Some(user) = change.user {
            self.free(&user, name)?;
            (one.uid, one.user) = user.map_or((None, None), |(uid, user)| (Some(uid), user));
        }
        self.put(one)
    }

    /// Removes one, with their tokens.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn remove(&self, name: &str) -> Result<(), AdminError> {
        let _changing = self.changing.lock();
        self.named(name)?;
        self.store.remove_document(Shelf::Administrator, name)?;
        self.all.write().retain(|a| a.name != name);
        Ok(())
    }

    /// Makes a token that counts for so many days.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn token(&self, name: &str, days: u32, now: u64) -> Result<NewToken, AdminError> {
        if !(1..=3_650).contains(&days) {
            return Err(AdminError::Bad("a token counts for 1 to 3650 days".into()));
        }
        let _changing = self.changing.lock();
        let mut one = self.named(name)?;
        one.tokens.retain(|token| token.until > now);
        if one.tokens.len() >= TOKENS {
            return Err(AdminError::Conflict(format!(
                "{name} has {TOKENS} tokens already; `rialto admin token {name} --revoke ID` ends one"
            )));
        }
        let (token, made) = Token::make(now, now + u64::from(days) * DAY)?;
        one.tokens.push(token);
        self.put(one)?;
        Ok(made)
    }

    /// Ends one token of somebody, or all; how many.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn revoke(&self, name: &str, id: Option<&str>) -> Result<usize, AdminError> {
        let _changing = self.changing.lock();
        let mut one = self.named(name)?;
        let before = one.tokens.len();
        one.tokens.retain(|token| id.is_some_and(|id| token.id != id));
        let gone = before - one.tokens.len();
        if let (Some(id), 0) = (id, gone) {
            return Err(AdminError::Missing(format!("{name} has no token {id}")));
        }
        self.put(one)?;
        Ok(gone)
    }

    /// Nobody else is this user of the system.
    fn free(&self, user: &Option<(u32, Option<String>)>, name: &str) -> Result<(), AdminError> {
        let Some((uid, _)) = user else { return Ok(()) };
        match self.of_user(*uid).filter(|other| other.name != name) {
            None => Ok(()),
            Some(other) => {
                Err(AdminError::Conflict(format!("uid {uid} is the administrator {} already", other.name)))
            }
        }
    }

    fn put(&self, one: Administrator) -> Result<Administrator, AdminError> {
        let doc = serde_json::to_vec(&one).map_err(|e| Trouble::Failed(e.to_string()))?;
        self.store.put_document(Shelf::Administrator, &one.name, &doc)?;
        let mut all = self.all.write();
        all.retain(|a| a.name != one.name);
        let at = all.partition_point(|a| a.name < one.name);
        all.insert(at, one.clone());
        Ok(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::MemoryStore;

    #[test]
    fn administrators_are_kept_and_known_again() {
        let store = Arc::new(MemoryStore::default());
        let all = Administrators::open(store.clone()).unwrap();
        all.add("alice", Role::HelpDesk, Some((1001, Some("alice".into()))), 5).unwrap();
        assert!(matches!(all.add("alice", Role::Auditor, None, 5), Err(AdminError::Conflict(_))));
        for bad in ["", "Alice", "me", "1a", "a b", &"a".repeat(65)] {
            assert!(matches!(all.add(bad, Role::Auditor, None, 5), Err(AdminError::Bad(_))), "{bad:?}");
        }
        let taken = all.add("bob", Role::Auditor, Some((1001, None)), 5);
        assert!(matches!(taken, Err(AdminError::Conflict(why)) if why.contains("alice")));
        all.add("bob", Role::Auditor, None, 5).unwrap();
        all.change("alice", Change { role: Some(Role::SecurityOfficer), user: None }).unwrap();
        let again = Administrators::open(store).unwrap();
        assert_eq!(again.all(), all.all());
        assert_eq!(again.of_user(1001).unwrap().role, Role::SecurityOfficer);
        all.change("alice", Change { role: None, user: Some(None) }).unwrap();
        assert_eq!(all.of_user(1001), None);
        all.remove("bob").unwrap();
        assert!(matches!(all.remove("bob"), Err(AdminError::Missing(_))));
    }

    #[test]
    fn a_token_counts_until_it_ends_and_is_not_kept() {
        let store = Arc::new(MemoryStore::default());
        let all = Administrators::open(store.clone()).unwrap();
        all.add("alice", Role::HelpDesk, None, 0).unwrap();
        let made = all.token("alice", 1, 1_000).unwrap();
        let (who, id) = all.of_token(&made.secret, 2_000).unwrap();
        assert_eq!((who.name.as_str(), &id), ("alice", &made.id));
        let late = all.of_token(&made.secret, 1_000 + DAY).unwrap_err().to_string();
        assert!(late.contains("has expired"), "{late}");
        assert!(all.of_token("rialto_guess", 0).is_err());
        let kept = store.document(Shelf::Administrator, "alice").unwrap().unwrap();
        assert!(!String::from_utf8(kept).unwrap().contains(&made.secret));
        let other = all.token("alice", 1, 1_000).unwrap();
        assert_eq!(all.revoke("alice", Some(&made.id)).unwrap(), 1);
        assert!(all.of_token(&made.secret, 2_000).is_err());
        assert!(all.of_token(&other.secret, 2_000).is_ok());
        assert!(all.revoke("alice", Some(&made.id)).is_err());
        assert_eq!(all.revoke("alice", None).unwrap(), 1);
        for _ in 0..TOKENS {
            all.token("alice", 1, 1_000).unwrap();
        }
        assert!(matches!(all.token("alice", 1, 1_000), Err(AdminError::Conflict(_))));
        all.token("alice", 1, 1_000 + DAY).unwrap();
        assert_eq!(all.named("alice").unwrap().tokens.len(), 1, "what has expired makes room");
        assert!(all.token("alice", 0, 1_000).is_err());
    }
}
