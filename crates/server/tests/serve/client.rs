//! Small clients, as plain as a wire can be.

use crate::harness::{PASSWORD, SOON};
use base64::Engine;
use md5::Digest;
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
    tls_for(stream, ca, "example.com")
}

/// The same, asking for this name.
pub fn tls_for(stream: TcpStream, ca: &Path, name: &'static str) -> Option<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("the authority")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name).expect("a name");
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

/// Reads to the end of the stream. `Err` if it was cut instead of closed.
pub fn to_the_end(stream: &mut impl Read) -> std::io::Result<String> {
    let mut seen = Vec::new();
    stream.read_to_end(&mut seen)?;
    Ok(String::from_utf8_lossy(&seen).into_owned())
}

/// An XMPP client that is online.
pub struct Xmpp(pub Tls, pub &'static str);

impl Xmpp {
    /// Logs in by PLAIN over direct TLS and sends presence.
    pub fn online(addr: SocketAddr, ca: &Path, user: &str) -> Self {
        Self::on(try_tls(addr, ca).expect("a certificate we trust"), user)
    }

    /// The same at another domain.
    pub fn online_at(addr: SocketAddr, ca: &Path, user: &str, domain: &'static str) -> Self {
        Self::at(tls_for(connect(addr), ca, domain).expect("a certificate we trust"), user, domain)
    }

    /// The same on a connection that is secured already.
    pub fn on(tls: Tls, user: &str) -> Self {
        Self::at(tls, user, "example.com")
    }

    fn at(tls: Tls, user: &str, domain: &'static str) -> Self {
        Self::proved(tls, user, domain).bound("desk")
    }

    /// Logs in and binds nothing yet.
    pub fn proved(tls: Tls, user: &str, domain: &'static str) -> Self {
        let mut client = Self(tls, domain);
        client.header("</stream:features>");
        let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{PASSWORD}"));
        client
            .say(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"));
        client.hear("<success");
        client.header("</stream:features>");
        client
    }

    /// Binds a device of this name and sends presence.
    pub fn bound(mut self, device: &str) -> Self {
        self.say(&format!("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{device}</resource></bind></iq>"));
        self.hear("</iq>");
        self.say("<presence/>");
        self.fence();
        self
    }

    fn header(&mut self, then: &str) {
        let to = self.1;
        self.say(&format!("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{to}' version='1.0'>"));
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
        let to = self.1;
        self.say(&format!("<iq type='get' id='fence' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>"));
        self.hear("id='fence'");
    }
}

/// The header by which somebody answers a challenge for a REGISTER.
pub fn digest(challenge: &str, user: &str, password: &str, uri: &str) -> String {
    let part = |name: &str| {
        let value = challenge.split(&format!("{name}=\"")).nth(1).expect("a challenge");
        value.split('"').next().unwrap_or_default().to_owned()
    };
    let (realm, nonce) = (part("realm"), part("nonce"));
    let md5 = |text: String| md5::Md5::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (one, two) = (md5(format!("{user}:{realm}:{password}")), md5(format!("REGISTER:{uri}")));
    let response = md5(format!("{one}:{nonce}:00000001:c:auth:{two}"));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm=MD5, cnonce=\"c\", nc=00000001, qop=auth\r\n"
    )
}

/// A SIP phone on a TCP connection, registered.
pub struct Phone {
    /// Its connection.
    pub wire: TcpStream,
    user: String,
    here: String,
    count: u32,
}

impl Phone {
    /// Registers by digest.
    pub fn registered(addr: SocketAddr, user: &str) -> Self {
        Self::on(connect(addr), user)
    }

    /// The same on a connection that is open already.
    pub fn on(wire: TcpStream, user: &str) -> Self {
        let here = wire.local_addr().expect("connected").to_string();
        let mut phone = Self { wire, user: user.to_owned(), here, count: 0 };
        phone.send("REGISTER", "sip:example.com", user, "", "");
        let challenge = phone.answer();
        let proof = digest(&challenge, user, PASSWORD, "sip:example.com");
        phone.send("REGISTER", "sip:example.com", user, &proof, "");
        let answer = phone.answer();
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        phone
    }

    /// Sends a request.
    pub fn send(&mut self, method: &str, target: &str, to: &str, more: &str, body: &str) {
        self.count += 1;
        let (n, user, here) = (self.count, &self.user, &self.here);
        let kind = if body.is_empty() || more.contains("Content-Type") {
            ""
        } else {
            "Content-Type: text/plain\r\n"
        };
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/TCP {here};branch=z9hG4bK{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@example.com>;tag=f\r\nTo: <sip:{to}@example.com>\r\nCall-ID: call\r\n\
             CSeq: {n} {method}\r\nContact: <sip:{user}@{here};transport=tcp>\r\n{more}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.wire.write_all(text.as_bytes()).expect("the server reads");
    }

    /// The next response.
    pub fn answer(&mut self) -> String {
        until(&mut self.wire, "\r\n\r\n")
    }

    /// Answers a request with 200.
    pub fn accept(&mut self, request: &str) {
        self.answer_with("200 OK", request);
    }

    /// Answers a request.
    pub fn answer_with(&mut self, status: &str, request: &str) {
        let kept =
            |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|h| line.starts_with(h));
        let head: String = request.lines().filter(kept).map(|line| format!("{line}\r\n")).collect();
        let text = format!("SIP/2.0 {status}\r\n{head}Content-Length: 0\r\n\r\n");
        self.wire.write_all(text.as_bytes()).expect("the server reads");
    }
}
