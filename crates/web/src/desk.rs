use crate::{Closed, Imports, Operator, Selections};
use hub::Hub;
use model::Timestamp;
use ports::AccountAdmin;
use record::ChainId;
use std::sync::Arc;
use store::{Checkpoints, Journal};

/// What the API works with.
pub struct Desk {
    /// The hub.
    pub hub: Arc<Hub>,
    /// Accounts.
    pub accounts: Arc<dyn AccountAdmin>,
    /// Other companies.
    pub partners: Arc<partner::Federation>,
    /// The policy.
    pub rulebook: Arc<rulebook::Rulebook>,
    /// The watch for outbreaks.
    pub outbreaks: Arc<outbreak::Outbreaks>,
    /// Who administers.
    pub admins: Arc<admin::Administrators>,
    /// What waits for a second administrator.
    pub requests: admin::Requests,
    /// The user of the system that owns this server.
    pub owner: u32,
    /// The guard against unwanted messages of strangers.
    pub guard: Arc<spim::Guard>,
    /// What people upload, if they may.
    pub files: Option<Arc<files::Files>>,
    /// The key with which invitations are signed.
    pub signer: partner::Signer,
    /// The record.
    pub journal: Arc<dyn Journal>,
    /// The record's checkpoints.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// The record's index, if it has one.
    pub search: Option<Arc<search::Index>>,
    /// What must be kept.
    pub matters: Arc<matters::Matters>,
    /// What people look through.
    pub reviews: Arc<matters::Reviews>,
    /// For how long the rest is kept.
    pub rules: Arc<matters::Rules>,
    /// Selections of exports that are being fetched.
    pub selections: Selections,
    /// Names of what was imported.
    pub imports: Imports,
    /// Exports and imports that are done.
    pub closed: Closed,
    /// The record's chain.
    pub chain: ChainId,
    /// The running server.
    pub operator: Arc<dyn Operator>,
    /// When the server started.
    pub started: Timestamp,
    /// Its version.
    pub version: &'static str,
}
