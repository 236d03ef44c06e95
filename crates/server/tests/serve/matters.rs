//! Holds and rules of retention on a running server, also one that is killed while it destroys.

use crate::admins::{bad, good, waits};
use crate::harness::{LISTEN, Serve, prepared, rialto};
use model::codec::{encode_body, encode_head};
use model::{
    Address, Dialect, Envelope, EnvelopeId, Event, Judgement, MAX_HOPS, Message, Origin, Part, Security, Seq,
    Timestamp, Vouch,
};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::SystemTime;
use store::{Draft, Journal, Options, RowKind, Rows, Settings, SqliteReader, SqliteStore};

const DAY: u64 = 86_400_000;

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

/// Writes messages into the journal of a server that does not run: sender, addressee, days ago, text.
pub fn written(dir: &Path, messages: impl Iterator<Item = (&'static str, &'static str, u64, String)>) {
    let data = dir.join("data");
    std::fs::create_dir_all(&data).expect("the directory is ours");
    let chain = Box::new(record::Chain::new().expect("randomness"));
    let store = SqliteStore::open(&data.join("rialto.db"), chain, Options::default()).expect("a store");
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let (tell, hear) = channel();
    let mut count = 0;
    for (n, (from, to, days, text)) in messages.enumerate() {
        let origin =
            Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch: Vouch::Account(address(from)) };
        let message = Message { parts: vec![Part::text(text, None)], lasting: true, ..Message::default() };
        let envelope = Envelope {
            id: EnvelopeId(n as u128),
            at: Timestamp(now - days * DAY),
            origin,
            from: address(from).into(),
            to: address(to).into(),
            hops: MAX_HOPS,
            event: Event::Message(message),
        };
        let draft = Draft {
            kind: RowKind::Envelope,
            at: envelope.at,
            mailbox: None,
            parties: (address(from), address(to)),
            head: encode_head(&envelope, &Judgement::default()),
            body: encode_body(&envelope),
        };
        let tell = tell.clone();
        store.append(
            draft,
            Box::new(move |end| tell.send(end.expect("it is written")).expect("somebody hears")),
        );
        count += 1;
    }
    assert_eq!(hear.iter().take(count).count(), count);
}

