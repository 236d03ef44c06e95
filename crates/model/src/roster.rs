use crate::Address;
use crate::Private;
use compact_str::CompactString;
use std::fmt;

/// A roster entry's subscription state (RFC 6121 section 2.1.2), always derived from the two authorizations
/// between owner and contact, never stored beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subscription {
    /// The owner may watch the contact (`to`).
    pub to: bool,
    /// The contact may watch the owner (`from`).
    pub from: bool,
    /// The owner asked and awaits an answer (`ask='subscribe'`).
    pub asked: bool,
}

impl Subscription {
    /// RFC 6121's word for it.
    pub fn name(self) -> &'static str {
        match (self.to, self.from) {
            (true, true) => "both",
            (true, false) => "to",
            (false, true) => "from",
            (false, false) => "none",
        }
    }
}

/// One contact of an account's list.
#[derive(Clone, PartialEq, Eq)]
pub struct RosterItem {
    /// Who.
    pub contact: Address,
    /// The owner's name for them.
    pub name: Option<String>,
    /// The owner's groups for them.
    pub groups: Vec<CompactString>,
    /// How they are subscribed.
    pub subscription: Subscription,
}

/// A change to a contact list.
#[derive(Clone, PartialEq, Eq)]
pub enum RosterEdit {
    /// Add or rename.
    Set {
        /// Who.
        contact: Address,
        /// The owner's name for them.
        name: Option<String>,
        /// The owner's groups for them.
        groups: Vec<CompactString>,
    },
    /// Remove, ending consent both ways (RFC 6121 section 2.5).
    Remove {
        /// Who.
        contact: Address,
    },
}

// What somebody calls a contact is theirs.
impl fmt::Debug for RosterItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RosterItem")
            .field("contact", &self.contact)
            .field("name", &self.name.as_ref().map(Private))
            .field("groups", &Private(&self.groups))
            .field("subscription", &self.subscription)
            .finish()
    }
}

impl fmt::Debug for RosterEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { contact, .. } => write!(f, "Set({contact:?}, (private))"),
            Self::Remove { contact } => write!(f, "Remove({contact:?})"),
        }
    }
}
