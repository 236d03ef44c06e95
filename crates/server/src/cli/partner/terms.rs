//! The terms of a partnership as options of a command.

use crate::failure::Failure;
use clap::{Args, ValueEnum};
use partner::{Dane, Feature, Partner, Protocol, RouteSecurity, StaticRoute};
use std::path::PathBuf;
use std::str::FromStr;

/// What may be said about a partner. A list that is given replaces the one that was there.
#[derive(Debug, Args)]
pub struct Terms {
    /// A domain of theirs; `*.example.com` for every domain below that one.
    #[arg(long = "domain")]
    domains: Vec<String>,
    /// What is spoken with them, best first.
    #[arg(long = "protocol")]
    protocols: Vec<Word<Protocol>>,
    /// Where their server is, past DNS: `xmpp:host[:port]` or `sip:host[:port]`, with `/tls` for TLS from the first
    /// byte or `/none` for no TLS (only with --insecure).
    #[arg(long = "route")]
    routes: Vec<Route>,
    /// A PEM file with their own authority.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// A file with certificates that their authority has taken back (CRL, PEM or DER), read again whenever it changes.
    #[arg(long = "crl")]
    crls: Vec<PathBuf>,
    /// No other authority counts.
    #[arg(long, value_name = "yes|no")]
    ca_only: Option<Switch>,
    /// The SHA-256 of their server's public key, which is then needed, and enough.
    #[arg(long = "pin")]
    pins: Vec<String>,
    /// Believe what their signed DNS says of their certificates: as [federation] has it, not at all, or nothing else.
    #[arg(long, value_name = "usual|no|only")]
    dane: Option<Word<Dane>>,
    /// Believe what their domain says over HTTPS of their certificates.
    #[arg(long, value_name = "yes|no")]
    posh: Option<Switch>,
    /// Accept certificates without client authentication in their extended key usage.
    #[arg(long, value_name = "yes|no")]
    tolerant: Option<Switch>,
    /// Call their server back where its certificate proves nothing.
    #[arg(long, value_name = "yes|no")]
    dialback: Option<Switch>,
    /// Do without TLS.
    #[arg(long, value_name = "yes|no")]
    insecure: Option<Switch>,
    /// What people may do with one another: im, presence, typing, receipts, rooms, files, calls, directory, e2e.
    #[arg(long, value_delimiter = ',')]
    features: Vec<Word<Feature>>,
    /// Everything but this.
    #[arg(long, value_delimiter = ',', conflicts_with = "features")]
    without: Vec<Word<Feature>>,
    /// Who of ours: a group, user@domain, *@domain.
    #[arg(long = "local")]
    local: Vec<String>,
    /// Who of theirs.
    #[arg(long = "remote")]
    remote: Vec<String>,
    /// Messages a second, in each direction; 0 is no limit.
    #[arg(long)]
    rate: Option<u32>,
    /// Bytes of messages a second, in each direction; 0 is no limit.
    #[arg(long)]
    rate_bytes: Option<u32>,
    /// Most bytes of one message; 0 leaves it to [limits].
    #[arg(long)]
    message_bytes: Option<u32>,
    /// What their people are told once in a conversation.
    #[arg(long)]
    disclaimer: Option<String>,
    /// Whom to call.
    #[arg(long = "contact")]
    contacts: Vec<String>,
    /// The last day of the agreement, 2027-12-31.
    #[arg(long)]
    expires: Option<String>,
    /// Keep this company away.
    #[arg(long, value_name = "yes|no")]
    denied: Option<Switch>,
    /// Let its people reach those of other partners that have this too, through us.
    #[arg(long, value_name = "yes|no")]
    transit: Option<Switch>,
    /// Not another company: servers behind this one, for whose domains it speaks to the world.
    #[arg(long, value_name = "yes|no")]
    inside: Option<Switch>,
    /// What is to be as if nothing had been said about it.
    #[arg(long, value_delimiter = ',')]
    clear: Vec<Clear>,
}

/// What can be cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Clear {
    Protocols,
    Routes,
    Ca,
    Crl,
    Pins,
    Features,
    Local,
    Remote,
    Disclaimer,
    Contacts,
    Expires,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    Yes,
    No,
}

/// A word of the product's own, by the name it has in the API.
#[derive(Debug, Clone, Copy)]
struct Word<T>(T);

impl<T: serde::de::DeserializeOwned> FromStr for Word<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = serde_json::Value::String(text.trim().to_lowercase());
        serde_json::from_value(word).map(Self).map_err(|e| e.to_string())
    }
}

