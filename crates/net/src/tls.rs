//! TLS: one provider, TLS 1.2 at least.

use crate::ring::{Expecting, KeyFiles, Ring, TlsError, ascii, provider};
use crate::shown::Shown;
use bytes::Bytes;
use connector::TlsFacts;
use model::Certificates;
use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ProtocolVersion, ServerConfig};
use rustls_pki_types::ServerName;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// Our certificates and how we use them. Others are another `Tls`: open connections keep theirs.
pub struct Tls {
    ring: Arc<Ring>,
    /// For those who prove otherwise who they are.
    clients: TlsAcceptor,
    /// For other servers: they are asked for their certificates.
    peers: TlsAcceptor,
}

/// How we begin TLS ourselves.
#[derive(Clone)]
pub(crate) struct Calling(Arc<ClientConfig>);

/// Which side of TLS is ours.
pub(crate) enum Side {
    /// They connected to us. `peers`: they are asked for certificates.
    Server { tls: Option<Arc<Tls>>, peers: bool },
    /// We connected to them, to reach this name.
    Client { tls: Calling, name: String, alpn: Option<&'static str> },
}

impl Tls {
    /// Reads certificates and their keys. The first is for everybody who asks for a domain that none is for.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn open(files: &[KeyFiles]) -> Result<Self, TlsError> {
        let ring = Arc::new(Ring::open(files)?);
        let serve = || ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let clients = serve()?.with_no_client_auth().with_cert_resolver(ring.clone());
        let asked = Arc::new(Shown::default());
        let peers = serve()?.with_client_cert_verifier(asked).with_cert_resolver(ring.clone());
        Ok(Self { ring, clients: accepting(clients), peers: accepting(peers) })
    }

    /// Our own certificates, DER.
    pub fn leaves(&self) -> Vec<Vec<u8>> {
        self.ring.leaves().map(|leaf| leaf.to_vec()).collect()
    }

    /// Does the server's part of a handshake, for those who prove otherwise who they are.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn accept(&self, plain: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.clients.accept(plain).await.map(TlsStream::Server)
    }

    /// How we connect to others on behalf of a domain of ours: we show its certificate.
    ///
    /// # Errors
    /// [`TlsError`] when there is no way to do TLS at all.
    pub(crate) fn calling(&self, domain: &str) -> Result<Calling, TlsError> {
        Ok(Calling::new(caller()?.with_client_cert_resolver(self.ring.speaking_for(domain))))
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

fn accepting(mut config: ServerConfig) -> TlsAcceptor {
    // Sessions live long and cost memory; tickets would be made for every connection and hardly ever be used.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    TlsAcceptor::from(Arc::new(config))
}

/// The same with other certificates for those who ask for none.
fn expecting(acceptor: &TlsAcceptor, ring: Arc<Expecting>) -> TlsAcceptor {
    let mut config = ServerConfig::clone(acceptor.config());
    config.cert_resolver = ring;
    TlsAcceptor::from(Arc::new(config))
}

fn caller() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, TlsError> {
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(Shown::default())))
}

/// A secured connection, and what is known of it.
type Secured = (TlsStream<TcpStream>, TlsFacts);

/// Does the handshake; gives the connection back, if it can, where that fails. `named`: the domain that whoever connected
/// has named already, for those who name none in TLS.
pub(crate) async fn handshake(
    plain: TcpStream,
    side: &Side,
    named: Option<&str>,
) -> Result<Secured, (std::io::Error, Option<TcpStream>)> {
    match side {
        Side::Server { tls: None, .. } => Err((std::io::ErrorKind::Unsupported.into(), Some(plain))),
        Side::Server { tls: Some(tls), peers } => {
            let acceptor = if *peers { &tls.peers } else { &tls.clients };
            let acceptor =
                tls.ring.expecting(named).map_or_else(|| acceptor.clone(), |ring| expecting(acceptor, ring));
            let stream = acceptor.accept(plain).into_fallible().await.map_err(|(e, s)| (e, Some(s)))?;
            let connection = stream.get_ref().1;
            let end_point = tls.ring.pick(connection.server_name().or(named)).end_point.clone();
            let facts = facts(connection, connection.server_name(), end_point);
            Ok((TlsStream::Server(stream), facts))
        }
        Side::Client { tls, name, alpn } => {
            let name = match ServerName::try_from(ascii(name)) {
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
