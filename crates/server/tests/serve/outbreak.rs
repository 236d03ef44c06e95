//! `rialto outbreak` on a running server, and a link that goes round until it is held.

use crate::client::Xmpp;
use crate::harness::{LISTEN, Serve};

const LINK: &str = "is this you? http://evil.example/pic.php?id=";

fn good(serve: &Serve, args: &[&str]) -> String {
    let done = serve.run(args);
    let said = String::from_utf8([done.stdout, done.stderr].concat()).expect("text");
    assert!(done.status.success(), "{args:?}: {said}");
    said
}

fn write(client: &mut Xmpp, id: &str, to: &str, text: &str) {
    client
        .say(&format!("<message id='{id}' type='chat' to='{to}@example.com'><body>{text}</body></message>"));
}

const USERS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

#[test]
fn a_link_that_goes_round_is_held_and_released_by_command() {
    // Seven people are a small company.
    let rules = "[outbreak]\nrecipients = 2\nmute_after = 3\n";
    let mut serve = Serve::start(&USERS, &format!("{LISTEN}{rules}"));
    let mut all: Vec<Xmpp> =
        USERS.iter().map(|user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user)).collect();
    let [a, b, c, d, e, f, g] = &mut all[..] else { panic!("seven people") };
    for (to, hearer) in [("b", &mut *b), ("c", &mut *c)] {
        write(a, "m1", to, &format!("{LINK}{to}"));
        hearer.hear("evil.example");
    }
    for (to, hearer) in [("d", &mut *d), ("e", &mut *e)] {
        write(b, "m2", to, &format!("{LINK}{to}"));
        hearer.hear("evil.example");
    }
    write(c, "m3", "f", &format!("{LINK}f"));
    f.hear("evil.example");
    // The second who sends it on to two at once.
    write(c, "m4", "g", &format!("{LINK}g"));
    let told = c.hear("spreads like a worm");
    assert!(told.contains("from='example.com'"), "{told}");
    write(f, "m5", "g", "in another spelling: HTTP://WWW.EVIL.example:80/pic.php?id=zz");
    f.hear("spreads like a worm");
    g.fence();

    let status = good(&serve, &["outbreak", "status"]);
    assert!(status.starts_with("link-") && status.contains("(evil.example)"), "{status}");
    assert!(status.contains("2 stopped, 2 wait") && !status.contains("pic.php"), "no content: {status}");
    let name = status.split_whitespace().next().unwrap().to_owned();
    let list = good(&serve, &["quarantine", "list"]);
    assert_eq!(list.matches(&format!("outbreak:{name}")).count(), 2, "{list}");
    serve.logs("outbreak.hold");
    assert!(!serve.log().contains("pic.php"), "a log has no content");
    let (_, metrics) = serve.api("GET", "/metrics");
    assert!(metrics.contains("rialto_outbreaks_total{step=\"hold\"} 1"), "{metrics}");
    assert!(metrics.contains("rialto_outbreak_orders{kind=\"link\"} 1"), "{metrics}");

    // Two more, and the account is muted.
    write(f, "m6", "a", &format!("{LINK}1"));
    write(f, "m7", "b", &format!("{LINK}2"));
    write(f, "m8", "g", "hello?");
    let no = f.hear("this account is muted");
    assert!(no.contains("id='m8'"), "{no}");
    good(&serve, &["outbreak", "release", "user:f@example.com"]);
    write(f, "m9", "g", "hello again");
    assert!(g.hear("hello again").contains("id='m9'"));

    let done = good(&serve, &["outbreak", "release", &name]);
    assert!(done.contains("4 messages"), "{done}");
    let heard = g.hear("id='m5'");
    assert!(heard.contains("id='m4'"), "in their order: {heard}");
    assert_eq!(good(&serve, &["quarantine", "list"]), "nothing waits\n");
    // A false alarm is none again.
    for (to, hearer) in [("a", &mut *a), ("b", &mut *b), ("c", &mut *c)] {
        write(d, "m10", to, &format!("{LINK}{to}"));
        hearer.hear("id='m10'");
    }

    good(&serve, &["outbreak", "stop", "link", "https://worse.example/x", "--note", "seen elsewhere"]);
    write(a, "m11", "b", "worse.example/x");
    a.hear("spreads like a worm");
    good(&serve, &["outbreak", "stop", "network"]);
    write(a, "m12", "b", "hello");
    a.hear("no messages pass");
    good(&serve, &["outbreak", "release", "network"]);
    write(a, "m13", "b", "hello");
    b.hear("id='m13'");
    let status = good(&serve, &["outbreak", "status", "--json"]);
    let worse = status.split('"').find(|word| word.starts_with("link-") && *word != name).unwrap().to_owned();
    assert!(good(&serve, &["outbreak", "delete", &worse, "--tell"]).contains("deleted 1"));
    a.hear("id='m11'");
    let wrong = serve.run(&["outbreak", "stop", "link", "nothing"]);
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("is no link"));

    let record = good(&serve, &["journal", "tail", "-n", "200", "--admin"]);
    for act in ["outbreak.hold", "outbreak.mute", "outbreak.release", "outbreak.stop", "outbreak.delete"] {
        assert!(record.contains(act), "{act} in {record}");
    }
    good(&serve, &["journal", "verify"]);

    // What was ordered outlives the process.
    serve.signal("TERM");
    serve.ended();
    let status = good(&serve, &["outbreak", "status"]);
    assert!(status.contains(&worse) && status.contains("seen elsewhere"), "{status}");
}

#[test]
fn a_reload_changes_what_counts() {
    let serve = Serve::start(&["a", "b", "c"], LISTEN);
    serve.configure("", &format!("{LISTEN}[outbreak]\nrecipients = 1\n"));
    let (said, good) = serve.reload();
    assert!(!good && said.contains("`recipients` is a number from 2 to 64"), "{said}");
    serve.configure("", &format!("{LISTEN}[outbreak]\nenabled = false\n"));
    let (said, good) = serve.reload();
    assert!(good && said.contains("outbreak: "), "{said}");
}

#[test]
fn a_partner_is_stopped_by_its_name_with_all_its_domains() {
    let rules = "[federation]\nmode = \"allow\"\ndns = [\"127.0.0.1:9\"]\n";
    let serve = Serve::start(&["a"], &format!("{LISTEN}{rules}"));
    let mut a = Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), "a");
    good(&serve, &["partner", "add", "acme", "--domain", "acme.example", "--domain", "acme.test"]);
    good(&serve, &["outbreak", "stop", "partner", "acme", "--note", "infected"]);
    assert!(good(&serve, &["outbreak", "status"]).contains("partner:acme"));
    for domain in ["acme.example", "acme.test"] {
        a.say(&format!("<message id='x' type='chat' to='x@{domain}'><body>hello</body></message>"));
        let no = a.hear("</message>");
        assert!(no.contains("no messages pass between this server and that domain"), "{no}");
    }
    let wrong = serve.run(&["outbreak", "stop", "partner", "acne"]);
    let said = String::from_utf8(wrong.stderr).expect("text");
    assert!(!wrong.status.success() && said.contains("no partner and no domain"), "{said}");
    good(&serve, &["outbreak", "release", "partner:acme"]);
    assert!(good(&serve, &["outbreak", "status"]).starts_with("nothing is contained"));
}
