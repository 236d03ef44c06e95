//! A test of another company's servers, before anything was agreed with it or after: step by step, with what is wrong
//! in plain words, and what to do.

mod send;
mod sip;
mod xmpp;

pub use send::send;

use connector::{Search, TlsFacts, TlsMode};
use model::{Address, Dialect};
use net::{Resolver, Spot, Tls, Visit};
use partner::{Federation, Inspected, Partner, Protocol, RouteSecurity};
use std::sync::Arc;
use std::time::Instant;
use web::{Check, Probed, Verdict};

/// Warn of a certificate that expires within so many days.
const SOON: i64 = 21;

/// What a test is made with.
pub struct Ground {
    pub partners: Arc<Federation>,
    pub resolver: Resolver,
    pub tls: Option<Arc<Tls>>,
    /// A domain of ours, in whose name we ask.
    pub local: Address,
}

/// What one protocol's test has found so far.
struct Report {
    protocol: Protocol,
    checks: Vec<Check>,
    since: Instant,
}

impl Report {
    fn new(protocol: Protocol) -> Self {
        Self { protocol, checks: Vec::new(), since: Instant::now() }
    }

    fn add(&mut self, verdict: Verdict, step: &str, found: impl Into<String>, remedy: Option<&str>) {
        let now = Instant::now();
        let ms = u64::try_from((now - self.since).as_millis()).unwrap_or(u64::MAX);
        self.since = now;
        self.checks.push(Check {
            protocol: self.protocol.dialect().name().to_owned(),
            step: step.to_owned(),
            verdict,
            found: found.into(),
            remedy: remedy.map(str::to_owned),
            ms,
        });
    }

    fn good(&mut self, step: &str, found: impl Into<String>) {
        self.add(Verdict::Good, step, found, None);
    }

    fn note(&mut self, step: &str, found: impl Into<String>, remedy: &str) {
        self.add(Verdict::Note, step, found, Some(remedy));
    }

    fn bad(&mut self, step: &str, found: impl Into<String>, remedy: &str) {
        self.add(Verdict::Bad, step, found, Some(remedy));
    }

    fn is_good(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.verdict != Verdict::Bad)
    }
}

/// Tests a partner, by its name, or any domain.
///
/// # Errors
/// In words, where there is nothing to test.
pub async fn probe(ground: &Ground, name: &str) -> Result<Probed, String> {
    let partner = ground.partners.partner(name).ok();
    let domain = match &partner {
        Some(partner) if partner.name == name => {
            let exact = partner.domains.iter().find(|domain| !domain.starts_with("*."));
            exact.cloned().ok_or("this partner has wildcards only; name one of its domains")?
        }
        _ => name.trim_end_matches('.').to_lowercase(),
    };
    let good_name =
        Address::parse(&domain).ok().filter(|a| a.user().is_none() && domain.contains(['.', ':']));
    let domain = good_name.ok_or_else(|| format!("{name:?} is neither a partner nor a domain"))?;
    let wanted = partner.as_ref().map(|p| p.protocols.clone()).unwrap_or_default();
    let wants = |protocol| wanted.is_empty() || wanted.contains(&protocol);
    let look = async |protocol: Protocol| match (wants(protocol), protocol) {
        (false, _) => None,
        (true, Protocol::Xmpp) => Some(xmpp::look(ground, partner.as_ref(), &domain).await),
        (true, Protocol::Sip) => Some(sip::look(ground, partner.as_ref(), &domain).await),
    };
    let (xmpp, sip) = tokio::join!(look(Protocol::Xmpp), look(Protocol::Sip));
    let reports: Vec<Report> = [xmpp, sip].into_iter().flatten().collect();
    // Whoever agreed on both wants both; of a stranger one is enough.
    let good = match wanted.is_empty() {
        true => reports.iter().any(Report::is_good),
        false => reports.iter().all(Report::is_good),
    };
    let checks = reports.into_iter().flat_map(|report| report.checks).collect();
    let at = crate::clock::now().to_string();
    Ok(Probed { domain: domain.to_string(), partner: partner.map(|p| p.name), at, good, checks })
}

/// What becomes of words in another's name.
enum Forged {
    /// In words, how they were refused.
    Refused(String),
    /// In words, that they were taken.
    Taken(String),
}

