//! Names to addresses: NAPTR, SRV, then A and AAAA (RFC 2782; RFC 6120 section 3.2; RFC 3263 section 4).

use connector::{Search, Service, TlsMode};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

type Builder = ResolverBuilder<TokioRuntimeProvider>;

/// Addresses tried for one name at most, so that nobody makes us knock on doors for minutes.
pub(crate) const TRIED: usize = 8;
/// How long one server may take for one question, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;

/// Somewhere to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub addr: SocketAddr,
    pub tls: TlsMode,
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unresolved {
    #[error("DNS knows no server for {0}")]
    Nothing(String),
    /// The single target "." of RFC 2782.
    #[error("{0} says in DNS that it has no such service")]
    Declined(String),
    #[error("DNS does not answer for {0}: {1}")]
    Failed(String, String),
}

/// Who is asked.
#[derive(Clone)]
pub struct Resolver {
    plain: TokioResolver,
    /// Believes only what is signed (RFC 4035), where somebody wants to know that.
    validating: TokioResolver,
}

/// The keys that signed names are traced back to.
#[derive(Clone, Default)]
pub struct Anchors(TrustAnchors);

impl Anchors {
    /// Those of a file of DNSKEY records, as `unbound-anchor` and `dig` write them.
    ///
    /// # Errors
    /// In words, also where it holds none.
    pub fn read(file: &Path) -> Result<Self, String> {
        let anchors = TrustAnchors::from_file(file).map_err(|e| e.to_string())?;
        match anchors.is_empty() {
            true => Err("it holds no DNSKEY record".into()),
            false => Ok(Self(anchors)),
        }
    }
}

impl Resolver {
    /// One that asks these servers, or, where there are none, those of the system.
    ///
    /// # Errors
    /// In words, when the system's cannot be read.
    pub fn open(servers: &[SocketAddr], anchors: Anchors) -> Result<Self, String> {
        let builder = || {
            if servers.is_empty() {
                return TokioResolver::builder_tokio().map_err(|e| e.to_string());
            }
            let servers = servers.iter().map(|server| {
                let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                connections.iter_mut().for_each(|c| c.port = server.port());
                NameServerConfig::new(server.ip(), true, connections)
            });
            Ok(asking(ResolverConfig::from_parts(None, Vec::new(), servers.collect())))
        };
        Self::of(builder()?, builder()?, anchors)
    }

    /// One that asks nobody, and so finds nobody.
    ///
    /// # Errors
    /// In words, when not even that can be made.
    pub fn nobody() -> Result<Self, String> {
        let builder = || asking(ResolverConfig::from_parts(None, Vec::new(), Vec::new()));
        Self::of(builder(), builder(), Anchors::default())
    }

    fn of(mut plain: Builder, mut validating: Builder, anchors: Anchors) -> Result<Self, String> {
        for builder in [&mut plain, &mut validating] {
            builder.options_mut().timeout = PATIENCE;
            builder.options_mut().attempts = ATTEMPTS;
        }
        let validating = validating.with_trust_anchor(Arc::new(anchors.0));
        Ok(Self {
            plain: plain.build().map_err(|e| e.to_string())?,
            validating: validating.build().map_err(|e| e.to_string())?,
        })
    }

    pub(crate) fn validating(&self) -> &TokioResolver {
        &self.validating
    }

    /// Where the servers of a domain are, in the order in which to try them.
    pub(crate) async fn find(&self, domain: &str, search: &Search) -> Result<Vec<Target>, Unresolved> {
        let announced = self.announced(domain, search).await?;
        if announced.is_empty() { self.guess(domain, search).await } else { Ok(announced) }
    }

    /// Where a domain says that its servers are, in the order in which to try them; empty if it says nothing.
    pub(crate) async fn announced(&self, domain: &str, search: &Search) -> Result<Vec<Target>, Unresolved> {
        if let Ok(ip) = domain.trim_matches(['[', ']']).parse::<IpAddr>() {
            let (port, tls) = search.fallback;
            return Ok(vec![Target { addr: SocketAddr::new(ip, port), tls }]);
        }
        let named = self.naptr(domain, search.naptr).await;
        let usual = |group: &&[Service]| -> Vec<(String, TlsMode)> {
            group.iter().map(|service| (format!("{}.{domain}.", service.name), service.tls)).collect()
        };
        for group in named.into_iter().map(|one| vec![one]).chain(search.services.iter().map(usual)) {
            let mut found = Vec::new();
            let mut declined = false;
            for (name, tls) in group {
                for srv in self.srv(&name, domain).await? {
                    match srv.host.as_str() {
                        "." => declined = true,
                        _ => found.push((srv, tls)),
                    }
                }
            }
            if found.is_empty() {
                if declined {
                    return Err(Unresolved::Declined(domain.to_owned()));
                }
                continue;
            }
            let mut targets = Vec::new();
            // Neither are more hosts looked up than would be tried.
            for (srv, tls) in drawn(found, chance).into_iter().take(TRIED) {
                let addresses = self.addresses(&srv.host).await.unwrap_or_default();
                targets.extend(addresses.into_iter().map(|ip| Target { addr: (ip, srv.port).into(), tls }));
            }
            targets.truncate(TRIED);
            return match targets.is_empty() {
                true => Err(Unresolved::Nothing(domain.to_owned())),
                false => Ok(targets),
            };
        }
        Ok(Vec::new())
    }

    /// Where the servers of a domain may be that says nothing about them.
    pub(crate) async fn guess(&self, domain: &str, search: &Search) -> Result<Vec<Target>, Unresolved> {
        let (port, tls) = search.fallback;
        self.host(domain, port, tls).await
    }

