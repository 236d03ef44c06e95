use serde::{Deserialize, Serialize};

/// Somebody, or a whole domain, whom an administrator has blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Address or domain.
    pub who: String,
    /// Since when, Unix milliseconds.
    pub since: u64,
    /// Until when; `None`: until somebody ends it.
    pub until: Option<u64>,
    /// Who ordered it.
    pub by: String,
    /// Why.
    pub note: String,
}

impl Block {
    /// Is it in force?
    pub fn holds(&self, now: u64) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}
