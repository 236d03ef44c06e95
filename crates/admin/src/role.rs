use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;

/// What somebody administers for. What each role may do is in [`crate::ACTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    Administrator,
    /// Keeps harm out: policy, quarantine, outbreaks, partners.
    SecurityOfficer,
    /// Decides about what people write: policy, quarantine, content on record.
    ComplianceReviewer,
    /// Sees what is in force and on record, without content, and changes nothing.
    Auditor,
    /// Helps people: passwords, and why something was refused.
    HelpDesk,
    /// Sees how the server is and what is in force.
    ReadOnly,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Administrator,
        Self::SecurityOfficer,
        Self::ComplianceReviewer,
        Self::Auditor,
        Self::HelpDesk,
        Self::ReadOnly,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::SecurityOfficer => "security-officer",
            Self::ComplianceReviewer => "compliance-reviewer",
            Self::Auditor => "auditor",
            Self::HelpDesk => "help-desk",
            Self::ReadOnly => "read-only",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            let meant = policy::nearest(text, names).map(|meant| format!("; did you mean `{meant}`?"));
            format!("{text:?} is no role: {}{}", names.join(", "), meant.unwrap_or_default())
        })
    }
}
