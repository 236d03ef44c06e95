//! Presence on the record, where that is configured: over the wire by XMPP and by SIP, and found by all that reads the record.

use crate::client::{Phone, Xmpp};
use crate::harness::{LISTEN, Serve};
use serde_json::Value;

const PIDF: &str = "<?xml version='1.0'?><presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:nurse@example.com'>\
    <tuple id='ID-phone'><status><basic>open</basic></status><note>at the market</note></tuple></presence>";

fn said(serve: &Serve, args: &[&str]) -> String {
    let done = serve.run(args);
    let text = String::from_utf8([done.stdout, done.stderr].concat()).expect("text");
    assert!(done.status.success(), "{args:?}: {text}");
    text
}

/// What people do with their presence all day.
fn day(serve: &Serve) -> Phone {
    let mut romeo = Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), "romeo");
    for _ in 0..2 {
        romeo.say("<presence><show>away</show><status>banished to Mantua</status></presence>");
    }
    romeo.say("<presence to='juliet@example.com'><show>dnd</show></presence>");
    romeo.say("<message id='m1' type='chat' to='juliet@example.com'><body>adieu</body></message>");
    romeo.fence();
    let mut phone = Phone::registered(serve.at("sip-tcp"), "nurse");
    let publish = |phone: &mut Phone, more: &str, body: &str| {
        let more = format!("Event: presence\r\n{more}");
        phone.send("PUBLISH", "sip:nurse@example.com", "nurse", &more, body);
        let answer = phone.answer();
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        let tag = answer.lines().find_map(|line| line.strip_prefix("SIP-ETag: ")).unwrap_or_default();
        tag.trim().to_owned()
    };
    let first = publish(&mut phone, "Expires: 120\r\nContent-Type: application/pidf+xml\r\n", PIDF);
    let next = publish(&mut phone, &format!("Expires: 120\r\nSIP-If-Match: {first}\r\n"), "");
    publish(&mut phone, &format!("Expires: 0\r\nSIP-If-Match: {next}\r\n"), "");
    // Without a word.
    drop(romeo);
    phone
}

#[test]
fn presence_is_on_record_where_that_is_wanted() {
    let serve = Serve::start(&["romeo", "juliet", "nurse"], &format!("{LISTEN}[record]\npresence = true\n"));
    let _phone = day(&serve);
    let rows = || said(&serve, &["journal", "tail", "-n", "100"]);
    // What was said once more is no news: there, away, busy for one, gone; and registered, there, gone.
    let count = || rows().lines().filter(|line| line.contains(" publish ")).count();
    serve.until("the last is on record", |_| count() >= 7);
    assert_eq!(count(), 7, "{}", rows());
    assert!(said(&serve, &["journal", "verify"]).contains("intact"));
    let found = |args: &[&str]| {
        let page = said(&serve, &[&["search", "--json"], args].concat());
        let page: Value = serde_json::from_str(&page).expect("JSON");
        page["hits"].as_array().map_or(0, Vec::len)
    };
    serve.until("it is found", |_| found(&["--kind", "publish", "--from", "romeo@example.com"]) == 4);
    assert_eq!(found(&["Mantua", "--kind", "publish"]), 1);
    assert_eq!(found(&["market", "--kind", "publish", "--from", "nurse@example.com"]), 1);
    assert_eq!(found(&["Mantua"]), 0, "only where it is named");
    let traced = said(&serve, &["trace", "--from", "nurse@example.com", "--since", "1h"]);
    assert!(traced.contains("nurse@example.com"), "{traced}");

    let all = serve.path("all");
    said(&serve, &["export", all.to_str().expect("text"), "--format", "jsonl,eml"]);
    let lines = std::fs::read_to_string(all.join("messages.jsonl")).expect("exported");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let texts: Vec<&str> = lines
        .iter()
        .filter(|line| line["kind"] == "presence")
        .map(|line| line["text"].as_str().expect("a text"))
        .collect();
    for text in ["there", "away, \"banished to Mantua\"", "busy", "not there", "there, \"at the market\""] {
        assert!(texts.iter().any(|said| said.ends_with(text)), "{text:?} in {texts:?}");
    }
    let mails = std::fs::read_dir(all.join("eml"))
        .expect("mails")
        .flatten()
        .flat_map(|day| std::fs::read_dir(day.path()).expect("a day").flatten().map(|mail| mail.path()));
    assert_eq!(mails.count(), 1, "presence is no conversation");
    let between = serve.path("between");
    said(&serve, &["export", between.to_str().expect("text"), "--with", "juliet@example.com"]);
    for dir in [&all, &between] {
        let proof = std::process::Command::new("python3").arg(dir.join("verify.py")).arg(dir).output();
        let proof = proof.expect("Python is there");
        assert!(proof.status.success(), "{}", String::from_utf8_lossy(&proof.stdout));
    }
    assert!(said(&serve, &["report"]).contains("Presence put on record"));

    let rules = serve.path("rules.toml");
    std::fs::write(&rules, "[[rule]]\nname = \"presence\"\nkeep = \"0 days\"\nkind = \"presence\"\n")
        .expect("ours");
    said(&serve, &["retention", "set", rules.to_str().expect("text")]);
    let run = said(&serve, &["retention", "run"]);
    assert!(run.contains("presence: 0 days: 7 row(s)"), "{run}");
    assert!(said(&serve, &["journal", "verify"]).contains("intact"));
    serve.until("its words are gone", |_| found(&["Mantua", "--kind", "publish"]) == 0);
}

#[test]
fn without_that_it_is_not() {
    let serve = Serve::start(&["romeo", "juliet", "nurse"], LISTEN);
    let _phone = day(&serve);
    serve.until("the message is there", |serve| said(serve, &["journal", "tail"]).contains(" message "));
    assert!(!said(&serve, &["journal", "tail", "-n", "100"]).contains(" publish "));
}
