//! Configuration and certificate are read again while people talk.

use crate::client::{Xmpp, connect, try_tls, until};
use crate::harness::{LISTEN, SOON, Serve, prepared};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Instant;

const SIP_OPTIONS: &str = "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKa\r\n\
    From: <sip:x@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\n\
    Content-Length: 0\r\n\r\n";

#[test]
fn a_new_certificate_is_for_new_handshakes_and_a_broken_one_for_none() {
    let server = Serve::start(&["juliet"], LISTEN);
    let (addr, ca) = (server.at("xmpps-c2s"), server.path("ca.pem"));
    let mut old = Xmpp::online(addr, &ca, "juliet");
    let other = prepared("", "");
    let other_ca = other.path().join("ca.pem");
    assert!(try_tls(addr, &other_ca).is_none());
    // Half a pair is refused, by name, and the pair in use stays.
    std::fs::copy(other.path().join("tls/key.pem"), server.path("tls/key.pem")).unwrap();
    let (said, good) = server.reload();
    assert!(!good && said.contains("rialto.toml:4:1: certificate and key cannot be used"), "{said}");
    assert!(
        said.contains("replace certificate and key together") && said.contains("nothing has changed"),
        "{said}"
    );
    assert!(try_tls(addr, &ca).is_some());
    // No configuration changes, only the files.
    std::fs::copy(other.path().join("tls/cert.pem"), server.path("tls/cert.pem")).unwrap();
    let (said, good) = server.reload();
    assert!(good && said.contains("tls: another certificate"), "{said}");
    assert!(try_tls(addr, &ca).is_none());
    assert!(try_tls(addr, &other_ca).is_some());
    old.fence();
    let (said, good) = server.reload();
    assert!(good && said.contains("nothing has changed"), "{said}");
}

#[test]
fn limits_listeners_and_rules_change_by_signal_and_by_api() {
    let server = Serve::start(&["juliet"], LISTEN);
    let mut old = Xmpp::online(server.at("xmpps-c2s"), &server.path("ca.pem"), "juliet");
    let mut phone = connect(server.at("sip-tcp"));
    // Answered once: the server has it, not only the system's queue.
    phone.write_all(SIP_OPTIONS.as_bytes()).unwrap();
    assert!(until(&mut phone, "\r\n\r\n").starts_with("SIP/2.0 200"));
    // One listener more, one gone, a limit changed; keys that need a restart are named with their place.
    let plain =
        "\n[[sip.listen]]\naddress = \"127.0.0.2:0\"\ntransport = \"tcp\"\n[limits]\nmessage_bytes = 10\n";
    let xmpp = &LISTEN[..LISTEN.find("[[sip").unwrap()];
    server.configure("workers = 3", &format!("{xmpp}{plain}"));
    server.signal("HUP");
    server.logs("configuration and certificate were read again");
    let log = server.log();
    for line in
        ["limits.message_bytes: 65536 -> 10", "closed: sip-tcp on 127.0.0.1", "open: sip-tcp on 127.0.0.2"]
    {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(log.contains("rialto.toml:2: `workers`: 0 -> 3"), "{log}");
    let (head, status) = server.api("GET", "/v1/status");
    assert!(head.contains("200") && status.contains("127.0.0.2:"), "{head} {status}");
    // Connections of the closed listener live on; the new limit is for those that exist.
    phone.write_all(SIP_OPTIONS.replace("z9hG4bKa", "z9hG4bKb").as_bytes()).unwrap();
    assert!(until(&mut phone, "\r\n\r\n").starts_with("SIP/2.0 200"));
    old.say("<message to='juliet@example.com' id='m1'><body>more than ten bytes</body></message>");
    assert!(old.hear("</message>").contains("policy-violation"));
    // By the API, back again.
    server.configure("", LISTEN);
    let (head, body) = server.api("POST", "/v1/reload");
    assert!(head.contains("200") && body.contains("limits.message_bytes: 10 -> 65536"), "{head} {body}");
    assert!(!body.contains("workers"), "{body}");
    old.say("<message to='juliet@example.com' id='m2'><body>more than ten bytes</body></message>");
    assert!(old.hear("</message>").contains("<body>more than ten"));
}

#[test]
fn a_broken_configuration_changes_nothing() {
    let server = Serve::start(&[], LISTEN);
    let sip = server.at("sip-tcp");
    for (more, complaint) in [
        ("[limits]\nmesage_bytes = 1\n".to_owned(), "rialto.toml:15:1: unknown field `mesage_bytes`"),
        (
            format!("[[sip.listen]]\naddress = \"{sip}\"\ntransport = \"tcp\"\n[limits]\nburst = 1\n"),
            "rialto.toml:15:11: cannot listen for sip-tcp",
        ),
    ] {
        server.configure("", &format!("{LISTEN}{more}"));
        let (said, good) = server.reload();
        assert!(!good && said.contains(complaint), "{said}");
        let (head, body) = server.api("POST", "/v1/reload");
        assert!(head.contains("422") && body.contains("nothing has changed"), "{head} {body}");
    }
    connect(sip);
    server.configure("", LISTEN);
    let (said, good) = server.reload();
    assert!(good && said.contains("nothing has changed"), "{said}");
}

#[test]
fn a_reload_is_on_record_although_whoever_asked_has_gone() {
    let server = Serve::start(&[], LISTEN);
    // Who hangs up before the request is read has asked for nothing, so more than once.
    let done = "configuration and certificate were read again";
    let end = Instant::now() + SOON;
    while !server.log().contains(done) {
        assert!(Instant::now() < end, "no reload: {}", server.log());
        let mut asking = UnixStream::connect(server.path("data/control.sock")).unwrap();
        write!(asking, "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
    server.logs("administration");
    let acts = server.run(&["journal", "tail", "--admin"]).stdout;
    assert!(String::from_utf8(acts).unwrap().contains(" reload "));
}