    /// The addresses of a host.
    pub(crate) async fn host(&self, host: &str, port: u16, tls: TlsMode) -> Result<Vec<Target>, Unresolved> {
        let addresses = self.addresses(host).await?;
        let targets = addresses.into_iter().map(|ip| Target { addr: SocketAddr::new(ip, port), tls });
        let targets: Vec<Target> = targets.take(TRIED).collect();
        if targets.is_empty() { Err(Unresolved::Nothing(host.to_owned())) } else { Ok(targets) }
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
        if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![ip]);
        }
        match self.plain.lookup_ip(host).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if nothing(&error) => Ok(Vec::new()),
            Err(error) => Err(Unresolved::Failed(host.to_owned(), error.to_string())),
        }
    }

    /// The SRV names that a domain's NAPTR records give for these services, in the order in which to try them (RFC 3263
    /// section 4.1). A name server that does not know such records is as good as one that has none.
    async fn naptr(&self, domain: &str, services: &[Service]) -> Vec<(String, TlsMode)> {
        if services.is_empty() {
            return Vec::new();
        }
        let Ok(found) = self.plain.lookup(format!("{domain}."), RecordType::NAPTR).await else {
            return Vec::new();
        };
        let mut named = Vec::new();
        for record in found.answers() {
            let RData::NAPTR(naptr) = &record.data else { continue };
            // Only what leads to SRV records, and is not to be rewritten first.
            if !naptr.flags.eq_ignore_ascii_case(b"s") || !naptr.regexp.is_empty() {
                continue;
            }
            let is_wanted = |service: &&Service| naptr.services.eq_ignore_ascii_case(service.name.as_bytes());
            if let Some(service) = services.iter().find(is_wanted) {
                let place = (naptr.order, naptr.preference);
                named.push((place, naptr.replacement.to_string(), service.tls));
            }
        }
        named.sort_by_key(|(place, ..)| *place);
        named.truncate(TRIED);
        named.into_iter().map(|(_, name, tls)| (name, tls)).collect()
    }

    /// How many SRV records of this name there are.
    pub(crate) async fn count(&self, name: &str, domain: &str) -> Result<usize, String> {
        self.srv(name, domain).await.map(|found| found.len()).map_err(|why| why.to_string())
    }

    async fn srv(&self, name: &str, domain: &str) -> Result<Vec<Srv>, Unresolved> {
        match self.plain.srv_lookup(name).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|r| Srv::of(&r.data)).collect()),
            Err(error) if nothing(&error) => Ok(Vec::new()),
            Err(error) => Err(Unresolved::Failed(domain.to_owned(), error.to_string())),
        }
    }
}

struct Srv {
    host: String,
    port: u16,
    priority: u16,
    weight: u16,
}

impl Srv {
    fn of(data: &RData) -> Option<Self> {
        let RData::SRV(srv) = data else { return None };
        let host = srv.target.to_string();
        Some(Self { host, port: srv.port, priority: srv.priority, weight: srv.weight })
    }
}

/// The order in which to try them (RFC 2782): by priority, and those of one priority drawn by their weights. `chance`
/// gives a number from 0 up to the given one.
fn drawn<T>(mut found: Vec<(Srv, T)>, mut chance: impl FnMut(u32) -> u32) -> Vec<(Srv, T)> {
    // Those without weight come first here, so that only a 0 draws them.
    found.sort_by_key(|(srv, _)| (srv.priority, srv.weight));
    let mut order = Vec::with_capacity(found.len());
    while let Some(priority) = found.first().map(|(srv, _)| srv.priority) {
        let weights = || {
            let equals = found.iter().take_while(|(srv, _)| srv.priority == priority);
            equals.map(|(srv, _)| u32::from(srv.weight))
        };
        let (drawn, mut sum) = (chance(weights().sum()), 0);
        let reached = |weight| {
            sum += weight;
            sum >= drawn
        };
        let at = weights().position(reached).unwrap_or_default();
        order.push(found.remove(at));
    }
    order
}

fn chance(most: u32) -> u32 {
    let mut bytes = [0u8; 8];
    let _ = getrandom::fill(&mut bytes);
    let drawn = u64::from_le_bytes(bytes) % (u64::from(most) + 1);
    u32::try_from(drawn).unwrap_or(most)
}

fn asking(config: ResolverConfig) -> Builder {
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}

pub(crate) fn nothing(error: &NetError) -> bool {
    error.is_nx_domain() || error.is_no_records_found()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_share_the_load_as_they_ask_for_it() {
        let servers = || -> Vec<(Srv, ())> {
            let of = [("second", 20, 5), ("none", 10, 0), ("much", 10, 60), ("some", 10, 40)];
            let srv = |(host, priority, weight)| Srv { host: String::from(host), port: 1, priority, weight };
            of.into_iter().map(|one| (srv(one), ())).collect()
        };
        let names = |chance: &mut dyn FnMut(u32) -> u32| {
            let order: Vec<String> = drawn(servers(), chance).into_iter().map(|(srv, ())| srv.host).collect();
            order.join(" ")
        };
        assert_eq!(names(&mut |_| 0), "none some much second");
        assert_eq!(names(&mut |most| most), "much some none second");
        let mut first = 40;
        assert_eq!(names(&mut |_| std::mem::take(&mut first)), "some none much second");
        // How often each is the first.
        let mut counts = [0; 2];
        for _ in 0..1000 {
            match drawn(servers(), chance)[0].0.host.as_str() {
                "much" => counts[0] += 1,
                "some" => counts[1] += 1,
                other => assert_eq!(other, "none"),
            }
        }
        assert!((500..700).contains(&counts[0]) && (300..500).contains(&counts[1]), "{counts:?}");
        assert_eq!(drawn(Vec::<(Srv, ())>::new(), chance).len(), 0);
    }
}
