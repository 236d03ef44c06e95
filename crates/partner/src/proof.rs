//! Whether a server is the domain that it says: what counts for whom, in its order.

use crate::dane::{Dane, Verdict, judge};
use crate::federation::Federation;
use crate::snapshot::Snapshot;
use crate::trust::{Measure, REVOKED, prove};
use model::{Address, Certificates, Dialect, Opener};
use ports::{Applicant, Signed};
use sha2::{Digest, Sha256, Sha512};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What came of it.
pub(crate) struct Proof {
    /// `Ok`: proved, and what had to be tolerated for it or what proved it, if that is to be said. `Err`: why not.
    pub proved: Result<Option<String>, String>,
    /// Nothing else will do.
    pub is_final: bool,
    /// Another time it may be otherwise.
    pub is_passing: bool,
    /// What signed DNS said, where it was asked.
    pub published: Option<String>,
}

impl Proof {
    /// Says this too, where it is proved.
    fn remarking(mut self, more: Option<String>) -> Self {
        if let (Ok(remark), Some(more)) = (&mut self.proved, more) {
            *remark = Some(remark.take().map_or_else(|| more.clone(), |remark| format!("{remark}; {more}")));
        }
        self
    }
}

impl Federation {
    /// May block.
    pub(crate) fn prove(&self, snapshot: &Snapshot, applicant: &Applicant) -> Proof {
        let Applicant { pair, dialect, opener, certificates, secured } = applicant;
        let agreed = snapshot.of(pair.remote.domain());
        let ours = &snapshot.settings.roots;
        let measured = |with: &dyn Fn(Measure<'_>) -> Proof| {
            let client = *opener == Opener::Them;
            match agreed {
                Some(agreed) => match agreed.prove(ours, client, with) {
                    Ok((proof, overdue)) => proof.remarking(overdue),
                    Err(why) => {
                        Proof { proved: Err(why), is_final: true, is_passing: false, published: None }
                    }
                },
                None => with(Measure { roots: &[ours], pins: &[], crls: &[], client, tolerant: true }),
            }
        };
        let usual = snapshot.settings.dane;
        let dane = match agreed {
            _ if !secured => Dane::No,
            Some(agreed) => agreed.dane(usual),
            None if usual => Dane::Usual,
            None => Dane::No,
        };
        let hops = || agreed.map(|a| a.hops(*dialect)).unwrap_or_default();
        let found = (dane != Dane::No).then(|| match self.published.read().clone() {
            Some(published) => published.tlsa(&pair.remote, *dialect, &hops()),
            None => Err("nobody looks it up here".into()),
        });
        let domain = pair.remote.domain();
        measured(&|measure| {
            let published = found.as_ref().map(in_words);
            let firm = |proved| Proof {
                proved,
                is_final: true,
                is_passing: matches!(&found, Some(Err(_))),
                published: published.clone(),
            };
            match (&found, certificates) {
                (Some(Err(why)), _) => {
                    return firm(Err(format!(
                        "what DNS says of its certificate cannot be trusted (DANE): {why}"
                    )));
                }
                (Some(Ok(servers)), Some(shown)) => match judge(shown, domain, *dialect, servers, measure) {
                    Verdict::Proved(how) => return firm(Ok(Some(how))),
                    Verdict::Refused(why) => return firm(Err(why)),
                    Verdict::Undecided => {}
                },
                (Some(Ok(servers)), None) if servers.iter().any(|server| !server.records.is_empty()) => {
                    return firm(Err("it shows no certificate, but its DNS names one (DANE)".into()));
                }
                _ => {}
            }
            if dane == Dane::Only {
                let why = "only DANE counts for it, and its signed DNS does not say which certificate its servers have";
                return firm(Err(why.into()));
            }
            let proved = match certificates {
                Some(shown) => prove(shown, domain, *dialect, measure).or_else(|why| {
                    if REVOKED.contains(&why.as_str()) {
                        return Err(why);
                    }
                    let usual = snapshot.settings.posh && agreed.is_none_or(|a| a.may_name());
                    if usual { self.named_on_web(&pair.remote, *dialect, shown, &why) } else { Err(why) }
                }),
                None if *secured => Err("it shows no certificate".to_owned()),
                None => Err("the connection is not secured, so nothing is proved".to_owned()),
            };
            let is_final = proved.as_ref().is_err_and(|why| REVOKED.contains(&why.as_str()));
            Proof { proved, is_final, is_passing: false, published: published.clone() }
        })
    }
}

impl Federation {
    /// Does the domain name this certificate over HTTPS (RFC 7711)? Then neither its name nor who issued it matters.
    fn named_on_web(
        &self,
        domain: &Address,
        dialect: Dialect,
        shown: &Certificates,
        why: &str,
    ) -> Result<Option<String>, String> {
        let Some(published) = self.published.read().clone() else { return Err(why.to_owned()) };
        let leaf = shown.0.first().map(AsRef::as_ref).unwrap_or_default();
        let named =
            published.posh(domain, dialect).map_err(|error| format!("{why}; nor by POSH: {error}"))?;
        let (sha256, sha512) = (Sha256::digest(leaf), Sha512::digest(leaf));
        let is_it = |hash: &Vec<u8>| hash == sha256.as_slice() || hash == sha512.as_slice();
        let in_time = X509Certificate::from_der(leaf).is_ok_and(|(_, parsed)| parsed.validity().is_valid());
        match (named.iter().any(is_it), in_time) {
            (true, true) => Ok(Some("by POSH: the domain names it over HTTPS".into())),
            (true, false) => Err(why.to_owned()),
            (false, _) if named.is_empty() => Err(why.to_owned()),
            (false, _) => Err(format!("{why}; nor does the domain name it over HTTPS (POSH)")),
        }
    }
}

fn in_words(found: &Result<Vec<Signed>, String>) -> String {
    match found {
        Err(why) => format!("not to be trusted: {why}"),
        Ok(servers) if servers.is_empty() => "the domain's records are not signed".into(),
        Ok(servers) => {
            let say = |s: &Signed| match s.records.len() {
                0 => format!("_{}._tcp.{}: nothing that is signed", s.port, s.host),
                n => format!("_{}._tcp.{}: {n} signed TLSA", s.port, s.host),
            };
            servers.iter().map(say).collect::<Vec<_>>().join(", ")
        }
    }
}
