//! Links and names that are unclean, on a running server.

use crate::client::{Phone, Xmpp};
use crate::harness::{LISTEN, Serve, prepared, prepared_for};

fn online(serve: &Serve, user: &str) -> Xmpp {
    Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user)
}

fn write(client: &mut Xmpp, id: &str, text: &str) {
    write_to(client, "juliet", id, text);
}

fn write_to(client: &mut Xmpp, who: &str, id: &str, text: &str) {
    client
        .say(&format!("<message id='{id}' type='chat' to='{who}@example.com'><body>{text}</body></message>"));
}

fn said(serve: &Serve, args: &[&str]) -> String {
    let done = serve.run(args);
    String::from_utf8([done.stdout, done.stderr].concat()).expect("text")
}

const LISTS: &str = "
[[hygiene.list]]
file = \"phishing.txt\"
[[hygiene.list]]
name = \"odd\"
file = \"odd.txt\"
then = \"hold\"
[[hygiene.list]]
file = \"news.txt\"
then = \"warn\"
[[hygiene.list]]
file = \"ours.txt\"
then = \"allow\"
";

#[test]
fn links_on_lists_are_stopped_held_and_told_of() {
    let more = format!("{LISTEN}{LISTS}");
    let dir = prepared("", &more);
    for (file, text) in [
        (
            "phishing.txt",
            "# yesterday's\n||evil.example^\nhttp://shared.example/u/kelvir/\n0.0.0.0 hosts.example\n",
        ),
        ("odd.txt", "odd.example\n"),
        ("news.txt", "news.example\n"),
        ("ours.txt", "good.evil.example\n"),
    ] {
        std::fs::write(dir.path().join(file), text).expect("the directory is writable");
    }
    let serve = Serve::start_in(dir, &["romeo", "juliet", "nurse"], |_| {});
    let (mut romeo, mut juliet) = (online(&serve, "romeo"), online(&serve, "juliet"));
    for text in [
        "look: http://evil.example/a",
        "www.Evil.example.",
        "http://bank.example@evil.example:8080/login",
        "http://%65vil.example",
        "<![CDATA[http://ev]]>il.example",
        "http://ev&#x200b;il.example",
        "https://ok.example/?to=http%3A%2F%2Fevil.example%2Fa",
        "see shared.example/u/kelvir/pic.jpg",
        "http:\\\\hosts.example",
    ] {
        write(&mut romeo, "bad", text);
        let no = romeo.hear("</message>");
        assert!(no.contains("policy-violation") && no.contains("phishing"), "{text}: {no}");
    }
    // Neighbours and what our own list says is good.
    for text in ["http://evil.example.org", "http://shared.example/u/kelvirs", "http://good.evil.example/x"] {
        write(&mut romeo, "fine", text);
        assert!(juliet.hear("</message>").contains(text));
    }
    write(&mut romeo, "n", "http://news.example/1");
    let mut heard = String::new();
    while !(heard.contains("news.example/1") && heard.contains("Beware of what romeo@example.com sends you"))
    {
        heard += &juliet.hear("</message>");
    }
    write(&mut romeo, "o", "odd.example/1");
    romeo.fence();
    juliet.fence();
    // It answers a ping without waiting for the disk.
    serve.logs("held");
    let list = said(&serve, &["quarantine", "list"]);
    assert!(list.contains("hygiene:list.odd"), "{list}");
    let row = list.split_whitespace().next().unwrap().to_owned();
    said(&serve, &["quarantine", "release", &row]);
    assert!(juliet.hear("</message>").contains("odd.example/1"));

    // SIP says it in its way, and the other way round.
    let mut phone = Phone::registered(serve.at("sip-tcp"), "romeo");
    phone.send("MESSAGE", "sip:juliet@example.com", "juliet", "", "evil.example/x");
    let no = phone.answer();
    assert!(no.starts_with("SIP/2.0 403") && no.contains("phishing"), "{no}");

    // A list is read again by itself, and what waits is judged by it.
    write_to(&mut romeo, "nurse", "w", "http://tomorrow.example/");
    romeo.fence();
    std::fs::write(serve.path("phishing.txt"), "tomorrow.example\nanother.example\n").expect("writable");
    serve.logs("entries=2");
    let mut nurse = online(&serve, "nurse");
    assert!(romeo.hear("</message>").contains("policy-violation"));
    nurse.fence();

    let record = said(&serve, &["journal", "tail", "-n", "100"]);
    for rule in ["hygiene:list.phishing", "hygiene:list.odd", "hygiene:list.news"] {
        assert!(record.contains(rule), "{rule} in {record}");
    }
    let metrics = serve.api("GET", "/metrics").1;
    assert!(metrics.contains("rialto_refusals_total{stage=\"hygiene\",reason=\"policy\"}"), "{metrics}");

    // Another configuration, in force at once; and mistakes have a place.
    serve.configure("", LISTEN);
    let (said, good) = serve.reload();
    assert!(good && said.contains("hygiene"), "{said}");
    write(&mut romeo, "x", "http://tomorrow.example/");
    assert!(juliet.hear("</message>").contains("tomorrow.example"));
    serve.configure("", &format!("{LISTEN}[[hygiene.list]]\nfile = \"missing.txt\"\n"));
    let (said, good) = serve.reload();
    assert!(!good && said.contains("name a file with a list of links"), "{said}");
}

