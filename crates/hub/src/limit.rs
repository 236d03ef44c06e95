//! The limits of rates: what is measured, and of whom.

use meter::Rate;

/// What is measured of whom. `In` is what comes from them, `Out` what goes to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Limit {
    /// Events of any kind that one device sends.
    DeviceIn,
    /// Messages, requests and calls that one address sends, of ours or not.
    AccountIn,
    /// Bytes that one address sends.
    AccountBytesIn,
    /// Requests to see somebody's presence that one address sends.
    SubscriptionsIn,
    /// What goes to one account from companies with which nothing was agreed.
    AccountOut,
    /// Messages, requests and calls of one domain with which nothing was agreed.
    DomainIn,
    /// The same to such a domain.
    DomainOut,
    /// Bytes of such a domain.
    DomainBytesIn,
    /// Bytes to such a domain.
    DomainBytesOut,
    /// Requests to see somebody's presence of such a domain.
    DomainSubscriptionsIn,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::DeviceIn,
        Self::AccountIn,
        Self::AccountBytesIn,
        Self::SubscriptionsIn,
        Self::AccountOut,
        Self::DomainIn,
        Self::DomainOut,
        Self::DomainBytesIn,
        Self::DomainBytesOut,
        Self::DomainSubscriptionsIn,
    ];

    /// The rule that refuses: `throttle:NAME.DIRECTION`.
    pub fn rule(self) -> &'static str {
        match self {
            Self::DeviceIn => "throttle:device.in",
            Self::AccountIn => "throttle:account.in",
            Self::AccountBytesIn => "throttle:account-bytes.in",
            Self::SubscriptionsIn => "throttle:account-subscriptions.in",
            Self::AccountOut => "throttle:account.out",
            Self::DomainIn => "throttle:domain.in",
            Self::DomainOut => "throttle:domain.out",
            Self::DomainBytesIn => "throttle:domain-bytes.in",
            Self::DomainBytesOut => "throttle:domain-bytes.out",
            Self::DomainSubscriptionsIn => "throttle:domain-subscriptions.in",
        }
    }

    /// What there is too much of, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::DeviceIn => "too much from this device",
            Self::AccountIn => "too many messages",
            Self::AccountBytesIn => "too many bytes",
            Self::SubscriptionsIn => "too many requests to see presence",
            Self::AccountOut => "too many messages for this person from elsewhere",
            Self::DomainIn => "too many messages from your domain",
            Self::DomainOut => "too many messages to that domain",
            Self::DomainBytesIn => "too many bytes from your domain",
            Self::DomainBytesOut => "too many bytes to that domain",
            Self::DomainSubscriptionsIn => "too many requests to see presence from your domain",
        }
    }
}

/// The rate of each limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates([Rate; Limit::ALL.len()]);

impl Default for Rates {
    fn default() -> Self {
        Self([Rate::NONE; Limit::ALL.len()])
    }
}

impl Rates {
    /// The same with another rate for one limit.
    #[must_use]
    pub fn with(mut self, limit: Limit, rate: Rate) -> Self {
        self.0[limit as usize] = rate;
        self
    }

    /// The rate of a limit.
    pub fn of(&self, limit: Limit) -> Rate {
        self.0[limit as usize]
    }
}

/// What is counted of limits: those above, and those that others keep. The name, and the direction.
pub(crate) const COUNTED: [(&str, &str); 15] = [
    ("device", "in"),
    ("account", "in"),
    ("account-bytes", "in"),
    ("account-subscriptions", "in"),
    ("account", "out"),
    ("domain", "in"),
    ("domain", "out"),
    ("domain-bytes", "in"),
    ("domain-bytes", "out"),
    ("domain-subscriptions", "in"),
    ("partner", "in"),
    ("partner", "out"),
    ("logins", "in"),
    ("partner-bytes", "in"),
    ("partner-bytes", "out"),
];

/// Where a refusal by a limit is counted.
pub(crate) fn counted(refusal: &model::Refusal) -> Option<usize> {
    let rule = refusal.rule.as_deref()?;
    if let Some(at) = Limit::ALL.iter().position(|limit| limit.rule() == rule) {
        return Some(at);
    }
    let ours = refusal.fault == model::Fault::Server;
    match rule {
        "logins" => Some(12),
        rule if rule.starts_with("partner:") && rule.ends_with("/limit.messages") => {
            Some(if ours { 11 } else { 10 })
        }
        rule if rule.starts_with("partner:") && rule.ends_with("/limit.rate-bytes") => {
            Some(if ours { 14 } else { 13 })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Fault, Reason, Refusal};

    #[test]
    fn every_limit_is_counted_under_its_name() {
        for (at, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, at);
            let (name, way) = COUNTED[at];
            assert_eq!(limit.rule(), format!("throttle:{name}.{way}"));
            assert_eq!(counted(&Refusal::new(Reason::Overloaded).by_rule(limit.rule())), Some(at));
        }
        let partner = Refusal::new(Reason::Overloaded).by_rule("partner:acme/limit.messages");
        assert_eq!(counted(&Refusal { fault: Fault::Peer, ..partner.clone() }), Some(10));
        assert_eq!(counted(&Refusal { fault: Fault::Server, ..partner }), Some(11));
        let partner = Refusal::new(Reason::Overloaded).by_rule("partner:acme/limit.rate-bytes");
        assert_eq!(counted(&Refusal { fault: Fault::Peer, ..partner.clone() }), Some(13));
        assert_eq!(counted(&Refusal { fault: Fault::Server, ..partner }), Some(14));
        assert_eq!(counted(&Refusal::new(Reason::Overloaded).by_rule("logins")), Some(12));
        assert_eq!(counted(&Refusal::new(Reason::Overloaded).by_rule("journal")), None);
    }
}