/// A route as it is written on the command line.
#[derive(Debug, Clone)]
pub struct Route(pub StaticRoute);

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no route; write \"sip:host:5061\" or \"xmpp:host:5270/tls\"");
        let (protocol, rest) = text.split_once(':').ok_or_else(wrong)?;
        let Word(protocol) = protocol.parse::<Word<Protocol>>().map_err(|_| wrong())?;
        let (rest, security) = match rest.rsplit_once('/') {
            None => (rest, RouteSecurity::Usual),
            Some((rest, "tls")) => (rest, RouteSecurity::Tls),
            Some((rest, "none")) => (rest, RouteSecurity::None),
            Some(_) => return Err(wrong()),
        };
        // An address of IPv6 stands in brackets where a port may follow.
        let (host, port) = match rest.rsplit_once(':').filter(|_| !rest.ends_with(']')) {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (rest, None),
        };
        Ok(Self(StaticRoute { protocol, host: host.to_owned(), port, security }))
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn set_all<T>(place: &mut Vec<T>, values: Vec<T>) {
    if !values.is_empty() {
        *place = values;
    }
}

fn words<T>(words: Vec<Word<T>>) -> Vec<T> {
    words.into_iter().map(|Word(word)| word).collect()
}

impl Terms {
    /// A partner by these terms.
    pub fn applied_to(self, partner: &mut Partner) -> Result<(), Failure> {
        for what in &self.clear {
            let empty = Partner::new("", Vec::new());
            match what {
                Clear::Protocols => partner.protocols.clear(),
                Clear::Routes => partner.routes.clear(),
                Clear::Ca => partner.trust.authority = None,
                Clear::Crl => partner.trust.crl.clear(),
                Clear::Pins => partner.trust.pins.clear(),
                Clear::Features => partner.features = empty.features,
                Clear::Local => partner.local.clear(),
                Clear::Remote => partner.remote.clear(),
                Clear::Disclaimer => partner.disclaimer = None,
                Clear::Contacts => partner.contacts.clear(),
                Clear::Expires => partner.expires = None,
            }
        }
        set_all(&mut partner.domains, self.domains);
        set_all(&mut partner.protocols, words(self.protocols));
        set_all(&mut partner.routes, self.routes.into_iter().map(|Route(route)| route).collect());
        if let Some(file) = self.ca {
            let pem = std::fs::read_to_string(&file)
                .map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
            partner.trust.authority = Some(pem);
        }
        let whole = |file: PathBuf| {
            let found = file.canonicalize().map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
            found.into_os_string().into_string().map_err(|_| Failure::new("this path is not UTF-8"))
        };
        set_all(&mut partner.trust.crl, self.crls.into_iter().map(whole).collect::<Result<_, Failure>>()?);
        set(&mut partner.trust.system, self.ca_only.map(|only| only == Switch::No));
        set_all(&mut partner.trust.pins, self.pins);
        set(&mut partner.trust.dane, self.dane.map(|Word(dane)| dane));
        set(&mut partner.trust.posh, self.posh.map(|s| s == Switch::Yes));
        set(&mut partner.trust.tolerant, self.tolerant.map(|s| s == Switch::Yes));
        set(&mut partner.trust.dialback, self.dialback.map(|s| s == Switch::Yes));
        set(&mut partner.trust.insecure, self.insecure.map(|s| s == Switch::Yes));
        if !self.features.is_empty() {
            partner.features = words(self.features).into_iter().collect();
        }
        if !self.without.is_empty() {
            let without = words(self.without);
            partner.features = Feature::ALL.into_iter().filter(|f| !without.contains(f)).collect();
        }
        set_all(&mut partner.local, self.local);
        set_all(&mut partner.remote, self.remote);
        set(&mut partner.limits.messages_per_second, self.rate);
        set(&mut partner.limits.bytes_per_second, self.rate_bytes);
        set(&mut partner.limits.message_bytes, self.message_bytes);
        if self.disclaimer.is_some() {
            partner.disclaimer = self.disclaimer;
        }
        set_all(&mut partner.contacts, self.contacts);
        if self.expires.is_some() {
            partner.expires = self.expires;
        }
        set(&mut partner.denied, self.denied.map(|s| s == Switch::Yes));
        set(&mut partner.transit, self.transit.map(|s| s == Switch::Yes));
        set(&mut partner.inside, self.inside.map(|s| s == Switch::Yes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let read = |text: &str| text.parse::<Route>().map(|Route(r)| (r.host, r.port, r.security));
        assert_eq!(read("sip:a.example"), Ok(("a.example".into(), None, RouteSecurity::Usual)));
        assert_eq!(read("xmpp:a.example:5270/tls"), Ok(("a.example".into(), Some(5270), RouteSecurity::Tls)));
        assert_eq!(read("sip:[::1]:5060/none"), Ok(("[::1]".into(), Some(5060), RouteSecurity::None)));
        assert_eq!(read("sip:[::1]"), Ok(("[::1]".into(), None, RouteSecurity::Usual)));
        for wrong in ["a.example", "smtp:a.example", "sip:a:b", "sip:a/ssl"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
