//! What strangers send, on two running servers: ours asks, the other's people write.

use crate::client::Xmpp;
use crate::harness::{LISTEN, SOON, Serve, prepared_for};
use std::time::Instant;
use tempfile::TempDir;

const SERVERS: &str = "
[federation]
mode = \"allow\"

[[xmpp.listen]]
address = \"127.0.0.1:0\"
serves = \"servers\"
";

fn good(serve: &Serve, args: &[&str]) -> String {
    let done = serve.run(args);
    let said = String::from_utf8([done.stdout, done.stderr].concat()).expect("text");
    assert!(done.status.success(), "{args:?}: {said}");
    said
}

fn config(more: &str) -> String {
    format!("{SERVERS}{LISTEN}{more}")
}

fn directory(domain: &str, more: &str) -> TempDir {
    prepared_for(domain, "", &config(more))
}

/// Tells each where the other is.
fn meet(one: &Serve, other: &Serve) {
    for (on, name, domain, there) in
        [(one, "acme", "acme.example", other), (other, "example", "example.com", one)]
    {
        let at = format!("xmpp:{}", there.at("xmpp-s2s"));
        let ca = there.path("ca.pem");
        let ca = ca.to_str().expect("text");
        good(
            on,
            &["partner", "add", name, "--domain", domain, "--protocol", "xmpp", "--route", &at, "--ca", ca],
        );
    }
}

fn online(serve: &Serve, user: &str) -> Xmpp {
    Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user)
}

fn at_acme(serve: &Serve, user: &str) -> Xmpp {
    Xmpp::online_at(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user, "acme.example")
}

fn write(client: &mut Xmpp, to: &str, text: &str) {
    client.say(&format!("<message id='m' type='chat' to='{to}'><body>{text}</body></message>"));
}

