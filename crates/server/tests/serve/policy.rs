//! `rialto policy` and `rialto quarantine` on a running server, with people who are online.

use std::time::{Duration, Instant};

use crate::client::{Phone, Xmpp};
use crate::harness::{LISTEN, Serve};

pub fn good(serve: &Serve, args: &[&str]) -> String {
    let done = serve.run(args);
    let said = String::from_utf8([done.stdout, done.stderr].concat()).expect("text");
    assert!(done.status.success(), "{args:?}: {said}");
    said
}

/// Puts a policy in force.
pub fn set(serve: &Serve, text: &str) {
    let file = serve.path("policy.toml");
    std::fs::write(&file, text).expect("the directory is writable");
    good(serve, &["policy", "set", file.to_str().unwrap(), "--note", "a test"]);
}

fn online(serve: &Serve, user: &str) -> Xmpp {
    Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user)
}

fn write(client: &mut Xmpp, id: &str, to: &str, text: &str) {
    client.say(&format!(
        "<message id='{id}' type='chat' to='{to}@example.com'><body>{text}</body><request xmlns='urn:xmpp:receipts'/></message>"
    ));
}

#[test]
fn rules_stop_change_and_hold_what_people_write() {
    let serve = Serve::start(&["romeo", "juliet"], LISTEN);
    let (mut romeo, mut juliet) = (online(&serve, "romeo"), online(&serve, "juliet"));
    set(
        &serve,
        r#"
[detect.secret]
words = ["poison"]
[detect.card]
numbers = ["payment-card"]
[[rule]]
name = "no-poison"
content = ["secret"]
then = "block"
text = "Not that word."
[[rule]]
name = "cards"
content = ["card"]
then = "mask"
[[rule]]
name = "look"
if = "text.startsWith('look')"
then = "hold"
text = "Somebody will look at it."
[[rule]]
name = "loud"
if = "text.endsWith('!')"
then = "warn"
text = "Not so loud."
"#,
    );
    write(&mut romeo, "m1", "juliet", "p o i s o n");
    let no = romeo.hear("</message>");
    assert!(no.contains("policy-violation") && no.contains("Not that word."), "{no}");

    write(&mut romeo, "m2", "juliet", "pay 4111 1111 1111 1111 now");
    let heard = juliet.hear("</message>");
    assert!(heard.contains("pay ████ ████ ████ ████ now") && !heard.contains("4111"), "{heard}");
    assert!(heard.contains("id='m2'") && heard.contains("urn:xmpp:receipts"), "the rest stays: {heard}");

    write(&mut romeo, "m3", "juliet", "hear me!");
    assert!(juliet.hear("</message>").contains("hear me!"));
    assert!(romeo.hear("Not so loud.").contains("from='example.com'"));

    write(&mut romeo, "m4", "juliet", "look at this");
    romeo.hear("Somebody will look at it.");
    juliet.fence();
    // It is said when it is judged, and a moment later it is on record.
    let end = Instant::now() + Duration::from_secs(20);
    let list = loop {
        let list = good(&serve, &["quarantine", "list"]);
        if list.contains("rule:look") || Instant::now() > end {
            break list;
        }
    };
    assert!(list.contains("rule:look") && !list.contains("look at this"), "no content in a list: {list}");
    let row = list.split_whitespace().next().unwrap().to_owned();
    assert!(good(&serve, &["quarantine", "show", &row]).contains("look at this"));
    good(&serve, &["quarantine", "release", &row]);
    assert!(juliet.hear("</message>").contains("look at this"));
    assert_eq!(good(&serve, &["quarantine", "list"]), "nothing waits\n");
    assert!(!serve.run(&["quarantine", "release", &row]).status.success(), "only once");

    write(&mut romeo, "m5", "juliet", "look again");
    romeo.hear("Somebody will look at it.");
    let list = good(&serve, &["quarantine", "list"]);
    let row = list.split_whitespace().next().unwrap();
    good(&serve, &["quarantine", "delete", row, "--tell"]);
    let no = romeo.hear("</message>");
    assert!(no.contains("type='error'") && no.contains("id='m5'"), "{no}");
    juliet.fence();

    // What nobody decides about ends, and its sender hears it.
    write(&mut romeo, "m6", "juliet", "look, nobody cares");
    romeo.hear("Somebody will look at it.");
    let none = serve.run(&["quarantine", "expire"]);
    assert!(String::from_utf8(none.stderr).expect("text").contains("`[quarantine] days` is not set"));
    assert_eq!(good(&serve, &["quarantine", "expire", "--days", "1"]), "0 message(s) ended\n");
    assert_eq!(good(&serve, &["quarantine", "expire", "--days", "0"]), "1 message(s) ended\n");
    let no = romeo.hear("</message>");
    assert!(no.contains("id='m6'") && no.contains("nobody decided in time"), "{no}");
    assert_eq!(good(&serve, &["quarantine", "list"]), "nothing waits\n");
    juliet.fence();

    let record = good(&serve, &["journal", "tail", "-n", "100"]);
    for words in [
        "rule:no-poison",
        "rule:cards",
        "rule:loud",
        "quarantine.release",
        "policy.set",
        "quarantine.expire held before",
    ] {
        assert!(record.contains(words), "{words} in {record}");
    }
    good(&serve, &["journal", "verify"]);
}

