//! Files by upload: a slot over XMPP, the file over HTTPS, and what is fetched and what is not.

use crate::client::{Xmpp, connect, tls_on};
use crate::harness::{LISTEN, Serve};
use std::io::{Read, Write};
use std::path::Path;

/// Uploads, on a port of the system's choice.
pub const UPLOAD: &str = "
[upload]
listen = \"127.0.0.1:0\"
max_bytes = 5_000_000
daily_bytes = 9_000_000
";

fn start(more: &str) -> Serve {
    Serve::start(&["romeo", "juliet"], &format!("{LISTEN}{UPLOAD}{more}"))
}

fn online(serve: &Serve, user: &str) -> Xmpp {
    Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user)
}

/// Asks for a slot: what the server says.
fn asked(client: &mut Xmpp, name: &str, size: u64, kind: &str) -> String {
    client.say(&format!(
        "<iq type='get' id='slot' to='example.com'><request xmlns='urn:xmpp:http:upload:0' filename='{name}' \
         size='{size}' content-type='{kind}'/></iq>"
    ));
    client.hear("</iq>")
}

/// Paths of a slot: where to put, and where to fetch.
pub fn slot(client: &mut Xmpp, name: &str, size: u64, kind: &str) -> (String, String) {
    let answer = asked(client, name, size, kind);
    let url = |what: &str| {
        let (_, rest) = answer.split_once(what).unwrap_or_else(|| panic!("no slot: {answer}"));
        let url = rest.split('\'').next().unwrap_or_default();
        url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).expect("an URL with a path")
    };
    (url("<put url='"), url("<get url='"))
}

/// The URL that is sent to others.
pub fn link(serve: &Serve, path: &str) -> String {
    format!("https://example.com:{}{path}", serve.at("files").port())
}

/// One request on a connection of its own: the head and the body of the answer.
fn http(serve: &Serve, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut tls = tls_on(connect(serve.at("files")), &serve.path("ca.pem")).expect("a certificate we trust");
    let text = format!("{head}\r\nHost: example.com\r\nConnection: close\r\n\r\n");
    tls.write_all(text.as_bytes()).expect("the server reads");
    // Who says no at once need not hear it all.
    let _ = tls.write_all(body).and_then(|()| tls.flush());
    let mut answer = Vec::new();
    let mut piece = [0; 65_536];
    while let Ok(n) = tls.read(&mut piece) {
        if n == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..n]);
    }
    let end =
        answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer to {head}"));
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec())
}

/// Puts a file.
pub fn put(serve: &Serve, path: &str, body: &[u8]) -> (String, Vec<u8>) {
    http(serve, &format!("PUT {path} HTTP/1.1\r\nContent-Length: {}", body.len()), body)
}

pub fn get(serve: &Serve, path: &str, more: &str) -> (String, Vec<u8>) {
    http(serve, &format!("GET {path} HTTP/1.1{more}"), b"")
}

fn said(serve: &Serve, args: &[&str]) -> String {
    let done = serve.run(args);
    String::from_utf8([done.stdout, done.stderr].concat()).expect("text")
}

/// Files below a directory.
fn below(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.map(|e| e.expect("readable").path()).map(|p| if p.is_dir() { below(&p) } else { 1 }).sum()
}

