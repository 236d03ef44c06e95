use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Something people do with one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Feature {
    /// Messages.
    Im,
    /// Who is there, and asking to see it.
    Presence,
    /// That somebody is typing.
    Typing,
    /// That a message arrived or was read.
    Receipts,
    /// Rooms.
    Rooms,
    /// Files, also within messages.
    Files,
    /// Calls.
    Calls,
    /// Looking people up: profiles, search.
    Directory,
    /// What is encrypted between the people themselves, so that no server can read it.
    E2e,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Im,
        Self::Presence,
        Self::Typing,
        Self::Receipts,
        Self::Rooms,
        Self::Files,
        Self::Calls,
        Self::Directory,
        Self::E2e,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Im => "im",
            Self::Presence => "presence",
            Self::Typing => "typing",
            Self::Receipts => "receipts",
            Self::Rooms => "rooms",
            Self::Files => "files",
            Self::Calls => "calls",
            Self::Directory => "directory",
            Self::E2e => "e2e",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
