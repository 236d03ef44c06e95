//! Guessing passwords.

use crate::client::{Xmpp, connect, tls_on};
use crate::harness::{PASSWORD, Serve};
use base64::Engine;
use std::io::Write;

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
