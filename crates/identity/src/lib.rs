//! Who is who. [`LocalAccounts`] answers the hub's questions about credentials from the store's accounts and manages
//! them; [`derive`] makes every key a protocol needs from a password, which itself is never stored. [`SealingKey`] keeps
//! passwords for other networks, which must be said in clear there, unreadable in the store.

mod derive;
mod local;
mod password;
mod sealed;

pub use derive::{ITERATIONS, derive, ha1, scram};
pub use local::LocalAccounts;
pub use password::{Prepared, Unfit, prepare};
pub use sealed::{SealError, SealingKey};
