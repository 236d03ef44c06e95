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

/// Several of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(u16);

impl Features {
    /// All of them.
    pub const ALL: Self = Self((1 << Feature::ALL.len()) - 1);

    /// With one more.
    #[must_use]
    pub fn and(self, feature: Feature) -> Self {
        Self(self.0 | 1 << feature as u16)
    }

    /// With one less.
    #[must_use]
    pub fn without(self, feature: Feature) -> Self {
        Self(self.0 & !(1 << feature as u16))
    }

    /// Is it among them?
    pub fn contains(self, feature: &Feature) -> bool {
        self.0 & 1 << *feature as u16 != 0
    }

    /// Each of them, in the order of [`Feature::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.into_iter().filter(move |feature| self.contains(feature))
    }
}

impl From<Feature> for Features {
    fn from(feature: Feature) -> Self {
        Self::default().and(feature)
    }
}
