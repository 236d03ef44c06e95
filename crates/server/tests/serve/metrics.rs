//! What is counted, as Prometheus would read it.

use crate::client::{Phone, Xmpp, connect, to_the_end, until};
use crate::harness::{LISTEN, Serve};
use std::collections::BTreeMap;
use std::io::Write;

/// Every sample by its name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "OpenMetrics text ends so: {text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("name and value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(sample).collect()
}

#[test]
fn what_happens_is_counted_and_nobody_is_named() {
    let more = format!("{LISTEN}\n[metrics]\nlisten = \"127.0.0.1:0\"\n[limits]\nmessage_bytes = 500\n");
    let server = Serve::start(&["juliet", "romeo"], &more);
    let (tls, sip) = (server.at("xmpps-c2s"), server.at("sip-tcp"));
    let mut desk = Xmpp::online(tls, &server.path("ca.pem"), "juliet");
    let mut phone = Phone::registered(sip, "romeo");
    desk.say("<message to='romeo@example.com' id='m1'><body>to a phone</body></message>");
    let request = until(&mut phone.wire, "to a phone");
    phone.accept(&request);
    phone.send("MESSAGE", "sip:juliet@example.com", "juliet", "", "to a desk");
    desk.hear("to a desk");
    assert!(phone.answer().starts_with("SIP/2.0 200"));
    desk.say(&format!("<message to='romeo@example.com' id='m2'><body>{}</body></message>", "x".repeat(501)));
    desk.hear("policy-violation");
    desk.fence();
    let mut wrong = connect(tls);
    wrong.write_all(b"this is not TLS at all").unwrap();
    to_the_end_of(&mut wrong);
    let mut scrape = connect(server.at("metrics"));
    scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let answer = to_the_end(&mut scrape).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    let all = samples(text);
    let (xmpps, phones) = (
        format!("{{listener=\"xmpps-c2s\",address=\"{tls}\"}}"),
        format!("{{listener=\"sip-tcp\",address=\"{sip}\"}}"),
    );
    for (name, least) in [
        ("rialto_deliveries_total{from=\"xmpp\",to=\"sip\",outcome=\"delivered\"}".to_owned(), 1.0),
        ("rialto_deliveries_total{from=\"sip\",to=\"xmpp\",outcome=\"delivered\"}".to_owned(), 1.0),
        ("rialto_messages_submitted_total{dialect=\"xmpp\"}".to_owned(), 2.0),
        ("rialto_refusals_total{stage=\"limits\",reason=\"too-large\"}".to_owned(), 1.0),
        ("rialto_logins_total{dialect=\"xmpp\",result=\"proven\"}".to_owned(), 1.0),
        ("rialto_logins_total{dialect=\"sip\",result=\"proven\"}".to_owned(), 1.0),
        ("rialto_devices{dialect=\"sip\"}".to_owned(), 1.0),
        (format!("rialto_connections{xmpps}"), 1.0),
        (format!("rialto_connections_accepted_total{phones}"), 1.0),
        (format!("rialto_tls_handshakes_failed_total{}", xmpps.replace('}', ",cause=\"error\"}")), 1.0),
        ("rialto_journal_rows".to_owned(), 3.0),
        ("rialto_journal_commit_seconds_count".to_owned(), 1.0),
        ("rialto_journal_commit_seconds_bucket{le=\"+Inf\"}".to_owned(), 1.0),
        (format!("rialto_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert!(all.get(&name).is_some_and(|n| *n >= least), "{name} >= {least}\n{text}");
    }
    for private in ["juliet", "romeo", "to a phone"] {
        assert!(!text.contains(private), "{private}");
    }
    // The same on the control socket, and nothing else on the TCP listener.
    let (head, body) = server.api("GET", "/metrics");
    assert!(head.contains("200") && samples(&body).len() >= all.len(), "{head}");
    let mut other = connect(server.at("metrics"));
    other.write_all(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    assert!(until(&mut other, "\r\n\r\n").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_taken_metrics_address_is_said_with_its_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = format!("[metrics]\nlisten = \"{}\"\n", taken.local_addr().unwrap());
    let dir = crate::harness::prepared("", &metrics);
    let done =
        crate::harness::rialto().args(["serve", "--config"]).arg(dir.path().join("rialto.toml")).output();
    let said = String::from_utf8(done.unwrap().stderr).unwrap();
    assert!(said.contains("rialto.toml:7:1: cannot listen for metrics"), "{said}");
}

/// Reads whatever comes until the end, which is bytes of TLS.
fn to_the_end_of(stream: &mut impl std::io::Read) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("closed, not cut");
}
