//! TLS: one provider, TLS 1.2 at least.

use bytes::Bytes;
use connector::TlsFacts;
use rustls::ProtocolVersion;
use rustls::server::{NoServerSessionStorage, ServerConnection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

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
}

/// A certificate that was read and found good.
struct Current {
    leaf: Option<CertificateDer<'static>>,
    acceptor: TlsAcceptor,
    end_point: Option<Bytes>,
}

/// Our certificate and how we use it. Another one is another `Tls`: open connections keep theirs.
pub struct Tls(Current);

impl Tls {
    /// Reads a certificate chain and its key.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self(load(certificate, key)?))
    }

    /// Our own certificate, DER.
    pub fn leaf(&self) -> Option<&[u8]> {
        self.0.leaf.as_deref()
    }

    /// What a handshake needs, and what our certificate is bound to (RFC 5929) for its facts afterwards.
    pub(crate) fn current(&self) -> (TlsAcceptor, Option<Bytes>) {
        (self.0.acceptor.clone(), self.0.end_point.clone())
    }
}

fn load(certificate: &Path, key: &Path) -> Result<Current, TlsError> {
    let pem = |file: &Path, error: rustls_pki_types::pem::Error| TlsError::Pem {
        file: file.display().to_string(),
        error: error.to_string(),
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(|certs| certs.collect())
        .map_err(|e| pem(certificate, e))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| pem(key, e))?;
    let leaf = chain.first().cloned();
    let end_point = chain.first().and_then(end_point);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    // Sessions live long and cost memory; tickets would be made for every connection and hardly ever be used.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Current { leaf, acceptor: TlsAcceptor::from(Arc::new(config)), end_point })
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

/// What a finished handshake proved.
pub(crate) fn facts(connection: &ServerConnection, end_point: Option<Bytes>) -> TlsFacts {
    // RFC 9266: the exporter is only sound as a binding without renegotiation and with the full transcript.
    let exporter = (connection.protocol_version() == Some(ProtocolVersion::TLSv1_3))
        .then(|| connection.export_keying_material([0u8; 32], b"EXPORTER-Channel-Binding", Some(&[])).ok())
        .flatten();
    TlsFacts {
        server_name: connection.server_name().map(str::to_owned),
        exporter,
        server_end_point: end_point,
    }
}
