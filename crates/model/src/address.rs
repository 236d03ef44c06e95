use compact_str::CompactString;
use std::fmt;

/// The longest user part, domain or device in bytes (RFC 7622 section 3.1 sets 1023 for each).
const MAX_PART: usize = 1023;

/// Who somebody is, whatever the protocol: a bare JID in XMPP, an address-of-record in SIP, `im:`/`pres:` in
/// RFC 3859/3860.
///
/// Stored *unescaped* and already normalised by the door that read it (case-folded user, lower-case U-label
/// domain), so two addresses are the same person exactly when they are equal. An address without a user part
/// names a whole domain. Because a domain can hold no `@`, the last `@` always separates the two parts, even
/// when the unescaped user part holds one itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(CompactString);

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The domain is empty, too long or holds `@`, `/`, white space or a control character.
    #[error("the domain is empty or not well-formed")]
    Domain,
    /// The user part is too long or holds a control character.
    #[error("the user part is too long or holds a control character")]
    User,
    /// The device is empty, too long or holds a control character.
    #[error("the device is empty, too long or holds a control character")]
    Device,
}

impl Address {
    /// Joins a normalised user part and domain. An empty user names the domain itself.
    ///
    /// # Errors
    /// [`AddressError`] when a part is too long or holds a character no protocol of ours can carry.
    pub fn new(user: &str, domain: &str) -> Result<Self, AddressError> {
        let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '@' | '/' | '<' | '>' | '"');
        if domain.is_empty() || domain.len() > MAX_PART || domain.chars().any(bad) {
            return Err(AddressError::Domain);
        }
        if user.len() > MAX_PART || user.chars().any(char::is_control) {
            return Err(AddressError::User);
        }
        if user.is_empty() {
            return Ok(Self(CompactString::from(domain)));
        }
        let mut text = CompactString::with_capacity(user.len() + 1 + domain.len());
        text.push_str(user);
        text.push('@');
        text.push_str(domain);
        Ok(Self(text))
    }

    /// Reads the form [`fmt::Display`] writes; the text must be normalised already.
    ///
    /// # Errors
    /// As [`Address::new`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.rsplit_once('@') {
            Some(("", _)) => Err(AddressError::User),
            Some((user, domain)) => Self::new(user, domain),
            None => Self::new("", text),
        }
    }

    /// See [`crate::DomainPair::mailbox`]. Both are domains already.
    pub(crate) fn of_pair(local: &str, remote: &str) -> Self {
        Self(compact_str::format_compact!("{local}>{remote}"))
    }

    /// See [`crate::Way::mailbox`].
    pub(crate) fn of_way(local: &str, remote: &str, by: &str) -> Self {
        Self(compact_str::format_compact!("{local}>{remote}>{by}"))
    }

    /// The mailbox of what waits for a person's decision. No address on any wire is equal to it, and no pair's mailbox.
    pub fn quarantine() -> Self {
        Self(CompactString::const_new("quarantine>"))
    }

    /// The unescaped user part, or `None` for a domain.
    pub fn user(&self) -> Option<&str> {
        self.0.rfind('@').map(|at| &self.0[..at])
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        match self.0.rfind('@') {
            Some(at) => &self.0[at + 1..],
            None => &self.0,
        }
    }

    /// `user@domain`, unescaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of this address's domain.
    pub fn to_domain(&self) -> Self {
        Self(CompactString::from(self.domain()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One of somebody's devices: an XMPP resource, a SIP instance or GRUU (`gr`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(CompactString);

impl Device {
    /// # Errors
    /// [`AddressError::Device`] when empty, over 1023 bytes or holding a control character.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() || text.len() > MAX_PART || text.chars().any(char::is_control) {
            return Err(AddressError::Device);
        }
        Ok(Self(CompactString::from(text)))
    }

    /// The device's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address, or one device of it: a bare or full JID; an address-of-record or a GRUU (RFC 7247 section 6).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Who.
    pub address: Address,
    /// Which device; `None` means the person, wherever they are.
    pub device: Option<Device>,
}

impl Endpoint {
    /// The person, whichever device.
    pub fn bare(address: Address) -> Self {
        Self { address, device: None }
    }

    /// One device of a person.
    pub fn full(address: Address, device: Device) -> Self {
        Self { address, device: Some(device) }
    }
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Self {
        Self::bare(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.device {
            Some(device) => write!(f, "{}/{}", self.address, device),
            None => write!(f, "{}", self.address),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_at_separates() {
        let a = Address::new("romeo@home", "example.net").unwrap();
        assert_eq!((a.user(), a.domain()), (Some("romeo@home"), "example.net"));
        assert_eq!(Address::parse(a.as_str()), Ok(a));
    }

    #[test]
    fn a_domain_has_no_user() {
        let a = Address::parse("example.net").unwrap();
        assert_eq!((a.user(), a.domain()), (None, "example.net"));
    }

    #[test]
    fn bad_parts_are_named() {
        assert_eq!(Address::parse("a@"), Err(AddressError::Domain));
        assert_eq!(Address::parse("@b"), Err(AddressError::User));
        assert_eq!(Address::parse("a\u{0}@b"), Err(AddressError::User));
        assert_eq!(Address::parse("a@b c"), Err(AddressError::Domain));
        assert_eq!(Device::new(""), Err(AddressError::Device));
    }
}
