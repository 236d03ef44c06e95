//! What one person may ask for. After an erasure nothing of the text is in any byte of the data directory, while the server
//! runs.

use crate::admins::{bad, good};
use crate::client::Xmpp;
use crate::harness::{LISTEN, Serve, prepared};
use crate::matters::written;
use crate::upload::{UPLOAD, get, link, put, slot};
use std::path::{Path, PathBuf};

/// Files below a directory that have these bytes in them, in whatever case of letters.
fn having(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(having(&path, text));
        } else {
            // A file may go while we look.
            let bytes = std::fs::read(&path).unwrap_or_default().to_ascii_lowercase();
            if memchr::memmem::find(&bytes, text.to_lowercase().as_bytes()).is_some() {
                found.push(path);
            }
        }
    }
    found
}

/// Waits until the index has read everything.
fn indexed(serve: &Serve, word: &str) {
    serve.until("the index has it", |serve| {
        let out = serve.run(&["search", "--kind", "message", word]).stdout;
        !String::from_utf8_lossy(&out).contains("nothing is found")
    });
}

#[test]
fn what_is_erased_is_in_no_byte_of_the_data_and_what_is_held_is() {
    let dir = prepared("", &format!("{LISTEN}{UPLOAD}"));
    let (romeo, juliet) = ("romeo@example.com", "juliet@example.com");
    // Enough that pages of the database fill up; every third is juliet's answer.
    let text = |n: u64| match n % 3 {
        0 => (juliet, romeo, 9, format!("wherefore{n}art thou answered {}", "x".repeat(n as usize % 900))),
        _ => (romeo, juliet, 9, format!("nightingale{n}sang {}", "y".repeat(n as usize * 7 % 9_000))),
    };
    written(dir.path(), (0..3_000).map(text));
    let serve = Serve::start_in(dir, &["romeo", "juliet"], |_| {});
    let online = |user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut one, mut other) = (online("romeo"), online("juliet"));
    one.say("<message type='chat' to='juliet@example.com'><body>pomegranate tree</body></message>");
    other.hear("pomegranate");
    one.say("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='juliet@example.com' name='mysweetcapulet'/></query></iq>");
    one.hear("id='r'");
    let content = b"a rope ladder of cordage".to_vec();
    let (to, from) = slot(&mut one, "balconyplan.txt", content.len() as u64, "text/plain");
    assert!(put(&serve, &to, &content).0.starts_with("http/1.1 201"));
    let url = link(&serve, &from);
    one.say(&format!("<message type='chat' to='juliet@example.com'><body>{url}</body></message>"));
    other.hear("balconyplan");
    for client in [&mut one, &mut other] {
        client.say("<presence type='unavailable'/>");
        client.fence();
    }
    drop((one, other));
    indexed(&serve, "tree");
    let data = serve.path("data");
    for what in [
        "pomegranate",
        "nightingale2998sang",
        "wherefore2997art",
        "mysweetcapulet",
        "balconyplan",
        "rope ladder of cordage",
    ] {
        assert!(!having(&data, what).is_empty(), "{what} is there before");
    }

    good(&serve, "", &["search", "bribery", "--from", romeo]);
    // All that is kept of him, for him.
    let told = serve.path("told");
    let to = told.to_str().expect("text");
    let said = good(&serve, "", &["subject", "export", "Romeo@example.com", "--to", to]);
    assert!(said.contains("things are kept"), "{said}");
    let lines = std::fs::read_to_string(told.join("subject.jsonl")).expect("it is there");
    let of = |kind: &str| lines.lines().filter(|line| line.contains(&format!("\"kind\":\"{kind}\""))).count();
    assert!(
        (of("message"), of("contact"), of("file")) >= (3_002, 1, 1) && of("act") > 0,
        "{} {}",
        of("message"),
        of("act")
    );
    for what in ["pomegranate tree", "wherefore2997art", "mysweetcapulet", "balconyplan.txt"] {
        assert!(lines.contains(what), "{what}");
    }
    assert!(!lines.contains("bribery"), "who looks into what is not told to whom they look into");
    let html = std::fs::read_to_string(told.join("subject.html")).expect("it is there");
    assert!(html.contains("pomegranate tree") && html.ends_with("</body></html>\n"));
    assert!(bad(&serve, "", &["subject", "export", romeo, "--to", to]).contains("File exists"));

    // The last day is held: with it the file, whose link is in a message that is held.
    good(&serve, "", &["matter", "open", "suit", "--reason", "r"]);
    good(&serve, "", &["matter", "hold", "suit", "--people", juliet, "--since", "1d"]);
    let dry = good(&serve, "", &["subject", "erase", romeo, "--dry-run"]);
    assert!(
        dry.contains("would be erased: 2000 row(s)") && dry.contains("kept by the matter suit: "),
        "{dry}"
    );
    assert!(!having(&data, "nightingale2998sang").is_empty());
    let done = good(&serve, "", &["subject", "erase", romeo]);
    assert!(done.contains("erased: 2000 row(s)"), "{done}");
    for n in (0..3_000).filter(|n| n % 3 != 0) {
        if n % 97 == 0 || n > 2_990 {
            assert_eq!(having(&data, &format!("nightingale{n}sang")), Vec::<PathBuf>::new());
        }
    }
    assert_eq!(having(&data, "nightingale"), Vec::<PathBuf>::new(), "not one of them, anywhere");
    for what in ["pomegranate", "wherefore2997art", "balconyplan", "rope ladder of cordage"] {
        assert!(!having(&data, what).is_empty(), "{what} is held, or somebody else's");
    }
    assert!(get(&serve, &from, "").0.starts_with("http/1.1 200"));

    // Released, it all goes; what she wrote only if asked for.
    good(&serve, "", &["matter", "release", "suit"]);
    let done = good(&serve, "", &["subject", "erase", romeo, "--received", "--account"]);
    assert!(done.contains("the account is removed") && done.contains("1 file(s)"), "{done}");
    for what in
        ["pomegranate", "wherefore", "mysweetcapulet", "balconyplan", "rope ladder of cordage", "nightingale"]
    {
        assert_eq!(having(&data, what), Vec::<PathBuf>::new(), "{what}");
    }
    assert!(get(&serve, &from, "").0.starts_with("http/1.1 404"));
    let verified = good(&serve, "", &["journal", "verify"]);
    assert!(verified.contains("intact"), "{verified}");
    let acts = good(&serve, "", &["journal", "tail", "--admin", "-n", "40"]);
    for piece in [
        "subject.export romeo@example.com",
        "by \"erasure of what romeo@example.com wrote\"",
        "kept by \"suit\"",
        "subject.erased romeo@example.com: 2000 row(s)",
    ] {
        assert!(acts.contains(piece), "{piece:?} in {acts}");
    }
}

#[test]
fn corrections_retractions_and_reactions_are_on_record_as_they_were_written() {
    let serve = Serve::start(&["romeo", "juliet"], LISTEN);
    let online = |user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut one, mut other) = (online("romeo"), online("juliet"));
    let said = [
        "<body>I am the corrected word</body><replace id='m0' xmlns='urn:xmpp:message-correct:0'/>",
        "<retract id='m0' xmlns='urn:xmpp:message-retract:1'/>",
        "<reactions id='m0' xmlns='urn:xmpp:reactions:0'><reaction>!</reaction></reactions>",
    ];
    for (n, what) in said.iter().enumerate() {
        one.say(&format!("<message id='m{n}' type='chat' to='juliet@example.com'>{what}</message>"));
        other.hear("</message>");
    }
    let rows = good(&serve, "", &["journal", "tail"]);
    assert_eq!(rows.matches("message    xmpp  romeo@example.com").count(), 3, "{rows}");
    for what in
        ["corrected word", "urn:xmpp:message-correct:0", "urn:xmpp:message-retract:1", "urn:xmpp:reactions:0"]
    {
        assert!(!having(&serve.path("data"), what).is_empty(), "{what}");
    }
}