#[test]
fn a_file_is_put_once_and_fetched_by_whoever_has_the_link() {
    let serve = start("");
    let mut romeo = online(&serve, "romeo");
    romeo.say(
        "<iq type='get' id='d' to='example.com'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    );
    let about = romeo.hear("</iq>");
    assert!(
        about.contains("urn:xmpp:http:upload:0") && about.contains("category='store' type='file'"),
        "{about}"
    );
    assert!(about.contains("<value>5000000</value>"), "{about}");

    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(n) / 7) as u8).collect();
    let (to, from) = slot(&mut romeo, "../très cool/cat &amp; dog.jpg", body.len() as u64, "image/jpeg");
    assert!(from.ends_with("/cat%20%26%20dog.jpg"), "{from}");
    assert!(get(&serve, &from, "").0.starts_with("http/1.1 404"));
    let (head, words) = put(&serve, &to, &body);
    assert!(head.starts_with("http/1.1 201"), "{head} {}", String::from_utf8_lossy(&words));

    let (head, content) = get(&serve, &from, "");
    assert!(head.starts_with("http/1.1 200") && content == body, "{head}");
    for line in [
        "content-type: image/jpeg",
        "content-length: 3000000",
        "content-disposition: attachment; filename=\"cat _ dog.jpg\"",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'; sandbox",
        "access-control-allow-origin: *",
        "accept-ranges: bytes",
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    let tag = head.split_once("etag: ").and_then(|(_, rest)| rest.lines().next()).expect("a tag");
    assert!(get(&serve, &from, &format!("\r\nIf-None-Match: {tag}")).0.starts_with("http/1.1 304"));
    let (head, content) = get(&serve, &from, "\r\nRange: bytes=1000-1999");
    assert!(head.starts_with("http/1.1 206") && content == body[1000..2000], "{head}");
    assert!(head.contains("content-range: bytes 1000-1999/3000000"), "{head}");
    assert!(get(&serve, &from, "\r\nRange: bytes=3000000-").0.starts_with("http/1.1 416"));
    let (head, content) = http(&serve, &format!("HEAD {from} HTTP/1.1"), b"");
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-length: 3000000") && content.is_empty()
    );
    let (head, _) = http(&serve, &format!("OPTIONS {to} HTTP/1.1\r\nOrigin: https://web.example"), b"");
    assert!(
        head.starts_with("http/1.1 204") && head.contains("access-control-allow-methods: get, head, put")
    );

    // Neither the slot nor what it got can be used again; nor can what was guessed.
    assert!(put(&serve, &to, b"once more").0.starts_with("http/1.1 404"));
    for path in [
        from.replace("/f/", "/put/"),
        "/f/../../etc/passwd".into(),
        "/f/..%2f..%2frialto.db/x".into(),
        "/put/".into(),
        "/".into(),
        format!("{}a/x", from.rsplit_once('/').expect("a name").0),
    ] {
        assert!(get(&serve, &path, "").0.starts_with("http/1.1 40"), "{path}");
        assert!(put(&serve, &path, b"x").0.starts_with("http/1.1 40"), "{path}");
    }

    // The same content twice is one on the disk; each upload is on record.
    let (to, again) = slot(&mut romeo, "again.html", body.len() as u64, "text/html");
    assert!(put(&serve, &to, &body).0.starts_with("http/1.1 201"));
    assert!(get(&serve, &again, "").0.contains("content-type: application/octet-stream"));
    assert_eq!(below(&serve.path("data/blobs")), 1);
    let record = said(&serve, &["journal", "tail", "-n", "50"]);
    assert_eq!(record.matches("upload by romeo@example.com: unseen").count(), 2, "{record}");
    assert!(record.contains("3000000 bytes, sha256 "), "{record}");
    assert!(serve.run(&["journal", "verify"]).status.success());
}

#[test]
fn slots_are_refused_with_their_reason() {
    let serve = start("");
    let mut romeo = online(&serve, "romeo");
    let no = asked(&mut romeo, "film", 5_000_001, "video/mp4");
    assert!(no.contains("<not-acceptable") && no.contains("<max-file-size>5000000</max-file-size>"), "{no}");
    assert!(asked(&mut romeo, "nothing", 0, "").contains("<not-acceptable"));
    romeo.say("<iq type='get' id='x' to='example.com'><request xmlns='urn:xmpp:http:upload:0' filename='a' size='-1'/></iq>");
    assert!(romeo.hear("</iq>").contains("<bad-request"));
    // What was promised counts, and so does what has come.
    let (to, _) = slot(&mut romeo, "one", 4_500_000, "");
    assert!(put(&serve, &to, &vec![1; 4_500_000]).0.starts_with("http/1.1 201"));
    slot(&mut romeo, "two", 4_500_000, "");
    let no = asked(&mut romeo, "three", 1, "");
    assert!(
        no.contains("<resource-constraint") && no.contains("<retry xmlns='urn:xmpp:http:upload:0' stamp='"),
        "{no}"
    );
    assert!(asked(&mut online(&serve, "juliet"), "four", 1, "").contains("<slot"));
    // Many at once: somebody must send some first.
    let mut juliet = online(&serve, "juliet");
    let answers: Vec<String> = (0..40).map(|n| asked(&mut juliet, &n.to_string(), 1, "")).collect();
    assert!(answers.last().is_some_and(|no| no.contains("too many files are on their way")));
}

