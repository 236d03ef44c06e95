//! Whether a chain of certificates leads to somebody we trust, and if not, why not, in plain words.

use crate::names::{listed, names};
use model::{Certificates, Dialect};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath, anchor_from_trusted_cert,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that expired longer ago, in seconds, is not one that somebody forgot.
const LATELY: i64 = 30 * 86_400;

/// Who may sign certificates of servers.
#[derive(Debug, Default)]
pub struct Roots(Vec<TrustAnchor<'static>>);

/// Authorities that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {error}")]
pub struct RootsError {
    /// Which file.
    pub file: String,
    /// What is wrong with it.
    pub error: String,
}

impl Roots {
    /// Those the system trusts, as far as they can be read.
    pub fn of_the_system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        Self(found.certs.iter().filter_map(|c| anchor(c).ok()).collect())
    }

    /// Adds the authorities of a PEM text.
    ///
    /// # Errors
    /// In words, also where it holds none.
    pub fn add_pem(&mut self, pem: &str) -> Result<(), String> {
        let before = self.0.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|e| format!("its certificate cannot be read: {e}"))?;
            self.0.push(anchor(&certificate).map_err(|e| format!("its certificate is no authority's: {e}"))?);
        }
        match self.0.len() == before {
            true => Err("it holds no certificate in PEM".into()),
            false => Ok(()),
        }
    }

    /// Adds the authorities of a PEM file.
    ///
    /// # Errors
    /// [`RootsError`], also where the file holds none.
    pub fn add(&mut self, file: &Path) -> Result<(), RootsError> {
        let failed = |error: String| RootsError { file: file.display().to_string(), error };
        let pem = std::fs::read_to_string(file).map_err(|e| failed(e.to_string()))?;
        self.add_pem(&pem).map_err(failed)
    }
}

/// The authorities of a PEM text alone.
pub(crate) fn authorities(pem: &str) -> Result<Roots, String> {
    let mut roots = Roots::default();
    roots.add_pem(pem)?;
    Ok(roots)
}

fn anchor(certificate: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, Error> {
    anchor_from_trusted_cert(certificate).map(|anchor| anchor.to_owned())
}

/// A key that is trusted by itself: SHA-256 of a SubjectPublicKeyInfo (RFC 7469 section 2.4 hashes the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    /// The key of a certificate, DER; `None` where it cannot be read.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Self(Sha256::digest(parsed.public_key().raw).into()))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Pin {
    type Err = String;

    /// Colons between the digits are no matter, as `openssl` writes them.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no key: write the 64 hexadecimal digits of its SHA-256");
        let digits: Vec<u32> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16))
            .collect::<Option<_>>()
            .ok_or_else(wrong)?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
        match (digits.len(), bytes.try_into()) {
            (64, Ok(hash)) => Ok(Self(hash)),
            _ => Err(wrong()),
        }
    }
}

/// Did a certificate expire not long ago? Then somebody has probably forgotten it, and is renewing it.
pub(crate) fn has_just_expired(shown: &Certificates) -> bool {
    let until = shown.0.first().and_then(|leaf| {
        X509Certificate::from_der(leaf).ok().map(|(_, parsed)| parsed.validity().not_after.timestamp())
    });
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    until.is_some_and(|until| (0..LATELY).contains(&(now - until)))
}

/// No other proof makes up for these.
pub(crate) const REVOKED: [&str; 2] =
    ["its certificate was revoked", "its revocation list is not signed by its authority"];

/// What counts as proof.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure<'a> {
    /// Authorities, any of which may have signed.
    pub roots: &'a [&'a Roots],
    /// Where there are any, one of these keys is needed, and enough.
    pub pins: &'a [Pin],
    /// Who of them is not to be believed any more.
    pub crls: &'a [&'a CertRevocationList<'a>],
    /// The peer connected to us.
    pub client: bool,
    /// A certificate for servers will do for a server that connects to us.
    pub tolerant: bool,
}

