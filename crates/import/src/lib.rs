//! What other servers kept, read: Prosody's files, the portable format of XEP-0227 (which ejabberd and others write),
//! ejabberd's own dump of its archive, and the JSON Lines that we export. Whatever it was, it comes out as [`Found`], one message
//! or account after the other, and what cannot be read is named with file and place, and left out.

mod account;
mod bounded;
mod element;
mod jsonl;
mod lua;
mod pie;
mod prosody;
mod sql;

pub use account::{Account, Contact, Scram};
pub use element::Element;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// Where history comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The data directory of Prosody with its internal storage.
    Prosody,
    /// What `ejabberdctl export_piefxis` writes, after XEP-0227, or `ejabberdctl export2sql`.
    Ejabberd,
    /// A file, or a directory of files, after XEP-0227, of whatever server.
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
    /// A stanza that was sent then. Nothing where it only says something about others, such as that one was delivered.
    pub(crate) fn new(at: u64, stanza: &Element, place: &str) -> Result<Option<Self>, String> {
        let part =
            |name: &str| stanza.attr(name).map(str::to_owned).ok_or_else(|| format!("it has no `{name}`"));
        let (from, to) = (part("from")?, part("to")?);
        if let Some(kind @ ("error" | "groupchat")) = stanza.attr("type") {
            return Err(format!("a message of type {kind} is not taken"));
        }
        if stanza.children().all(|child| BESIDE.contains(&child.ns.as_str())) {
            return Ok(None);
        }
        let text = |name: &str| stanza.child(name).map(Element::text);
        let parts = Parts {
            id: stanza.attr("id").unwrap_or_default().to_owned(),
            thread: text("thread"),
            subject: text("subject"),
            text: text("body"),
        };
        let stanza = stanza.to_xml(element::CLIENT);
        Ok(Some(Self { at, from, to, parts, stanza, place: place.to_owned() }))
    }
}

/// What nobody says: receipts (XEP-0184), markers (XEP-0333), chat states (XEP-0085), hints (XEP-0334), names (XEP-0359), and when
/// it was (XEP-0203, XEP-0091). Archives have messages of nothing else.
const BESIDE: [&str; 7] = [
    "urn:xmpp:receipts",
    "urn:xmpp:chat-markers:0",
    "http://jabber.org/protocol/chatstates",
    "urn:xmpp:hints",
    "urn:xmpp:sid:0",
    "urn:xmpp:delay",
    "jabber:x:delay",
];

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

/// What is taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A message.
    Said(Said),
    /// An account.
    Account(Box<Account>),
}

/// Who takes what is found, or why it cannot be read, and stops the reading by saying so.
pub type Hear<'a> = dyn FnMut(Result<Found, Bad>) -> Result<(), Bad> + 'a;

/// Reads all that is there, in the order of the files. Memory holds one file of Prosody, or one message or account of the
/// others.
///
/// # Errors
/// [`Bad`] where nothing can be read at all, or what `hear` said.
pub fn read(source: Source, path: &Path, hear: &mut Hear<'_>) -> Result<(), Bad> {
    match source {
        Source::Prosody => prosody::read(path, hear),
        Source::Ejabberd if sql::is(path)? => sql::read(path, hear),
        Source::Ejabberd | Source::Xep0227 => pie::read(path, hear),
        Source::Jsonl => jsonl::read(path, hear),
    }
}

/// Tells of a message, if it is one.
fn hear_said(hear: &mut Hear<'_>, said: Result<Option<Said>, String>, place: &str) -> Result<(), Bad> {
    match said {
        Ok(Some(said)) => hear(Ok(Found::Said(said))),
        Ok(None) => Ok(()),
        Err(why) => hear(Err(Bad::new(place, why))),
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

/// A name whose special characters are percent-encoded.
pub(crate) fn plain_name(name: &str) -> Option<String> {
    percent_decode_str(name).decode_utf8().ok().map(|name| name.into_owned())
}

/// A relative path that leads nowhere else but down.
pub(crate) fn plain_path(href: &str) -> Option<PathBuf> {
    let path = PathBuf::from(plain_name(href)?);
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that a reading finds.
    pub(crate) fn all(read: impl FnOnce(&mut Hear<'_>) -> Result<(), Bad>) -> Vec<Result<Found, Bad>> {
        let mut all = Vec::new();
        read(&mut |found| {
            all.push(found);
            Ok(())
        })
        .unwrap();
        all
    }

    pub(crate) fn said(found: &Result<Found, Bad>) -> &Said {
        let Ok(Found::Said(said)) = found else { panic!("{found:?}") };
        said
    }

    pub(crate) fn account(found: &Result<Found, Bad>) -> &Account {
        let Ok(Found::Account(account)) = found else { panic!("{found:?}") };
        account
    }

    /// Cut anywhere, with any byte changed: it is read or it is not, and that is all.
    #[test]
    fn whatever_stands_in_a_file_nothing_panics() {
        let pie = "<?xml version='1.0'?><server-data xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'><host jid='x'>\
            <xi:include href='y'/><user name='u' password='p'><query xmlns='jabber:iq:roster'><item jid='a@b' subscription='both'><group>g</group>\
            </item></query><scram-credentials mechanism='SCRAM-SHA-1'><iter-count>4</iter-count><salt>AA==</salt><server-key>AA==</server-key>\
            <stored-key>AA==</stored-key></scram-credentials><offline-messages><message from='a' to='b'><body>&lt;c&#65;</body>\
            <delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:13:20.5+01:00'/></message></offline-messages></user></host></server-data>";
        let sql = "-- c\nINSERT INTO archive(username, timestamp, xml) VALUES ('b', 1700000000250999, \
            '<message to=''b'' from=''a''><body>\\'c\\n''</body></message>'), (1, 2, E'x');";
        let list = "item({ { \"b\\195\\169\"; name = \"body\"; attr = {} }; attr = { from = \"a\"; to = \"b\" }; when = 17e8; name = 'message' });\n";
        let account =
            "return { iteration_count = 4; salt = \"s\"; stored_key = \"0f0f\"; server_key = \"\"; };";
        let lines = r#"{"time":"2023-11-14T22:13:20.000Z","kind":"edit","from":"a@x","to":"b@y","text":"t","about":"n"}"#;
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(file("p/h/archive")).unwrap();
        std::fs::create_dir_all(file("p/h/accounts")).unwrap();
        for (source, text, at, from) in [
            (Source::Xep0227, pie, "f.xml", "f.xml"),
            (Source::Ejabberd, sql, "f.sql", "f.sql"),
            (Source::Prosody, list, "p/h/archive/u.list", "p"),
            (Source::Prosody, account, "p/h/accounts/u.dat", "p"),
            (Source::Jsonl, lines, "f.jsonl", "f.jsonl"),
        ] {
            let mut found = 0;
            for cut in (0..=text.len()).rev() {
                for byte in [None, Some([b'<', b'\'', 0xff][cut % 3])] {
                    let mut bytes = text.as_bytes().to_vec();
                    match byte {
                        None => bytes.truncate(cut),
                        Some(byte) => bytes.iter_mut().skip(cut).take(1).for_each(|one| *one = byte),
                    }
                    std::fs::write(file(at), bytes).unwrap();
                    let _ = read(source, &file(from), &mut |one| {
                        found += usize::from(one.is_ok());
                        Ok(())
                    });
                }
            }
            assert!(found > 0, "{source}: the sample is one");
        }
    }
}