#[test]
fn what_is_not_whole_is_not_there() {
    let mut serve = start("");
    let mut romeo = online(&serve, "romeo");
    let (to, from) = slot(&mut romeo, "a.bin", 100_000, "");
    // Another length than was said; the slot can still be used.
    assert!(put(&serve, &to, &[1; 99]).0.starts_with("http/1.1 400"));
    assert!(put(&serve, &to, &[1; 100_001]).0.starts_with("http/1.1 413"));
    let (head, _) =
        http(&serve, &format!("PUT {to} HTTP/1.1\r\nTransfer-Encoding: chunked"), b"1\r\nx\r\n0\r\n\r\n");
    assert!(head.starts_with("http/1.1 411"), "{head}");
    // A body that ends before its time.
    {
        let mut tls = tls_on(connect(serve.at("files")), &serve.path("ca.pem")).expect("TLS");
        write!(tls, "PUT {to} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n").expect("it reads");
        tls.write_all(&[1; 60_000]).expect("it reads");
    }
    serve.metric("rialto_uploads_broken_total 1");
    assert!(get(&serve, &from, "").0.starts_with("http/1.1 404"));
    assert!(put(&serve, &to, &[1; 100_000]).0.starts_with("http/1.1 404"), "the slot was used");
    assert_eq!(below(&serve.path("data/blobs")), 0);

    // Killed in the middle: nothing is left, and what was whole before still is.
    let (to, whole) = slot(&mut romeo, "whole", 5, "");
    assert!(put(&serve, &to, b"whole").0.starts_with("http/1.1 201"));
    let (to, from) = slot(&mut romeo, "half", 1_000_000, "");
    let mut tls = tls_on(connect(serve.at("files")), &serve.path("ca.pem")).expect("TLS");
    write!(tls, "PUT {to} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").expect("it reads");
    tls.write_all(&[1; 600_000]).expect("it reads");
    tls.flush().expect("it reads");
    serve.until("a part lies there", |serve| below(&serve.path("data/blobs/parts")) == 1);
    serve.crash_and_restart();
    assert_eq!(below(&serve.path("data/blobs")), 1);
    assert_eq!(get(&serve, &whole, "").1, b"whole");
    assert!(get(&serve, &from, "").0.starts_with("http/1.1 404"));
}

