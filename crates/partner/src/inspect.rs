//! What a certificate is, for whoever wants to know why it proves something, or does not.

use crate::clock::wall;
use crate::federation::Federation;
use crate::names::listed;
use crate::trust::{Measure, Pin, prove};
use model::{Address, Certificates, Dialect, DomainPair, Opener};
use ports::Applicant;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A day.
const DAY: i64 = 86_400;

/// A certificate, as a peer showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Inspected {
    /// For whom it was issued.
    pub names: Vec<String>,
    /// By whom.
    pub issuer: String,
    /// Certificates shown with it.
    pub chain: usize,
    /// Days until it expires; negative where it has.
    pub days_left: i64,
    /// Days until it becomes valid, where it is not yet.
    pub days_early: i64,
    /// May it be shown by a server that connects to others (client authentication in its extended key usage)?
    pub for_clients: bool,
    /// SHA-256 of its key, for `--pin`.
    pub key: String,
    /// Why it does not prove that the peer is the domain; none where it does.
    pub wrong: Option<String>,
    /// What makes it good where no authority does, or what had to be tolerated.
    pub remark: Option<String>,
    /// What the domain's signed DNS says of its certificates; none where that was not asked.
    pub published: Option<String>,
}

impl Federation {
    /// Is what a web server showed good for this host, by the authorities that count for everybody's servers?
    ///
    /// # Errors
    /// In words, why not.
    pub fn is_web_server(&self, host: &str, shown: &Certificates) -> Result<(), String> {
        let snapshot = self.snapshot();
        let roots = [&snapshot.settings.roots];
        let measure = Measure { roots: &roots, pins: &[], crls: &[], client: false, tolerant: false };
        prove(shown, host, Dialect::Hub, measure).map(drop)
    }

    /// Looks at a certificate that a server of this domain showed when we connected. May block. `None` where it cannot be read.
    pub fn inspect(&self, domain: &Address, dialect: Dialect, shown: &Certificates) -> Option<Inspected> {
        let leaf = shown.0.first()?;
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        let snapshot = self.snapshot();
        let pair = DomainPair { local: domain.clone(), remote: domain.clone() };
        let proof = self.prove(
            &snapshot,
            &Applicant {
                pair,
                dialect,
                opener: Opener::Us,
                certificates: Some(shown.clone()),
                secured: true,
            },
        );
        let now = i64::try_from(wall().unix_ms() / 1000).unwrap_or(i64::MAX);
        let validity = parsed.validity();
        let uses = parsed.extended_key_usage().ok().flatten();
        Some(Inspected {
            names: listed(&parsed),
            issuer: parsed.issuer().to_string(),
            chain: shown.0.len() - 1,
            days_left: (validity.not_after.timestamp() - now).div_euclid(DAY),
            days_early: ((validity.not_before.timestamp() - now).max(0) + DAY - 1) / DAY,
            for_clients: uses.is_none_or(|uses| uses.value.client_auth || uses.value.any),
            key: Pin::of(leaf)?.to_string(),
            remark: proof.proved.as_ref().ok().cloned().flatten(),
            published: proof.published,
            wrong: proof.proved.err(),
        })
    }
}
