//! Places on the web that keep checkpoints: one that is posted to, and a time-stamping authority, which is OpenSSL's own.

use crate::checkpoints::{lines, said, talk};
use crate::harness::{LISTEN, SOON, Serve, prepared};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

type Answer = dyn Fn(&[u8]) -> (&'static str, Vec<u8>) + Send;

/// A web server on loopback, which answers what is posted and tells it.
fn web(answer: Arc<Mutex<Box<Answer>>>) -> (String, Receiver<(String, Vec<u8>)>) {
    let (address, hear) = serving(answer, Some);
    (format!("http://{address}/take"), hear)
}

/// The same over connections that are made something of first, which may fail.
fn serving<S: Read + Write>(
    answer: Arc<Mutex<Box<Answer>>>,
    open: impl Fn(TcpStream) -> Option<S> + Send + 'static,
) -> (SocketAddr, Receiver<(String, Vec<u8>)>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    let (tell, hear) = channel();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let stream = stream.expect("a connection");
            stream.set_read_timeout(Some(SOON)).expect("a timeout");
            let Some(mut stream) = open(stream) else { continue };
            let Some((head, body)) = request(&mut stream) else { continue };
            let (status, said) = answer.lock().expect("whole")(&body);
            let _ = tell.send((head, body));
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", said.len());
            let _ = stream.write_all(&[head.as_bytes(), &said].concat());
        }
    });
    (address, hear)
}

fn request(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let (mut seen, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
        seen.extend_from_slice(&piece[..n]);
        let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
        let length =
            head.lines().find_map(|l| l.strip_prefix("content-length: ")).and_then(|n| n.parse().ok());
        let body = &seen[end + 4..];
        if body.len() >= length.unwrap_or(0) {
            return Some((head, body.to_vec()));
        }
    }
}

#[test]
fn checkpoints_are_posted_and_what_is_refused_is_posted_again() {
    let answer: Arc<Mutex<Box<Answer>>> =
        Arc::new(Mutex::new(Box::new(|_: &[u8]| ("503 Service Unavailable", Vec::new()))));
    let (url, hear) = web(answer.clone());
    let serve = Serve::start_in(
        prepared("", &format!("{LISTEN}\n[record.anchors]\nhttp = \"{url}\"\n")),
        &["romeo", "juliet"],
        |_| {},
    );
    talk(&serve, 2);
    said(&serve, &["journal", "checkpoint"]);
    serve.metric("rialto_anchor_ill{anchor=\"http\"} 1");
    let status = said(&serve, &["status"]).1;
    assert!(status.contains("takes no checkpoints: it answered 503"), "{status}");
    *answer.lock().expect("whole") = Box::new(|_: &[u8]| ("204 No Content", Vec::new()));
    talk(&serve, 1);
    said(&serve, &["journal", "checkpoint"]);
    serve.metric("rialto_anchor_ill{anchor=\"http\"} 0");
    let posted: Vec<(String, Vec<u8>)> = hear.try_iter().collect();
    assert!(posted.iter().all(|(head, _)| head.contains("content-type: application/json")), "{posted:?}");
    let bodies: Vec<serde_json::Value> =
        posted.iter().map(|(_, body)| serde_json::from_slice(body).expect("JSON")).collect();
    let kept = lines(&serve);
    // The first came again until it was welcome, then the others, in order.
    assert!(bodies.len() > kept.len(), "{bodies:?}");
    assert_eq!(bodies[bodies.len() - kept.len()..], kept);
}

