//! What was agreed with another company, as an administrator writes it and the store keeps it.

use crate::dane::Dane;
use crate::people::{Pattern, name_is_good};
use crate::trust::{Pin, authorities};
use model::{Address, Dialect};
use policy::Feature;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// A disclaimer has so many bytes at most: it must fit into one message of any protocol.
const LONGEST_WORDS: usize = 1000;

/// A protocol between servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// XMPP (RFC 6120).
    Xmpp,
    /// SIP/SIMPLE (RFC 3261, 3428, 3856).
    Sip,
}

impl Protocol {
    /// Its dialect.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Xmpp => Dialect::Xmpp,
            Self::Sip => Dialect::Sip,
        }
    }

    /// The protocol of a dialect; `None` for the server's own.
    pub fn of(dialect: Dialect) -> Option<Self> {
        match dialect {
            Dialect::Xmpp => Some(Self::Xmpp),
            Dialect::Sip => Some(Self::Sip),
            Dialect::Hub => None,
        }
    }
}

/// How a route is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteSecurity {
    /// As the protocol usually is: XMPP by STARTTLS, SIP by TLS.
    #[default]
    Usual,
    /// TLS from the first byte.
    Tls,
    /// Not at all; only with `trust.insecure`.
    None,
}

/// A way to a partner's server that DNS does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StaticRoute {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Host name or address.
    pub host: String,
    /// Port; without one the protocol's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How it is secured.
    #[serde(default)]
    pub security: RouteSecurity,
}

/// What proves that a server is the partner's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Trust {
    /// The authorities that `[federation]` trusts count.
    pub system: bool,
    /// The partner's own authority, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Files with lists of certificates that an authority has taken back, PEM or DER; read again when they change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crl: Vec<String>,
    /// Keys: SHA-256 of the certificate's SubjectPublicKeyInfo, 64 hexadecimal digits. Where there are any, one of them
    /// is needed, and enough.
    pub pins: Vec<String>,
    /// What the domain's signed DNS says of its certificates (DANE).
    pub dane: Dane,
    /// What the domain says over HTTPS of its certificates (POSH), if `[federation]` says so too.
    pub posh: bool,
    /// A certificate without the extended key usage for clients will do for a server that connects to us. Authorities
    /// issue hardly any others.
    pub tolerant: bool,
    /// A server whose certificate proves nothing may be called back (XEP-0220), if `[federation]` says so too.
    pub dialback: bool,
    /// Do without TLS. Whoever is on the way can read and change everything, and pretend to be the partner.
    pub insecure: bool,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            system: true,
            authority: None,
            crl: Vec::new(),
            pins: Vec::new(),
            dane: Dane::Usual,
            posh: true,
            tolerant: true,
            dialback: true,
            insecure: false,
        }
    }
}

/// What may come and go at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Limits {
    /// Messages and requests a second in each direction, with four times as many at once; 0 is no limit.
    pub messages_per_second: u32,
    /// Bytes of messages a second in each direction, with four times as many at once; 0 is no limit.
    pub bytes_per_second: u32,
    /// Most bytes of one message; 0 leaves it to `[limits] message_bytes`.
    pub message_bytes: u32,
}

/// Another company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// Its name here: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Its domains; `*.example.com` is every domain below that one.
    pub domains: Vec<String>,
    /// What is spoken with it, best first; empty: whatever this server speaks.
    #[serde(default)]
    pub protocols: Vec<Protocol>,
    /// Where its servers are; without one for a protocol, DNS says.
    #[serde(default)]
    pub routes: Vec<StaticRoute>,
    /// What proves that a server is its.
    #[serde(default)]
    pub trust: Trust,
    /// What people may do with one another.
    #[serde(default = "everything")]
    pub features: BTreeSet<Feature>,
    /// Who of ours: groups, addresses, `*@domain`; empty: everybody who may federate.
    #[serde(default)]
    pub local: Vec<String>,
    /// Who of theirs, likewise; empty: everybody.
    #[serde(default)]
    pub remote: Vec<String>,
    /// What may come and go at most.
    #[serde(default)]
    pub limits: Limits,
    /// What their people are told once in a conversation, in the name of our domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclaimer: Option<String>,
    /// Whom to call.
    #[serde(default)]
    pub contacts: Vec<String>,
    /// The last day of the agreement (UTC), `2027-12-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Nothing passes until it is resumed.
    #[serde(default)]
    pub suspended: bool,
    /// Nothing ever passes: a company to keep away.
    #[serde(default)]
    pub denied: bool,
    /// Its users may reach those of other partners through us, where these may too: both sides must want it.
    #[serde(default)]
    pub transit: bool,
    /// Not another company: its servers are behind this one, which speaks for its domains to the world, and through which
    /// everything passes that they exchange with it.
    #[serde(default)]
    pub inside: bool,
    /// SHA-256 of the key with which its half of a handshake was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Counts changes; one that is based on an older count is refused.
    #[serde(default)]
    pub revision: u64,
}

fn everything() -> BTreeSet<Feature> {
    Feature::ALL.into()
}

