//! TLS: one provider, TLS 1.2 at least.

use crate::drive::Side;
use crate::shown::Shown;
use bytes::Bytes;
use connector::TlsFacts;
use model::Certificates;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ProtocolVersion, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

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

/// Our certificate and how we use it. Another one is another `Tls`: open connections keep theirs.
pub struct Tls {
    leaf: Option<CertificateDer<'static>>,
    end_point: Option<Bytes>,
    /// For those who prove otherwise who they are.
    clients: TlsAcceptor,
    /// For other servers: they are asked for their certificates.
    peers: TlsAcceptor,
    calling: Calling,
}

/// How we begin TLS ourselves.
#[derive(Clone)]
pub(crate) struct Calling(Arc<ClientConfig>);

impl Tls {
    /// Reads a certificate chain and its key.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let pem = |file: &Path, error: rustls_pki_types::pem::Error| TlsError::Pem {
            file: file.display().to_string(),
            error: error.to_string(),
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .and_then(|certs| certs.collect())
            .map_err(|e| pem(certificate, e))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|e| pem(key, e))?;
        let leaf = chain.first().cloned();
        let end_point = leaf.as_ref().and_then(end_point);
        let serve = || ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let clients = serve()?.with_no_client_auth().with_single_cert(chain.clone(), private.clone_key())?;
        let asked = Arc::new(Shown::default());
        let peers =
            serve()?.with_client_cert_verifier(asked).with_single_cert(chain.clone(), private.clone_key())?;
        let calling = caller()?.with_client_auth_cert(chain, private)?;
        Ok(Self {
            leaf,
            end_point,
            clients: accepting(clients),
            peers: accepting(peers),
            calling: Calling::new(calling),
        })
    }

    /// Our own certificate, DER.
    pub fn leaf(&self) -> Option<&[u8]> {
        self.leaf.as_deref()
    }

    /// How we connect to others: we show the same certificate.
    pub(crate) fn calling(&self) -> Calling {
        self.calling.clone()
    }

    /// How we connect to others without having one.
    ///
    /// # Errors
    /// [`TlsError`] when there is no way to do TLS at all.
    pub(crate) fn anonymous() -> Result<Calling, TlsError> {
        Ok(Calling::new(caller()?.with_no_client_auth()))
    }
}

impl Calling {
    fn new(mut config: ClientConfig) -> Self {
        // What a peer showed must be known each time.
        config.resumption = Resumption::disabled();
        Self(Arc::new(config))
    }

    fn connector(&self, alpn: Option<&str>) -> TlsConnector {
        let Some(alpn) = alpn else { return TlsConnector::from(self.0.clone()) };
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())).clone()
}

fn accepting(mut config: ServerConfig) -> TlsAcceptor {
    // Sessions live long and cost memory; tickets would be made for every connection and hardly ever be used.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    TlsAcceptor::from(Arc::new(config))
}

fn caller() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, TlsError> {
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(Shown::default())))
}

/// A secured connection, and what is known of it.
type Secured = (TlsStream<TcpStream>, TlsFacts);

/// Does the handshake; gives the connection back, if it can, where that fails.
pub(crate) async fn handshake(
    plain: TcpStream,
    side: &Side,
) -> Result<Secured, (std::io::Error, Option<TcpStream>)> {
    match side {
        Side::Server { tls: None, .. } => Err((std::io::ErrorKind::Unsupported.into(), Some(plain))),
        Side::Server { tls: Some(tls), peers } => {
            let acceptor = if *peers { &tls.peers } else { &tls.clients };
            let stream = acceptor.accept(plain).into_fallible().await.map_err(|(e, s)| (e, Some(s)))?;
            let facts = facts(stream.get_ref().1, stream.get_ref().1.server_name(), tls.end_point.clone());
            Ok((TlsStream::Server(stream), facts))
        }
        Side::Client { tls, name, alpn } => {
            let name = match ServerName::try_from(name.clone()) {
                Ok(name) => name,
                Err(_) => return Err((std::io::ErrorKind::InvalidInput.into(), Some(plain))),
            };
            let connecting = tls.connector(*alpn).connect(name, plain).into_fallible();
            let stream = connecting.await.map_err(|(e, s)| (e, Some(s)))?;
            let facts = facts(stream.get_ref().1, None, None);
            Ok((TlsStream::Client(stream), facts))
        }
    }
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
fn facts<D>(
    connection: &rustls::ConnectionCommon<D>,
    name: Option<&str>,
    end_point: Option<Bytes>,
) -> TlsFacts {
    // RFC 9266: the exporter is only sound as a binding without renegotiation and with the full transcript.
    let exporter = (connection.protocol_version() == Some(ProtocolVersion::TLSv1_3))
        .then(|| connection.export_keying_material([0u8; 32], b"EXPORTER-Channel-Binding", Some(&[])).ok())
        .flatten();
    let shown = connection.peer_certificates().filter(|chain| !chain.is_empty());
    let certificates =
        shown.map(|chain| Certificates(chain.iter().map(|c| Bytes::copy_from_slice(c)).collect()));
    TlsFacts { server_name: name.map(str::to_owned), exporter, server_end_point: end_point, certificates }
}
