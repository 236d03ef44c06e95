//! Signed checkpoints: made, kept, shown, anchored.

use crate::client::Xmpp;
use crate::harness::{LISTEN, SOON, Serve, prepared};
use serde_json::Value;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;

/// What a command says, and whether it was content.
pub fn said(serve: &Serve, args: &[&str]) -> (bool, String) {
    let done = serve.run(args);
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

/// So many messages from romeo to juliet.
pub fn talk(serve: &Serve, messages: usize) {
    let online = |user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut romeo, mut juliet) = (online("romeo"), online("juliet"));
    for n in 0..messages {
        let text = format!("line {n} of the play");
        romeo.say(&format!(
            "<message id='m{n}' type='chat' to='juliet@example.com'><body>{text}</body></message>"
        ));
        juliet.hear("</message>");
    }
}

/// The checkpoints, as they are kept elsewhere.
pub fn lines(serve: &Serve) -> Vec<Value> {
    let (good, text) = said(serve, &["journal", "checkpoints", "--lines"]);
    assert!(good, "{text}");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn checkpoints_are_made_on_request_and_at_the_end_and_a_restart_goes_on() {
    let mut serve = Serve::start(&["romeo", "juliet"], LISTEN);
    talk(&serve, 5);
    let mode = std::fs::metadata(serve.path("data/checkpoint.key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (_, key) = said(&serve, &["journal", "key"]);
    let (good, made) = said(&serve, &["journal", "checkpoint"]);
    assert!(good && made.starts_with("rows 1 to "), "{made}");
    assert!(made.contains(&key[..16]), "{made}");
    // How the last messages ended follows a moment later.
    let is_nothing = |text: &str| text.starts_with("nothing is new: rows up to ");
    serve.until("all is closed", |serve| is_nothing(&said(serve, &["journal", "checkpoint"]).1));
    let before = lines(&serve).len();
    let acts = said(&serve, &["journal", "tail", "--admin"]).1;
    assert!(acts.contains("checkpoint by uid"), "{acts}");
    serve.metric(&format!("rialto_checkpoints_total {before}"));

    talk(&serve, 3);
    serve.signal("TERM");
    assert!(serve.ended().success());
    let serve = Serve::restarted(serve);
    let all = lines(&serve);
    assert_eq!(all.len(), before + 1, "{all:?}");
    for pair in all.windows(2) {
        assert_eq!(pair[1]["first"].as_u64(), pair[0]["last"].as_u64().map(|last| last + 1));
    }
    assert!(all.iter().all(|line| line["key"] == key.trim()));
    let (good, proof) = said(&serve, &["journal", "verify", "--key", key.trim()]);
    assert!(
        good && proof.contains(&format!("by {} checkpoint(s)", all.len())) && proof.contains("this server's"),
        "{proof}"
    );
    let status = said(&serve, &["status"]).1;
    assert!(
        status.contains(&format!("checkpoint   rows up to {} are signed", all[before]["last"])),
        "{status}"
    );
    // Another key than theirs.
    let other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let (good, proof) = said(&serve, &["journal", "verify", "--key", other]);
    assert!(!good && proof.contains("NOT INTACT: the checkpoint that closes row"), "{proof}");
    assert!(proof.contains("is signed with another key"), "{proof}");
    let (good, proof) = said(&serve, &["journal", "verify", "--key", "12"]);
    assert!(!good && proof.contains("is no public key"), "{proof}");
}

#[test]
fn checkpoints_are_kept_elsewhere_too() {
    let collector = UdpSocket::bind("127.0.0.1:0").expect("a port");
    collector.set_read_timeout(Some(SOON)).expect("a timeout");
    let anchors = |at: &str| {
        let to = collector.local_addr().expect("bound");
        format!("{LISTEN}\n[record.anchors]\ndirectory = \"{at}\"\nsyslog = \"{to}\"\n")
    };
    let dir = prepared("", &anchors("worm"));
    let serve = Serve::start_in(dir, &["romeo", "juliet"], |_| {});
    talk(&serve, 2);
    said(&serve, &["journal", "checkpoint"]);
    // There is no such directory yet: said aloud, and nothing else suffers.
    serve.metric("rialto_anchor_ill{anchor=\"directory\"} 1");
    let status = said(&serve, &["status"]).1;
    assert!(status.contains("ANCHOR       directory"), "{status}");
    let doctor = said(&serve, &["doctor"]).1;
    assert!(doctor.contains("worm takes no checkpoints: "), "{doctor}");
    let mut buffer = [0; 4_000];
    let n = collector.recv(&mut buffer).expect("a datagram");
    let logged = String::from_utf8_lossy(&buffer[..n]).into_owned();
    assert!(logged.starts_with("<109>1 ") && logged.contains(" example.com rialto "), "{logged}");
    let first: Value = serde_json::from_str(&logged[logged.find('{').expect("JSON")..]).expect("JSON");
    assert_eq!(first["last"], lines(&serve)[0]["last"]);

    std::fs::create_dir(serve.path("worm")).expect("a directory");
    assert!(serve.reload().1);
    let file = format!("worm/rialto-{}.checkpoints", first["node"].as_str().expect("a node"));
    serve.until("the directory has it", |serve| serve.path(&file).exists());
    serve.metric("rialto_anchor_ill{anchor=\"directory\"} 0");
    talk(&serve, 2);
    said(&serve, &["journal", "checkpoint"]);
    let kept = || std::fs::read_to_string(serve.path(&file)).expect("a file");
    serve.until("both are there", |_| kept().lines().count() == 2);
    let shown = said(&serve, &["journal", "checkpoints", "--lines"]).1;
    assert_eq!(kept(), shown);
    let (good, proof) = said(&serve, &["journal", "verify"]);
    assert!(good && proof.contains("agree with 2 checkpoint(s) kept elsewhere"), "{proof}");
}