#[test]
fn rules_look_at_names_and_first_bytes() {
    let serve = start("");
    let policy = "
[[rule]]
name = \"no-programs\"
features = [\"files\"]
files = [\"executable\"]
then = \"block\"
text = \"programs are not sent here\"
[[rule]]
name = \"not-juliet\"
from = [\"juliet@example.com\"]
features = [\"files\"]
then = \"block\"
text = \"no files from you\"
[[rule]]
name = \"looked-at\"
features = [\"files\"]
files = [\"pdf\"]
then = \"hold\"
";
    std::fs::write(serve.path("policy.toml"), policy).expect("writable");
    let file = serve.path("policy.toml");
    let done = said(&serve, &["policy", "set", file.to_str().expect("text")]);
    assert!(done.contains("version 1"), "{done}");
    let no = asked(&mut online(&serve, "juliet"), "a.txt", 5, "");
    assert!(no.contains("<policy-violation") && no.contains("no files from you"), "{no}");
    let mut romeo = online(&serve, "romeo");
    let (to, from) = slot(&mut romeo, "holiday.jpg", 6, "image/jpeg");
    let (head, words) = put(&serve, &to, b"MZ\x90\0ab");
    assert!(head.starts_with("http/1.1 403"), "{head}");
    assert!(String::from_utf8_lossy(&words).contains("programs are not sent here"));
    let (head, words) = get(&serve, &from, "");
    assert!(head.starts_with("http/1.1 403"), "{head}");
    assert!(String::from_utf8_lossy(&words).contains("did not pass the rules"));
    assert_eq!(below(&serve.path("data/blobs")), 0);
    assert!(said(&serve, &["journal", "tail", "-n", "9"]).contains("refused by rule:no-programs"));

    // What a person must look at waits, and so does a message with its link.
    let mut juliet = online(&serve, "juliet");
    let (to, from) = slot(&mut romeo, "plan.pdf", 8, "application/pdf");
    assert!(put(&serve, &to, b"%PDF-1.7").0.starts_with("http/1.1 201"));
    assert!(get(&serve, &from, "").0.starts_with("http/1.1 403"));
    let url = link(&serve, &from);
    romeo.say(&format!("<message id='m' type='chat' to='juliet@example.com'><body>{url}</body></message>"));
    romeo.fence();
    juliet.fence();
    assert!(said(&serve, &["quarantine", "list"]).contains("hygiene:file-waits"));
    let list = said(&serve, &["files", "list"]);
    assert!(list.contains("plan.pdf") && list.contains("held") && !list.contains("holiday"), "{list}");
    let id = list.split_whitespace().next().expect("an id");
    assert!(said(&serve, &["files", "release", id]).contains("released"));
    assert_eq!(get(&serve, &from, "").1, b"%PDF-1.7");
    assert!(juliet.hear("</message>").contains(&url));
    serve.until("nothing waits", |serve| said(serve, &["quarantine", "list"]).contains("nothing waits"));
    // Taken away again, it is gone for everybody, and its link does not pass.
    assert!(said(&serve, &["files", "delete", id]).contains("deleted"));
    assert!(get(&serve, &from, "").0.starts_with("http/1.1 403"));
    romeo.say(&format!("<message id='n' type='chat' to='juliet@example.com'><body>{url}</body></message>"));
    let no = romeo.hear("</message>");
    assert!(no.contains("policy-violation") && no.contains("does not pass"), "{no}");
}

#[test]
fn an_archive_that_is_a_bomb_does_not_pass() {
    let serve = start("[hygiene.archive]\nmax_files = 2\n");
    let mut romeo = online(&serve, "romeo");
    // A gzip of nothing but zeros, as gzip(1) makes it: 20 MiB in 20 KiB.
    let mut gzip = std::process::Command::new("gzip");
    let mut gzip = gzip
        .arg("-9")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip is there");
    let mut input = gzip.stdin.take().expect("piped");
    let feeding = std::thread::spawn(move || {
        for _ in 0..20 {
            input.write_all(&vec![0; 1 << 20]).expect("it reads");
        }
    });
    let bomb = gzip.wait_with_output().expect("it ends").stdout;
    feeding.join().expect("it was fed");
    assert!(bomb.len() < 64 * 1024);
    let (to, from) = slot(&mut romeo, "logs.gz", bomb.len() as u64, "application/gzip");
    let (head, words) = put(&serve, &to, &bomb);
    assert!(head.starts_with("http/1.1 403"), "{head}");
    let words = String::from_utf8_lossy(&words);
    assert!(words.contains("unpacks to more than 200 times its size"), "{words}");
    assert!(get(&serve, &from, "").0.starts_with("http/1.1 403"));
    assert!(said(&serve, &["journal", "tail", "-n", "9"]).contains("refused by hygiene:archive"));
    serve.metric("rialto_uploads_total{verdict=\"refused\"} 1");

    // Within a message, too.
    use base64::Engine;
    let data = base64::engine::general_purpose::STANDARD.encode(&bomb[..]);
    romeo.say(&format!(
        "<message id='m' type='chat' to='juliet@example.com'><body>logs</body>\
         <data xmlns='urn:xmpp:bob' cid='x' type='application/gzip'>{data}</data></message>"
    ));
    let no = romeo.hear("</message>");
    assert!(no.contains("policy-violation") && no.contains("200 times its size"), "{no}");
}

#[test]
fn a_backup_has_the_files_too() {
    let mut serve = start("");
    let mut romeo = online(&serve, "romeo");
    let (to, from) = slot(&mut romeo, "letter.txt", 6, "text/plain");
    assert!(put(&serve, &to, b"letter").0.starts_with("http/1.1 201"));
    let backup = serve.path("backup");
    let backup = backup.to_str().expect("text");
    assert!(serve.run(&["backup", backup]).status.success());
    serve.crash();
    std::fs::remove_dir_all(serve.path("data/blobs")).expect("ours");
    let said = said(&serve, &["restore", backup, "--replace"]);
    assert!(said.contains("1 contents of uploaded files"), "{said}");
    serve.restart();
    assert_eq!(get(&serve, &from, "").1, b"letter");
}

#[test]
fn nobody_takes_all_the_connections() {
    let serve = start("");
    let mut open: Vec<_> = (0..40).map(|_| connect(serve.at("files"))).collect();
    // Those that are too many are closed without a word.
    let is_closed = |stream: &mut std::net::TcpStream| {
        stream.set_nonblocking(true).expect("ours");
        matches!(stream.read(&mut [0]), Ok(0))
    };
    serve.until("eight are closed", |_| {
        open.iter().filter(|s| is_closed(&mut s.try_clone().expect("ours"))).count() == 8
    });
    open.clear();
    // And the places are free again.
    serve.until("there is room", |serve| tls_on(connect(serve.at("files")), &serve.path("ca.pem")).is_some());
}

#[test]
fn what_is_in_a_file_is_found_until_the_file_is_gone() {
    let serve = start("");
    let mut romeo = online(&serve, "romeo");
    let body = b"<p>Here lies the <b>trea</b>sure</p>";
    let (to, _) = slot(&mut romeo, "old map.html", body.len() as u64, "text/html");
    assert!(put(&serve, &to, body).0.starts_with("http/1.1 201"));
    serve.until("it is found", |serve| {
        said(serve, &["search", "treasure", "lies"]).contains("romeo@example.com")
    });
    let found = said(&serve, &["search", "map", "--kind", "file", "--content"]);
    assert!(found.contains("old map.html"), "{found}");
    let listed = said(&serve, &["files", "list", "--all"]);
    let id = listed.split_whitespace().next().expect("an id").to_owned();
    assert!(said(&serve, &["files", "delete", &id]).contains("deleted"));
    serve.until("it is not found", |serve| said(serve, &["search", "treasure"]) == "nothing is found\n");
    assert!(said(&serve, &["search", "map", "--kind", "file"]).contains("romeo@example.com"));
}
