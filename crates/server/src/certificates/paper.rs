//! What a certificate says.

use crate::failure::Failure;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Days before the end from which it is time to say so.
pub const SOON: i64 = 21;

/// What people want to know of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// The domains it names.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// Since when it is valid, Unix seconds.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// Its public key, DER (SubjectPublicKeyInfo).
    pub key: Vec<u8>,
}

impl Paper {
    /// Reads the first certificate of a PEM file.
    ///
    /// # Errors
    /// [`Failure`] naming the file.
    pub fn open(file: &Path) -> Result<Self, Failure> {
        let failed = |what: String| Failure::new(format!("{}: {what}", file.display()));
        let der = CertificateDer::from_pem_file(file).map_err(|e| failed(e.to_string()))?;
        Self::read(&der).ok_or_else(|| failed("this is no certificate".into()))
    }

    /// Reads a certificate; `None` if it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let names = match parsed.subject_alternative_name() {
            Ok(Some(extension)) => {
                let name = |name: &GeneralName<'_>| match name {
                    GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                    _ => None,
                };
                extension.value.general_names.iter().filter_map(name).collect()
            }
            _ => Vec::new(),
        };
        Some(Self {
            names,
            issuer: parsed.issuer().to_string(),
            from: parsed.validity().not_before.timestamp(),
            until: parsed.validity().not_after.timestamp(),
            key: parsed.public_key().raw.to_vec(),
        })
    }

    /// Whole days until it ends; negative once it has.
    pub fn days_left(&self, now: i64) -> i64 {
        (self.until - now).div_euclid(86_400)
    }

    /// Two thirds of its life are over: time for the next one.
    pub fn is_due(&self, now: i64) -> bool {
        now >= self.from + (self.until - self.from) / 3 * 2
    }

    /// Does it name this domain?
    pub fn is_for(&self, domain: &str) -> bool {
        // Certificates name domains as DNS does (RFC 6125 section 6.4.2).
        let domain = partner::ascii(domain);
        let parent = domain.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|n| *n == domain || (n.starts_with("*.") && n.strip_prefix("*.") == parent))
    }
}

/// Now, Unix seconds.
pub fn now() -> i64 {
    i64::try_from(crate::clock::now().unix_ms() / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_thirds() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params =
            rcgen::CertificateParams::new(vec!["Example.com".into(), "*.example.org".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let paper = Paper::read(params.self_signed(&key).unwrap().der()).unwrap();
        let day = 86_400;
        assert_eq!((paper.until - paper.from) / day, 90);
        assert_eq!(paper.days_left(paper.until - day), 1);
        assert_eq!(paper.days_left(paper.until + 1), -1);
        assert!(!paper.is_due(paper.from + 59 * day) && paper.is_due(paper.from + 60 * day));
        assert!(paper.is_for("example.com") && paper.is_for("im.example.org"));
        assert!(!paper.is_for("example.org") && !paper.is_for("a.im.example.org"));
    }

    #[test]
    fn a_domain_is_named_as_dns_has_it() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["xn--bcher-kva.example".into()]).unwrap();
        let paper = Paper::read(params.self_signed(&key).unwrap().der()).unwrap();
        assert!(paper.is_for("bücher.example") && paper.is_for("xn--bcher-kva.example"));
        assert!(!paper.is_for("bucher.example"));
    }
}
