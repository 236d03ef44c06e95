//! `rialto import`: history of other servers comes on record once, with the time it was said, and nobody gets it delivered.

use crate::client::Xmpp;
use crate::harness::{LISTEN, Serve};
use std::path::Path;
use std::process::Command;

fn said(serve: &Serve, args: &[&str]) -> (bool, String) {
    let done = serve.run(args);
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// An archived stanza as Prosody's own serializer writes it.
fn item(from: &str, to: &str, id: &str, body: &str, when: &str) -> String {
    format!(
        "item({{\n\t{{\n\t\t\"{body}\";\n\t\t[\"name\"] = \"body\";\n\t\t[\"attr\"] = {{}};\n\t}};\n\t[\"attr\"] = {{\n\t\t[\"from\"] = \"{from}\";\n\t\t\
         [\"type\"] = \"chat\";\n\t\t[\"id\"] = \"{id}\";\n\t\t[\"stamp\"] = \"2023-11-14T22:13:20Z\";\n\t\t[\"to\"] = \"{to}\";\n\t}};\n\t[\"key\"] = \"k\";\n\t\
         [\"when\"] = {when};\n\t[\"with\"] = \"{to}\";\n\t[\"name\"] = \"message\";\n}});\n"
    )
}

#[test]
fn history_of_prosody_comes_on_record_once() {
    let mut serve = Serve::start(&["romeo", "juliet"], LISTEN);
    let archive = serve.path("prosody/example%2ecom/archive");
    std::fs::create_dir_all(&archive).expect("ours");
    let one = |body: &str, id: &str, when: &str| {
        item("romeo@example.com/orchard", "juliet@example.com", id, body, when)
    };
    let mine = format!(
        "{}{}",
        one("by yonder blessed moon I swear", "m1", "1700000000.12299991"),
        one("caf\\195\\169 at \\\"noon\\\"?", "m2", "1700000060")
    );
    // Both have it; the clock of one is a moment later. And one of hers is broken.
    let hers = format!(
        "{}item({{broken\n{}",
        one("by yonder blessed moon I swear", "m1", "1700000000.9"),
        item(
            "juliet@example.com/balcony",
            "romeo@example.com",
            "m3",
            "O swear not by the moon",
            "1700000090"
        )
    );
    std::fs::write(archive.join("romeo.list"), mine).expect("ours");
    std::fs::write(archive.join("juliet.list"), hers).expect("ours");
    let dir = serve.path("prosody");
    let import = ["import", "--from", "prosody", text(&dir)];
    let (good, words) = said(&serve, &[&import[..], &["--dry-run"]].concat());
    assert!(
        good && words.contains("4 message(s) would be imported, 0 on record already, 1 not readable"),
        "{words}"
    );
    assert!(words.contains("juliet.list:19: "), "{words}");
    let (good, words) = said(&serve, &import);
    assert!(good && words.contains("3 message(s) imported, 1 on record already, 1 not readable"), "{words}");
    // Once more, also after a restart, nothing is new.
    serve.crash_and_restart();
    let (good, words) = said(&serve, &import);
    assert!(good && words.contains("0 message(s) imported, 4 on record already, 1 not readable"), "{words}");
    let (_, acts) = said(&serve, &["journal", "tail", "--admin"]);
    assert!(
        acts.contains("import prosody: ") && acts.contains("done: 3 new, 1 known, 1 not readable"),
        "{acts}"
    );
    serve.until("it is found", |serve| {
        said(serve, &["search", "\"blessed moon\"", "--content"]).1.contains("yonder")
    });
    assert_eq!(said(&serve, &["search", "--verdict", "imported"]).1.matches("message").count(), 3);
    // Nobody hears old news.
    let mut juliet = Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), "juliet");
    juliet.say("<iq type='get' id='end' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert!(!juliet.hear("id='end'").contains("moon"));

    // An export has it under its own day, and another server takes it from there.
    let out = serve.path("out");
    let (good, words) =
        said(&serve, &["export", text(&out), "--verdict", "imported", "--format", "jsonl,eml"]);
    assert!(good, "{words}");
    let lines = std::fs::read_to_string(out.join("messages.jsonl")).expect("it is there");
    assert!(
        lines.contains("\"imported\":\"prosody\"") && lines.contains("2023-11-14T22:13:20.900Z"),
        "{lines}"
    );
    assert!(lines.contains("café at \\\"noon\\\"?"), "{lines}");
    assert!(out.join("eml/2023-11-14").is_dir());
    let other = Serve::start(&["juliet"], LISTEN);
    let (good, words) = said(&other, &["import", "--from", "jsonl", text(&out.join("messages.jsonl"))]);
    assert!(good && words.contains("3 message(s) imported, 0 on record"), "{words}");
    assert!(said(&other, &["journal", "verify"]).1.contains("intact"));
}

