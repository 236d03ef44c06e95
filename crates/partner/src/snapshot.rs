//! Everything that was agreed, ready to be asked on the hot path: built anew with each change, and never changed.

use crate::agreement::{Day, Partner, Protocol, RouteSecurity};
use crate::crl;
use crate::dane::Dane;
use crate::disclaim::Told;
use crate::membership::Membership;
use crate::people::{Group, Pattern, People};
use crate::settings::Settings;
use crate::trust::{Measure, Pin, Roots, authorities};
use meter::Meter;
use model::{Address, Dialect, DomainPair};
use ports::{Hop, HopSecurity, Route};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A partner, ready to be asked.
pub(crate) struct Agreed {
    pub partner: Partner,
    pub last_day: Option<Day>,
    /// Who of ours; `None`: everybody.
    pub local: Option<People>,
    /// Who of theirs; `None`: everybody.
    pub remote: Option<People>,
    pub used: Arc<Used>,
    roots: Option<Roots>,
    pins: Vec<Pin>,
    crls: Vec<crl::File>,
}

/// What has gone one way.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    pub messages: Meter,
    pub bytes: Meter,
}

/// What a partner has used up, in each direction. Outlives changes of what was agreed.
#[derive(Debug, Default)]
pub(crate) struct Used {
    pub outward: Spent,
    pub inward: Spent,
    pub told: Told,
}

/// Everything, at one time.
pub(crate) struct Snapshot {
    pub settings: Arc<Settings>,
    pub partners: BTreeMap<String, Arc<Agreed>>,
    pub groups: BTreeMap<String, Group>,
    pub membership: Membership,
    /// Who of ours may federate; `None`: everybody.
    pub who: Option<People>,
    pub except: People,
    /// Are servers of ours behind this one?
    pub has_inside: bool,
    exact: HashMap<String, Arc<Agreed>>,
    /// By what follows `*.`.
    below: HashMap<String, Arc<Agreed>>,
}

impl Snapshot {
    pub fn new(
        settings: Arc<Settings>,
        partners: impl IntoIterator<Item = Partner>,
        groups: BTreeMap<String, Group>,
        before: Option<&Self>,
    ) -> Self {
        let some = |words: &[String]| (!words.is_empty()).then(|| People::of(words, &groups));
        let mut snapshot = Self {
            who: some(&settings.who),
            except: People::of(&settings.except, &groups),
            settings,
            partners: BTreeMap::new(),
            groups: BTreeMap::new(),
            has_inside: false,
            membership: Membership::of(&groups),
            exact: HashMap::new(),
            below: HashMap::new(),
        };
        for partner in partners {
            let known = before.and_then(|before| before.partners.get(&partner.name));
            let agreed = Arc::new(Agreed {
                last_day: partner.last_day(),
                local: some(&partner.local),
                remote: some(&partner.remote),
                used: known.map(|known| known.used.clone()).unwrap_or_default(),
                roots: partner.trust.authority.as_deref().and_then(|pem| authorities(pem).ok()),
                pins: partner.trust.pins.iter().filter_map(|pin| pin.parse().ok()).collect(),
                crls: partner.trust.crl.iter().map(|path| crl::File::new(path)).collect(),
                partner,
            });
            snapshot.has_inside |= agreed.partner.inside;
            for domain in &agreed.partner.domains {
                match domain.strip_prefix("*.") {
                    Some(above) => snapshot.below.insert(above.to_owned(), agreed.clone()),
                    None => snapshot.exact.insert(domain.clone(), agreed.clone()),
                };
            }
            snapshot.partners.insert(agreed.partner.name.clone(), agreed);
        }
        snapshot.groups = groups;
        snapshot
    }

    /// Are both partners, and do both want their users to meet here? Who is inside meets everybody here.
    pub fn may_pass_through(&self, pair: &DomainPair) -> bool {
        let wants = |domain: &Address| self.of(domain.domain()).is_some_and(|agreed| agreed.partner.transit);
        let inside = self.is_inside(&pair.local) || self.is_inside(&pair.remote);
        pair.local != pair.remote && (inside || (wants(&pair.local) && wants(&pair.remote)))
    }

    /// Are this domain's servers behind this one?
    pub fn is_inside(&self, domain: &Address) -> bool {
        self.has_inside && self.of(domain.domain()).is_some_and(|agreed| agreed.partner.inside)
    }

    /// A group that there is not names nobody, which is not what somebody meant who named it.
    pub fn warn_of_strangers(&self) {
        for word in self.settings.who.iter().chain(&self.settings.except) {
            if let Ok(Pattern::Group(name)) = Pattern::parse(word)
                && !self.groups.contains_key(&name)
            {
                tracing::warn!(
                    name,
                    "[federation] names a group that there is not; `rialto group add` makes it"
                );
            }
        }
    }

