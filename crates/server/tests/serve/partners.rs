//! `rialto partner` and `rialto group`, on a running server and without one.

use crate::harness::{LISTEN, Serve, prepared, rialto};

const ALLOW: &str = "\n[federation]\nmode = \"allow\"\n";

/// What a command said, and whether it was content.
fn said(serve: &Serve, args: &[&str]) -> (bool, String) {
    let done = serve.run(args);
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

fn good(serve: &Serve, args: &[&str]) -> String {
    let (good, said) = said(serve, args);
    assert!(good, "{args:?}: {said}");
    said
}

fn bad(serve: &Serve, args: &[&str], words: &str) {
    let (good, said) = said(serve, args);
    assert!(!good && said.contains(words), "{args:?}: {said}");
}

#[test]
fn a_partner_is_added_changed_suspended_and_removed_on_record() {
    let serve = Serve::start(&["juliet"], &format!("{LISTEN}{ALLOW}"));
    let partner = |args: &[&str]| good(&serve, &[&["partner"], args].concat());
    good(&serve, &["group", "add", "sales", "juliet@example.com", "Romeo@Example.com"]);
    assert_eq!(good(&serve, &["group", "show", "sales"]), "juliet@example.com\nromeo@example.com\n");
    let ca = serve.path("ca.pem");
    partner(&[
        "add",
        "acme",
        "--domain",
        "acme.example",
        "--domain",
        "*.acme.example",
        "--protocol",
        "xmpp",
        "--protocol",
        "sip",
        "--route",
        "sip:[2001:db8::1]:5061",
        "--ca",
        ca.to_str().unwrap(),
        "--ca-only",
        "yes",
        "--without",
        "rooms,files",
        "--local",
        "sales",
        "--rate",
        "50",
        "--contact",
        "noc@acme.example",
        "--expires",
        "2099-12-31",
    ]);
    let shown = partner(&["show", "im.acme.example"]);
    for line in [
        "partner:     acme",
        "state:       agreed until 2099-12-31",
        "domains:     *.acme.example, acme.example",
        "protocols:   xmpp, sip",
        "route:       sip to [2001:db8::1]:5061",
        "trust:       their own authority alone; certificates without client authentication are tolerated",
        "features:    im, presence, typing, receipts, calls, directory, e2e",
        "ours:        sales",
        "theirs:      everybody",
        "rate:        50 messages a second in each direction",
        "contacts:    noc@acme.example",
        "connections: none since the start",
    ] {
        assert!(shown.contains(&format!("{line}\n")), "{line}\n in \n{shown}");
    }
    partner(&["edit", "acme", "--clear", "routes,ca", "--ca-only", "no", "--features", "im,presence"]);
    let json = partner(&["show", "acme", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["partner"]["features"], serde_json::json!(["im", "presence"]));
    assert_eq!(
        (&json["partner"]["revision"], &json["partner"]["routes"]),
        (&2.into(), &serde_json::json!([]))
    );
    partner(&["suspend", "acme"]);
    assert!(partner(&["list"]).contains("suspended"));
    partner(&["resume", "acme"]);

    bad(&serve, &["partner", "add", "acme", "--domain", "b.example"], "there is a partner \"acme\" already");
    bad(&serve, &["partner", "add", "b", "--domain", "acme.example"], "belongs to the partner \"acme\"");
    bad(&serve, &["partner", "add", "b", "--domain", "example.com"], "is this server's own");
    bad(
        &serve,
        &["partner", "add", "b", "--domain", "b.example", "--route", "sip:h/none"],
        "must be insisted on",
    );
    bad(&serve, &["partner", "add", "b", "--domain", "b.example", "--remote", "boss"], "no group \"boss\"");
    bad(&serve, &["partner", "show", "nobody"], "no partner \"nobody\"");
    bad(&serve, &["group", "remove", "sales"], "is used by the partner \"acme\"");
    good(&serve, &["group", "remove", "sales", "romeo@example.com"]);
    partner(&["remove", "acme"]);
    good(&serve, &["group", "remove", "sales"]);
    assert_eq!((partner(&["list"]), good(&serve, &["group", "list"])), (String::new(), String::new()));

    let record = good(&serve, &["journal", "tail", "--admin", "-n", "50"]);
    for act in
        ["group.add sales: ", "partner.add acme by ", "partner.edit acme by ", "partner.suspend acme by "]
    {
        assert!(record.contains(act), "{act} in {record}");
    }
    for act in ["partner.resume acme by ", "partner.remove acme by ", "refused, 409: there is a partner"] {
        assert!(record.contains(act), "{act} in {record}");
    }
}

#[test]
fn partners_outlive_the_server_and_need_none_to_be_managed() {
    let dir = prepared("", &format!("{LISTEN}{ALLOW}"));
    let config = dir.path().join("rialto.toml");
    let run = |args: &[&str]| {
        let done = rialto().args(args).arg("--config").arg(&config).output().expect("the command starts");
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    run(&["partner", "add", "acme", "--domain", "acme.example", "--denied", "yes"]);
    let serve = Serve::start_in(dir, &[], |_| {});
    assert!(good(&serve, &["partner", "list"]).contains("acme                 denied"));
}

#[test]
fn who_may_federate_is_checked_in_the_configuration() {
    let serve = Serve::start(&[], &format!("{LISTEN}{ALLOW}who = [\"sales\", \"boss@example.com\"]\n"));
    serve.configure("", &format!("{LISTEN}{ALLOW}who = [\"not a name\"]\n"));
    let (said, good) = serve.reload();
    assert!(!good && said.contains("rialto.toml:17:8: \"not a name\" is no name"), "{said}");
    serve.configure("", &format!("{LISTEN}\n[federation]\nmode = \"observe\"\n"));
    let (said, good) = serve.reload();
    assert!(good && said.contains("Observe"), "{said}");
}