const TWO: &str = "
[control]
four_eyes = [\"matter.release\"]

[record]
retention = \"30 days\"
";

/// The server was off for so long that its clock may as well be wrong: whoever asks for a run says that it is right.
#[test]
fn a_run_that_somebody_asks_for_is_a_word_for_the_clock() {
    let dir = prepared("", &format!("{LISTEN}{TWO}"));
    let one = ("romeo@example.com", "juliet@example.com", 60, "by yonder blessed moon".to_owned());
    written(dir.path(), std::iter::once(one));
    let path = dir.path().join("data/rialto.db");
    let chain = Box::new(record::Chain::new().expect("randomness"));
    let store = SqliteStore::open(&path, chain, Options::default()).expect("a store");
    let then = Journal::rows(&store, Seq(1), 1).expect("a row")[0].at.unix_ms().to_string();
    store.set_value("retention.clock", then.as_bytes()).expect("written");
    drop(store);
    let serve = Serve::start_in(dir, &["romeo", "juliet"], |_| {});
    let said = || good(&serve, "", &["journal", "tail", "--admin", "-n", "60"]);
    let is_doubted = || good(&serve, "", &["status"]).contains("rialto retention run");
    assert!(is_doubted());
    for _ in 0..2 {
        good(&serve, "", &["retention", "run"]);
        assert_eq!(said().matches("retention.clock taken as right").count(), 1, "{}", said());
        assert!(!is_doubted());
    }
    assert!(good(&serve, "", &["journal", "show", "1"]).contains("erased"));
}

#[test]
fn a_hold_keeps_and_its_release_takes_two() {
    let dir = prepared("", &format!("{LISTEN}{TWO}"));
    let all = [
        ("romeo@example.com", "juliet@example.com", 40, "by yonder blessed moon"),
        ("romeo@example.com", "nurse@example.com", 40, "commend me to thy lady"),
        ("nurse@example.com", "peter@example.com", 40, "my fan, peter"),
        ("romeo@example.com", "juliet@example.com", 20, "parting is such sweet sorrow"),
    ];
    written(dir.path(), all.iter().map(|(from, to, days, text)| (*from, *to, *days, (*text).to_owned())));
    let serve = Serve::start_in(dir, &["romeo", "juliet"], |_| {});
    let token = |name: &str, role: &str| {
        good(&serve, "", &["admin", "add", name, "--role", role]);
        good(&serve, "", &["admin", "token", name]).trim().to_owned()
    };
    let (carol, dan) = (token("carol", "compliance-reviewer"), token("dan", "administrator"));
    let ursula = token("ursula", "auditor");

    assert!(bad(&serve, &ursula, &["matter", "open", "suit", "--reason", "r"]).contains("needs the role"));
    good(&serve, &carol, &["matter", "open", "suit", "--reason", "Capulet v. Montague"]);
    let two = ["matter", "hold", "suit", "--conversation", "juliet@example.com", "romeo@example.com"];
    let put = good(&serve, &carol, &two);
    assert_eq!(put, "suit, hold 1: conversation juliet@example.com and romeo@example.com\n");
    let wrong = bad(&serve, &carol, &["matter", "hold", "suit"]);
    assert!(wrong.contains("say whose"), "{wrong}");

    let preview = good(&serve, &ursula, &["retention", "preview"]);
    for piece in [
        "[record] retention: keeps 30 days; would go: 2 row(s)",
        "kept by the matter suit: 1 row(s)",
        "nurse@example.com",
    ] {
        assert!(preview.contains(piece), "{piece:?} in {preview}");
    }
    let run = good(&serve, &carol, &["retention", "run"]);
    assert!(
        run.contains("content of 2 row(s) destroyed") && run.contains("kept by the matter suit: 1"),
        "{run}"
    );
    let shown = |row: &str| good(&serve, "", &["journal", "show", row]);
    assert!(
        shown("1").contains("blessed moon") && shown("2").contains("erased") && shown("4").contains("sorrow")
    );

    // One alone cannot release, and cannot get around it by closing.
    assert!(bad(&serve, &carol, &["matter", "close", "suit"]).contains("1 hold(s) in force"));
    let request = waits(&serve, &carol, &["matter", "release", "suit"]);
    assert!(good(&serve, &carol, &["retention", "run"]).contains("content of 0 row(s) destroyed"));
    assert!(bad(&serve, &carol, &["approve", "yes", &request]).contains("somebody else must decide"));
    good(&serve, &dan, &["approve", "yes", &request]);
    let matter = good(&serve, &ursula, &["matter", "show", "suit"]);
    assert!(matter.contains("released") && matter.contains("0 hold(s) in force"), "{matter}");
    assert!(good(&serve, &carol, &["retention", "run"]).contains("content of 1 row(s) destroyed"));
    good(&serve, &carol, &["matter", "close", "suit"]);

    // Rules at run time: the longest that fits wins.
    good(&serve, "", &["group", "add", "lovers", "romeo@example.com"]);
    let rules = serve.path("rules.toml");
    let text = "[[rule]]\nname = \"lovers\"\nkeep = \"10 days\"\ngroup = \"lovers\"\n";
    std::fs::write(&rules, text).expect("the directory is writable");
    let rules = rules.to_str().expect("text");
    let preview = good(&serve, &carol, &["retention", "preview", "--rules", rules]);
    assert!(preview.contains("lovers: keeps 10 days; would go: 1 row(s)"), "{preview}");
    good(&serve, &carol, &["retention", "set", rules]);
    assert!(
        bad(&serve, "", &["group", "remove", "lovers"]).contains("the rule of retention \"lovers\" names it")
    );
    let run = good(&serve, &carol, &["retention", "run"]);
    assert!(run.contains("lovers: 10 days: 1 row(s)"), "{run}");
    assert!(good(&serve, &carol, &["retention", "show"]).contains("group = \"lovers\""));

    let verified = good(&serve, "", &["journal", "verify"]);
    assert!(
        verified.contains("content destroyed: 4 rows, by 3 act(s)") && verified.contains("intact"),
        "{verified}"
    );
    let acts = good(&serve, "", &["journal", "tail", "--admin", "-n", "60"]);
    for piece in [
        "matter.open suit: Capulet v. Montague by carol (compliance-reviewer",
        "matter.hold suit, hold 1: conversation",
        "matter.release suit, hold 1: conversation",
        "approved by dan",
        "matter.close suit by carol",
        "retention.set version 1, SHA-256",
        "content of 2 row(s)",
        "1 kept by \"suit\"",
    ] {
        assert!(acts.contains(piece), "{piece:?} in {acts}");
    }
}

#[test]
fn a_run_that_is_killed_goes_on_with_the_next() {
    const ROWS: u64 = 24_000;
    let dir = prepared("", &format!("{LISTEN}\n[record]\nretention = \"30 days\"\n"));
    let who = ["romeo@example.com", "juliet@example.com", "nurse@example.com"];
    let at = |n: u64| who[(n % 3) as usize];
    written(dir.path(), (0..ROWS).map(|n| (at(n), at(n / 3), 40, format!("text {n}"))));
    let mut serve = Serve::start_in(dir, &["romeo"], |_| {});
    good(&serve, "", &["matter", "open", "suit", "--reason", "r"]);
    good(&serve, "", &["matter", "hold", "suit", "--people", "nurse@example.com"]);
    let mut run = rialto();
    run.args(["retention", "run", "--config"]).arg(serve.path("rialto.toml"));
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts");
    let reader = SqliteReader::open(&serve.path("data/rialto.db")).expect("a store");
    let bare = |from: u64, to: u64| {
        let rows = reader.rows(Seq(from), (to + 1 - from) as usize).expect("it can be read");
        rows.iter().filter(|row| row.salt.is_none()).count()
    };
    serve.until("something is destroyed", |_| bare(1, 600) > 0);
    serve.crash();
    assert!(!run.wait().expect("our child").success(), "it was in the middle");
    serve.restart();
    let before = good(&serve, "", &["journal", "verify"]);
    assert!(before.contains("intact"), "{before}");
    let nurse = (0..ROWS).filter(|n| at(*n) == who[2] || at(n / 3) == who[2]).count() as u64;
    let gone = bare(1, ROWS) as u64;
    assert!(0 < gone && gone < ROWS - nurse, "{gone}");
    let done = good(&serve, "", &["retention", "run"]);
    assert!(done.contains(&format!("content of {} row(s) destroyed", ROWS - nurse - gone)), "{done}");
    assert_eq!(bare(1, ROWS) as u64, ROWS - nurse);
    assert!(good(&serve, "", &["journal", "verify"]).contains("intact"));
}
