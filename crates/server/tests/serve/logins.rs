//! Guessing passwords.

use crate::client::{Xmpp, connect, digest, tls_on};
use crate::harness::{PASSWORD, SOON, Serve};
use base64::Engine;
use std::io::Write;
use std::net::UdpSocket;

const BEHIND: &str = "\n[[xmpp.listen]]\naddress = \"127.0.0.1:0\"\ntls = \"direct\"\nproxy_protocol = true\n\
    trusted = [\"127.0.0.0/8\"]\n\n[limits]\nlogin_failures = 3\n";

/// A connection from this address.
fn from(serve: &Serve, ip: &str) -> Xmpp {
    let mut wire = connect(serve.at("xmpps-c2s"));
    wire.write_all(format!("PROXY TCP4 {ip} 198.51.100.1 4711 5223\r\n").as_bytes()).expect("it reads");
    let mut client = Xmpp(tls_on(wire, &serve.path("ca.pem")).expect("TLS"), "example.com");
    client.say("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>");
    client.hear("</stream:features>");
    client
}

/// Tries a password; what comes back.
fn tries(client: &mut Xmpp, user: &str, password: &str) -> String {
    let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
    client.say(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"));
    let said = client.hear("xmpp-sasl'");
    let whole = said.contains("<success") || said.contains("</failure>");
    if whole { said } else { said + &client.hear("</failure>") }
}

#[test]
fn who_guesses_must_wait_and_nobody_is_locked_out_by_others() {
    let serve = Serve::start(&["juliet", "nurse"], BEHIND);
    let mut guesser = from(&serve, "192.0.2.7");
    for _ in 0..3 {
        let said = tries(&mut guesser, "juliet", "wrong");
        assert!(said.contains("not-authorized"), "{said}");
    }
    let said = tries(&mut guesser, "juliet", PASSWORD);
    assert!(said.contains("temporary-auth-failure"), "also with the right one: {said}");
    let mut again = from(&serve, "192.0.2.7");
    let said = tries(&mut again, "juliet", PASSWORD);
    assert!(said.contains("temporary-auth-failure"), "also on another connection: {said}");
    // Whoever is somewhere else, or somebody else.
    assert!(tries(&mut from(&serve, "192.0.2.8"), "juliet", PASSWORD).contains("<success"));
    assert!(tries(&mut from(&serve, "192.0.2.7"), "nurse", PASSWORD).contains("<success"));
}

/// Tries to register from a port of its own; the end of it.
fn registers(serve: &Serve, call: &str, password: &str) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(serve.at("sip-udp")).expect("an address");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    let here = socket.local_addr().expect("bound");
    let mut proof = String::new();
    for n in 1..=2 {
        let request = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{call}{n};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:juliet@example.com>;tag=f\r\nTo: <sip:juliet@example.com>\r\n\
             Call-ID: {call}\r\nCSeq: {n} REGISTER\r\nContact: <sip:juliet@{here}>\r\n{proof}Content-Length: 0\r\n\r\n"
        );
        socket.send(request.as_bytes()).expect("sent");
        let mut buffer = [0; 4000];
        let read = socket.recv(&mut buffer).expect("an answer");
        let heard = String::from_utf8_lossy(&buffer[..read]).into_owned();
        if n == 2 {
            return heard;
        }
        proof = digest(&heard, "juliet", password, "sip:example.com");
    }
    unreachable!("two rounds")
}

#[test]
fn whoever_guesses_by_datagram_waits_whichever_worker_hears_it() {
    let more =
        "\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n[limits]\nlogin_failures = 3\n";
    let serve = Serve::start(&["juliet"], more);
    for n in 0..3 {
        let said = registers(&serve, &format!("guess{n}"), "wrong");
        assert!(said.starts_with("SIP/2.0 401"), "{said}");
    }
    let said = registers(&serve, "right", PASSWORD);
    assert!(
        said.starts_with("SIP/2.0 500 too many failed logins") && said.contains("\r\nRetry-After: "),
        "also with the right one: {said}"
    );
}
