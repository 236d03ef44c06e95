//! What can spread: a link, a file or a text, known again by a hash.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// What kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A link.
    Link,
    /// The content of a file.
    File,
    /// The shape of a text.
    Text,
}

impl Kind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::File => "file",
            Self::Text => "text",
        }
    }
}

/// One thing that can spread. Its content cannot be told from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Artefact {
    /// What it is.
    pub kind: Kind,
    /// The first half of the SHA-256 of its kind and normal form.
    pub key: [u8; 16],
    /// The host of a link, for people.
    pub host: Option<Box<str>>,
}

impl Artefact {
    pub(crate) fn of(kind: Kind, normal: &[u8], host: Option<&str>) -> Self {
        let digest = Sha256::new().chain_update([kind as u8]).chain_update(normal).finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self { kind, key, host: host.map(Into::into) }
    }

    /// A file by the SHA-256 of its content.
    pub(crate) fn file(hash: &[u8]) -> Self {
        Self::of(Kind::File, hash, None)
    }

    /// Its short name, such as `link-1a2b3c4d`.
    pub fn name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Artefact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.kind.name())?;
        self.key[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