#[test]
fn what_ejabberd_exports_is_read() {
    let serve = Serve::start(&["juliet"], LISTEN);
    let file = serve.path("host.xml");
    std::fs::write(
        &file,
        "<?xml version='1.0' encoding='UTF-8'?><server-data xmlns='urn:xmpp:pie:0'><host jid='example.com'><user name='juliet'>\
         <offline-messages><message xmlns='jabber:client' from='romeo@example.net/o' to='juliet@example.com' id='o1' type='chat'><body>a rose &amp; a thorn</body>\
         <delay xmlns='urn:xmpp:delay' from='example.com' stamp='2023-11-14T22:13:20.5Z'/></message></offline-messages></user></host></server-data>",
    )
    .expect("ours");
    let (good, words) = said(&serve, &["import", "--from", "ejabberd", text(&file)]);
    assert!(good && words.contains("1 message(s) imported"), "{words}");
    serve.until("it is found", |serve| {
        said(serve, &["search", "thorn", "--content"]).1.contains("a rose & a thorn")
    });
    for (wrong, why) in [
        (
            vec!["import", "--from", "openfire", text(&file)],
            "\"openfire\" is no source: prosody, ejabberd, xep0227, jsonl",
        ),
        (vec!["import", "--from", "prosody", "/nowhere"], "/nowhere: there is no such file"),
        (vec!["import", "--from", "jsonl", text(&file)], "1 not readable"),
        (vec!["import", "--from", "prosody", "/usr/lib"], "name Prosody's data_path"),
    ] {
        assert!(said(&serve, &wrong).1.contains(why), "{wrong:?}: {}", said(&serve, &wrong).1);
    }
}

/// The same with files of a Prosody that is installed: its serializer, and its way to name files.
#[test]
fn prosodys_own_serializer_writes_what_we_read() {
    let lua = ["lua5.4", "lua5.3", "lua5.2"].iter().find(|lua| Path::new("/usr/bin").join(lua).exists());
    let (Some(lua), true) = (lua, Path::new("/usr/lib/prosody/util/datamanager.lua").exists()) else {
        panic!("install the Debian package prosody (`cargo xtask test` does)");
    };
    let serve = Serve::start(&["romeo"], LISTEN);
    let script = r#"
        package.path = "/usr/lib/prosody/?.lua;" .. package.path
        package.cpath = "/usr/lib/prosody/?.so;" .. package.cpath
        local dm, st = require "util.datamanager", require "util.stanza"
        dm.set_data_path(arg[1])
        local m = st.message({ from = "romeo@example.com/o", to = "juliet@example.net", id = "x", type = "chat" })
            :tag("body"):text("star-cross'd\n<lovers> & \"é\""):up()
            :tag("replace", { xmlns = "urn:xmpp:message-correct:0", id = "w" }):up()
        local item = st.preserialize(m)
        item.when, item.with, item.key = 1700000000.5, "juliet@example.net", "k"
        assert(dm.list_append("romeo", "example.com", "archive", item))
    "#;
    let dir = serve.path("prosody");
    std::fs::create_dir_all(&dir).expect("ours");
    std::fs::write(serve.path("script.lua"), script).expect("ours");
    let made = Command::new(lua).arg(serve.path("script.lua")).arg(&dir).output().expect("Lua starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (good, words) = said(&serve, &["import", "--from", "prosody", text(&dir)]);
    assert!(good && words.contains("1 message(s) imported, 0 on record already, 0 not readable"), "{words}");
    let out = serve.path("out");
    serve.until("it is found", |serve| said(serve, &["search", "lovers"]).1.contains("romeo"));
    assert!(said(&serve, &["export", text(&out), "--words", "lovers"]).0);
    let lines = std::fs::read_to_string(out.join("messages.jsonl")).expect("it is there");
    assert!(
        lines.contains("\"kind\":\"edit\"") && lines.contains("star-cross'd\\n<lovers> & \\\"é\\\""),
        "{lines}"
    );
}
