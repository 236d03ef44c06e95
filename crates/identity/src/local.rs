use crate::derive::{ITERATIONS, derive, scram};
use crate::password::{Prepared, prepare};
use model::{Address, Credential, Scheme, Secret};
use parking_lot::Mutex;
use ports::{AccountAdmin, Credentials, PortError};
use std::sync::Arc;
use store::{Accounts, Trouble};
use subtle::ConstantTimeEq;

/// Accounts whose keys are in our own store.
pub struct LocalAccounts {
    accounts: Arc<dyn Accounts>,
    /// Held while keys change: what is made of an old password must not replace those of a new one.
    changing: Mutex<()>,
}

impl LocalAccounts {
    /// Accounts kept in this store.
    pub fn new(accounts: Arc<dyn Accounts>) -> Self {
        Self { accounts, changing: Mutex::default() }
    }
}

fn failed(trouble: Trouble) -> PortError {
    PortError::Failed(trouble.to_string())
}

fn nameless() -> PortError {
    PortError::Refused("an account needs a user name before its domain".into())
}

fn fit(password: &Secret) -> Result<Prepared, PortError> {
    prepare(password.reveal()).map_err(|unfit| PortError::Refused(unfit.to_string()))
}

fn keys(account: &Address, password: &Secret) -> Result<Vec<(Scheme, Credential)>, PortError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|e| PortError::Failed(format!("no randomness: {e}")))?;
    Ok(derive(account, &fit(password)?, salt))
}

impl Credentials for LocalAccounts {
    fn credential(&self, account: &Address, scheme: Scheme) -> Result<Option<Credential>, PortError> {
        self.accounts.credential(account, scheme).map_err(failed)
    }

    fn verify(&self, account: &Address, password: &Secret) -> Result<bool, PortError> {
        // What cannot be a password is nobody's.
        let Ok(prepared) = prepare(password.reveal()) else { return Ok(false) };
        for scheme in [Scheme::ScramSha256, Scheme::ScramSha1] {
            let stored = self.accounts.credential(account, scheme).map_err(failed)?;
            let Some(compared) = stored else { continue };
            let Credential::Scram { salt, iterations, stored_key, server_key } = &compared else { continue };
            let Credential::Scram { stored_key: stored_now, server_key: server_now, .. } =
                scram(scheme, &prepared, salt, *iterations)
            else {
                continue;
            };
            let fits = bool::from(stored_key.ct_eq(&stored_now) & server_key.ct_eq(&server_now));
            // Keys from another server are seldom all that are needed here: now the others can be made.
            if fits && self.keys(account)?.len() < Scheme::ALL.len() {
                let made = keys(account, password)?;
                let _alone = self.changing.lock();
                let now = self.accounts.credential(account, scheme).map_err(failed)?;
                if now.is_some_and(|now| now == compared) {
                    self.accounts.set_credentials(account, &made).map_err(failed)?;
                }
            }
            return Ok(fits);
        }
        // An unknown account costs as much time as a known one, so that nobody can tell them apart.
        std::hint::black_box(scram(Scheme::ScramSha256, &prepared, &[0; 16], ITERATIONS));
        Ok(false)
    }
}

impl AccountAdmin for LocalAccounts {
    fn create(&self, account: &Address, password: &Secret) -> Result<bool, PortError> {
        if account.user().is_none() {
            return Err(nameless());
        }
        self.accounts.create(account, &keys(account, password)?).map_err(failed)
    }

    fn adopt(&self, account: &Address, keys: &[(Scheme, Credential)]) -> Result<bool, PortError> {
        if account.user().is_none() {
            return Err(nameless());
        }
        self.accounts.create(account, keys).map_err(failed)
    }

    fn keys(&self, account: &Address) -> Result<Vec<(Scheme, Credential)>, PortError> {
        let mut keys = Vec::new();
        for scheme in Scheme::ALL {
            let key = self.accounts.credential(account, scheme).map_err(failed)?;
            keys.extend(key.map(|key| (scheme, key)));
        }
        Ok(keys)
    }

    fn set_password(&self, account: &Address, password: &Secret) -> Result<bool, PortError> {
        let made = keys(account, password)?;
        let _alone = self.changing.lock();
        self.accounts.set_credentials(account, &made).map_err(failed)
    }

