//! Whether a chain of certificates leads to somebody we trust, and if not, why not, in plain words.

use crate::names::{listed, names};
use model::{Certificates, Dialect};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::path::Path;
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, X509Certificate};

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

    /// Adds the authorities of a PEM file.
    ///
    /// # Errors
    /// [`RootsError`], also where the file holds none.
    pub fn add(&mut self, file: &Path) -> Result<(), RootsError> {
        let failed = |error: String| RootsError { file: file.display().to_string(), error };
        let before = self.0.len();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|e| failed(e.to_string()))? {
            let certificate = certificate.map_err(|e| failed(e.to_string()))?;
            self.0.push(anchor(&certificate).map_err(|e| failed(e.to_string()))?);
        }
        if self.0.len() == before {
            return Err(failed("it holds no certificate".into()));
        }
        Ok(())
    }
}

fn anchor(certificate: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, Error> {
    anchor_from_trusted_cert(certificate).map(|anchor| anchor.to_owned())
}

/// Does what was shown prove that the peer is this domain? `tolerant`: a certificate for servers will do for a server
/// that connects to us (many authorities issue no others any more).
pub(crate) fn prove(
    shown: &Certificates,
    domain: &str,
    dialect: Dialect,
    roots: &Roots,
    client: bool,
    tolerant: bool,
) -> Result<(), String> {
    let Some(leaf) = shown.0.first() else { return Err("it shows no certificate".into()) };
    let leaf = CertificateDer::from(leaf.as_ref());
    let intermediates: Vec<CertificateDer<'_>> =
        shown.0[1..].iter().map(|c| CertificateDer::from(c.as_ref())).collect();
    let Ok((_, parsed)) = X509Certificate::from_der(&leaf) else {
        return Err("its certificate cannot be read".into());
    };
    let entity = EndEntityCert::try_from(&leaf).map_err(|e| in_words(&e, &parsed))?;
    let verify = |usage: KeyUsage| {
        let verified = entity.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &roots.0,
            &intermediates,
            UnixTime::now(),
            usage,
            None,
            None,
        );
        verified.map(|_| ())
    };
    let verified = if client { verify(KeyUsage::client_auth()) } else { verify(KeyUsage::server_auth()) };
    let verified = match verified {
        Err(Error::RequiredEkuNotFoundContext(_)) if client && tolerant => verify(KeyUsage::server_auth()),
        other => other,
    };
    verified.map_err(|e| in_words(&e, &parsed))?;
    if names(&parsed, domain, dialect) {
        return Ok(());
    }
    let for_whom = listed(&parsed);
    Err(match for_whom.is_empty() {
        true => "its certificate names no domain".into(),
        false => format!("its certificate is for {}, not for {domain}", for_whom.join(", ")),
    })
}

fn in_words(error: &Error, certificate: &X509Certificate<'_>) -> String {
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
        Error::CertRevoked => "its certificate was revoked".into(),
        other => format!("its certificate is not acceptable: {other}"),
    }
}