#[test]
fn links_that_look_like_ours_are_stopped() {
    let more = format!("{LISTEN}[hygiene.lookalike]\nthen = \"block\"\nexcept = [\"exarnple.com\"]\n");
    let serve = Serve::start(&["romeo", "juliet"], &more);
    let (mut romeo, mut juliet) = (online(&serve, "romeo"), online(&serve, "juliet"));
    for text in [
        "http://examp1e.com/login",
        "https://login.еxample.com", // Cyrillic е
        "http://example.com.evil.org",
        "https://pаypal.org", // Cyrillic а
    ] {
        write(&mut romeo, "bad", text);
        let no = romeo.hear("</message>");
        assert!(no.contains("policy-violation") && no.contains("leads to a name"), "{text}: {no}");
    }
    for text in ["http://www.example.com/a", "http://exarnple.com", "https://bücher.example"] {
        write(&mut romeo, "fine", text);
        assert!(juliet.hear("</message>").contains(text));
    }
    assert!(said(&serve, &["journal", "tail", "-n", "100"]).contains("hygiene:lookalike"));
}

/// Another company's server, which speaks to ours and is called almost like us; names are `user@domain`.
fn neighbours(domain: &str, people: &[&str]) -> (Serve, Serve) {
    let servers =
        "[federation]\nmode = \"allow\"\n[[xmpp.listen]]\naddress = \"127.0.0.1:0\"\nserves = \"servers\"\n";
    let names = "[hygiene.lookalike]\nthen = \"block\"\nexecutives = [\"Anna Smith\"]\n";
    let ours = prepared("", &format!("{servers}{LISTEN}{names}"));
    let ours = Serve::start_in(ours, &["romeo", "juliet"], |_| {});
    let theirs = prepared_for(domain, "", &format!("{servers}{LISTEN}"));
    let theirs = Serve::start_in(theirs, people, |_| {});
    for (on, name, whose, there) in [(&ours, "them", domain, &theirs), (&theirs, "us", "example.com", &ours)]
    {
        let at = format!("xmpp:{}", there.at("xmpp-s2s"));
        let ca = there.path("ca.pem");
        let ca = ca.to_str().expect("text");
        let said = said(
            on,
            &["partner", "add", name, "--domain", whose, "--protocol", "xmpp", "--route", &at, "--ca", ca],
        );
        assert!(said.contains("added"), "{said}");
    }
    (ours, theirs)
}

#[test]
fn a_sender_who_looks_like_somebody_of_ours_is_stopped_on_the_wire() {
    let people =
        ["ju1iet@acme.example", "anna.smith2@acme.example", "juliet@acme.example", "bert@acme.example"];
    let (ours, theirs) = neighbours("acme.example", &people);
    let mut romeo = online(&ours, "romeo");
    for (user, stopped) in [
        ("ju1iet", Some("looks like")),
        ("anna.smith2", Some("has the name of Anna Smith")),
        ("juliet", None),
        ("bert", None),
    ] {
        let mut one = Xmpp::online_at(theirs.at("xmpps-c2s"), &theirs.path("ca.pem"), user, "acme.example");
        write_to(&mut one, "romeo", "m", &format!("from {user}"));
        if let Some(why) = stopped {
            let no = one.hear("</message>");
            assert!(no.contains("policy-violation") && no.contains(why), "{user}: {no}");
            assert!(!no.contains("juliet"), "nobody of ours is named: {no}");
        } else {
            assert!(romeo.hear("</message>").contains(&format!("from {user}")));
        }
    }
    let record = said(&ours, &["journal", "tail", "-n", "20"]);
    assert_eq!(record.matches("hygiene:lookalike").count(), 2, "{record}");
}
