//! Another company's XMPP server that says exactly what it is told to.

use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use super::Wire;
use super::xmpp::Xmpp;
use crate::SOON;
use crate::authority::Certificate;

/// The stream header of a server of `from`, whoever it is, to ours.
#[must_use]
pub fn open(from: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream from='{from}' to='example.com' xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' version='1.0'>"
    )
}

/// STARTTLS.
pub const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// EXTERNAL with nothing further said.
pub const EXTERNAL: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";

/// Call our server as `from`, with TLS and perhaps a certificate; gives the stream behind its features, and those.
///
/// # Panics
/// If our server does not answer as it should.
#[must_use]
pub fn call(port: u16, ca: &Path, from: &str, shown: Option<&Certificate>) -> (Xmpp, String) {
    let mut plain = Xmpp::on(Wire::plain(port));
    plain.wire.send(open(from));
    plain.expect("<stream:features");
    plain.wire.send(STARTTLS);
    plain.expect("<proceed");
    let mut stream = Xmpp::on(plain.wire.upgraded_as(ca, shown).expect("the TLS handshake succeeds"));
    stream.wire.send(open(from));
    stream.expect("<stream:stream");
    let features = stream.expect("<stream:features");
    (stream, features)
}

/// The same, proved by certificate.
///
/// # Panics
/// If our server does not believe it.
#[must_use]
pub fn proved(port: u16, ca: &Path, from: &str, shown: &Certificate) -> Xmpp {
    let (mut stream, _) = call(port, ca, from, Some(shown));
    stream.wire.send(EXTERNAL);
    stream.expect("<success");
    stream.wire.send(open(from));
    stream.expect("<stream:features");
    stream
}

/// A port where our server finds us.
pub struct Server {
    listener: TcpListener,
    domain: String,
    certificate: Certificate,
}

impl Server {
    /// The server of a domain.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn of(domain: &str, certificate: Certificate) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        Self { listener, domain: domain.into(), certificate }
    }

    /// Where.
    ///
    /// # Panics
    /// If the system does not say.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("it is bound").port()
    }

    /// Wait until our server calls, and take its stream header.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn called(&self) -> Xmpp {
        self.listener.set_nonblocking(true).expect("a socket option");
        let deadline = Instant::now() + SOON;
        let tcp = loop {
            match self.listener.accept() {
                Ok((tcp, _)) => break tcp,
                Err(_) => assert!(Instant::now() < deadline, "our server does not call {}", self.domain),
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        tcp.set_nonblocking(false).expect("a socket option");
        let mut stream = Xmpp::on(Wire::taken(tcp));
        stream.expect("<stream:stream");
        stream
    }

    /// Answer with a stream header and these features.
    pub fn answer(&self, stream: &mut Xmpp, id: &str, features: &str) {
        stream.wire.send(format!(
            "<?xml version='1.0'?><stream:stream from='{}' to='example.com' id='{id}' xmlns='jabber:server' \
             xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' version='1.0'>\
             <stream:features>{features}</stream:features>",
            self.domain
        ));
    }

    /// Begin TLS as our server asked, and take its new header. What follows `<proceed/>` in the clear comes with it.
    ///
    /// # Panics
    /// If our server does not go on.
    #[must_use]
    pub fn secure(&self, mut stream: Xmpp, behind: &str) -> Xmpp {
        stream.expect("<starttls");
        stream.wire.send(format!("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{behind}"));
        let mut stream =
            Xmpp::on(stream.wire.upgraded_for(&self.certificate).expect("the TLS handshake succeeds"));
        stream.expect("<stream:stream");
        stream
    }
}
