//! Administrators: their names and roles, what each may do, and what waits for a second one.

mod acts;
mod people;
mod requests;
mod role;
mod token;

pub use acts::{ACTS, Act, Second, find, named, of_path};
pub use people::{Administrator, Administrators, Change};
pub use requests::{Answer, Asked, Decided, Request, Requests, State};
pub use role::Role;
pub use token::{NewToken, Token};

use store::Trouble;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The words make no sense.
    #[error("{0}")]
    Bad(String),
    /// There is no such administrator or request.
    #[error("{0}")]
    Missing(String),
    /// Something else stands in the way.
    #[error("{0}")]
    Conflict(String),
    /// Whoever asks may not.
    #[error("{0}")]
    Refused(String),
    /// The store failed.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Who may do this, in words for somebody who may not.
pub fn needs(act: &Act, who: &str, role: Role) -> String {
    let mut may: Vec<&str> = act.roles().map(Role::name).collect();
    let last = may.pop().unwrap_or_default();
    let may = if may.is_empty() { last.to_owned() } else { format!("{} or {last}", may.join(", ")) };
    format!("{} needs the role {may}; {who} is {role}", act.name)
}