    /// The partner a domain belongs to: what names it exactly, else the longest wildcard.
    pub fn of(&self, domain: &str) -> Option<&Arc<Agreed>> {
        if let Some(agreed) = self.exact.get(domain) {
            return Some(agreed);
        }
        if self.below.is_empty() {
            return None;
        }
        let mut rest = domain;
        while let Some((_, above)) = rest.split_once('.') {
            if let Some(agreed) = self.below.get(above) {
                return Some(agreed);
            }
            rest = above;
        }
        None
    }

    /// Who else has one of these domains.
    pub fn owner(&self, domain: &str) -> Option<&Arc<Agreed>> {
        match domain.strip_prefix("*.") {
            Some(above) => self.below.get(above),
            None => self.exact.get(domain),
        }
    }
}

impl Agreed {
    /// Is this dialect spoken with it?
    pub fn speaks(&self, dialect: Dialect) -> bool {
        let protocols = &self.partner.protocols;
        protocols.is_empty() || Protocol::of(dialect).is_none_or(|p| protocols.contains(&p))
    }

    /// What counts as proof of its servers. Gives what is to be said about it besides, too. Blocks.
    ///
    /// # Errors
    /// In words, where a revocation list cannot be read.
    pub fn prove<T>(
        &self,
        ours: &Roots,
        client: bool,
        with: impl FnOnce(Measure<'_>) -> T,
    ) -> Result<(T, Option<String>), String> {
        let mut roots = Vec::with_capacity(2);
        roots.extend(&self.roots);
        if self.partner.trust.system {
            roots.push(ours);
        }
        let read =
            self.crls.iter().map(|file| Ok((file, file.read()?))).collect::<Result<Vec<_>, String>>()?;
        let crls: Vec<_> = read.iter().flat_map(|(_, lists)| &lists.lists).collect();
        let now = crate::clock::wall().unix_ms() / 1000;
        let overdue = read.iter().find_map(|(file, lists)| file.overdue(lists, now));
        let tolerant = self.partner.trust.tolerant;
        Ok((with(Measure { roots: &roots, pins: &self.pins, crls: &crls, client, tolerant }), overdue))
    }

    /// Does signed DNS count: not at all, besides other proof, or alone? Never past a key or an authority that was agreed on.
    pub fn dane(&self, usual: bool) -> Dane {
        let trust = &self.partner.trust;
        match trust.dane {
            Dane::Usual if usual && trust.system && self.pins.is_empty() => Dane::Usual,
            Dane::Only => Dane::Only,
            _ => Dane::No,
        }
    }

    /// May it say over HTTPS which certificate is good, where nothing else makes it so?
    pub fn may_name(&self) -> bool {
        let trust = &self.partner.trust;
        trust.posh && trust.system && trust.dane != Dane::Only && self.pins.is_empty()
    }

    /// Where its servers are, as far as that was agreed on.
    pub fn hops(&self, dialect: Dialect) -> Vec<Hop> {
        self.routes(&[dialect]).into_iter().filter(|r| r.dialect == dialect).filter_map(|r| r.at).collect()
    }

    /// May a server of its be called back where the certificate does not prove it? Never past a key or an authority
    /// that was agreed on.
    pub fn may_call_back(&self) -> bool {
        let trust = &self.partner.trust;
        trust.dialback && trust.system && trust.dane != Dane::Only && self.pins.is_empty()
    }

    /// The ways to its servers, best first.
    pub fn routes(&self, usual: &[Dialect]) -> Vec<Route> {
        let own: Vec<Dialect> = self.partner.protocols.iter().map(|p| p.dialect()).collect();
        let dialects = if own.is_empty() { usual } else { &own };
        let mut routes = Vec::new();
        for &dialect in dialects {
            let before = routes.len();
            let named = self.partner.routes.iter().filter(|r| r.protocol.dialect() == dialect);
            routes.extend(named.map(|route| Route {
                dialect,
                at: Some(Hop {
                    host: route.host.clone(),
                    port: route.port,
                    security: match route.security {
                        RouteSecurity::Usual => HopSecurity::Usual,
                        RouteSecurity::Tls => HopSecurity::Direct,
                        RouteSecurity::None => HopSecurity::None,
                    },
                }),
            }));
            if routes.len() == before {
                routes.push(Route { dialect, at: None });
            }
        }
        routes
    }
}

impl Agreed {
    /// What is spoken with it where each of its people may speak something else, best first; empty where there is but
    /// one protocol, or none was agreed on.
    pub fn protocols(&self) -> &[Protocol] {
        let protocols = &self.partner.protocols;
        let several = protocols.iter().any(|p| Some(p) != protocols.first());
        if several { protocols } else { &[] }
    }
}
