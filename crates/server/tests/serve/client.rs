//! Small clients, as plain as a wire can be.

use crate::harness::{PASSWORD, SOON};
use base64::Engine;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A TLS connection that trusts the authority of this file; `None` if the server's certificate is by another one.
pub fn try_tls(addr: SocketAddr, ca: &Path) -> Option<Tls> {
    tls_on(connect(addr), ca)
}

/// The same on a connection that is open already.
pub fn tls_on(stream: TcpStream, ca: &Path) -> Option<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("the authority")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("example.com").expect("a name");
    let mut tls = StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), stream);
    tls.conn.complete_io(&mut tls.sock).ok()?;
    Some(tls)
}

/// A plain connection.
pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("it listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

/// Reads until `what` has come, and gives everything read.
pub fn until(stream: &mut impl Read, what: &str) -> String {
    let (mut seen, mut buffer) = (Vec::new(), [0u8; 4096]);
    loop {
        let n = stream
            .read(&mut buffer)
            .unwrap_or_else(|e| panic!("{e}; so far: {}", String::from_utf8_lossy(&seen)));
        assert!(n > 0, "the stream ended before `{what}`: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..n]);
        if String::from_utf8_lossy(&seen).contains(what) {
            return String::from_utf8_lossy(&seen).into_owned();
        }
    }
}

/// An XMPP client that is online.
pub struct Xmpp(pub Tls);

impl Xmpp {
    /// Logs in by PLAIN over direct TLS and sends presence.
    pub fn online(addr: SocketAddr, ca: &Path, user: &str) -> Self {
        Self::on(try_tls(addr, ca).expect("a certificate we trust"), user)
    }

    /// The same on a connection that is secured already.
    pub fn on(tls: Tls, user: &str) -> Self {
        let mut client = Self(tls);
        client.header("</stream:features>");
        let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{PASSWORD}"));
        client
            .say(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"));
        client.hear("<success");
        client.header("</stream:features>");
        client.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>desk</resource></bind></iq>");
        client.hear("</iq>");
        client.say("<presence/>");
        client.fence();
        client
    }

    fn header(&mut self, then: &str) {
        self.say("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>");
        self.hear(then);
    }

    /// Sends.
    pub fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("the server reads");
        self.0.flush().expect("the server reads");
    }

    /// Reads until.
    pub fn hear(&mut self, what: &str) -> String {
        until(&mut self.0, what)
    }

    /// A question and its answer: the connection works, and all before it is done.
    pub fn fence(&mut self) {
        self.say("<iq type='get' id='fence' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.hear("id='fence'");
    }
}
