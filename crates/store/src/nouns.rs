use crate::Trouble;
use bytes::Bytes;
use compact_str::CompactString;
use model::{Address, Credential, LeaseKey, Scheme, Timestamp};

/// Local accounts.
pub trait Accounts: Send + Sync {
    /// Creates an account with its credentials. `false` if it exists.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be written; likewise below.
    fn create(&self, account: &Address, credentials: &[(Scheme, Credential)]) -> Result<bool, Trouble>;

    /// Replaces all credentials of an account. `false` if there is no such account.
    ///
    /// # Errors
    /// [`Trouble`]
    fn set_credentials(
        &self,
        account: &Address,
        credentials: &[(Scheme, Credential)],
    ) -> Result<bool, Trouble>;

    /// Removes an account, its credentials, roster, authorizations and leases; its record stays. `false` if there is none.
    ///
    /// # Errors
    /// [`Trouble`]
    fn remove(&self, account: &Address) -> Result<bool, Trouble>;

    /// Is there such an account?
    ///
    /// # Errors
    /// [`Trouble`]
    fn exists(&self, account: &Address) -> Result<bool, Trouble>;

    /// One stored key.
    ///
    /// # Errors
    /// [`Trouble`]
    fn credential(&self, account: &Address, scheme: Scheme) -> Result<Option<Credential>, Trouble>;

    /// Accounts in address order after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`]
    fn list(&self, after: Option<&Address>, limit: usize) -> Result<Vec<Address>, Trouble>;
}

/// A contact as its owner named it; the subscription follows from [`Authorizations`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// Who.
    pub contact: Address,
    /// The owner's name for them.
    pub name: Option<String>,
    /// The owner's groups for them.
    pub groups: Vec<CompactString>,
}

/// Contact lists.
pub trait Rosters: Send + Sync {
    /// The list of an account, by address.
    ///
    /// # Errors
    /// [`Trouble`]
    fn entries(&self, owner: &Address) -> Result<Vec<RosterEntry>, Trouble>;

    /// Adds or replaces an entry.
    ///
    /// # Errors
    /// [`Trouble`]
    fn put(&self, owner: &Address, entry: &RosterEntry) -> Result<(), Trouble>;

    /// Removes an entry. `false` if there was none.
    ///
    /// # Errors
    /// [`Trouble`]
    fn delete(&self, owner: &Address, contact: &Address) -> Result<bool, Trouble>;
}

/// Where the lasting consent between a presentity and a watcher stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Consent {
    /// Asked, not answered.
    Pending = 1,
    /// Given.
    Granted = 2,
    /// Given before it was asked (RFC 6121 section 3.4 pre-approval).
    PreApproved = 3,
}

impl Consent {
    /// The consent of a stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Pending),
            2 => Some(Self::Granted),
            3 => Some(Self::PreApproved),
            _ => None,
        }
    }
}

/// One authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Whose presence.
    pub presentity: Address,
    /// Who wants to see it.
    pub watcher: Address,
    /// Where it stands.
    pub consent: Consent,
    /// The watcher's words with the request.
    pub note: Option<String>,
}

/// Lasting consent between people (RFC 6121 section 3; RFC 8048 section 5.1).
pub trait Authorizations: Send + Sync {
    /// One authorization; `None` where there is neither consent nor request.
    ///
    /// # Errors
    /// [`Trouble`]
    fn get(&self, presentity: &Address, watcher: &Address) -> Result<Option<Authorization>, Trouble>;

    /// Creates or replaces one.
    ///
    /// # Errors
    /// [`Trouble`]
    fn set(&self, authorization: &Authorization) -> Result<(), Trouble>;

    /// Forgets one. `false` if there was none.
    ///
    /// # Errors
    /// [`Trouble`]
    fn clear(&self, presentity: &Address, watcher: &Address) -> Result<bool, Trouble>;

    /// Everybody who watches, or asks to watch, a presentity.
    ///
    /// # Errors
    /// [`Trouble`]
    fn of_presentity(&self, presentity: &Address) -> Result<Vec<Authorization>, Trouble>;

    /// Everybody a watcher watches or asks to watch.
    ///
    /// # Errors
    /// [`Trouble`]
    fn of_watcher(&self, watcher: &Address) -> Result<Vec<Authorization>, Trouble>;
}

/// Small values the server keeps for itself, such as its SASL secret and its chain id.
pub trait Settings: Send + Sync {
    /// A value.
    ///
    /// # Errors
    /// [`Trouble`]
    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, Trouble>;

    /// Stores a value, durably, before it returns.
    ///
    /// # Errors
    /// [`Trouble`]
    fn set_value(&self, key: &str, value: &[u8]) -> Result<(), Trouble>;
}

/// Passwords of local accounts at other networks, for doors whose protocol cannot do with a derived key. Sealed before
/// they come here, with a key that is not in the store.
pub trait SealedPasswords: Send + Sync {
    /// The sealed password of an account at a network.
    ///
    /// # Errors
    /// [`Trouble`]
    fn sealed(&self, account: &Address, network: &str) -> Result<Option<Vec<u8>>, Trouble>;

    /// Stores, replaces or (`None`) forgets it.
    ///
    /// # Errors
    /// [`Trouble`]
    fn set_sealed(&self, account: &Address, network: &str, sealed: Option<&[u8]>) -> Result<(), Trouble>;
}

/// What a door left with the server that outlives its machine, and the process: a registration, a dialog, a session
/// that may be resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub key: LeaseKey,
    /// Who owns it.
    pub owner: Address,
    /// What the next machine needs to go on. Only the door that left it can read it.
    pub state: Bytes,
    /// When it lapses.
    pub until: Timestamp,
}

/// Leases that last. Writing never blocks and is never a commit of its own while others are under way: the latest
/// word on each key goes with whatever is committed next, 50 ms later at most. So a crash may undo the last 50 ms.
pub trait Leases: Send + Sync {
    /// Queues a new lease, or a new state and term of one.
    fn keep(&self, lease: Lease);

    /// Queues the end of a lease.
    fn forget(&self, key: &LeaseKey);

    /// Every lease that lasts beyond `now`; those that do not are removed. Queued words count.
    ///
    /// # Errors
    /// [`Trouble`]
    fn lasting(&self, now: Timestamp) -> Result<Vec<Lease>, Trouble>;
}
