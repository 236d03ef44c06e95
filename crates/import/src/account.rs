//! Accounts that another server kept, with their contact lists.

use crate::element::Element;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// An account.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// `user@domain`, as it was written there.
    pub address: String,
    /// Its password, where it was kept in clear.
    pub password: Option<String>,
    /// Its keys for SCRAM.
    pub scram: Vec<Scram>,
    /// Its keys for Digest (RFC 7616), which servers of ours write: hash and HA1, hexadecimal.
    pub digest: Vec<(String, String)>,
    /// Its contacts.
    pub contacts: Vec<Contact>,
    /// Who asked to see its presence and got no answer yet, with their words.
    pub asked: Vec<(String, Option<String>)>,
    /// Whom it blocks.
    pub blocked: Vec<String>,
    /// What else is kept for it there, which is not taken over.
    pub left: Vec<String>,
    /// Where it was read.
    pub place: String,
}

/// Keys for SCRAM (RFC 5802 section 3).
#[derive(Clone, PartialEq, Eq)]
pub struct Scram {
    /// `SCRAM-SHA-1`...
    pub mechanism: String,
    /// Iterations.
    pub iterations: u32,
    /// Salt.
    pub salt: Vec<u8>,
    /// StoredKey.
    pub stored_key: Vec<u8>,
    /// ServerKey.
    pub server_key: Vec<u8>,
}

/// One contact of an account's list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub who: String,
    /// The owner's name for them.
    pub name: Option<String>,
    /// The owner's groups for them.
    pub groups: Vec<String>,
    /// The owner may see their presence.
    pub to: bool,
    /// They may see the owner's presence.
    pub from: bool,
    /// The owner asked for it and got no answer yet.
    pub asks: bool,
    /// They may as soon as they ask (RFC 6121 section 3.4).
    pub approved: bool,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("address", &self.address)
            .field("contacts", &self.contacts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl Contact {
    /// One by the words of RFC 6121 section 2.1.2.
    pub(crate) fn new(who: &str, subscription: &str) -> Self {
        Self {
            who: who.to_owned(),
            to: matches!(subscription, "to" | "both"),
            from: matches!(subscription, "from" | "both"),
            ..Self::default()
        }
    }

    /// An item of a contact list; nothing for what was taken off.
    pub(crate) fn of(item: &Element) -> Option<Self> {
        let subscription = item.attr("subscription").unwrap_or_default();
        let who = item.attr("jid").filter(|_| item.name == "item" && subscription != "remove")?;
        Some(Self {
            name: item.attr("name").filter(|name| !name.is_empty()).map(str::to_owned),
            groups: item.children().filter(|child| child.name == "group").map(Element::text).collect(),
            asks: item.attr("ask") == Some("subscribe"),
            approved: matches!(item.attr("approved"), Some("true" | "1")),
            ..Self::new(who, subscription)
        })
    }
}

/// Whom the default list of privacy lists (XEP-0016) keeps out altogether, and whether that is all that they say.
pub(crate) fn blocked(lists: &Element) -> (Vec<String>, bool) {
    let default = lists.child("default").and_then(|one| one.attr("name"));
    let items = lists.children().filter(|list| list.name == "list").flat_map(|list| {
        let counts = list.attr("name") == default;
        list.children().map(move |item| (counts, item))
    });
    let (mut blocked, mut all) = (Vec::new(), true);
    for (counts, item) in items {
        let whole = item.children().next().is_none() && item.attr("type") == Some("jid");
        match item.attr("value").filter(|_| counts && whole && item.attr("action") == Some("deny")) {
            Some(who) => blocked.push(who.to_owned()),
            None => all = false,
        }
    }
    (blocked, all)
}

impl Scram {
    /// `<scram-credentials/>` of XEP-0227.
    pub(crate) fn of(element: &Element) -> Result<Self, String> {
        let part = |name: &str| element.child(name).map(Element::text).ok_or_else(|| format!("no <{name}/>"));
        let bytes = |name: &str| {
            let text = part(name)?;
            STANDARD.decode(text.trim()).map_err(|_| format!("<{name}/> is no base64"))
        };
        let iterations = part("iter-count")?.trim().parse().map_err(|_| "<iter-count/> is no number")?;
        let keys = Self {
            mechanism: element.attr("mechanism").unwrap_or("SCRAM-SHA-1").to_owned(),
            iterations,
            salt: bytes("salt")?,
            stored_key: bytes("stored-key")?,
            server_key: bytes("server-key")?,
        };
        Ok(keys.unwrapped())
    }

    /// ejabberd writes in base64 what it keeps in base64 already: the keys' length tells.
    fn unwrapped(mut self) -> Self {
        let len = match self.mechanism.as_str() {
            "SCRAM-SHA-1" => 20,
            "SCRAM-SHA-256" => 32,
            "SCRAM-SHA-512" => 64,
            _ => return self,
        };
        let inner = |bytes: &[u8]| STANDARD.decode(bytes).ok().filter(|inner| inner.len() == len);
        if let (Some(stored), Some(server), Ok(salt)) =
            (inner(&self.stored_key), inner(&self.server_key), STANDARD.decode(&self.salt))
        {
            (self.stored_key, self.server_key, self.salt) = (stored, server, salt);
        }
        self
    }
}
