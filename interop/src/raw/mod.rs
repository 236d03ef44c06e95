//! Clients made of bytes, for what no real client would send, and for knowing exactly what a server acknowledged.

pub mod server;
pub mod sip;
pub mod udp;
pub mod xmpp;

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};

use crate::SOON;
use crate::authority::Certificate;

/// One connection: bytes out, and all bytes that came in.
///
/// Writing and reading are kept apart even under TLS: a server that has refused us no longer reads, and its last words
/// must be heard although our own cannot be said.
pub struct Wire {
    tcp: TcpStream,
    tls: Option<Box<Connection>>,
    /// What came and was not taken yet.
    pub heard: Vec<u8>,
    closed: bool,
}

impl Wire {
    /// Connect without TLS.
    ///
    /// # Panics
    /// If nobody listens.
    #[must_use]
    pub fn plain(port: u16) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        tcp.set_nodelay(true).expect("a socket option");
        tcp.set_write_timeout(Some(SOON)).expect("the time is not zero");
        Self { tcp, tls: None, heard: Vec::new(), closed: false }
    }

    /// Connect with TLS from the first byte, trusting the authority in `ca` and nobody else.
    ///
    /// # Panics
    /// If nobody listens or the handshake fails.
    #[must_use]
    pub fn tls(port: u16, ca: &Path) -> Self {
        Self::plain(port).upgraded(ca).expect("the TLS handshake succeeds")
    }

    /// Connect as another company's server does: with TLS, and with a certificate of our own if there is one.
    ///
    /// # Panics
    /// If nobody listens or the handshake fails.
    #[must_use]
    pub fn as_server(port: u16, ca: &Path, own: Option<&Certificate>) -> Self {
        Self::plain(port).upgraded_as(ca, own).expect("the TLS handshake succeeds")
    }

    /// A connection that somebody else opened.
    ///
    /// # Panics
    /// If the socket is not sound.
    #[must_use]
    pub fn taken(tcp: TcpStream) -> Self {
        tcp.set_nodelay(true).expect("a socket option");
        tcp.set_write_timeout(Some(SOON)).expect("the time is not zero");
        Self { tcp, tls: None, heard: Vec::new(), closed: false }
    }

    /// Begin TLS on this connection. What came before in the clear is forgotten, as it must be.
    ///
    /// # Errors
    /// The handshake fails.
    ///
    /// # Panics
    /// If the certificate file is unreadable.
    pub fn upgraded(self, ca: &Path) -> io::Result<Self> {
        self.upgraded_as(ca, None)
    }

    /// The same, showing a certificate.
    ///
    /// # Errors
    /// The handshake fails.
    ///
    /// # Panics
    /// If a certificate file is unreadable.
    pub fn upgraded_as(self, ca: &Path, shown: Option<&Certificate>) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in chain(ca) {
            roots.add(certificate).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the usual versions")
            .with_root_certificates(roots);
        let config = match shown {
            None => config.with_no_client_auth(),
            Some(shown) => {
                config.with_client_auth_cert(chain(&shown.chain), key(shown)).expect("a certificate")
            }
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a sound configuration");
        self.secured(tls.into())
    }

    /// The same for the side that was called.
    ///
    /// # Errors
    /// The handshake fails.
    ///
    /// # Panics
    /// If the certificate file is unreadable.
    pub fn upgraded_for(self, shown: &Certificate) -> io::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the usual versions")
            .with_no_client_auth()
            .with_single_cert(chain(&shown.chain), key(shown))
            .expect("a certificate");
        let tls = ServerConnection::new(Arc::new(config)).expect("a sound configuration");
        self.secured(tls.into())
    }

    fn secured(mut self, mut tls: Connection) -> io::Result<Self> {
        self.heard.clear();
        self.tcp.set_read_timeout(Some(SOON))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut self.tcp)?;
        }
        self.tls = Some(Box::new(tls));
        // The first words may have come with the end of the handshake.
        let _ = self.tls.as_mut().map(|tls| tls.process_new_packets());
        self.drain_tls();
        Ok(self)
    }

    /// Write all of it. `false`: the server takes no more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        for piece in bytes.as_ref().chunks(16_000) {
            let written = match &mut self.tls {
                None => self.tcp.write_all(piece),
                Some(tls) => tls.writer().write_all(piece).and_then(|()| {
                    while tls.wants_write() {
                        tls.write_tls(&mut self.tcp)?;
                    }
                    Ok(())
                }),
            };
            if written.is_err() {
                return false;
            }
        }
        true
    }

    /// Read once, waiting at most until `deadline`. `false`: nothing came, or nothing more will.
    pub fn read(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if self.closed || left.is_zero() {
            return false;
        }
        let _ = self.tcp.set_read_timeout(Some(left.max(Duration::from_millis(1))));
        let mut chunk = [0; 16_384];
        let got = match &mut self.tls {
            None => self.tcp.read(&mut chunk),
            Some(tls) => tls.read_tls(&mut self.tcp).and_then(|n| {
                tls.process_new_packets().map_err(io::Error::other)?;
                match tls.reader().read(&mut chunk) {
                    // A record that is no application data, or not a whole one.
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock && n > 0 => Ok(usize::MAX),
                    other => other,
                }
            }),
        };
        match got {
            Ok(usize::MAX) => true,
            Ok(n) if n > 0 => {
                self.heard.extend_from_slice(&chunk[..n]);
                self.drain_tls();
                true
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => false,
            _ => {
                self.closed = true;
                false
            }
        }
    }

    fn drain_tls(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        let mut chunk = [0; 16_384];
        while let Ok(n @ 1..) = tls.reader().read(&mut chunk) {
            self.heard.extend_from_slice(&chunk[..n]);
        }
    }

    /// Has the server closed the connection, as far as has been read?
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Read until the server closes.
    ///
    /// # Panics
    /// If it does not in time.
    pub fn to_the_end(&mut self) -> String {
        let deadline = Instant::now() + SOON;
        while self.read(deadline) {}
        let text = String::from_utf8_lossy(&self.heard).into_owned();
        assert!(self.closed, "the server does not close; it said {text}");
        text
    }
}

fn chain(file: &Path) -> Vec<CertificateDer<'static>> {
    let list = CertificateDer::pem_file_iter(file).expect("a file with certificates");
    list.map(|certificate| certificate.expect("a certificate")).collect()
}

fn key(of: &Certificate) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(&of.key).expect("a key")
}
