//! An account, as it moves from one server to another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An account with what only its owner and the server may know: it is shown nowhere.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `user@domain`.
    pub address: String,
    /// Its password, where another server kept it in clear. We never do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Its keys for SCRAM.
    #[serde(default)]
    pub scram: Vec<Scram>,
    /// Its keys for Digest (RFC 7616): the hash, and HA1 in hexadecimal digits.
    #[serde(default)]
    pub digest: Vec<(String, String)>,
    /// Its contacts.
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// Who asked to see its presence and got no answer yet, with their words.
    #[serde(default)]
    pub asked: Vec<(String, Option<String>)>,
    /// Whom it blocks.
    #[serde(default)]
    pub blocked: Vec<String>,
    /// Rows of the journal that wait for it.
    #[serde(default)]
    pub waiting: Vec<u64>,
}

/// Keys for SCRAM (RFC 5802 section 3), in base64.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scram {
    /// `SCRAM-SHA-1`, `SCRAM-SHA-256`.
    pub mechanism: String,
    /// Iterations.
    pub iterations: u32,
    /// Salt.
    pub salt: String,
    /// StoredKey.
    pub stored_key: String,
    /// ServerKey.
    pub server_key: String,
}

/// One contact of an account's list.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Who.
    pub who: String,
    /// The owner's name for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The owner's groups for them.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The owner may see their presence.
    #[serde(default)]
    pub to: bool,
    /// They may see the owner's presence.
    #[serde(default)]
    pub from: bool,
    /// The owner asked for it and got no answer yet.
    #[serde(default)]
    pub asks: bool,
    /// They may as soon as they ask (RFC 6121 section 3.4).
    #[serde(default)]
    pub approved: bool,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Contact {
    /// The word of RFC 6121 section 2.1.2.
    pub(crate) fn subscription(&self) -> &'static str {
        match (self.to, self.from) {
            (true, true) => "both",
            (true, false) => "to",
            (false, true) => "from",
            (false, false) => "none",
        }
    }
}
