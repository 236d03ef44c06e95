//! Ports: traits only, spoken by the hub and the server, answered by rooms that know nothing of them.

mod blocking;
mod federation;
mod hygiene;
mod published;
mod spim;
mod unrecorded;
mod upload;
mod watch;

pub use blocking::Blocking;
pub use federation::{Applicant, Dialler, Hop, HopSecurity, Partners, Route, Told, Ways};
pub use hygiene::{Finding, Hygiene, Remedy};
pub use published::{Published, Signed, Tlsa};
pub use spim::{Ruling, Spim, Standing};
pub use unrecorded::{Gap, Unrecorded};
pub use upload::{Inspector, Linked, Links, Looked, Uploads};
pub use watch::Watch;

use model::{Address, Credential, Message, Original, Scheme, Secret};

/// A port could not do its work: ours to mend, never the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// What lies behind the port failed; in words, without secrets.
    #[error("{0}")]
    Failed(String),
    /// What was asked for is not allowed; in words for the person who asked.
    #[error("{0}")]
    Refused(String),
}

/// Renders a message anew after a rule changed it.
pub trait Rewriter: Send + Sync {
    /// The sender's rendering with the texts that the message has now, and without any other text. `None` where the
    /// sender's dialect knows no such thing: doors then render the message by itself.
    fn rewrite(&self, original: &Original, message: &Message) -> Option<Original>;
}

/// Who can prove to be whom. Calls may block.
pub trait Credentials: Send + Sync {
    /// The stored key of an account; `None` for an unknown account or scheme.
    ///
    /// # Errors
    /// [`PortError::Failed`]
    fn credential(&self, account: &Address, scheme: Scheme) -> Result<Option<Credential>, PortError>;

    /// Does this password belong to this account? Takes as long for an unknown account as for a known one.
    ///
    /// # Errors
    /// [`PortError::Failed`]
    fn verify(&self, account: &Address, password: &Secret) -> Result<bool, PortError>;
}

/// Managing accounts. Calls block.
pub trait AccountAdmin: Send + Sync {
    /// Creates an account. `false` if it exists.
    ///
    /// # Errors
    /// [`PortError::Refused`] for a password that is not acceptable.
    fn create(&self, account: &Address, password: &Secret) -> Result<bool, PortError>;

    /// Creates an account with keys that were derived elsewhere; those for other schemes are made when its owner first shows the
    /// password in clear. `false` if it exists.
    ///
    /// # Errors
    /// [`PortError::Refused`] for a name that no account can have.
    fn adopt(&self, account: &Address, keys: &[(Scheme, Credential)]) -> Result<bool, PortError>;

    /// Every key of an account.
    ///
    /// # Errors
    /// [`PortError::Failed`]
    fn keys(&self, account: &Address) -> Result<Vec<(Scheme, Credential)>, PortError>;

    /// Sets a password. `false` if there is no such account.
    ///
    /// # Errors
    /// [`PortError::Refused`] for a password that is not acceptable.
    fn set_password(&self, account: &Address, password: &Secret) -> Result<bool, PortError>;

    /// Removes an account; its record stays. `false` if there was none.
    ///
    /// # Errors
    /// [`PortError::Failed`]
    fn remove(&self, account: &Address) -> Result<bool, PortError>;

    /// Accounts in address order after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`PortError::Failed`]
    fn list(&self, after: Option<&Address>, limit: usize) -> Result<Vec<Address>, PortError>;
}
