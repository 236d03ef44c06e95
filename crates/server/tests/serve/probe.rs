//! `rialto partner test`: what it says of servers as bad as servers are.

use crate::harness::{LISTEN, Serve};
use crate::peer::{Authority, Says, Shows, WELL, authority, name_server, peer};
use rcgen::ExtendedKeyUsagePurpose as Usage;
use serde_json::Value;

const FEATURES: &str =
    "<stream:stream><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
const EXTERNAL: &str = "<stream:stream><stream:features><mechanisms><mechanism>EXTERNAL</mechanism></mechanisms>\
    <dialback xmlns='urn:xmpp:features:dialback'/><bidi xmlns='urn:xmpp:features:bidi'/></stream:features>";
const BEFORE: &[(&str, &str)] = &[("version='1.0'", FEATURES), ("<starttls", "<proceed/>")];
/// A server that is as it should be.
const XMPP: Says =
    Says { before: Some(BEFORE), within: &[("version='1.0'", EXTERNAL), ("EXTERNAL", "<success/>")] };

/// Tests the partner `acme`, whose server is at this route; gives whether it is well, and the words of each step.
fn tested(serve: &Serve, by: Option<&Authority>, route: &str) -> (bool, Vec<(String, String, String)>) {
    let protocol = route.split(':').next().expect("a protocol");
    let mut add =
        vec!["partner", "add", "acme", "--domain", "acme.example", "--protocol", protocol, "--route", route];
    let ca = serve.path("acme.pem");
    if let Some(by) = by {
        std::fs::write(&ca, &by.1).expect("ours");
        add.extend(["--ca", ca.to_str().expect("text")]);
    }
    let added = serve.run(&add);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let done = serve.run(&["partner", "test", "acme", "--json"]);
    let found: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(found["good"], Value::Bool(done.status.success()));
    let removed = serve.run(&["partner", "remove", "acme"]);
    assert!(removed.status.success());
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let step =
        |c: &Value| (text(&c["step"]), text(&c["verdict"]), text(&c["found"]) + " -> " + &text(&c["remedy"]));
    (done.status.success(), found["checks"].as_array().expect("a list").iter().map(step).collect())
}

/// The words of one step, which must have ended so.
fn step(found: &[(String, String, String)], step: &str, verdict: &str, words: &str) {
    let found_step = found.iter().find(|(name, ..)| name == step);
    let good = found_step.is_some_and(|(_, v, w)| v == verdict && w.contains(words));
    assert!(good, "{step} {verdict} {words:?} in {found:#?}");
}

#[test]
fn what_is_wrong_is_said_step_by_step() {
    let serve = Serve::start(&[], LISTEN);
    let ours = authority();
    let at = |shows: Shows, says: Says| format!("xmpp:{}", peer(&ours, shows, says));
    let plain = |lines| Says { before: Some(lines), within: &[] };

    let (good, found) = tested(&serve, Some(&ours), &at(WELL, XMPP));
    assert!(good, "{found:#?}");
    for (name, words) in [
        ("dns", "route"),
        ("starttls", "begun"),
        ("certificate", "for acme.example, by CN=Acme CA"),
        ("usage", "when it connects"),
        ("offer", "EXTERNAL, dialback, bidi"),
        ("login", "our certificate was accepted"),
    ] {
        step(&found, name, "good", words);
    }

    let bad: [(String, bool, &str, &str); 7] = [
        ("xmpp:127.0.0.1:1".into(), true, "tcp", "firewall"),
        (
            at(WELL, plain(&[("version='1.0'", "<stream:features><bind/></stream:features>")])),
            true,
            "starttls",
            "strips it",
        ),
        (
            at(WELL, plain(&[("version='1.0'", "<stream:error><host-unknown xmlns='x'/></stream:error>")])),
            true,
            "stream",
            "does not serve acme.example",
        ),
        (
            at(WELL, plain(&[("version", "220 smtp ready\r\n</stream:stream>")])),
            true,
            "starttls",
            "not offered",
        ),
        (at(WELL, XMPP), false, "certificate", "Acme CA, which we do not trust"),
        (
            at(Shows { name: "evil.example", ..WELL }, XMPP),
            true,
            "certificate",
            "is for evil.example, not for acme.example",
        ),
        (at(Shows { until: 2021, ..WELL }, XMPP), true, "expiry", "expired"),
    ];
    for (route, trusted, name, words) in &bad {
        let (good, found) = tested(&serve, trusted.then_some(&ours), route);
        assert!(!good, "{found:#?}");
        step(&found, name, "bad", words);
    }
    let closed = Says { before: Some(BEFORE), within: &[("version='1.0'", "</stream:stream>")] };
    let (_, found) = tested(&serve, Some(&ours), &at(WELL, closed));
    step(&found, "login", "note", "no EXTERNAL");
    // What many authorities issue now.
    let (good, found) = tested(&serve, Some(&ours), &at(Shows { uses: &[Usage::ServerAuth], ..WELL }, XMPP));
    assert!(good);
    step(&found, "usage", "note", "extended key usage");
}

#[test]
fn a_sip_server_is_asked_for_its_options() {
    let serve = Serve::start(&[], LISTEN);
    let ours = authority();
    let answer =
        "SIP/2.0 100 Trying\r\n\r\nSIP/2.0 200 OK\r\nAllow: MESSAGE, SUBSCRIBE\r\nServer: acme\r\n\r\n";
    let says = Says {
        before: None,
        within: Box::leak(Box::new([("OPTIONS sip:acme.example SIP/2.0\r\n", answer)])),
    };
    let (good, found) = tested(&serve, Some(&ours), &format!("sip:{}", peer(&ours, WELL, says)));
    assert!(good, "{found:#?}");
    step(&found, "offer", "good", "200 OK by acme; it allows MESSAGE and SUBSCRIBE");
    let record = serve.run(&["journal", "tail", "--admin", "-n", "20"]);
    assert!(String::from_utf8_lossy(&record.stdout).contains("partner.test acme by "));
}

#[test]
fn a_stranger_is_looked_for_in_dns() {
    let ours = authority();
    let port = peer(&ours, WELL, XMPP).port();
    let dns = name_server("_xmpp-server._tcp.acme.example", port);
    let serve = Serve::start(&[], &format!("{LISTEN}\n[federation]\nmode = \"open\"\ndns = [\"{dns}\"]\n"));
    let done = serve.run(&["partner", "test", "acme.example"]);
    let said = String::from_utf8_lossy(&done.stdout);
    for line in [
        "_xmpp-server._tcp.acme.example: 1",
        "BAD   xmpp  certificate",
        "--ca",
        "BAD   sip   dns",
        "DNS knows no server for acme.example",
        "cannot federate with it as things are",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
    assert!(!done.status.success());
    let done = serve.run(&["partner", "test", "nonsense"]);
    assert!(String::from_utf8_lossy(&done.stderr).contains("neither a partner nor a domain"));
}