/// Waits until a command says something.
fn says(serve: &Serve, args: &[&str], what: &str) -> String {
    let end = Instant::now() + SOON;
    loop {
        let said = good(serve, args);
        if said.contains(what) {
            return said;
        }
        assert!(Instant::now() < end, "no {what:?} in {said}\n{}", serve.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

const ROMEO: &str = "romeo@example.com";
const JULIET: &str = "juliet@example.com";

#[test]
fn a_stranger_sends_no_link_before_an_answer() {
    let strict = "[spim]\npartners = true\ncontacts_per_sender = 2\n";
    let example = Serve::start_in(directory("example.com", strict), &["romeo", "juliet", "tybalt"], |_| {});
    let people = ["nurse@acme.example", "peter@acme.example"];
    let acme = Serve::start_in(directory("acme.example", ""), &people, |_| {});
    meet(&example, &acme);
    let (mut romeo, mut juliet) = (online(&example, "romeo"), online(&example, "juliet"));
    let mut nurse = at_acme(&acme, "nurse");

    // No link, in whatever clothes, and no file.
    for text in ["look: https://pics.example/a", "www.pics.test", "p&#105;cs.com"] {
        write(&mut nurse, ROMEO, text);
        let no = nurse.hear("</message>");
        assert!(no.contains("policy-violation") && no.contains("no links and no files"), "{text}: {no}");
    }
    nurse.say(&format!(
        "<iq type='set' id='f' to='{ROMEO}/desk'><si xmlns='http://jabber.org/protocol/si' profile='x'/></iq>"
    ));
    assert!(nurse.hear("</iq>").contains("policy-violation"));
    // A word passes, and so do more of them.
    for text in ["good morrow", "are you there?"] {
        write(&mut nurse, ROMEO, text);
        assert!(romeo.hear("</message>").contains(text));
    }
    // To two people in an hour, and no third.
    write(&mut nurse, JULIET, "good morrow");
    juliet.hear("</message>");
    write(&mut nurse, "tybalt@example.com", "good morrow");
    let no = nurse.hear("</message>");
    assert!(no.contains("resource-constraint") && no.contains("wait a while"), "{no}");
    // Whom we write to is no stranger, over a restart too.
    write(&mut romeo, "nurse@acme.example", "well met");
    nurse.hear("well met");
    write(&mut nurse, ROMEO, "https://pics.example/a");
    romeo.hear("https://pics.example/a");
    write(&mut nurse, JULIET, "https://pics.example/a");
    assert!(nurse.hear("</message>").contains("no links"));

    let status = good(&example, &["spim", "status"]);
    for part in ["2 first contacts", "5 by link", "1 by rate", "2 pairs know one another"] {
        assert!(status.contains(part), "{part} in {status}");
    }
    let shown = good(&example, &["spim", "show", "nurse@acme.example"]);
    assert!(shown.contains("reputation -5.0: 0 reports, 5 refused, 0 held, 1 consents"), "{shown}");
    let metrics = example.api("GET", "/metrics").1;
    assert!(metrics.contains("rialto_spim_stopped_total{cause=\"link\"} 5"), "{metrics}");
    assert!(metrics.contains("rialto_refusals_total{stage=\"spim\",reason=\"policy\"}"), "{metrics}");

    // An administrator blocks and forgives, on record.
    good(&example, &["spim", "block", "acme.example", "--note", "infected"]);
    write(&mut nurse, ROMEO, "hello?");
    let no = nurse.hear("</message>");
    assert!(no.contains("the administrator does not accept"), "{no}");
    let shown = good(&example, &["spim", "show", "acme.example"]);
    assert!(
        shown.contains("blocked since") && shown.contains("until forgiven") && shown.contains("infected")
    );
    good(&example, &["spim", "forgive", "acme.example"]);
    write(&mut nurse, ROMEO, "hello again");
    romeo.hear("hello again");
    let record = good(&example, &["journal", "tail", "--admin", "-n", "9"]);
    for act in ["spim.block acme.example until it is ended by ", "spim.forgive acme.example by "] {
        assert!(record.contains(act), "{act} in {record}");
    }
    let done = example.run(&["spim", "forgive", "nobody@acme.example"]);
    assert!(String::from_utf8_lossy(&done.stderr).contains("nothing is known of"));
    let done = example.run(&["spim", "block", "not an address"]);
    assert!(String::from_utf8_lossy(&done.stderr).contains("is no address and no domain"));
}

#[test]
fn what_a_stranger_may_not_send_is_dropped_held_or_asked_about() {
    let rules = |more: &str| format!("[spim]\npartners = true\n{more}");
    let example =
        Serve::start_in(directory("example.com", &rules("links = \"drop\"\n")), &["romeo", "juliet"], |_| {});
    let people = ["nurse@acme.example", "peter@acme.example", "abram@acme.example", "gregory@acme.example"];
    let acme = Serve::start_in(directory("acme.example", ""), &people, |_| {});
    meet(&example, &acme);
    let mut romeo = online(&example, "romeo");
    let (mut nurse, mut peter) = (at_acme(&acme, "nurse"), at_acme(&acme, "peter"));
    let now = |more: &str| {
        example.configure("", &config(&rules(more)));
        let (said, good) = example.reload();
        assert!(good, "{said}");
    };

    write(&mut nurse, ROMEO, "https://drop.example/");
    let record = says(&example, &["journal", "tail", "-n", "9"], "its sender not told");
    assert!(record.contains("spim:link"), "{record}");
    write(&mut nurse, ROMEO, "nothing to see");
    let seen = romeo.hear("</message>");
    assert!(seen.contains("nothing to see") && !seen.contains("drop.example"), "{seen}");

    now("links = \"hold\"\n");
    write(&mut nurse, ROMEO, "https://hold.example/");
    let list = says(&example, &["quarantine", "list"], "spim:link");
    good(&example, &["quarantine", "release", list.split_whitespace().next().expect("a row")]);
    romeo.hear("https://hold.example/");

    // A question that a person can answer.
    now("links = \"challenge\"\n");
    write(&mut nurse, ROMEO, "https://ask.example/");
    let asked = nurse.hear("</message>");
    assert!(asked.contains("from='romeo@example.com") && asked.contains("how much is"), "{asked}");
    write(&mut nurse, ROMEO, "what?");
    assert!(nurse.hear("</message>").contains("answer the question first"));
    write(&mut nurse, ROMEO, &sum(&asked).to_string());
    romeo.hear("https://ask.example/");
    write(&mut nurse, ROMEO, "https://again.example/");
    let seen = romeo.hear("https://again.example/");
    assert!(!seen.contains("what?"), "{seen}");

    // Who answers has waited for the guard alone: what comes after it has not seen the message yet.
    std::fs::write(example.path("evil.txt"), "evil.example\n").expect("writable");
    now("links = \"challenge\"\n[[hygiene.list]]\nfile = \"evil.txt\"\n");
    let mut gregory = at_acme(&acme, "gregory");
    write(&mut gregory, ROMEO, "https://evil.example/");
    let asked = gregory.hear("</message>");
    write(&mut gregory, ROMEO, &sum(&asked).to_string());
    let no = gregory.hear("</message>");
    assert!(no.contains("type='error'"), "{no}");
    assert!(says(&example, &["journal", "tail", "-n", "20"], "hygiene:list.evil").contains("spim:link"));

    // Somebody on a list.
    std::fs::write(example.path("bad.txt"), "peter@acme.example\n").expect("writable");
    now("[[spim.list]]\nfile = \"bad.txt\"\n");
    write(&mut peter, ROMEO, "hello");
    assert!(peter.hear("</message>").contains("is on a list"));
    assert!(good(&example, &["spim", "show", "peter@acme.example"]).contains("on the list bad"));
    std::fs::write(example.path("bad.txt"), "# nobody now\n").expect("writable");
    says(&example, &["spim", "status"], "list bad: 0 entries");
    write(&mut peter, ROMEO, "hello there");
    romeo.hear("hello there");

    // Greylisted until the addressee writes; nobody here has written to anybody there.
    now("greylist = \"hold\"\n");
    let mut abram = at_acme(&acme, "abram");
    write(&mut abram, JULIET, "do you bite your thumb?");
    says(&example, &["quarantine", "list"], "spim:greylist");
    let mut juliet = online(&example, "juliet");
    write(&mut juliet, "abram@acme.example", "who is there?");
    juliet.hear("do you bite your thumb?");
    now("greylist = \"refuse\"\n");
    abram.fence();
}

/// The answer that a person gives.
fn sum(asked: &str) -> usize {
    let words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let question = asked.split("how much is ").nth(1).and_then(|rest| rest.split('?').next());
    let question = question.expect("a question");
    question.split(' ').filter_map(|word| words.iter().position(|w| *w == word)).sum()
}

#[test]
fn who_is_known_stays_known_over_a_restart() {
    let strict = "[spim]\npartners = true\n";
    let mut example = Serve::start_in(directory("example.com", strict), &["romeo"], |_| {});
    let acme = Serve::start_in(directory("acme.example", ""), &["nurse@acme.example"], |_| {});
    meet(&example, &acme);
    let mut nurse = at_acme(&acme, "nurse");
    write(&mut online(&example, "romeo"), "nurse@acme.example", "well met");
    nurse.hear("well met");
    good(&example, &["spim", "block", "tybalt@acme.example"]);
    example.signal("TERM");
    assert!(example.ended().success());
    let status = good(&example, &["spim", "status"]);
    assert!(
        status.contains("2 pairs know one another") && status.contains("tybalt@acme.example  blocked"),
        "{status}"
    );
    let shown = good(&example, &["spim", "show", "nurse@acme.example"]);
    assert!(shown.contains("1 consents"), "{shown}");
}