/// Does a partner's server refuse somebody who speaks in another's name? A row of the conformance table for each protocol
/// in which it could be reached.
pub async fn forged(ground: &Ground, partner: &Partner, domain: &Address, seen: &[Check]) -> Vec<Check> {
    let Ok(somebody) = Address::parse("forged.invalid") else { return Vec::new() };
    let mut checks = Vec::new();
    for protocol in reached(seen) {
        let mut report = Report::new(protocol);
        let said = match protocol {
            Protocol::Xmpp => xmpp::forged(ground, Some(partner), domain, &somebody).await,
            Protocol::Sip => sip::forged(ground, Some(partner), domain, &somebody).await,
        };
        match said {
            Ok(Forged::Refused(how)) => report.good("forged", format!("refused: {how}")),
            Err(why) => {
                report.note("forged", why, "nothing can be said of it; it is tried again with the next test")
            }
            Ok(Forged::Taken(why)) => {
                let remedy = "their server lets us speak in another's name: tell them, and suspend them until it is mended";
                report.bad("forged", why, remedy);
            }
        }
        checks.append(&mut report.checks);
    }
    checks
}

/// The protocols in which all was well.
fn reached(seen: &[Check]) -> Vec<Protocol> {
    let is_well = |protocol: &Protocol| {
        let name = protocol.dialect().name();
        let of_it: Vec<&Check> = seen.iter().filter(|check| check.protocol == name).collect();
        !of_it.is_empty() && of_it.iter().all(|check| check.verdict != Verdict::Bad)
    };
    [Protocol::Xmpp, Protocol::Sip].into_iter().filter(is_well).collect()
}

/// DNS and TCP: a connection to the first server that takes one.
async fn reach(
    ground: &Ground,
    partner: Option<&Partner>,
    domain: &Address,
    search: &Search,
    report: &mut Report,
) -> Option<(Visit, Spot)> {
    let routes = partner.map(|p| p.routes.as_slice()).unwrap_or_default();
    let route = routes.iter().find(|route| route.protocol == report.protocol);
    let spots = match route {
        Some(route) => {
            let tls = match route.security {
                RouteSecurity::Usual => search.fallback.1,
                RouteSecurity::Tls => TlsMode::Direct,
                RouteSecurity::None => TlsMode::None,
            };
            let port = route.port.unwrap_or(search.fallback.0);
            match ground.resolver.spots(&route.host, port, tls).await {
                Ok(spots) => {
                    report.good("dns", format!("not asked: the route to {} was agreed on", route.host));
                    spots
                }
                Err(why) => {
                    report.bad("dns", why, "correct the partner's route (`rialto partner edit --route`)");
                    return None;
                }
            }
        }
        None => survey(ground, domain, search, report).await?,
    };
    let mut why = String::new();
    for spot in spots {
        match Visit::begin(spot.addr).await {
            Ok(visit) => {
                report.good("tcp", format!("{} takes connections", spot.addr));
                return Some((visit, spot));
            }
            Err(error) => why = format!("{} takes no connections: {error}", spot.addr),
        }
    }
    report.bad(
        "tcp",
        why,
        "their server is down, or a firewall is in between: theirs must let this port in, and yours out",
    );
    None
}

async fn survey(
    ground: &Ground,
    domain: &Address,
    search: &Search,
    report: &mut Report,
) -> Option<Vec<Spot>> {
    let survey = ground.resolver.survey(domain.domain(), search).await;
    let records: Vec<String> = survey
        .asked
        .iter()
        .map(|(name, found)| match found {
            Ok(0) => format!("{name}: none"),
            Ok(n) => format!("{name}: {n}"),
            Err(why) => format!("{name}: {why}"),
        })
        .collect();
    let records = records.join(", ");
    let named = survey.asked.iter().any(|(_, found)| found.as_ref().is_ok_and(|n| *n > 0));
    match survey.spots {
        Ok(spots) if named => {
            report.good("dns", records);
            Some(spots)
        }
        Ok(spots) => {
            let remedy = "they should publish an SRV record; until then their domain's own address is tried";
            report.note("dns", records, remedy);
            Some(spots)
        }
        Err(why) => {
            let remedy = "is the domain written as it should be? If so, they must publish an SRV record, or you name a \
                          route (`rialto partner edit --route`)";
            report.bad("dns", format!("{why} ({records})"), remedy);
            None
        }
    }
}