#[test]
fn a_wall_takes_effect_on_people_who_are_online_and_on_what_waits() {
    let serve = Serve::start(
        &["romeo", "juliet", "nurse"],
        &format!("{LISTEN}[consent]\npresence = \"colleagues\"\n"),
    );
    let (mut romeo, mut juliet) = (online(&serve, "romeo"), online(&serve, "juliet"));
    romeo.say("<presence type='subscribe' to='juliet@example.com'/>");
    romeo.hear("type='subscribed'");
    juliet.say("<presence><status>at the balcony</status></presence>");
    romeo.hear("at the balcony");
    set(
        &serve,
        "[[wall]]\nname = \"feud\"\nbetween = [\"montague\", \"capulet\"]\ntext = \"There is a feud.\"\n",
    );
    // There are no such groups yet, so it is no wall yet.
    write(&mut romeo, "m1", "juliet", "one");
    juliet.hear("one");
    // This waits for somebody who is not there, and is allowed so far.
    write(&mut romeo, "m2", "nurse", "bring her this");
    romeo.fence();

    good(&serve, &["group", "add", "montague", "romeo@example.com"]);
    good(&serve, &["group", "add", "capulet", "juliet@example.com", "nurse@example.com"]);
    romeo.hear("type='unavailable'");
    write(&mut romeo, "m3", "juliet", "two");
    let no = romeo.hear("</message>");
    assert!(no.contains("There is a feud.") && no.contains("id='m3'"), "{no}");
    juliet.say("<presence><status>in the tomb</status></presence>");
    juliet.fence();
    let mut nurse = online(&serve, "nurse");
    let no = romeo.hear("</message>");
    assert!(no.contains("id='m2'") && no.contains("There is a feud.") && !no.contains("in the tomb"), "{no}");
    write(&mut juliet, "m4", "nurse", "come");
    let heard = nurse.hear("</message>");
    assert!(heard.contains("come") && !heard.contains("bring her this"), "{heard}");

    good(&serve, &["group", "remove", "montague", "romeo@example.com"]);
    romeo.hear("in the tomb");
    write(&mut romeo, "m5", "juliet", "three");
    assert!(juliet.hear("</message>").contains("three"));
}

#[test]
fn versions_trials_and_replays() {
    let serve = Serve::start(&["romeo", "juliet"], LISTEN);
    let mut juliet = online(&serve, "juliet");
    set(&serve, "[[rule]]\nname = \"a\"\nfrom = [\"nobody@example.com\"]\nthen = \"block\"\n");
    let mut phone = Phone::registered(serve.at("sip-tcp"), "romeo");
    let file = serve.path("candidate.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "[[rule]]\nname = \"b\"\nprotocols = [\"sip\"]\nthen = \"hold\"\n").unwrap();
    good(&serve, &["policy", "dry-run", path]);
    phone.send("MESSAGE", "sip:juliet@example.com", "juliet", "", "from a phone");
    juliet.hear("from a phone");
    let trial = good(&serve, &["policy", "dry-run"]);
    assert!(trial.contains("1 decided otherwise") && trial.contains("allow -> hold by rule:b"), "{trial}");
    good(&serve, &["policy", "dry-run", "--end"]);

    let replay = good(&serve, &["policy", "replay", path]);
    assert!(replay.contains("1 decided otherwise") && replay.contains("romeo@example.com"), "{replay}");
    let none = good(&serve, &["policy", "replay", path, "--until", "2020-01-01T00:00:00Z"]);
    assert!(none.starts_with("0 looked at"), "{none}");

    let question =
        ["policy", "explain", "--from", "romeo@example.com", "--to", "juliet@example.com", "--text", "x"];
    let live = good(&serve, &question);
    assert!(
        live.contains("allow: the policy's default")
            && live.contains("rule:a (line 2) would block, but for `from`"),
        "{live}"
    );
    let other = good(&serve, &[&question[..], &["--protocol", "sip", "--policy", path]].concat());
    assert!(other.starts_with("hold: rule:b"), "{other}");
    assert!(other.contains("verified by: account"), "{other}");
    let proof = serve.path("proof.toml");
    std::fs::write(&proof, "[[rule]]\nname = \"p\"\nverified = [\"dialback\"]\nthen = \"block\"\n").unwrap();
    let asked =
        ["policy", "explain", "--from", "x@partner.example", "--to", "juliet@example.com", "--text", "x"];
    let asked = [&asked[..], &["--policy", proof.to_str().unwrap()]].concat();
    let certified = good(&serve, &asked);
    assert!(
        certified.contains("verified by: certificate")
            && certified.contains("rule:p (line 2) would block, but for `verified`"),
        "{certified}"
    );
    let called = good(&serve, &[&asked[..], &["--verified", "dialback"]].concat());
    assert!(called.starts_with("block: rule:p\n  the sender is verified by: dialback"), "{called}");

    good(&serve, &["policy", "set", path]);
    assert!(good(&serve, &["policy", "diff", "1"]).contains("+name = \"b\""));
    good(&serve, &["policy", "rollback"]);
    assert!(good(&serve, &["policy", "show"]).contains("name = \"a\""));
    let history = good(&serve, &["policy", "history"]);
    assert_eq!(history.lines().count(), 3, "{history}");
    assert!(!serve.run(&["policy", "set", path, "--after", "2"]).status.success(), "somebody was quicker");

    std::fs::write(&file, "[[rule]]\nname = \"b\"\nthen = \"hodl\"\n").unwrap();
    let done = serve.run(&["policy", "set", path]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(
        !done.status.success()
            && said.contains("candidate.toml:3:8: ")
            && said.contains("did you mean `hold`"),
        "{said}"
    );
    assert!(good(&serve, &["policy", "show"]).contains("name = \"a\""), "nothing has changed");
}
