//! What the hub asks of us.

use crate::trust::{Roots, prove};
use model::{Address, Admission, Dialect, DomainPair, Envelope, Opener, Reason, Refusal};
use parking_lot::RwLock;
use ports::{Applicant, Partners, Route};
use std::collections::BTreeSet;
use std::sync::Arc;

/// With whom this server federates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// With nobody.
    #[default]
    Off,
    /// With everybody who can prove who they are.
    Open,
}

/// How this server federates.
#[derive(Debug, Default)]
pub struct Settings {
    /// With whom.
    pub mode: Mode,
    /// Whose certificates count.
    pub roots: Roots,
    /// May a server whose certificate does not prove who it is be called back instead (XEP-0220)?
    pub dialback: bool,
    /// What is spoken with whom nothing else was agreed, best first.
    pub dialects: Vec<Dialect>,
}

/// Other companies.
#[derive(Debug)]
pub struct Federation {
    /// The domains this server hosts.
    domains: BTreeSet<Address>,
    settings: RwLock<Arc<Settings>>,
}

impl Federation {
    /// A server of these domains, and how it federates.
    pub fn new(domains: BTreeSet<Address>, settings: Settings) -> Self {
        Self { domains, settings: RwLock::new(Arc::new(settings)) }
    }

    /// Federates otherwise from now on.
    pub fn set(&self, settings: Settings) {
        *self.settings.write() = Arc::new(settings);
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    fn hosts(&self, domain: &Address) -> bool {
        self.domains.contains(domain)
    }

    /// May anything at all go between these two?
    fn allow(&self, settings: &Settings, pair: &DomainPair) -> Result<(), Refusal> {
        if settings.mode == Mode::Off {
            let text = format!("this server has no way to {}", pair.remote);
            return Err(Refusal::new(Reason::RemoteNotFound).with_text(text).by_rule("federation.mode"));
        }
        if !self.hosts(&pair.local) {
            let text = format!("this server does not serve {}", pair.local);
            return Err(Refusal::new(Reason::RemoteNotFound).with_text(text).by_rule("federation.transit"));
        }
        if self.hosts(&pair.remote) {
            let text = format!("{} is served here, and nowhere else", pair.remote);
            return Err(Refusal::new(Reason::NotAuthorized).with_text(text).by_rule("federation.own"));
        }
        Ok(())
    }
}

impl Partners for Federation {
    fn admit(&self, applicant: &Applicant) -> Result<Admission, Refusal> {
        let Applicant { pair, dialect, opener, certificates, secured } = applicant;
        let settings = self.settings();
        self.allow(&settings, pair)?;
        if !secured {
            let text = format!("{} must use TLS", pair.remote);
            return Err(Refusal::new(Reason::Policy).with_text(text).by_rule("federation.tls"));
        }
        let client = *opener == Opener::Them;
        let certified = match certificates {
            Some(shown) => prove(shown, pair.remote.domain(), *dialect, &settings.roots, client, true),
            None => Err("it shows no certificate".to_owned()),
        };
        Ok(Admission { certified, dialback: settings.dialback })
    }

    fn permit(&self, envelope: &Envelope) -> Result<(), Refusal> {
        let (from, to) = (envelope.from.address.to_domain(), envelope.to.address.to_domain());
        match (self.hosts(&from), self.hosts(&to)) {
            (true, true) => Ok(()),
            (true, false) => self.allow(&self.settings(), &DomainPair { local: from, remote: to }),
            (false, _) => self.allow(&self.settings(), &DomainPair { local: to, remote: from }),
        }
    }

    fn routes(&self, pair: &DomainPair) -> Result<Vec<Route>, Refusal> {
        let settings = self.settings();
        self.allow(&settings, pair)?;
        Ok(settings.dialects.iter().map(|dialect| Route { dialect: *dialect, at: None }).collect())
    }

    fn noted(&self, _: &DomainPair, _: Dialect, _: &Result<(), Refusal>) {}
}
