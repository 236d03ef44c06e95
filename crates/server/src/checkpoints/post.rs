//! Posting something to a web server.

use crate::config::http_place;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// More than any token needs.
const LONGEST: usize = 1 << 20;

/// Posts, and gives the answer's body if it was welcome. `authority` is a PEM file that counts besides those the system knows.
///
/// # Errors
/// In words.
pub async fn post(
    url: &str,
    authority: Option<&Path>,
    content_type: &str,
    body: Vec<u8>,
) -> Result<Bytes, String> {
    let done = tokio::time::timeout(PATIENCE, send(url, authority, content_type, body)).await;
    done.unwrap_or_else(|_| Err(format!("no answer within {} seconds", PATIENCE.as_secs())))
}

async fn send(url: &str, authority: Option<&Path>, kind: &str, body: Vec<u8>) -> Result<Bytes, String> {
    let (secured, host, port, uri) = http_place(url).ok_or("this is no URL of HTTP")?;
    let at = uri.authority().map(ToString::to_string).unwrap_or_default();
    let request = hyper::Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header("host", at)
        .header("content-type", kind)
        .header("user-agent", concat!("rialto/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| e.to_string())?;
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|e| e.to_string())?;
    if !secured {
        return ask(stream, request).await;
    }
    let name = ServerName::try_from(host.clone()).map_err(|_| format!("{host} is no name of a server"))?;
    let tls = TlsConnector::from(Arc::new(trust(authority)?));
    ask(tls.connect(name, stream).await.map_err(|e| e.to_string())?, request).await
}

/// Whom we believe: those whom the system does, and one more.
fn trust(authority: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = authority {
        let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
        for certificate in CertificateDer::pem_file_iter(file).map_err(|e| wrong(&e))? {
            roots.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|e| e.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

async fn ask<S>(stream: S, request: hyper::Request<Full<Bytes>>) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|e| e.to_string())?;
    let talking = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST).collect().await;
    talking.abort();
    let body = body.map_err(|e| format!("its answer cannot be read: {e}"))?.to_bytes();
    if status.is_success() { Ok(body) } else { Err(format!("it answered {status}")) }
}
