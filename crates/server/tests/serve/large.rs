//! Large files pass through, over HTTPS and past those who look into them, while the server's memory stays as it is.

use crate::client::{Xmpp, connect, tls_on};
use crate::harness::{LISTEN, Serve, prepared};
use crate::upload::slot;
use std::io::{Read, Write};

/// What is uploaded, and by how much memory may grow meanwhile: what is looked into is in memory piece by piece.
const FILE: u64 = 200 << 20;
const GROWTH: u64 = 144 << 20;

const MORE: &str = "
[upload]
listen = \"127.0.0.1:0\"
max_bytes = 300_000_000
daily_bytes = 900_000_000
[hygiene.yara]
files = [\"rules.yar\"]
at_once = 1
";

/// So many bytes that nothing is known by.
fn piece(at: u64) -> Vec<u8> {
    (0..1 << 20).map(|n: u64| ((n ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Puts a file that ends with these words, byte by byte as it is made: the answer.
fn put(serve: &Serve, path: &str, end: &[u8]) -> String {
    let mut tls = tls_on(connect(serve.at("files")), &serve.path("ca.pem")).expect("a certificate we trust");
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        FILE + end.len() as u64
    );
    tls.write_all(head.as_bytes()).expect("the server reads");
    for at in 0..FILE >> 20 {
        tls.write_all(&piece(at)).expect("the server reads");
    }
    tls.write_all(end).and_then(|()| tls.flush()).expect("the server reads");
    let mut answer = String::new();
    let _ = tls.read_to_string(&mut answer);
    answer
}

/// Fetches a file and looks at every byte: its length.
fn get(serve: &Serve, path: &str) -> u64 {
    let mut tls = tls_on(connect(serve.at("files")), &serve.path("ca.pem")).expect("a certificate we trust");
    let head = format!("GET {path} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
    tls.write_all(head.as_bytes()).and_then(|()| tls.flush()).expect("the server reads");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        tls.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    let mut got = vec![0; 1 << 20];
    for at in 0..FILE >> 20 {
        tls.read_exact(&mut got).expect("the file");
        assert!(got == piece(at), "piece {at}");
    }
    let mut rest = Vec::new();
    let _ = tls.read_to_end(&mut rest);
    FILE + rest.len() as u64
}

#[test]
fn memory_does_not_grow_with_what_is_uploaded() {
    let dir = prepared("", &format!("{LISTEN}{MORE}"));
    let rule = "rule wicked { strings: $a = \"something wicked\" condition: $a }\n";
    std::fs::write(dir.path().join("rules.yar"), rule).expect("writable");
    let serve = Serve::start_in(dir, &["romeo"], |_| {});
    let mut romeo = Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), "romeo");
    let before = serve.most_memory();
    let (to, from) = slot(&mut romeo, "film.bin", FILE + 3, "application/octet-stream");
    let answer = put(&serve, &to, b"end");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}\n{}", serve.log());
    assert_eq!(get(&serve, &from), FILE + 3);
    // What is at the very end is found as well.
    let (to, _) = slot(&mut romeo, "other.bin", FILE + 16, "application/octet-stream");
    let answer = put(&serve, &to, b"something wicked");
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("YARA rule wicked"), "{answer}");
    let grown = serve.most_memory() - before;
    assert!(grown < GROWTH, "{} MiB more", grown >> 20);
}