impl Partner {
    /// A partner with everything at its usual.
    pub fn new(name: &str, domains: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            domains,
            protocols: Vec::new(),
            routes: Vec::new(),
            trust: Trust::default(),
            features: everything(),
            local: Vec::new(),
            remote: Vec::new(),
            limits: Limits::default(),
            disclaimer: None,
            contacts: Vec::new(),
            expires: None,
            suspended: false,
            denied: false,
            transit: false,
            inside: false,
            signed_by: None,
            revision: 0,
        }
    }

    /// Puts everything into the form in which it is compared.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn normalised(mut self) -> Result<Self, String> {
        name_is_good(&self.name)?;
        if self.domains.is_empty() {
            return Err("a partner has at least one domain".into());
        }
        for domain in &mut self.domains {
            *domain = normal_domain(domain)?;
        }
        self.domains.sort();
        self.domains.dedup();
        for route in &self.routes {
            let host = route.host.trim_matches(['[', ']']);
            let named =
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:_".contains(&b));
            if !named || route.port == Some(0) {
                return Err(format!("{:?} is no host to connect to", route.host));
            }
            if !self.protocols.is_empty() && !self.protocols.contains(&route.protocol) {
                return Err(format!(
                    "the route to {host} is for a protocol that is not spoken with this partner"
                ));
            }
            if route.security == RouteSecurity::None && !self.trust.insecure {
                return Err(format!(
                    "the route to {host} does without TLS: that must be insisted on (`insecure`)"
                ));
            }
        }
        if let Some(pem) = &self.trust.authority {
            authorities(pem)?;
        }
        if self.trust.dane == Dane::Only && !self.trust.pins.is_empty() {
            return Err("either a pinned key counts alone, or DANE does, but not both".into());
        }
        self.trust.crl.iter().try_for_each(|file| crate::crl::check(file))?;
        for pin in &mut self.trust.pins {
            *pin = pin.parse::<Pin>()?.to_string();
        }
        for who in self.local.iter_mut().chain(&mut self.remote) {
            *who = Pattern::parse(who)?.to_string();
        }
        if self.disclaimer.as_ref().is_some_and(|text| text.trim().is_empty() || text.len() > LONGEST_WORDS) {
            return Err(format!("a disclaimer has 1 to {LONGEST_WORDS} bytes"));
        }
        if let Some(day) = &self.expires {
            day.parse::<Day>()?;
        }
        Ok(self)
    }

    /// The last day; `None` where it never ends.
    pub(crate) fn last_day(&self) -> Option<Day> {
        self.expires.as_deref().and_then(|day| day.parse().ok())
    }
}

/// A domain or `*.domain` in lower case, its labels in Unicode, as addresses have them.
fn normal_domain(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no domain; write \"example.com\" or \"*.example.com\"");
    let text = text.trim().trim_end_matches('.');
    let (wild, rest) = match text.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text),
    };
    let (domain, good) = idna::domain_to_unicode(rest);
    let address = Address::parse(&domain).ok().filter(|a| a.user().is_none() && !domain.contains('*'));
    match (good, address) {
        (Ok(()), Some(address)) => Ok(format!("{wild}{address}")),
        _ => Err(wrong()),
    }
}

/// A day of the calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(i64, u32, u32);

impl Day {
    pub fn of(at: model::Timestamp) -> Self {
        let (year, month, day, ..) = at.civil();
        Self(year, month, day)
    }
}

impl std::str::FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no day; write \"2027-12-31\"");
        let mut parts = text.splitn(3, '-');
        let mut number = |digits: usize| {
            parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()))
        };
        let (Some(year), Some(month), Some(day)) = (number(4), number(2), number(2)) else {
            return Err(wrong());
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let (year, month, day) = (number(year)?, number(month)?, number(day)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return Err(wrong()),
        };
        if (1..=last).contains(&day) { Ok(Self(year.into(), month, day)) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_put_in_order_or_refused_in_words() {
        let p = |edit: fn(&mut Partner)| {
            let mut partner = Partner::new("acme", vec!["acme.example".into()]);
            edit(&mut partner);
            partner.normalised()
        };
        let good = p(|p| {
            p.domains = vec!["*.ACME.example".into(), "xn--bcher-kva.example.".into(), "b.example".into()]
        });
        assert_eq!(good.unwrap().domains, ["*.acme.example", "b.example", "bücher.example"]);
        type Edit = fn(&mut Partner);
        let wrong: [(Edit, &str); 12] = [
            (|p| p.name = "a b".into(), "is no name"),
            (|p| p.domains.clear(), "at least one domain"),
            (|p| p.domains = vec!["a@b".into()], "is no domain"),
            (|p| p.domains = vec!["a.*.b".into()], "is no domain"),
            (|p| p.expires = Some("2027-02-29".into()), "is no day"),
            (|p| p.trust.pins = vec!["12".into()], "64 hexadecimal digits"),
            (
                |p| {
                    p.trust.pins = vec!["ab".repeat(32)];
                    p.trust.dane = Dane::Only;
                },
                "but not both",
            ),
            (|p| p.trust.authority = Some("nonsense".into()), "certificate"),
            (|p| p.local = vec!["a b".into()], "is no name"),
            (|p| p.remote = vec!["*@".into()], "is neither"),
            (|p| p.routes = vec![route("a b", RouteSecurity::Usual)], "is no host"),
            (|p| p.routes = vec![route("10.0.0.1", RouteSecurity::None)], "insisted on"),
        ];
        for (edit, words) in wrong {
            let said = p(edit).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
        fn route(host: &str, security: RouteSecurity) -> StaticRoute {
            StaticRoute { protocol: Protocol::Sip, host: host.into(), port: None, security }
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, good) in [
            ("2027-12-31", true),
            ("2028-02-29", true),
            ("2100-02-29", false),
            ("2027-13-01", false),
            ("2027-04-31", false),
            ("2027-1-1", false),
            ("27-01-01", false),
            ("+027-01-01", false),
        ] {
            assert_eq!(text.parse::<Day>().is_ok(), good, "{text}");
        }
        assert_eq!(Day::of(model::Timestamp(1_794_744_000_000)), Day(2026, 11, 15));
    }
}
