use crate::{Address, Dialect};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A domain of ours, or one we carry for, and a domain of somebody else's: what a connection between two servers is
/// authorised for (RFC 6120 section 13.7; XEP-0220 "domain pair").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainPair {
    /// On whose behalf we speak.
    pub local: Address,
    /// To whom.
    pub remote: Address,
}

impl DomainPair {
    /// The pair between these two addresses' domains.
    pub fn between(local: &Address, remote: &Address) -> Self {
        Self { local: local.to_domain(), remote: remote.to_domain() }
    }

    /// The mailbox in which wait what goes this way. No address on any wire is equal to it: no domain holds `>`.
    pub fn mailbox(&self) -> Address {
        Address::of_pair(self.local.domain(), self.remote.domain())
    }

    /// The pair whose mailbox is stored under this text; `None` for everybody's own.
    pub fn parse_mailbox(text: &str) -> Option<Self> {
        let (local, remote) = text.split_once('>').filter(|_| !text.contains('@'))?;
        Some(Self { local: Address::new("", local).ok()?, remote: Address::new("", remote).ok()? })
    }

    /// The pair whose mailbox this is; `None` for everybody's own.
    pub fn of_mailbox(mailbox: &Address) -> Option<Self> {
        Self::parse_mailbox(mailbox.as_str())
    }
}

impl fmt::Display for DomainPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.local, self.remote)
    }
}

/// What goes from one domain to another, and over which protocol where that is chosen person by person: a mailbox of its
/// own for each protocol, so that neither waits for the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way {
    /// Between whom.
    pub pair: DomainPair,
    /// Over which protocol; `None`: over whichever carries.
    pub by: Option<Dialect>,
}

impl Way {
    /// The mailbox in which wait what goes this way. No address on any wire is equal to it.
    pub fn mailbox(&self) -> Address {
        match self.by {
            None => self.pair.mailbox(),
            Some(by) => Address::of_way(self.pair.local.domain(), self.pair.remote.domain(), by.name()),
        }
    }

    /// The way whose mailbox is stored under this text; `None` for everybody's own.
    pub fn parse_mailbox(text: &str) -> Option<Self> {
        match text.rsplit_once('>').map(|(pair, by)| (DomainPair::parse_mailbox(pair), Dialect::named(by))) {
            Some((Some(pair), Some(by))) => Some(Self { pair, by: Some(by) }),
            _ => DomainPair::parse_mailbox(text).map(Self::from),
        }
    }

    /// The way whose mailbox this is; `None` for everybody's own.
    pub fn of_mailbox(mailbox: &Address) -> Option<Self> {
        Self::parse_mailbox(mailbox.as_str())
    }
}

impl From<DomainPair> for Way {
    fn from(pair: DomainPair) -> Self {
        Self { pair, by: None }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            None => self.pair.fmt(f),
            Some(by) => write!(f, "{} by {by}", self.pair),
        }
    }
}

/// The certificates a peer showed, leaf first, DER. That it holds the leaf's key is proved; nothing else is.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificates(pub Arc<[Bytes]>);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.0.len())
    }
}

/// Who opened a connection between two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// We did.
    Us,
    /// They did.
    Them,
}

/// What a partner's server may do on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// `Ok`: its certificate proves that it is the domain. `Err`: in plain words, why it does not.
    pub certified: Result<(), String>,
    /// Where the certificate does not prove it: may a call back (XEP-0220) instead?
    pub dialback: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pairs_mailbox_is_nobodys_address() {
        let pair = DomainPair::between(
            &Address::parse("juliet@example.net").unwrap(),
            &Address::parse("partner.example").unwrap(),
        );
        assert_eq!(DomainPair::of_mailbox(&pair.mailbox()), Some(pair.clone()));
        assert_eq!(pair.mailbox().user(), None);
        assert!(Address::parse("example.net>partner.example").is_err());
        assert_eq!(DomainPair::of_mailbox(&pair.local), None);
        for by in [None, Some(Dialect::Xmpp), Some(Dialect::Sip)] {
            let way = Way { pair: pair.clone(), by };
            assert_eq!(Way::of_mailbox(&way.mailbox()), Some(way));
        }
        assert_eq!(
            Way::parse_mailbox("example.net>sip"),
            Some(Way::from(DomainPair::parse_mailbox("example.net>sip").unwrap()))
        );
        assert_eq!(Way::of_mailbox(&pair.local), None);
    }
}