/// Does what was shown prove that the peer is this domain? Gives in plain words what had to be tolerated for that, if
/// anything.
pub(crate) fn prove(
    shown: &Certificates,
    domain: &str,
    dialect: Dialect,
    measure: Measure<'_>,
) -> Result<Option<String>, String> {
    let Some(leaf) = shown.0.first() else { return Err("it shows no certificate".into()) };
    let leaf = CertificateDer::from(leaf.as_ref());
    let Ok((_, parsed)) = X509Certificate::from_der(&leaf) else {
        return Err("its certificate cannot be read".into());
    };
    if !measure.pins.is_empty() {
        let key = Pin(Sha256::digest(parsed.public_key().raw).into());
        if !measure.pins.contains(&key) {
            return Err(format!("its key {key} is not the one that was agreed on"));
        }
        return match parsed.validity().is_valid() {
            true => Ok(None),
            false => {
                Err(format!("its certificate is not valid now, but until {}", parsed.validity().not_after))
            }
        };
    }
    let tolerated = chain(shown, &leaf, measure, None).map_err(|e| in_words(&e, &parsed))?;
    if names(&parsed, domain, dialect) {
        return Ok(tolerated.then(|| {
            "its certificate is not meant for servers that connect to others (no client authentication in its \
             extended key usage)"
                .into()
        }));
    }
    let for_whom = listed(&parsed);
    Err(match for_whom.is_empty() {
        true => "its certificate names no domain".into(),
        false => format!("its certificate is for {}, not for {domain}", for_whom.join(", ")),
    })
}

/// What else a path must satisfy.
type Through<'a> = Option<&'a dyn Fn(&VerifiedPath<'_>) -> Result<(), Error>>;

/// Does a chain lead to somebody we trust? Gives whether its use had to be tolerated.
pub(crate) fn chain(
    shown: &Certificates,
    leaf: &CertificateDer<'_>,
    measure: Measure<'_>,
    through: Through<'_>,
) -> Result<bool, Error> {
    let mut failed = Error::UnknownIssuer;
    for roots in measure.roots {
        match path(shown, leaf, &roots.0, measure, through) {
            Ok(tolerated) => return Ok(tolerated),
            // What another set of authorities says of the certificate tells more than that it does not know it.
            Err(Error::UnknownIssuer) => {}
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Does a chain lead to one of these? Gives whether its use had to be tolerated.
pub(crate) fn path(
    shown: &Certificates,
    leaf: &CertificateDer<'_>,
    anchors: &[TrustAnchor<'_>],
    measure: Measure<'_>,
    through: Through<'_>,
) -> Result<bool, Error> {
    let intermediates: Vec<CertificateDer<'_>> =
        shown.0[1..].iter().map(|c| CertificateDer::from(c.as_ref())).collect();
    let entity = EndEntityCert::try_from(leaf)?;
    let verify = |usage: KeyUsage| {
        let (now, algorithms) = (UnixTime::now(), webpki::ALL_VERIFICATION_ALGS);
        // Authorities without a list count as before, and an old list is better than none.
        let revoked = RevocationOptionsBuilder::new(measure.crls).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Allow)
                .with_expiration_policy(ExpirationPolicy::Ignore)
                .build()
        });
        entity.verify_for_usage(algorithms, anchors, &intermediates, now, usage, revoked, through).map(drop)
    };
    if !measure.client {
        return verify(KeyUsage::server_auth()).map(|()| false);
    }
    match verify(KeyUsage::client_auth()) {
        Err(Error::RequiredEkuNotFoundContext(_)) if measure.tolerant => {
            verify(KeyUsage::server_auth()).map(|()| true)
        }
        verified => verified.map(|()| false),
    }
}

pub(crate) fn in_words(error: &Error, certificate: &X509Certificate<'_>) -> String {
    let validity = certificate.validity();
    match error {
        Error::CertExpired { .. } => format!("its certificate expired on {}", validity.not_after),
        Error::CertNotValidYet { .. } => format!(
            "its certificate is not valid before {}; one of the two clocks may be wrong",
            validity.not_before
        ),
        Error::UnknownIssuer => match certificate.subject() == certificate.issuer() {
            true => "its certificate is self-signed".into(),
            false => format!("its certificate was issued by {}, which we do not trust", certificate.issuer()),
        },
        Error::RequiredEkuNotFoundContext(_) => {
            "its certificate is not meant for this use (extended key usage)".into()
        }
        Error::InvalidSignatureForPublicKey => {
            format!("its certificate is not signed with the key of {} that we trust", certificate.issuer())
        }
        Error::CertRevoked => REVOKED[0].into(),
        Error::InvalidCrlSignatureForPublicKey => REVOKED[1].into(),
        other => format!("its certificate is not acceptable: {other}"),
    }
}
