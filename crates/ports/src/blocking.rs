use crate::PortError;
use model::{Address, Report};

/// Whom people do not want to hear from (XEP-0191). Calls may block.
pub trait Blocking: Send + Sync {
    /// The list of an account.
    fn blocked(&self, account: &Address) -> Vec<Address>;

    /// Puts some on the list.
    ///
    /// # Errors
    /// [`PortError::Refused`] where the list would be too long.
    fn block(&self, account: &Address, who: &[Address]) -> Result<(), PortError>;

    /// Takes some off the list, or, if there are none, everybody.
    ///
    /// # Errors
    /// [`PortError::Failed`]
    fn unblock(&self, account: &Address, who: &[Address]) -> Result<(), PortError>;

    /// Somebody is reported.
    fn report(&self, by: &Address, who: &Address, report: &Report);
}