/// TLS, and what the certificate proves.
async fn secure(
    ground: &Ground,
    domain: &Address,
    visit: Visit,
    alpn: Option<&'static str>,
    report: &mut Report,
) -> Option<Visit> {
    let ours = ground.tls.as_deref().map(|tls| (tls, ground.local.domain()));
    match visit.secure(ours, domain.domain(), alpn).await {
        Ok((visit, facts)) => {
            report.good("tls", "the handshake is done");
            certificate(ground, domain, facts, report).await;
            Some(visit)
        }
        Err(why) => {
            let remedy =
                "their server must speak TLS 1.2 or 1.3 on this port; perhaps something else listens there";
            report.bad("tls", format!("the handshake failed: {why}"), remedy);
            None
        }
    }
}

async fn certificate(ground: &Ground, domain: &Address, facts: TlsFacts, report: &mut Report) {
    let Some(seen) = inspect(ground, domain, report.protocol.dialect(), facts).await else {
        return report.bad("certificate", "no certificate that can be read", "they must install one");
    };
    let is = format!("for {}, by {}, key {}", seen.names.join(", "), seen.issuer, seen.key);
    match &seen.wrong {
        None => report.good(
            "certificate",
            match &seen.remark {
                Some(remark) => format!("{is}; {remark}"),
                None => is,
            },
        ),
        Some(why) => report.bad("certificate", format!("{why} ({is})"), remedy(&seen, why)),
    }
    match &seen.published {
        Some(what) if what.contains("not to be trusted") => report.bad(
            "dane",
            what.clone(),
            "either their DNS is wrongly signed, or your name servers lose signatures: `delv` tells which; until it is \
             mended, `rialto partner edit --dane no` does without",
        ),
        Some(what) => report.good("dane", what.clone()),
        None => {}
    }
    match seen.days_left {
        // Whose key is named in DNS may show a certificate of any age (RFC 7671 section 5.1).
        days if days < 0 && seen.wrong.is_none() => {
            report.note("expiry", format!("expired {} days ago, which is no matter here", -days), "nothing")
        }
        days if days < 0 => report.bad("expiry", format!("expired {} days ago", -days), "they must renew it"),
        days if days < SOON => {
            report.note("expiry", format!("expires in {days} days"), "they should renew it")
        }
        days => report.good("expiry", format!("expires in {days} days")),
    }
    if seen.days_early > 0 {
        let found = format!("the certificate becomes valid in {} days", seen.days_early);
        report.bad("clock", found, "one of the two clocks is wrong: compare yours with a time server first");
    }
    match seen.for_clients {
        true => report.good("usage", "their server may show it when it connects to us, too"),
        false => report.note(
            "usage",
            "it is not meant for servers that connect to others (no client authentication in its extended key usage)",
            "nothing, while partners are tolerated (`--tolerant yes`, the default); a pinned key or their own authority \
             would do as well",
        ),
    }
}

/// May wait for DNS, and must not keep a thread of the runtime for that.
async fn inspect(ground: &Ground, domain: &Address, dialect: Dialect, facts: TlsFacts) -> Option<Inspected> {
    let (partners, domain, shown) = (ground.partners.clone(), domain.clone(), facts.certificates?);
    let looking = tokio::task::spawn_blocking(move || partners.inspect(&domain, dialect, &shown));
    looking.await.ok().flatten()
}

/// What to do about a certificate that proves nothing.
fn remedy(seen: &Inspected, why: &str) -> &'static str {
    if seen.days_left < 0 || seen.days_early > 0 {
        "they must renew it, if both clocks are right"
    } else if why.contains("DANE") {
        "their TLSA records and their certificate must agree: they must publish the new record before they change the \
         certificate"
    } else if why.contains("key") && why.contains("agreed on") {
        "ask them whether they changed their key; if they did, `rialto partner edit --pin` with the new one"
    } else if why.contains(" is for ") || why.contains("names no domain") {
        "they need a certificate that names the domain of their addresses"
    } else if seen.chain == 0 && !why.contains("self-signed") {
        "they probably leave out the intermediate certificate: the whole chain must be installed, leaf first; if their \
         authority is their own, ask for its certificate (`rialto partner edit --ca`)"
    } else {
        "if that is as it should be, ask them on another way for their authority's certificate (`rialto partner edit \
         --ca`), or for their key (`--pin`)"
    }
}
