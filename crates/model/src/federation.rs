use crate::Address;
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
    }
}
