//! `rialto export` on a running server; every form is read back by a program that nobody here wrote.

use crate::client::{Phone, Xmpp, until};
use crate::harness::{LISTEN, Serve};
use crate::upload::{UPLOAD, link, put, slot};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn said(serve: &Serve, args: &[&str]) -> (bool, String) {
    let done = serve.run(args);
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Python reads all forms with its own libraries, and tells what it found.
const READER: &str = r#"
import csv, email, email.policy, glob, hashlib, io, json, os, sys, xml.etree.ElementTree as tree
os.chdir(sys.argv[1])
found = {}
manifest = json.load(open("manifest.json"))
for name, said in manifest["files"].items():
    content = open(name, "rb").read()
    assert len(content) == said["size"], name
    assert hashlib.sha256(content).hexdigest() == said["sha256"], name
here = {os.path.relpath(os.path.join(d, f), ".") for d, _, fs in os.walk(".") for f in fs}
assert here - set(manifest["files"]) == {"manifest.json", "manifest.sig"}, here
found["rows"] = manifest["rows"]
found["claim"] = manifest["claim"]
found["lines"] = [json.loads(line) for line in open("rows.jsonl")]
if os.path.exists("messages.jsonl"):
    found["jsonl"] = [json.loads(line) for line in open("messages.jsonl")]
if os.path.exists("messages.csv"):
    with open("messages.csv", newline="", encoding="utf-8-sig") as file:
        found["csv"] = list(csv.DictReader(file, strict=True))
found["eml"] = []
for name in sorted(glob.glob("eml/*/*.eml")):
    mail = email.message_from_binary_file(open(name, "rb"), policy=email.policy.default)
    assert not mail.defects and not any(part.defects for part in mail.walk()), name
    found["eml"].append({
        "name": name, "subject": mail["subject"], "from": mail["from"], "to": mail["to"],
        "id": mail["message-id"], "date": mail["date"].datetime.isoformat(), "rows": mail["x-rialto-rows"],
        "text": mail.get_body(("plain",)).get_content(), "html": mail.get_body(("html",)).get_content(),
        "files": [[p.get_filename(), p.get_content_type(), hashlib.sha256(p.get_payload(decode=True)).hexdigest()]
                  for p in mail.iter_attachments()],
    })
found["xml"] = []
for name in sorted(glob.glob("xml/*.xml")):
    for talk in tree.parse(name).getroot().iter("Conversation"):
        found["xml"].append({
            "people": [p.findtext("LoginName") for p in talk.iter("ParticipantEntered")],
            "left": [p.findtext("LoginName") for p in talk.iter("ParticipantLeft")],
            "said": [m.findtext("Content") for m in talk.iter("Message")],
            "files": [f.findtext("FileName") for f in talk.iter("FileTransferEnded")],
        })
json.dump(found, sys.stdout)
"#;

fn read(dir: &Path) -> Value {
    let done = Command::new("python3").args(["-c", READER]).arg(dir).output().expect("Python is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("JSON")
}

/// Asks the verifier that lies in the export.
fn verified(dir: &Path) -> (bool, String) {
    let done = Command::new("python3").arg(dir.join("verify.py")).arg(dir).output().expect("Python is there");
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

fn message(inside: &str, id: &str) -> String {
    format!("<message id='{id}' type='chat' to='juliet@example.com'>{inside}</message>")
}

/// A talk with all that people do.
fn talk(serve: &Serve) -> String {
    let online = |user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut romeo, mut juliet) = (online("romeo"), online("juliet"));
    let (to, from) = slot(&mut romeo, "rose &amp; thorn.txt", 6, "text/plain");
    assert!(put(serve, &to, b"a rose").0.starts_with("http/1.1 201"));
    let url = link(serve, &from);
    let said = [
        message("<body>=1+2, \"she\" said\nÄrger 会議 👍</body><subject>Verona</subject>", "m1"),
        message("<body>But soft!</body>", "m2"),
        message(
            "<body>But soft, what light</body><replace id='m2' xmlns='urn:xmpp:message-correct:0'/>",
            "m3",
        ),
        message("<body>I should not have said this</body>", "m4"),
        message("<body>retracted</body><retract id='m4' xmlns='urn:xmpp:message-retract:1'/>", "m5"),
        message(
            "<reactions id='m1' xmlns='urn:xmpp:reactions:0'><reaction>👍</reaction></reactions><store xmlns='urn:xmpp:hints'/>",
            "m6",
        ),
        message(
            "<body>OMEMO it is</body><encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>",
            "m7",
        ),
        message(&format!("<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>"), "m8"),
    ];
    for (n, stanza) in said.iter().enumerate() {
        romeo.say(stanza);
        juliet.hear(&format!("id='m{}'", n + 1));
    }
    juliet.say("<message id='r1' type='chat' to='romeo@example.com'><received xmlns='urn:xmpp:receipts' id='m1'/></message>");
    romeo.hear("urn:xmpp:receipts");
    let mut phone = Phone::registered(serve.at("sip-tcp"), "nurse");
    romeo.say("<message id='p1' type='chat' to='nurse@example.com'><body>to the phone</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><b>to the phone</b></body></html></message>");
    let mut request = until(&mut phone.wire, "\r\n\r\n");
    if !request.starts_with("MESSAGE") {
        request = until(&mut phone.wire, "\r\n\r\n");
    }
    phone.accept(&request);
    serve.until("it is delivered", |serve| said_of(serve, "to the phone"));
    from
}

fn said_of(serve: &Serve, words: &str) -> bool {
    let (_, found) = said(serve, &["trace", "p1"]);
    found.contains("now: delivered") && said(serve, &["search", &format!("\"{words}\"")]).1.contains("nurse")
}

fn started() -> Serve {
    Serve::start(&["romeo", "juliet", "nurse"], &format!("{LISTEN}{UPLOAD}"))
}

#[test]
fn everything_is_exported_and_read_back_by_others() {
    let serve = started();
    talk(&serve);
    let dir = serve.path("all");
    let (good, words) = said(&serve, &["export", text(&dir), "--format", "jsonl,csv,eml,xml"]);
    assert!(good, "{words}");
    let found = read(&dir);
    assert_eq!(found["claim"], "rows");
    assert_eq!(found["rows"].as_u64(), found["lines"].as_array().map(|all| all.len() as u64));
    let all = found["jsonl"].as_array().expect("messages");
    let named = |id: &str| {
        all.iter().find(|one| one["message_id"] == id).unwrap_or_else(|| panic!("no {id} in {all:#?}"))
    };
    let first = named("m1");
    assert_eq!((&first["from"], &first["to"]), (&"romeo@example.com".into(), &"juliet@example.com".into()));
    assert_eq!(first["text"], "=1+2, \"she\" said\nÄrger 会議 👍");
    assert_eq!((&first["subject"], &first["protocol"]), (&"Verona".into(), &"xmpp".into()));
    assert_eq!(first["outcomes"][0]["outcome"], "delivered");
    let turn = |id: &str, kind: &str, about: &str| {
        assert_eq!((&named(id)["kind"], &named(id)["about"]), (&kind.into(), &about.into()));
    };
    turn("m3", "edit", "m2");
    turn("m5", "retraction", "m4");
    turn("m6", "reaction", "m1");
    assert_eq!(named("m6")["reactions"][0], "👍");
    assert_eq!(named("m7")["end_to_end"], true);
    let rose = "3b9b4d5bdbb4a53c0c3b6a1c5e4a4d17a5d8cfdc6fd2e3e5b7f2fdd0cd5c5b57";
    let file = &named("m8")["attachments"][0];
    assert_eq!(
        (&file["name"], file["sha256"].as_str().map(str::len)),
        (&"rose & thorn.txt".into(), Some(rose.len()))
    );
    let content = std::fs::read(dir.join(file["path"].as_str().expect("a path"))).expect("the file");
    assert_eq!(content, b"a rose");
    assert!(named("p1")["outcomes"][0]["losses"][0]["what"].is_string(), "{:#}", named("p1"));
    assert!(all.iter().any(|one| one["kind"] == "delivered" && one["about"] == "m1"));
    assert!(
        all.iter()
            .any(|one| one["kind"] == "act" && one["text"].as_str().is_some_and(|t| t.contains("upload")))
    );

    let table = found["csv"].as_array().expect("a table");
    assert_eq!(table.len(), all.len());
    let cell = table.iter().find(|row| row["message_id"] == "m1").expect("its row");
    assert_eq!(cell["text"], "'=1+2, \"she\" said\nÄrger 会議 👍");

    let mails = found["eml"].as_array().expect("mails");
    let mail = mails
        .iter()
        .find(|mail| mail["subject"].as_str().is_some_and(|s| s.contains("juliet")))
        .expect("a mail");
    assert!(mail["from"].as_str().is_some_and(|from| from.contains("<romeo@example.com>")), "{mail:#}");
    for form in ["text", "html"] {
        let page = mail[form].as_str().expect("text");
        for piece in [
            "But soft, what light",
            "Ärger 会議 👍",
            "edited at",
            "retracted by romeo@example.com",
            "encrypted between the people",
            "rose &",
        ] {
            assert!(page.contains(piece), "{piece:?} in {page}");
        }
        assert!(!page.contains("<body>") || form == "html");
    }
    assert_eq!((&mail["files"][0][0], &mail["files"][0][2]), (&file["name"], &file["sha256"]));
    let talk = found["xml"]
        .as_array()
        .and_then(|all| all.iter().find(|t| t["people"].to_string().contains("juliet")));
    let talk = talk.expect("a conversation");
    assert_eq!(talk["people"], talk["left"]);
    assert!(talk["said"].to_string().contains("But soft!") && talk["files"][0] == file["path"]);

    let (good, words) = verified(&dir);
    assert!(good, "{words}");
    let acts = said(&serve, &["journal", "tail", "--admin"]).1;
    assert!(acts.contains("export everything; as jsonl, csv, eml, xml by uid"), "{acts}");
    assert!(acts.contains("manifest sha256 "), "{acts}");
    let (good, words) = said(&serve, &["export", text(&dir)]);
    assert!(!good && words.contains("is a whole export"), "{words}");

    // One row less.
    let rows = std::fs::read_to_string(dir.join("rows.jsonl")).expect("rows");
    let mut lines: Vec<&str> = rows.lines().collect();
    lines.remove(lines.len() / 2);
    std::fs::write(dir.join("rows.jsonl"), lines.join("\n") + "\n").expect("ours");
    let (good, words) = verified(&dir);
    assert!(!good, "{words}");
}

#[test]
fn a_selection_is_proved_row_by_row_and_goes_on_after_a_break() {
    let mut serve = started();
    talk(&serve);
    let dir = serve.path("some");
    let args = ["export", text(&dir), "--words", "soft OR phone", "--from", "romeo@example.com"];
    let (good, words) = said(&serve, &args);
    assert!(good, "{words}");
    let found = read(&dir);
    assert_eq!(found["claim"], "selection");
    let ids: Vec<&str> = found["jsonl"]
        .as_array()
        .expect("messages")
        .iter()
        .filter_map(|m| m["message_id"].as_str())
        .collect();
    assert_eq!(ids, ["m2", "m3", "p1"]);
    // How they ended is there too.
    assert!(found["lines"].as_array().is_some_and(|all| all.iter().any(|line| line["kind"] == 2)));
    assert!(found["jsonl"][0]["outcomes"][0]["outcome"] == "delivered", "{:#}", found["jsonl"][0]);
    let (good, words) = verified(&dir);
    assert!(good, "{words}");

    let dir = serve.path("between");
    let (good, words) =
        said(&serve, &["export", text(&dir), "--with", "juliet@example.com", "--format", "none"]);
    assert!(good, "{words}");
    assert_eq!(read(&dir)["claim"], "conversations");
    assert!(verified(&dir).0, "{}", verified(&dir).1);

    // The system kills whoever writes more than it may: a break in the middle of the rows.
    let dir = serve.path("broken");
    let line = format!(
        "ulimit -f 8; exec {} export {} --format jsonl,eml --config {}",
        env!("CARGO_BIN_EXE_rialto"),
        dir.display(),
        serve.path("rialto.toml").display()
    );
    let broken = Command::new("sh").args(["-c", &line]).output().expect("a shell");
    assert!(!broken.status.success() && dir.join(".unfinished/note.json").exists());
    serve.crash_and_restart();
    let (good, words) = said(&serve, &["export", text(&dir), "--format", "csv"]);
    assert!(!good && words.contains("an export of something else broke off (everything)"), "{words}");
    let (good, words) = said(&serve, &["export", text(&dir), "--format", "jsonl,eml"]);
    assert!(good && words.contains("going on with the export"), "{words}");
    assert!(!read(&dir)["eml"].as_array().expect("mails").is_empty() && !dir.join(".unfinished").exists());
    assert!(verified(&dir).0, "{}", verified(&dir).1);
    let acts = said(&serve, &["journal", "tail", "--admin"]).1;
    assert_eq!(acts.matches("export everything; as jsonl, eml by uid").count(), 1, "{acts}");
    let (good, words) = said(&serve, &["export", text(&serve.path("after")), "--since", "1h"]);
    assert!(good, "{words}");
    assert!(verified(&serve.path("after")).0);
    assert!(said(&serve, &["journal", "verify"]).1.contains("intact"));
}

#[test]
fn whoever_may_not_read_content_exports_nothing() {
    let serve = started();
    let (good, words) = said(&serve, &["admin", "add", "audit", "--role", "auditor"]);
    assert!(good, "{words}");
    let token = said(&serve, &["admin", "token", "audit"]).1;
    let token = token.split_whitespace().find(|word| word.len() > 30).expect("a token").to_owned();
    std::fs::write(serve.path("token"), token).expect("ours");
    let dir = serve.path("none");
    let (good, words) = said(&serve, &["export", text(&dir), "--token-file", text(&serve.path("token"))]);
    assert!(!good && words.contains("export needs the role administrator or compliance-reviewer"), "{words}");
    let (good, words) = said(&serve, &["export", text(&dir), "--format", "pdf"]);
    assert!(!good && words.contains("\"pdf\" is no form: jsonl, csv, eml, xml"), "{words}");
    let (good, words) = said(&serve, &["export", text(&dir), "--words", "\"open"]);
    assert!(!good && words.contains("quotation mark"), "{words}");
    assert!(!dir.exists());
}

#[test]
fn what_is_privileged_is_proved_and_not_told() {
    let serve = started();
    talk(&serve);
    let row = said(&serve, &["search", "Verona"]).1.split_whitespace().next().expect("a row").to_owned();
    for words in [
        &["matter", "open", "inquiry", "--reason", "complaint"][..],
        &["review", "start", "look", "--matter", "inquiry", "Verona"],
        &["review", "mark", "look", &row, "--privileged"],
    ] {
        let (good, why) = said(&serve, words);
        assert!(good, "{why}");
    }
    let texts = |name: &str, more: &[&str]| {
        let dir = serve.path(name);
        let (good, why) = said(&serve, &[&["export", text(&dir), "--format", "jsonl"], more].concat());
        assert!(good, "{why}");
        let (good, why) = verified(&dir);
        assert!(good, "{why}");
        let found = read(&dir);
        let all = found["jsonl"].as_array().expect("messages").clone();
        let manifest = std::fs::read_to_string(dir.join("manifest.json")).expect("a manifest");
        (all.into_iter().find(|one| one["message_id"] == "m1"), manifest)
    };
    let (told, manifest) = texts("without", &[]);
    assert!(told.is_none_or(|one| !one.to_string().contains("she")));
    assert!(manifest.contains("privileged rows without their content"), "{manifest}");
    let (told, _) = texts("with", &["--privileged"]);
    assert!(told.expect("it is there")["text"].to_string().contains("she"));
}

#[test]
fn a_file_is_handed_out_to_an_export_whose_rows_link_to_it() {
    let serve = started();
    let online = |user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut romeo, mut juliet, mut nurse) = (online("romeo"), online("juliet"), online("nurse"));
    for (to, other, body) in [("juliet", &mut juliet, "a rose"), ("nurse", &mut nurse, "a thorn")] {
        let (put_at, from) = slot(&mut romeo, &format!("{to}.txt"), body.len() as u64, "text/plain");
        assert!(put(&serve, &put_at, body.as_bytes()).0.starts_with("http/1.1 201"));
        romeo.say(&format!(
            "<message id='{to}' type='chat' to='{to}@example.com'><body>{body}: {}</body></message>",
            link(&serve, &from)
        ));
        other.hear(&format!("id='{to}'"));
    }
    let exported = |name: &str, more: &[&str]| {
        let dir = serve.path(name);
        let (good, why) = said(&serve, &[&["export", text(&dir), "--format", "jsonl"], more].concat());
        assert!(good, "{why}");
        let manifest = std::fs::read(dir.join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        (manifest["export"]["row"].as_u64().expect("its row"), dir)
    };
    let (_, all) = exported("all", &[]);
    let found = read(&all);
    let file = |id: &str| {
        let rows = found["jsonl"].as_array().expect("messages");
        let row = rows.iter().find(|one| one["message_id"] == id).expect("it is there");
        let hash = row["attachments"][0]["sha256"].as_str().expect("a hash").to_owned();
        (row["row"].as_u64().expect("a row"), hash)
    };
    let ((rose_at, rose), (thorn_at, thorn)) = (file("juliet"), file("nurse"));
    let (done, some) = exported("some", &["--with", "juliet@example.com"]);
    assert!(some.join("blobs").join(&rose).exists() && !some.join("blobs").join(&thorn).exists());
    // What is done is closed.
    let (status, body) = serve.api("GET", &format!("/v1/exports/{done}/files/{rose}?row={rose_at}"));
    assert!(status.contains("404") && body.contains("is done"), "{status} {body}");
    let order = "{\"question\":{\"with\":[\"juliet@example.com\"]}}";
    let (status, body) = serve.api_with("POST", "/v1/exports", order);
    assert!(status.contains("200"), "{status} {body}");
    let begun: Value = serde_json::from_str(&body).expect("JSON");
    let id = begun["id"].as_u64().expect("its row");
    let asked = |row: u64, hash: &str| serve.api("GET", &format!("/v1/exports/{id}/files/{hash}?row={row}"));
    let (status, body) = asked(rose_at, &rose);
    assert!(status.contains("200") && body.contains("a rose"), "{status} {body}");
    // Neither by a row of somebody else's, nor by one that links to something else.
    for (row, hash) in [(thorn_at, &thorn), (rose_at, &thorn), (thorn_at, &rose)] {
        let (status, body) = asked(row, hash);
        assert!(status.contains("404") && body.contains("leads to no content"), "{status} {body}");
    }
    let (status, _) = serve.api("GET", &format!("/v1/exports/{id}/files/{rose}"));
    assert!(status.contains("400"), "{status}");

    // What a review keeps back is kept back with its files.
    for words in [
        &["matter", "open", "inquiry", "--reason", "complaint"][..],
        &["review", "start", "look", "--matter", "inquiry", "rose"],
        &["review", "mark", "look", &rose_at.to_string(), "--privileged"],
    ] {
        let (good, why) = said(&serve, words);
        assert!(good, "{why}");
    }
    assert!(asked(rose_at, &rose).0.contains("404"));
}

#[test]
fn what_was_destroyed_is_explained_beside_the_rows() {
    let serve = Serve::start(
        &["romeo", "juliet", "nurse"],
        &format!("{LISTEN}{UPLOAD}\n[record]\nretention = \"0 days\"\n"),
    );
    talk(&serve);
    let (good, words) = said(&serve, &["retention", "run"]);
    assert!(good, "{words}");
    for (name, more) in [("all", &[][..]), ("between", &["--with", "juliet@example.com"][..])] {
        let dir = serve.path(name);
        let (good, words) = said(&serve, &[&["export", text(&dir), "--format", "none"], more].concat());
        assert!(good, "{words}");
        let (good, words) = verified(&dir);
        assert!(good && words.contains("rows are without content: it was destroyed, and acts"), "{words}");
        // Where the act is a row of the export it is not said twice.
        assert_eq!(dir.join("acts.jsonl").exists(), name == "between");
    }
    std::fs::remove_file(serve.path("between/acts.jsonl")).expect("it is there");
    let (good, words) = verified(&serve.path("between"));
    assert!(!good && words.starts_with("NOT AS IT WAS SIGNED: acts.jsonl is missing"), "{words}");
}
