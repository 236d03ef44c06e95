//! The operator's rules that may change while the server runs.

use crate::house::Consents;
use crate::limit::{Limit, Rates};
use crate::stages::Strangers;
use meter::{Dial, Rate};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The rules as values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSet {
    /// Most bytes of all parts, subject and the sender's rendering together.
    pub message_bytes: usize,
    /// How much may come and go.
    pub rates: Rates,
    /// Failed logins after which an address must wait before it tries the account again; 0 switches that off.
    pub login_failures: u32,
    /// Who may write to somebody who has not accepted them.
    pub strangers: Strangers,
    /// Who sees a colleague's presence without asking.
    pub consents: Consents,
    /// Seconds that a message for another company's server may wait for a way there.
    pub federation_secs: u32,
}

impl Default for RuleSet {
    fn default() -> Self {
        // RFC 6120 section 13.12 wants 10,000 bytes at least; the SIP wire accepts 64 kB.
        Self {
            message_bytes: 64 * 1024,
            rates: Rates::default(),
            login_failures: 10,
            strangers: Strangers::Allow,
            consents: Consents::Ask,
            federation_secs: 300,
        }
    }
}

/// The rules in force. Each value is read alone on the hot path, so none needs a lock; a change shows at once.
#[derive(Debug, Default)]
pub struct Rules {
    message_bytes: AtomicUsize,
    measures: AtomicBool,
    rates: [Dial; Limit::ALL.len()],
    login_failures: AtomicU32,
    strangers: AtomicU8,
    colleagues_watch: AtomicBool,
    federation_ms: AtomicU64,
}

impl Rules {
    /// Rules with these values.
    pub fn new(set: RuleSet) -> Self {
        let rules = Self::default();
        rules.set(set);
        rules
    }

    /// Puts other values in force.
    pub fn set(&self, set: RuleSet) {
        self.message_bytes.store(set.message_bytes, Relaxed);
        for limit in Limit::ALL {
            self.rates[limit as usize].set(set.rates.of(limit));
        }
        self.measures.store(set.rates != Rates::default(), Relaxed);
        self.login_failures.store(set.login_failures, Relaxed);
        let strangers = match set.strangers {
            Strangers::Allow => 0,
            Strangers::Colleagues => 1,
            Strangers::Refuse => 2,
        };
        self.strangers.store(strangers, Relaxed);
        self.federation_ms.store(u64::from(set.federation_secs) * 1000, Relaxed);
        self.colleagues_watch.store(set.consents == Consents::Colleagues, Relaxed);
    }

    pub(crate) fn message_bytes(&self) -> usize {
        self.message_bytes.load(Relaxed)
    }

    /// Is any rate limited?
    pub(crate) fn measures(&self) -> bool {
        self.measures.load(Relaxed)
    }

    pub(crate) fn rate(&self, limit: Limit) -> Rate {
        self.rates[limit as usize].get()
    }

    pub(crate) fn login_failures(&self) -> u32 {
        self.login_failures.load(Relaxed)
    }

    pub(crate) fn federation_patience_ms(&self) -> u64 {
        self.federation_ms.load(Relaxed)
    }

    pub(crate) fn strangers(&self) -> Strangers {
        match self.strangers.load(Relaxed) {
            0 => Strangers::Allow,
            1 => Strangers::Colleagues,
            _ => Strangers::Refuse,
        }
    }

    pub(crate) fn consents(&self) -> Consents {
        if self.colleagues_watch.load(Relaxed) { Consents::Colleagues } else { Consents::Ask }
    }
}
