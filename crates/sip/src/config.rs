//! What an operator may set.

use std::net::SocketAddr;

use connector::{Carries, Listener, TlsMode, Transport};

/// The settings of the SIP door.
#[derive(Debug, Clone)]
pub struct Config {
    /// The domains we answer for, in lower case; a domain is also the digest realm of its accounts.
    pub domains: Vec<String>,
    /// Whom we carry for besides.
    pub carries: Carries,
    /// What to listen on; see [`Config::listen`].
    pub listeners: Vec<Listener>,
    /// The host name or address in our Via and Contact. Without it, the local address of the flow; where that is
    /// unspecified, the first domain.
    pub public_host: Option<String>,
    /// Offer MD5, beside SHA-256 over TLS (RFC 8760) and alone without: many clients know nothing else.
    pub md5: bool,
    /// Seconds of a registration, subscription or publication that names none (RFC 3261 10.2, RFC 3856 6.4).
    pub default_expires: u32,
    /// Anything shorter is answered 423.
    pub min_expires: u32,
    /// Anything longer is shortened.
    pub max_expires: u32,
    /// Contacts of one account on one flow or shard.
    pub max_contacts: usize,
}

impl Config {
    /// The usual settings for these domains, without listeners.
    pub fn new<S: AsRef<str>>(domains: impl IntoIterator<Item = S>) -> Self {
        Self {
            domains: domains.into_iter().map(|d| d.as_ref().to_lowercase()).collect(),
            carries: Carries::default(),
            listeners: Vec::new(),
            public_host: None,
            md5: true,
            default_expires: 3600,
            min_expires: 60,
            max_expires: 7200,
            max_contacts: 10,
        }
    }

    /// Adds a listener. TLS on SIP is always from the first byte (RFC 3261 26.2).
    pub fn listen(mut self, addr: SocketAddr, transport: Transport, tls: bool) -> Self {
        let (name, tls) = match (transport, tls) {
            (Transport::Udp, _) => ("sip-udp", TlsMode::None),
            (Transport::Tcp, false) => ("sip-tcp", TlsMode::None),
            (Transport::Tcp, true) => ("sip-tls", TlsMode::Direct),
        };
        self.listeners.push(Listener { name: name.to_owned(), addr, transport, tls, servers: false });
        self
    }

    /// Adds a listener for other companies' servers.
    pub fn listen_for_servers(mut self, addr: SocketAddr, tls: bool) -> Self {
        let (name, tls) =
            if tls { ("sip-trunk-tls", TlsMode::Direct) } else { ("sip-trunk-tcp", TlsMode::None) };
        let transport = Transport::Tcp;
        self.listeners.push(Listener { name: name.to_owned(), addr, transport, tls, servers: true });
        self
    }

    /// Where other servers reach us, secured like this.
    pub(crate) fn trunk_port(&self, tls: bool) -> Option<u16> {
        let fits = |l: &&Listener| l.servers && (l.tls != TlsMode::None) == tls && l.addr.port() != 0;
        self.listeners.iter().find(fits).map(|l| l.addr.port())
    }

    pub(crate) fn serves(&self, domain: &str) -> bool {
        self.domains.iter().any(|d| d == domain)
    }

    /// The seconds to grant. `None` when the wish is too short (RFC 3261 10.3 step 7); 0 stays 0.
    pub(crate) fn grant(&self, wish: Option<u32>) -> Option<u32> {
        match wish.unwrap_or(self.default_expires) {
            0 => Some(0),
            n if n < self.min_expires => None,
            n => Some(n.min(self.max_expires)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_granted_within_bounds() {
        let c = Config::new(["Example.COM"]);
        assert!(c.serves("example.com"));
        for (wish, grant) in [
            (None, Some(3600)),
            (Some(0), Some(0)),
            (Some(59), None),
            (Some(60), Some(60)),
            (Some(u32::MAX), Some(7200)),
        ] {
            assert_eq!(c.grant(wish), grant);
        }
    }
}
