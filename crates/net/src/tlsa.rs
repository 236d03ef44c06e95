//! TLSA records of a domain's servers (RFC 6698, RFC 7673). Only what is signed from the trust anchor down counts: the
//! SRV record, the address, and the TLSA record itself.

use crate::resolve::{Resolver, TRIED, nothing};
use connector::Search;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use ports::{Signed, Tlsa};
use std::net::IpAddr;

/// More records nobody needs for one server.
const RECORDS: usize = 32;

/// What a look-up of signed records comes to.
enum Found {
    /// There is none, or some is not signed.
    Nothing,
    Signed(Vec<RData>),
}

impl Resolver {
    /// The servers that a domain announces in signed records, each with its signed TLSA records; or, where hosts and ports
    /// are given, those. Empty where the domain's own records are not signed.
    ///
    /// # Errors
    /// In words, where DNS does not answer, or what it answers is forged.
    pub async fn tlsa(
        &self,
        domain: &str,
        search: &Search,
        hops: Vec<(String, u16)>,
    ) -> Result<Vec<Signed>, String> {
        let hosts = match hops.is_empty() {
            false => hops,
            true => self.signed_services(domain, search).await?,
        };
        let mut servers = Vec::new();
        for (host, port) in hosts.into_iter().take(TRIED) {
            if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
                // An address has no name under which records could be.
                servers.push(Signed { host, port, records: Vec::new() });
                continue;
            }
            let records = match self.is_signed_host(&host).await? {
                true => self.records(&host, port).await?,
                false => Vec::new(),
            };
            servers.push(Signed { host: host.trim_end_matches('.').to_owned(), port, records });
        }
        Ok(servers)
    }

    /// Where a domain's servers are, as far as that is signed.
    async fn signed_services(&self, domain: &str, search: &Search) -> Result<Vec<(String, u16)>, String> {
        for group in search.services {
            let mut found = Vec::new();
            for service in *group {
                let name = format!("{}.{domain}.", service.name);
                match self.signed(&name, RecordType::SRV).await? {
                    (_, Found::Signed(records)) => {
                        found.extend(records.into_iter().filter_map(|r| match r {
                            RData::SRV(srv) if !srv.target.is_root() => {
                                Some((srv.target.to_string(), srv.port))
                            }
                            _ => None,
                        }))
                    }
                    // What is announced without a signature may be anybody's word.
                    (true, Found::Nothing) => return Ok(Vec::new()),
                    (false, Found::Nothing) => {}
                }
            }
            if !found.is_empty() {
                found.dedup();
                return Ok(found);
            }
        }
        Ok(vec![(format!("{domain}."), search.fallback.0)])
    }

    /// Is the address of a host signed (RFC 7671 section 7)?
    async fn is_signed_host(&self, host: &str) -> Result<bool, String> {
        for kind in [RecordType::A, RecordType::AAAA] {
            match self.signed(host, kind).await? {
                (_, Found::Signed(_)) => return Ok(true),
                (true, Found::Nothing) => return Ok(false),
                (false, Found::Nothing) => {}
            }
        }
        Ok(false)
    }

    async fn records(&self, host: &str, port: u16) -> Result<Vec<Tlsa>, String> {
        let name = format!("_{port}._tcp.{}.", host.trim_end_matches('.'));
        let (_, Found::Signed(records)) = self.signed(&name, RecordType::TLSA).await? else {
            return Ok(Vec::new());
        };
        let tlsa = |record| match record {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data,
            }),
            _ => None,
        };
        Ok(records.into_iter().filter_map(tlsa).take(RECORDS).collect())
    }

    /// The records of one kind, if all that led to them is signed; and whether there are any at all.
    async fn signed(&self, name: &str, kind: RecordType) -> Result<(bool, Found), String> {
        match self.validating().lookup(name, kind).await {
            Ok(found) => {
                let answers: &[Record] = found.answers();
                let any = answers.iter().any(|record| record.record_type() == kind);
                let led = |r: &&Record| [kind, RecordType::CNAME].contains(&r.record_type());
                let signed = any && answers.iter().filter(led).all(|record| record.proof.is_secure());
                Ok((
                    any,
                    match signed {
                        true => Found::Signed(answers.iter().map(|record| record.data.clone()).collect()),
                        false => Found::Nothing,
                    },
                ))
            }
            Err(error) if nothing(&error) => Ok((false, Found::Nothing)),
            Err(error) => Err(format!("{}: {error}", name.trim_end_matches('.'))),
        }
    }
}
