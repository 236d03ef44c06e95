//! Our certificates with their keys: one for everybody, or one for each domain.

use bytes::Bytes;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use x509_parser::prelude::GeneralName;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{file}: {error}")]
    Pem {
        /// Which file.
        file: String,
        /// What is wrong with it.
        error: String,
    },
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
    /// There is none.
    #[error("there is no certificate")]
    None,
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())).clone()
}

/// A certificate and its key as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The domain it is for; `None`: whatever it names.
    pub domain: Option<String>,
    /// The chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

/// A domain as certificates and TLS have it: lower case, A-labels (RFC 6125 section 6.4.2).
pub(crate) fn ascii(domain: &str) -> String {
    let ascii = idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::EMPTY);
    ascii.map_or_else(|_| domain.to_ascii_lowercase(), Cow::into_owned)
}

/// One that was read and found good.
#[derive(Debug)]
pub(crate) struct Held {
    domain: Option<String>,
    /// The names in the certificate, lower case.
    names: Vec<String>,
    pub leaf: CertificateDer<'static>,
    /// What channels are bound to (RFC 5929 section 4).
    pub end_point: Option<Bytes>,
    certified: Arc<CertifiedKey>,
}

/// All of them; never empty.
#[derive(Debug)]
pub(crate) struct Ring(Vec<Held>);

impl Ring {
    pub fn open(files: &[KeyFiles]) -> Result<Self, TlsError> {
        let held: Vec<Held> = files.iter().map(Held::open).collect::<Result<_, _>>()?;
        if held.is_empty() { Err(TlsError::None) } else { Ok(Self(held)) }
    }

    /// The one for a name that somebody asked for: made for that domain, or naming it, or the first.
    pub fn pick(&self, name: Option<&str>) -> &Held {
        let Some(name) = name.map(ascii) else { return &self.0[0] };
        let made = self.0.iter().find(|held| held.domain.as_deref() == Some(&name));
        made.or_else(|| self.0.iter().find(|held| held.is_named(&name))).unwrap_or(&self.0[0])
    }

    pub fn leaves(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter().map(|held| &held.leaf)
    }

    /// One that shows those who name nobody the certificate for this domain; none where that is the first in any case.
    pub fn expecting(self: &Arc<Self>, named: Option<&str>) -> Option<Arc<Expecting>> {
        let certified = &self.pick(Some(named?)).certified;
        let other = !Arc::ptr_eq(certified, &self.0[0].certified);
        other.then(|| Arc::new(Expecting { ring: self.clone(), certified: certified.clone() }))
    }

    /// The one to show where we speak for a domain.
    pub fn speaking_for(self: &Arc<Self>, domain: &str) -> Arc<dyn ResolvesClientCert> {
        Arc::new(Speaker(self.pick(Some(domain)).certified.clone()))
    }
}

impl ResolvesServerCert for Ring {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pick(hello.server_name()).certified.clone())
    }
}

/// All of them, and the one for those who name nobody.
#[derive(Debug)]
pub(crate) struct Expecting {
    ring: Arc<Ring>,
    certified: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Expecting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().map(|name| self.ring.pick(Some(name)).certified.clone());
        Some(named.unwrap_or_else(|| self.certified.clone()))
    }
}

#[derive(Debug)]
struct Speaker(Arc<CertifiedKey>);

impl ResolvesClientCert for Speaker {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Held {
    fn open(files: &KeyFiles) -> Result<Self, TlsError> {
        let pem = |file: &PathBuf, error: rustls_pki_types::pem::Error| TlsError::Pem {
            file: file.display().to_string(),
            error: error.to_string(),
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(|certs| certs.collect())
            .map_err(|e| pem(&files.certificate, e))?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| pem(&files.key, e))?;
        let Some(leaf) = chain.first().cloned() else {
            return Err(TlsError::Pem {
                file: files.certificate.display().to_string(),
                error: "it holds no certificate".into(),
            });
        };
        let certified = CertifiedKey::from_der(chain, key, &provider())?;
        Ok(Self {
            domain: files.domain.as_deref().map(ascii),
            names: names(&leaf),
            end_point: end_point(&leaf),
            leaf,
            certified: Arc::new(certified),
        })
    }

    /// A wildcard stands for one label (RFC 6125 section 6.4.3).
    fn is_named(&self, name: &str) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.names
            .iter()
            .any(|n| n == name || (n.strip_prefix("*.").is_some() && n.strip_prefix("*.") == parent))
    }
}

fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

/// `tls-server-end-point` (RFC 5929 section 4.1): the certificate's hash by its signature's hash function, SHA-256
/// where that is MD5 or SHA-1. `None` where the signature names no hash of its own (Ed25519).
fn end_point(certificate: &CertificateDer<'_>) -> Option<Bytes> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let algorithm = parsed.signature_algorithm.algorithm.to_id_string();
    let hash = match algorithm.as_str() {
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Sha256::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(certificate).to_vec(),
        _ => return None,
    };
    Some(Bytes::from(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_that_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let make = |file: &str, domain: Option<&str>, names: &[&str]| {
            let key = rcgen::KeyPair::generate().unwrap();
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
            let files = KeyFiles {
                domain: domain.map(str::to_owned),
                certificate: dir.path().join(format!("{file}.pem")),
                key: dir.path().join(format!("{file}.key")),
            };
            std::fs::write(&files.certificate, certificate.pem()).unwrap();
            std::fs::write(&files.key, key.serialize_pem()).unwrap();
            files
        };
        let files = [
            make("first", None, &["example.com", "*.example.com"]),
            make("named", None, &["other.example"]),
            make("made", Some("Third.example"), &["im.third.example"]),
            make("labels", None, &["xn--bcher-kva.example"]),
            make("other", Some("Café.example"), &["im.example"]),
        ];
        let ring = Ring::open(&files).unwrap();
        let picked = |name: Option<&str>| {
            let leaf = &ring.pick(name).leaf;
            ring.leaves().position(|other| other == leaf).unwrap()
        };
        for (name, which) in [
            (None, 0),
            (Some("example.com"), 0),
            (Some("other.EXAMPLE"), 1),
            (Some("third.example"), 2),
            (Some("im.third.example"), 2),
            (Some("im.example.com"), 0),
            (Some("unknown.example"), 0),
            (Some("bücher.example"), 3),
            (Some("xn--bcher-kva.example"), 3),
            (Some("café.example"), 4),
            (Some("xn--caf-dma.example"), 4),
        ] {
            assert_eq!(picked(name), which, "{name:?}");
        }
        assert!(matches!(Ring::open(&[]), Err(TlsError::None)));
    }
}
