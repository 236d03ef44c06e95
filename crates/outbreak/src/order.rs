//! What is contained, by whom and until when.

use crate::artefact::{Artefact, Kind};
use model::Address;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What an order is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "target", rename_all = "lowercase")]
pub enum Target {
    /// One thing, wherever it turns up: it is held.
    Artefact {
        /// Link, file or text.
        kind: Kind,
        /// Its key, in hexadecimal digits.
        key: String,
        /// The host of a link.
        host: Option<String>,
        /// A false alarm: it passes, and nothing is found in it for so long.
        #[serde(default)]
        cleared: bool,
    },
    /// What one account sends is refused.
    User {
        /// The account, or somebody elsewhere.
        address: String,
    },
    /// Nothing passes between one domain and anybody here.
    Partner {
        /// The domain.
        domain: String,
    },
    /// Nothing passes between any domain of one partner and anybody here, whichever they are by then.
    Company {
        /// The partner.
        partner: String,
    },
    /// Nobody's messages pass.
    Network,
}

impl Target {
    pub(crate) fn of(artefact: &Artefact, cleared: bool) -> Self {
        let key = artefact.key.iter().map(|byte| format!("{byte:02x}")).collect();
        let host = artefact.host.as_deref().map(str::to_owned);
        Self::Artefact { kind: artefact.kind, key, host, cleared }
    }

    /// The name under which people speak of it.
    pub fn name(&self) -> String {
        match self {
            Self::Artefact { kind, key, .. } => format!("{}-{}", kind.name(), key.get(..8).unwrap_or(key)),
            Self::User { address } => format!("user:{address}"),
            Self::Partner { domain: name } | Self::Company { partner: name } => format!("partner:{name}"),
            Self::Network => "network".to_owned(),
        }
    }

    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Artefact { cleared: true, .. } => "cleared",
            Self::Artefact { kind, .. } => kind.name(),
            Self::User { .. } => "user",
            Self::Partner { .. } | Self::Company { .. } => "partner",
            Self::Network => "network",
        }
    }
}

/// One containment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What it is about.
    #[serde(flatten)]
    pub target: Target,
    /// Since when, Unix milliseconds.
    pub since: u64,
    /// Until when; `None`: until somebody ends it.
    pub until: Option<u64>,
    /// Who ordered it; the server itself is `server`.
    pub by: String,
    /// Why.
    pub note: String,
    /// Does its end move on with each message that it stops?
    #[serde(default)]
    pub automatic: bool,
}

/// An order in force.
#[derive(Debug)]
pub(crate) struct Live {
    pub order: Order,
    until: AtomicU64,
    pub stopped: AtomicU64,
}

impl Live {
    pub fn new(order: Order) -> Arc<Self> {
        let until = AtomicU64::new(order.until.unwrap_or(u64::MAX));
        Arc::new(Self { order, until, stopped: AtomicU64::new(0) })
    }

    pub fn holds(&self, now: u64) -> bool {
        self.until.load(Relaxed) > now
    }

    /// It has stopped one more.
    pub fn stop(&self, now: u64, expire: u64) {
        self.stopped.fetch_add(1, Relaxed);
        if self.order.automatic {
            self.until.fetch_max(now + expire, Relaxed);
        }
    }

    /// The order as it stands.
    pub fn shown(&self) -> Order {
        let until = self.until.load(Relaxed);
        Order { until: (until != u64::MAX).then_some(until), ..self.order.clone() }
    }
}

/// All orders in force, by what they are looked up with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Orders {
    pub artefacts: HashMap<[u8; 16], Arc<Live>>,
    pub users: HashMap<Address, Arc<Live>>,
    pub partners: HashMap<String, Arc<Live>>,
    pub companies: HashMap<String, Arc<Live>>,
    pub network: Option<Arc<Live>>,
}

impl Orders {
    pub fn all(&self) -> impl Iterator<Item = &Arc<Live>> {
        let people = self.users.values().chain(self.partners.values()).chain(self.companies.values());
        self.artefacts.values().chain(people).chain(&self.network)
    }

    pub fn put(&mut self, live: Arc<Live>) {
        match &live.order.target {
            Target::Artefact { key, .. } => {
                if let Some(key) = read_key(key) {
                    self.artefacts.insert(key, live);
                }
            }
            Target::User { address } => {
                if let Ok(address) = Address::parse(address) {
                    self.users.insert(address, live);
                }
            }
            Target::Partner { domain } => {
                self.partners.insert(domain.clone(), live);
            }
            Target::Company { partner } => {
                self.companies.insert(partner.clone(), live);
            }
            Target::Network => self.network = Some(live),
        }
    }

    /// Only those that `keep` wants.
    pub fn retain(&mut self, keep: impl Fn(&Live) -> bool) {
        self.artefacts.retain(|_, live| keep(live));
        self.users.retain(|_, live| keep(live));
        self.partners.retain(|_, live| keep(live));
        self.companies.retain(|_, live| keep(live));
        self.network.take_if(|live| !keep(live));
    }

    pub fn is_empty(&self) -> bool {
        self.artefacts.is_empty()
            && self.users.is_empty()
            && self.partners.is_empty()
            && self.companies.is_empty()
            && self.network.is_none()
    }
}

fn read_key(hex: &str) -> Option<[u8; 16]> {
    let mut key = [0; 16];
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(key)
}
