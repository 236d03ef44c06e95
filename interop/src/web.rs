//! A web server with a few documents, at an address of its own.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::authority::Certificate;

/// A running web server: port 443 of an address of the loopback network that nobody else uses. It ends with the process.
pub struct Web {
    addr: Ipv4Addr,
    documents: Arc<Mutex<BTreeMap<String, String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// Start one that shows this certificate.
    ///
    /// # Panics
    /// If it does not start; binding a port below 1024 takes root.
    #[must_use]
    pub fn start(certificate: &Certificate) -> Self {
        let chain = CertificateDer::pem_file_iter(&certificate.chain).expect("a chain");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("a chain");
        let key = PrivateKeyDer::from_pem_file(&certificate.key).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider does TLS")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("key and certificate fit");
        let (addr, listener) = bind();
        let documents = Arc::<Mutex<BTreeMap<String, String>>>::default();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (config, served, noted) = (Arc::new(config), documents.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, served, noted) = (config.clone(), served.clone(), noted.clone());
                std::thread::spawn(move || answer(stream, config, &served, &noted));
            }
        });
        Self { addr, documents, asked }
    }

    /// Where it is.
    #[must_use]
    pub fn addr(&self) -> Ipv4Addr {
        self.addr
    }

    /// From now on there is this document.
    ///
    /// # Panics
    /// If an answer broke off.
    pub fn put(&self, path: &str, document: &str) {
        self.documents.lock().expect("no answer panics").insert(path.to_owned(), document.to_owned());
    }

    /// The paths that were asked for.
    ///
    /// # Panics
    /// If an answer broke off.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no answer panics").clone()
    }
}

/// What the server at this port of `localhost` answers, which shows a certificate of this authority.
///
/// # Panics
/// If it cannot be asked.
#[must_use]
pub fn get(port: u16, authority: &Path, path: &str) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).expect("a certificate")).expect("an authority's");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider does TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let connection = rustls::ClientConnection::new(Arc::new(config), name).expect("TLS begins");
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let mut tls = StreamOwned::new(connection, stream);
    tls.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).expect("it reads");
    let mut heard = String::new();
    // Whether the end is said or not, what came before it counts.
    let _ = tls.read_to_string(&mut heard);
    heard
}

/// An address by the process and a count, so that tests at the same time do not meet.
fn bind() -> (Ipv4Addr, TcpListener) {
    let id = std::process::id();
    for n in 1..=250u8 {
        let addr = Ipv4Addr::new(127, (id >> 8) as u8 | 0x40, id as u8, n);
        match TcpListener::bind((addr, 443)) {
            Ok(listener) => return (addr, listener),
            Err(fault) if fault.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(fault) => panic!("port 443 of {addr}: {fault}; the test must run as root"),
        }
    }
    panic!("no address is free");
}

fn answer(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    documents: &Mutex<BTreeMap<String, String>>,
    asked: &Mutex<Vec<String>>,
) {
    let Ok(connection) = ServerConnection::new(config) else { return };
    let mut tls = StreamOwned::new(connection, stream);
    let (mut heard, mut piece) = (Vec::new(), [0u8; 1024]);
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        match tls.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => heard.extend_from_slice(&piece[..read]),
        }
    }
    let heard = String::from_utf8_lossy(&heard).into_owned();
    let path = heard.split(' ').nth(1).unwrap_or_default().to_owned();
    let found = documents.lock().ok().and_then(|all| all.get(&path).cloned());
    if let Ok(mut asked) = asked.lock() {
        asked.push(path);
    }
    let (status, body) = found.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = tls.write_all(format!("{head}{body}").as_bytes());
    tls.conn.send_close_notify();
    let _ = tls.flush();
}
