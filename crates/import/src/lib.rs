//! History that other servers kept, read: Prosody's files, the portable format of XEP-0227 (which ejabberd and others
//! write), and the JSON Lines that we export. Whatever it was, it comes out as [`Said`], one message after the other, and what
//! cannot be read is named with file and place, and left out.

mod element;
mod jsonl;
mod lua;
mod pie;
mod prosody;

pub use element::Element;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where history comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The data directory of Prosody with its internal storage.
    Prosody,
    /// A file after XEP-0227, as `ejabberdctl export_piefxis` writes.
    Ejabberd,
    /// The same, of whatever server.
    Xep0227,
    /// `messages.jsonl` of an export of ours.
    Jsonl,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Prosody, Self::Ejabberd, Self::Xep0227, Self::Jsonl];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prosody => "prosody",
            Self::Ejabberd => "ejabberd",
            Self::Xep0227 => "xep0227",
            Self::Jsonl => "jsonl",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|source| source.name() == text);
        named.ok_or_else(|| format!("{text:?} is no source: {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// A message that somebody sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// When, Unix milliseconds.
    pub at: u64,
    /// Sender, a JID with or without resource.
    pub from: String,
    /// Addressee, likewise.
    pub to: String,
    /// What the record wants to know by itself.
    pub parts: Parts,
    /// The stanza, in the namespace of clients.
    pub stanza: String,
    /// Where it was read, for whoever must look: file and line, or account and number.
    pub place: String,
}

/// Parts of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The name its sender gave it.
    pub id: String,
    /// The conversation's name among the clients.
    pub thread: Option<String>,
    /// Subject.
    pub subject: Option<String>,
    /// The text.
    pub text: Option<String>,
}

impl Said {
    /// A stanza that was sent then. Nothing where it is not for people to read: an error, a room's talk, a mere marker.
    pub(crate) fn new(at: u64, stanza: &Element, place: &str) -> Result<Self, String> {
        let part =
            |name: &str| stanza.attr(name).map(str::to_owned).ok_or_else(|| format!("it has no `{name}`"));
        let (from, to) = (part("from")?, part("to")?);
        if let Some(kind @ ("error" | "groupchat")) = stanza.attr("type") {
            return Err(format!("a message of type {kind} is not taken"));
        }
        let text = |name: &str| stanza.child(name).map(Element::text);
        let parts = Parts {
            id: stanza.attr("id").unwrap_or_default().to_owned(),
            thread: text("thread"),
            subject: text("subject"),
            text: text("body"),
        };
        let stanza = stanza.to_xml(element::CLIENT);
        Ok(Self { at, from, to, parts, stanza, place: place.to_owned() })
    }
}

/// Something that cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Bad {
    /// File and line.
    pub place: String,
    /// In words.
    pub why: String,
}

impl Bad {
    pub(crate) fn new(place: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { place: place.to_string(), why: why.to_string() }
    }
}

/// Reads all that is there, in the order of the files; `hear` takes each message, or why it cannot be read, and stops it by
/// saying so. Memory holds one file of Prosody, or one message of the others.
///
/// # Errors
/// [`Bad`] where nothing can be read at all, or what `hear` said.
pub fn read(
    source: Source,
    path: &Path,
    hear: &mut dyn FnMut(Result<Said, Bad>) -> Result<(), Bad>,
) -> Result<(), Bad> {
    match source {
        Source::Prosody => prosody::read(path, hear),
        Source::Ejabberd | Source::Xep0227 => pie::read(path, hear),
        Source::Jsonl => jsonl::read(path, hear),
    }
}

/// A file's text.
pub(crate) fn text(path: &Path) -> Result<String, Bad> {
    let bytes = std::fs::read(path).map_err(|e| Bad::new(path.display(), e))?;
    String::from_utf8(bytes).map_err(|_| Bad::new(path.display(), "this is no UTF-8"))
}

/// What is in a directory, in order.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, Bad> {
    let wrong = |e: std::io::Error| Bad::new(dir.display(), e);
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(wrong)? {
        all.push(entry.map_err(wrong)?.path());
    }
    all.sort();
    Ok(all)
}