/// An authority that no system knows, and a certificate of it for loopback.
fn private_authority(dir: &Path) -> Arc<ServerConfig> {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
    let authority = ["req", "-x509", "-subj", "/CN=private", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(dir, &[&authority[..], &key[..]].concat());
    let server = [
        "req",
        "-x509",
        "-subj",
        "/CN=archive",
        "-keyout",
        "web.key",
        "-out",
        "web.pem",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ];
    openssl(dir, &[&server[..], &key[..]].concat());
    let chain = vec![CertificateDer::from_pem_file(dir.join("web.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(dir.join("web.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.expect("they fit"))
}

#[test]
fn checkpoints_are_posted_over_tls_to_whom_we_believe() {
    let dir = tempfile::tempdir().expect("a directory");
    let tls = private_authority(dir.path());
    let answer: Arc<Mutex<Box<Answer>>> =
        Arc::new(Mutex::new(Box::new(|_: &[u8]| ("204 No Content", Vec::new()))));
    let (address, hear) = serving(answer, move |mut stream| {
        let mut connection = ServerConnection::new(tls.clone()).ok()?;
        // Who does not believe us hangs up here.
        connection.complete_io(&mut stream).ok()?;
        Some(StreamOwned::new(connection, stream))
    });
    let part = |more: &str| format!("{LISTEN}\n[record.anchors]\nhttp = \"https://{address}/take\"\n{more}");
    let mut serve = Serve::start_in(prepared("", &part("")), &["romeo", "juliet"], |_| {});
    talk(&serve, 2);
    said(&serve, &["journal", "checkpoint"]);
    serve.metric("rialto_anchor_ill{anchor=\"http\"} 1");
    let status = said(&serve, &["status"]).1;
    assert!(status.contains("takes no checkpoints: invalid peer certificate: UnknownIssuer"), "{status}");
    assert!(hear.try_recv().is_err(), "it was told nothing");
    let file = dir.path().join("ca.pem");
    serve.configure("", &part(&format!("authority = {file:?}\n")));
    serve.crash_and_restart();
    serve.metric("rialto_anchor_ill{anchor=\"http\"} 0");
    serve.until("all are there", |serve| {
        let kept = lines(serve);
        let posted: Vec<serde_json::Value> =
            hear.try_iter().map(|(_, body)| serde_json::from_slice(&body).expect("JSON")).collect();
        !kept.is_empty() && posted.first() == kept.first()
    });
}

fn openssl(dir: &Path, args: &[&str]) -> Vec<u8> {
    let done = Command::new("openssl").args(args).current_dir(dir).output().expect("openssl is there");
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// A time-stamping authority: its certificate, and what `openssl ts` has to know of it.
fn authority(dir: &Path) {
    std::fs::write(dir.join("serial"), "01\n").expect("written");
    let config = "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_cert = tsa.pem\nsigner_key = tsa.key\n\
        signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256, sha384\n\
        [req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = tsa.example\n\
        [ext]\nextendedKeyUsage = critical,timeStamping\nbasicConstraints = CA:TRUE\n";
    std::fs::write(dir.join("tsa.cnf"), config).expect("written");
    let made = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "tsa.key",
        "-out",
        "tsa.pem",
    ];
    let common = ["req", "-x509", "-config", "tsa.cnf", "-extensions", "ext", "-days", "30"];
    openssl(dir, &[&common[..], &made[..]].concat());
}

fn stamp(dir: &Path, query: &[u8]) -> Vec<u8> {
    std::fs::write(dir.join("query"), query).expect("written");
    openssl(dir, &["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query"])
}

#[test]
fn a_time_stamp_is_kept_that_another_program_believes() {
    let dir = tempfile::tempdir().expect("a directory");
    authority(dir.path());
    let at = dir.path().to_owned();
    // An answer of before, given again: the nonce tells.
    let first = Arc::new(Mutex::new(None::<Vec<u8>>));
    let replayed = first.clone();
    let answer: Arc<Mutex<Box<Answer>>> = Arc::new(Mutex::new(Box::new(move |query: &[u8]| {
        let mut first = replayed.lock().expect("whole");
        ("200 OK", first.get_or_insert_with(|| stamp(&at, query)).clone())
    })));
    let (url, hear) = web(answer.clone());
    let serve = Serve::start_in(
        prepared("", &format!("{LISTEN}\n[record.anchors]\ntimestamp = \"{url}\"\n")),
        &["romeo", "juliet"],
        |_| {},
    );
    talk(&serve, 2);
    said(&serve, &["journal", "checkpoint"]);
    let stamps = |serve: &Serve| lines(serve).iter().filter(|line| line["stamps"].is_array()).count();
    serve.until("the first is stamped", |serve| stamps(serve) == 1);
    let (head, query) = hear.recv_timeout(SOON).expect("a question");
    assert!(head.contains("content-type: application/timestamp-query"), "{head}");
    std::fs::write(dir.path().join("query"), query).expect("written");
    let read =
        String::from_utf8(openssl(dir.path(), &["ts", "-query", "-in", "query", "-text"])).expect("text");
    assert!(read.contains("Hash Algorithm: sha256") && read.contains("Certificate required: yes"), "{read}");

    talk(&serve, 1);
    said(&serve, &["journal", "checkpoint"]);
    serve.metric("rialto_anchor_ill{anchor=\"timestamp\"} 1");
    let status = said(&serve, &["status"]).1;
    assert!(status.contains("its time stamp is of something else"), "{status}");
    let at = dir.path().to_owned();
    *answer.lock().expect("whole") = Box::new(move |query: &[u8]| {
        // Of the right thing, and for somebody else's question.
        let (mut other, last) = (query.to_vec(), query.len() - 5);
        other[last] ^= 1;
        ("200 OK", stamp(&at, &other))
    });
    assert!(serve.reload().1);
    serve.until("the nonce is looked at", |serve| {
        said(serve, &["status"]).1.contains("the nonce is not ours")
    });
    *answer.lock().expect("whole") =
        Box::new(|_: &[u8]| ("200 OK", b"\x30\x05\x30\x03\x02\x01\x02".to_vec()));
    assert!(serve.reload().1);
    serve.until("a no is heard", |serve| said(serve, &["status"]).1.contains("it refused, status 2"));
    let at = dir.path().to_owned();
    *answer.lock().expect("whole") = Box::new(move |query: &[u8]| ("200 OK", stamp(&at, query)));
    assert!(serve.reload().1);
    serve.metric("rialto_anchor_ill{anchor=\"timestamp\"} 0");

    // The newest has its token, on the digest that FORMAT.md says, and OpenSSL believes it.
    let all: Vec<record::Signed> = lines(&serve)
        .iter()
        .map(|line| record::Signed::parse(&line.to_string()).expect("a checkpoint"))
        .collect();
    let newest = all.last().expect("one");
    std::fs::write(dir.path().join("token"), &newest.stamps[0]).expect("written");
    let digest = record::hex(&newest.checkpoint.digest());
    let verify = ["ts", "-verify", "-digest", &digest, "-in", "token", "-token_in", "-CAfile", "tsa.pem"];
    openssl(dir.path(), &verify);
    let (good, proof) = said(&serve, &["journal", "verify"]);
    assert!(good, "{proof}");
    let shown = said(&serve, &["journal", "checkpoints"]).1;
    assert!(shown.contains(", 1 time stamp(s)"), "{shown}");
    assert!(lines(&serve)[0]["stamps"][0].as_str().is_some_and(|token| STANDARD.decode(token).is_ok()));
}
