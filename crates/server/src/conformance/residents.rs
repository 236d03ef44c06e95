//! Who lives here: the accounts of the store, and the responder, which has no password and no place in it.

use model::{Address, Credential, Scheme};
use partner::RESPONDER;
use std::sync::Arc;
use store::{Accounts, SqliteStore, Trouble};

/// Accounts as the hub knows them.
pub struct Residents(pub Arc<SqliteStore>);

impl Accounts for Residents {
    fn create(&self, account: &Address, credentials: &[(Scheme, Credential)]) -> Result<bool, Trouble> {
        self.0.create(account, credentials)
    }

    fn set_credentials(
        &self,
        account: &Address,
        credentials: &[(Scheme, Credential)],
    ) -> Result<bool, Trouble> {
        self.0.set_credentials(account, credentials)
    }

    fn remove(&self, account: &Address) -> Result<bool, Trouble> {
        Accounts::remove(self.0.as_ref(), account)
    }

    fn exists(&self, account: &Address) -> Result<bool, Trouble> {
        Ok(account.user() == Some(RESPONDER) || self.0.exists(account)?)
    }

    fn credential(&self, account: &Address, scheme: Scheme) -> Result<Option<Credential>, Trouble> {
        self.0.credential(account, scheme)
    }

    fn list(&self, after: Option<&Address>, limit: usize) -> Result<Vec<Address>, Trouble> {
        self.0.list(after, limit)
    }
}
