//! YARA rules on a running server: texts and files, rules that change, and rules that are wrong.

use crate::client::Xmpp;
use crate::harness::{LISTEN, Serve, prepared};
use crate::policy::good;
use crate::upload::{UPLOAD, put, slot};

const RULES: &str = "rule kelvir { strings: $a = \"its you on this picture\" nocase condition: $a }
rule program { strings: $mz = \"MZ\" condition: $mz at 0 }
";
const YARA: &str = "[hygiene.yara]\nfiles = [\"rules.yar\"]\n";

fn write(client: &mut Xmpp, text: &str) {
    client.say(&format!("<message id='m' type='chat' to='juliet@example.com'><body>{text}</body></message>"));
}

#[test]
fn rules_look_into_texts_and_files_and_may_change() {
    let more = format!("{LISTEN}{UPLOAD}{YARA}");
    let dir = prepared("", &more);
    let rules = dir.path().join("rules.yar");
    std::fs::write(&rules, RULES).expect("writable");
    let serve = Serve::start_in(dir, &["romeo", "juliet"], |_| {});
    let online = |user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut romeo, mut juliet) = (online("romeo"), online("juliet"));

    write(&mut romeo, "lol ITS YOU on this picture! http://x.example/p");
    let no = romeo.hear("</message>");
    assert!(no.contains("policy-violation") && no.contains("YARA rule kelvir"), "{no}");
    write(&mut romeo, "is it you on this picture?");
    let seen = juliet.hear("</message>");
    assert!(seen.contains("is it you") && !seen.contains("lol"), "{seen}");
    let (to, _) = slot(&mut romeo, "cat.jpg", 6, "image/jpeg");
    let (head, words) = put(&serve, &to, b"MZ\x90\0\x03\0");
    let words = String::from_utf8_lossy(&words).into_owned();
    assert!(head.starts_with("http/1.1 403") && words.contains("YARA rule program"), "{head} {words}");
    let (to, _) = slot(&mut romeo, "cat.jpg", 6, "image/jpeg");
    assert!(put(&serve, &to, b"meow\r\n").0.starts_with("http/1.1 201"));
    let status = good(&serve, &["status"]);
    assert!(status.contains("yara         2 rule(s): 4 look(s), 2 with a find"), "{status}");
    serve.metric("rialto_yara_scans_total{result=\"found\"} 2");
    let record = good(&serve, &["journal", "tail", "-n", "20"]);
    assert!(record.contains("hygiene:yara"), "{record}");

    // A mistake is told with its place; until it is mended, what was before holds.
    std::fs::write(&rules, "rule fine { condition: false }\nrule bad { condition: $none }\n")
        .expect("writable");
    serve.metric("rialto_yara_rules 2");
    serve.until("the mistake is told", |serve| good(serve, &["status"]).contains("rules.yar:2:"));
    let (said, fine) = serve.reload();
    assert!(!fine && said.contains("rules.yar:2:") && said.contains("rialto.toml:"), "{said}");
    write(&mut romeo, "its you on this picture");
    assert!(romeo.hear("</message>").contains("YARA rule kelvir"));
    std::fs::write(&rules, "rule worse { strings: $a = \"worse\" condition: $a }\n").expect("writable");
    serve.metric("rialto_yara_rules 1");
    write(&mut romeo, "from bad to worse");
    assert!(romeo.hear("</message>").contains("YARA rule worse"));
    // Without rules nobody looks.
    serve.configure("", &format!("{LISTEN}{UPLOAD}"));
    let (said, fine) = serve.reload();
    assert!(fine, "{said}");
    write(&mut romeo, "from worse to worst");
    assert!(juliet.hear("</message>").contains("from worse"));
}

#[test]
fn what_takes_too_long_waits_for_a_person() {
    let dir = prepared("", &format!("{LISTEN}{YARA}timeout_seconds = 1\n"));
    let slow = "rule slow { condition: for all i in (0..9000000000): ( for all j in (0..9000000000): ( i + j >= 0 ) ) }\n";
    std::fs::write(dir.path().join("rules.yar"), slow).expect("writable");
    let serve = Serve::start_in(dir, &["romeo", "juliet"], |_| {});
    let online = |user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut romeo, mut juliet) = (online("romeo"), online("juliet"));
    write(&mut romeo, "hello");
    serve.until("it waits", |serve| good(serve, &["quarantine", "list"]).contains("hygiene:unscanned"));
    let list = good(&serve, &["quarantine", "list"]);
    good(&serve, &["quarantine", "release", list.split_whitespace().next().expect("a row")]);
    assert!(juliet.hear("</message>").contains("hello"));
    serve.metric("rialto_yara_scans_total{result=\"failed\"} 1");
}
