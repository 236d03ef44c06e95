//! Other companies' servers, as bad as need be, and a name server that knows them.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// An authority; its second part is its certificate, PEM.
pub struct Authority(Issuer<'static, KeyPair>, pub String);

pub fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Acme CA");
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("signed").pem();
    Authority(Issuer::new(params, key), pem)
}

/// What a peer shows.
#[derive(Clone, Copy)]
pub struct Shows {
    pub name: &'static str,
    pub until: i32,
    pub uses: &'static [Usage],
}

pub const WELL: Shows =
    Shows { name: "acme.example", until: 2120, uses: &[Usage::ServerAuth, Usage::ClientAuth] };

/// What a peer says, connection by connection: before TLS (`None` where TLS begins at once), and within.
#[derive(Clone, Copy)]
pub struct Says {
    pub before: Option<&'static [(&'static str, &'static str)]>,
    pub within: &'static [(&'static str, &'static str)],
}

/// Answers each thing it waits for, in order.
fn converse(stream: &mut (impl Read + Write), lines: &[(&str, &str)]) -> Option<()> {
    for (wait, answer) in lines {
        let mut heard = String::new();
        while !heard.contains(wait) {
            let mut piece = [0u8; 4096];
            let read = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
            heard.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        stream.write_all(answer.as_bytes()).ok()?;
        stream.flush().ok()?;
    }
    Some(())
}

/// A peer that listens until the test ends.
pub fn peer(by: &Authority, shows: Shows, says: Says) -> SocketAddr {
    let mut params = CertificateParams::new(vec![shows.name.to_owned()]).expect("a name");
    params.extended_key_usages = shows.uses.to_vec();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(shows.until, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &by.0).expect("signed").der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    let serve = move |mut stream: TcpStream| -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        if let Some(before) = says.before {
            converse(&mut stream, before)?;
        }
        if says.within.is_empty() {
            // Whatever comes now is for nobody.
            return std::io::copy(&mut stream, &mut std::io::sink()).ok().map(drop);
        }
        let tls = ServerConnection::new(config.clone()).ok()?;
        let mut tls = StreamOwned::new(tls, stream);
        converse(&mut tls, says.within)?;
        std::io::copy(&mut tls, &mut std::io::sink()).ok().map(drop)
    };
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| serve(stream).unwrap_or_default())
    });
    at
}

/// A name server that knows one SRV record, to this port of `host.found.example`, which is 127.0.0.1.
pub fn name_server(name: &'static str, port: u16) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = socket.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut packet = [0u8; 1500];
        while let Ok((_, from)) = socket.recv_from(&mut packet) {
            let (mut end, mut asked) = (12, String::new());
            while packet[end] != 0 {
                let label = &packet[end + 1..end + 1 + usize::from(packet[end])];
                asked += &String::from_utf8_lossy(label).to_lowercase();
                asked.push('.');
                end += 1 + usize::from(packet[end]);
            }
            let kind = u16::from_be_bytes([packet[end + 1], packet[end + 2]]);
            let data = match (kind, asked.trim_end_matches('.')) {
                (33, asked) if asked == name => {
                    let mut data = vec![0, 0, 0, 0];
                    data.extend(port.to_be_bytes());
                    data.extend(b"\x04host\x05found\x07example\x00");
                    Some(data)
                }
                (1, "host.found.example") => Some(vec![127, 0, 0, 1]),
                _ => None,
            };
            // An answer, recursion available; NXDOMAIN where there is nothing.
            let mut answer = packet[..2].to_vec();
            answer.extend([
                0x81,
                if data.is_some() { 0x80 } else { 0x83 },
                0,
                1,
                0,
                u8::from(data.is_some()),
                0,
                0,
                0,
                0,
            ]);
            answer.extend(&packet[12..end + 5]);
            if let Some(data) = data {
                answer.extend([0xc0, 12]);
                answer.extend(kind.to_be_bytes());
                answer.extend([0, 1, 0, 0, 0, 60]);
                answer.extend((data.len() as u16).to_be_bytes());
                answer.extend(data);
            }
            let _ = socket.send_to(&answer, from);
        }
    });
    at
}
