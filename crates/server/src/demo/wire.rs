//! A connection as the scripted clients see it: bytes in, bytes out, and a deadline on every wait.

use crate::failure::Failure;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long anything may take before the demonstration gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A client's trust: the demonstration's own authority and nothing else.
pub fn trust(ca: &Path) -> Result<TlsConnector, Failure> {
    let wrong = |e: &dyn std::fmt::Display| Failure::new(format!("{}: {e}", ca.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| wrong(&e))? {
        roots.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A stream with what was read of it and not yet used.
pub struct Wire<S> {
    stream: S,
    /// Read and not yet used.
    pub buf: Vec<u8>,
}

impl Wire<TcpStream> {
    /// Connects.
    pub async fn connect(at: SocketAddr) -> Result<Self, Failure> {
        let stream =
            TcpStream::connect(at).await.map_err(|e| Failure::new(format!("cannot connect to {at}: {e}")))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buf: Vec::new() })
    }

    /// Our own end.
    pub fn local(&self) -> Result<SocketAddr, Failure> {
        Ok(self.stream.local_addr()?)
    }

    /// Turns to TLS and checks that the certificate is good for `name`. What came in the clear is forgotten.
    pub async fn secure(self, tls: &TlsConnector, name: &str) -> Result<Wire<TlsStream<TcpStream>>, Failure> {
        let host = ServerName::try_from(name.to_owned()).map_err(|e| Failure::new(format!("{name}: {e}")))?;
        let shake = tokio::time::timeout(PATIENCE, tls.connect(host, self.stream));
        let stream = shake.await.map_err(|_| Failure::new("no TLS handshake in time"))??;
        Ok(Wire { stream, buf: Vec::new() })
    }
}

impl Wire<TlsStream<TcpStream>> {
    /// The TLS version agreed on, in words.
    pub fn version(&self) -> &'static str {
        match self.stream.get_ref().1.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS of an unexpected version",
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads until `cut` finds something at the front of what was read, and takes that off. `cut` says how long it
    /// is; `what` is said when it does not come.
    pub async fn take<T>(
        &mut self,
        what: &str,
        until: Instant,
        cut: impl Fn(&[u8]) -> Option<(T, usize)>,
    ) -> Result<T, Failure> {
        loop {
            if let Some((found, used)) = cut(&self.buf) {
                self.buf.drain(..used);
                return Ok(found);
            }
            let read = timeout_at(until, self.stream.read_buf(&mut self.buf));
            match read.await {
                Err(_) => return Err(Failure::new(format!("expected {what}, but nothing of the kind came"))),
                Ok(Ok(0)) => {
                    return Err(Failure::new(format!(
                        "expected {what}, but the server closed the connection"
                    )));
                }
                Ok(Ok(_)) => {}
                Ok(Err(e)) => {
                    return Err(Failure::new(format!("expected {what}, but the connection broke: {e}")));
                }
            }
        }
    }

    /// Ends the connection from this side.
    pub async fn close(&mut self) {
        // The server may have gone first, which is as good.
        let _ = self.stream.shutdown().await;
    }
}