    fn remove(&self, account: &Address) -> Result<bool, PortError> {
        self.accounts.remove(account).map_err(failed)
    }

    fn list(&self, after: Option<&Address>, limit: usize) -> Result<Vec<Address>, PortError> {
        self.accounts.list(after, limit).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::MemoryStore;

    #[test]
    fn an_account_from_first_password_to_removal() {
        let accounts = LocalAccounts::new(Arc::new(MemoryStore::new()));
        let juliet = Address::parse("juliet@example.com").unwrap();
        let secret = Secret::new;
        assert_eq!(accounts.verify(&juliet, &secret("wherefore")), Ok(false));
        assert_eq!(accounts.create(&juliet, &secret("wherefore")), Ok(true));
        assert_eq!(accounts.create(&juliet, &secret("other")), Ok(false));
        assert_eq!(accounts.verify(&juliet, &secret("wherefore")), Ok(true));
        assert_eq!(accounts.verify(&juliet, &secret("Wherefore")), Ok(false));
        assert_eq!(accounts.verify(&juliet, &secret("")), Ok(false));
        for scheme in Scheme::ALL {
            assert!(accounts.credential(&juliet, scheme).unwrap().is_some());
        }
        let salt = |accounts: &LocalAccounts| match accounts.credential(&juliet, Scheme::ScramSha1) {
            Ok(Some(Credential::Scram { salt, iterations, .. })) => {
                assert_eq!((salt.len(), iterations), (16, 10_000));
                salt
            }
            _ => panic!("no SCRAM keys"),
        };
        let before = salt(&accounts);
        assert_eq!(accounts.set_password(&juliet, &secret("art thou")), Ok(true));
        assert_ne!(salt(&accounts), before);
        assert_eq!(accounts.verify(&juliet, &secret("wherefore")), Ok(false));
        assert_eq!(accounts.verify(&juliet, &secret("art\u{a0}thou")), Ok(true));
        assert_eq!(accounts.list(None, 9), Ok(vec![juliet.clone()]));
        assert_eq!(accounts.remove(&juliet), Ok(true));
        assert_eq!(accounts.verify(&juliet, &secret("art thou")), Ok(false));
        assert_eq!(accounts.set_password(&juliet, &secret("x")), Ok(false));
    }

    #[test]
    fn keys_of_another_server_become_all_keys_with_the_first_password_in_clear() {
        let accounts = LocalAccounts::new(Arc::new(MemoryStore::new()));
        for (user, scheme) in [("juliet", Scheme::ScramSha1), ("romeo", Scheme::ScramSha256)] {
            let user = Address::new(user, "example.com").unwrap();
            let key = scram(scheme, &prepare("wherefore").unwrap(), b"s", 4_096);
            assert_eq!(accounts.adopt(&user, &[(scheme, key)]), Ok(true));
            assert_eq!(accounts.adopt(&user, &[]), Ok(false));
            assert_eq!(accounts.verify(&user, &Secret::new("other")), Ok(false));
            assert_eq!(accounts.keys(&user).unwrap().len(), 1);
            assert_eq!(accounts.verify(&user, &Secret::new("wherefore")), Ok(true));
            let made = accounts.keys(&user).unwrap();
            assert_eq!(made.len(), 4);
            assert_eq!(accounts.verify(&user, &Secret::new("wherefore")), Ok(true));
            assert!(accounts.keys(&user).unwrap() == made, "made once");
        }
        let nurse = Address::parse("nurse@example.com").unwrap();
        assert_eq!(accounts.adopt(&nurse, &[]), Ok(true));
        assert_eq!(accounts.verify(&nurse, &Secret::new("")), Ok(false));
    }

    #[test]
    fn what_is_refused() {
        let accounts = LocalAccounts::new(Arc::new(MemoryStore::new()));
        let juliet = Address::parse("juliet@example.com").unwrap();
        let refused = |end| assert!(matches!(end, Err(PortError::Refused(_))), "{end:?}");
        refused(accounts.create(&juliet, &Secret::new("")));
        refused(accounts.create(&juliet, &Secret::new("a\tb")));
        refused(accounts.create(&juliet.to_domain(), &Secret::new("pencil")));
        assert_eq!(accounts.list(None, 9), Ok(vec![]));
    }
}
