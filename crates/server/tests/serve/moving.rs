//! Accounts that move from one server to another (XEP-0227), with their passwords, contact lists, and what was said.

use crate::client::{Phone, Xmpp};
use crate::harness::{LISTEN, PASSWORD, Serve};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn said(serve: &Serve, args: &[&str]) -> (bool, String) {
    let done = serve.run(args);
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn online(serve: &Serve, user: &str) -> Xmpp {
    Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user)
}

fn roster(client: &mut Xmpp) -> String {
    client.say("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    client.hear("</iq>")
}

/// Romeo and Juliet see one another, Paris asks and hears nothing, and Juliet misses a message.
fn live(serve: &Serve) {
    let (mut romeo, mut juliet, mut paris) =
        (online(serve, "romeo"), online(serve, "juliet"), online(serve, "paris"));
    romeo.say(
        "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='juliet@example.com' name='J &lt;3'><group>Love &amp; co</group></item></query></iq>",
    );
    romeo.hear("id='s'");
    romeo.say("<presence type='subscribe' to='juliet@example.com'/>");
    juliet.hear("type='subscribe'");
    juliet.say("<presence type='subscribed' to='romeo@example.com'/>");
    romeo.hear("type='subscribed'");
    juliet.say("<presence type='subscribe' to='romeo@example.com'/>");
    romeo.hear("type='subscribe'");
    romeo.say("<presence type='subscribed' to='juliet@example.com'/>");
    juliet.hear("type='subscribed'");
    romeo.say("<iq type='set' id='k'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@example.net'/></block></iq>");
    romeo.hear("id='k'");
    paris.say("<presence type='subscribe' to='juliet@example.com'><status>It is her father's wish.</status></presence>");
    juliet.hear("father");
    romeo.say("<message type='chat' id='m1' to='juliet@example.com'><body>Lady, by yonder &lt;moon&gt;</body><x xmlns='urn:x'/></message>");
    juliet.hear("yonder");
    juliet.say("</stream:stream>");
    juliet.hear("</stream:stream>");
    romeo.say(
        "<message type='chat' id='m2' to='juliet@example.com'><body>I have night's cloak</body></message>",
    );
    romeo.fence();
}

#[test]
fn people_move_with_what_is_theirs() {
    let old = Serve::start(&["romeo", "juliet", "paris", "d'artagnan"], LISTEN);
    live(&old);
    let out = old.path("out");
    let (good, words) = said(&old, &["export", text(&out), "--format", "xep0227,jsonl"]);
    assert!(good, "{words}");
    let verified = Command::new("python3").arg(out.join("verify.py")).arg(&out).output().expect("Python");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let documents = out.join("xep0227");
    let mut names: Vec<String> = std::fs::read_dir(&documents)
        .expect("made")
        .map(|file| file.expect("a file").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    // Names are those of XMPP (XEP-0106).
    let named = ["d\\27artagnan", "juliet", "paris", "romeo"].map(|user| format!("{user}@example.com.xml"));
    assert_eq!(names, named);
    for name in &names {
        let mode = std::fs::metadata(documents.join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(!out.join(".unfinished").exists(), "what is secret is in the documents alone");
    let juliet = std::fs::read_to_string(documents.join("juliet@example.com.xml")).expect("there");
    for part in [
        "mechanism='SCRAM-SHA-1'",
        "mechanism='SCRAM-SHA-256'",
        "<item jid='romeo@example.com' subscription='both'",
        "<presence xmlns='jabber:client' type='subscribe' from='paris@example.com'",
        "<offline-messages>\n<message xmlns='jabber:client'",
        "<result xmlns='urn:xmpp:mam:2'",
        "<body>Lady, by yonder &lt;moon&gt;</body><x xmlns='urn:x'/>",
    ] {
        assert!(juliet.contains(part), "{part}: {juliet}");
    }
    assert_eq!(juliet.matches("night's cloak").count(), 2, "it waits, and it was said: {juliet}");
    assert!(!juliet.contains(PASSWORD));

    let mut new = Serve::start(&["nurse"], LISTEN);
    let import = ["import", "--from", "xep0227", text(&documents)];
    let (good, words) = said(&new, &import);
    assert!(good && words.contains("4 account(s) are there, too: --accounts takes them over"), "{words}");
    assert!(words.contains("2 message(s) imported, 3 on record already"), "{words}");
    let import = [&import[..], &["--accounts"]].concat();
    let (good, words) = said(&new, &[&import[..], &["--dry-run"]].concat());
    assert!(
        good && words.contains("4 account(s) would be made, 0 there already, 0 not taken over; "),
        "{words}"
    );
    assert_eq!(said(&new, &["user", "list"]).1.trim(), "nurse@example.com");
    let (good, words) = said(&new, &import);
    assert!(
        good && words.contains("4 account(s) made, 0 there already, 0 not taken over; 3 new contact(s)"),
        "{words}"
    );
    new.crash_and_restart();
    let (good, words) = said(&new, &import);
    assert!(
        good && words.contains("0 account(s) made, 4 there already, 0 not taken over; 0 new contact(s)"),
        "{words}"
    );

    // The old password, the old friends, also on a phone.
    let mut juliet = online(&new, "juliet");
    let list = roster(&mut juliet);
    assert!(list.contains("romeo@example.com") && list.contains("subscription='both'"), "{list}");
    assert!(!list.contains("paris"), "{list}");
    let mut romeo = online(&new, "romeo");
    let list = roster(&mut romeo);
    assert!(list.contains("J &lt;3") && list.contains("<group>Love &amp; co</group>"), "{list}");
    juliet.hear("from='romeo@example.com/desk'");
    romeo.say("<iq type='get' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq>");
    assert!(romeo.hear("</blocklist>").contains("tybalt@example.net"));
    Phone::registered(new.at("sip-tcp"), "romeo");
    new.until("what was said is found", |serve| {
        said(serve, &["search", "cloak", "--content"]).1.contains("I have night's cloak")
    });
    assert!(said(&new, &["user", "list"]).1.contains("d'artagnan@example.com"));
    let (_, acts) = said(&new, &["journal", "tail", "--admin"]);
    assert!(acts.contains("import.account juliet@example.com (row "), "{acts}");
    assert!(acts.contains("import.contacts romeo@example.com (row "), "{acts}");
    assert!(!new.log().contains(PASSWORD) && !acts.contains("SCRAM"));
    assert!(said(&new, &["journal", "verify"]).0);
}

#[test]
fn what_cannot_be_taken_over_is_said() {
    let serve = Serve::start(&["romeo"], LISTEN);
    let file = serve.path("people.xml");
    std::fs::write(
        &file,
        format!(
            "<server-data xmlns='urn:xmpp:pie:0'><host jid='example.com'>\
             <user name='juliet' password='{PASSWORD}'><query xmlns='jabber:iq:roster'><item jid='romeo@example.com' subscription='both'/>\
             <item jid='mercutio@elsewhere.example' subscription='to' name='M'/><item jid='@' subscription='both'/></query>\
             <vCard xmlns='vcard-temp'><FN>J</FN></vCard></user>\
             <user name='nurse'/><user name='romeo' password='another'/>\
             <user name='paris'><scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-512'><iter-count>4096</iter-count>\
             <salt>AAAA</salt><server-key>AAAA</server-key><stored-key>AAAA</stored-key></scram-credentials></user>\
             </host><host jid='elsewhere.example'><user name='tybalt' password='x'/></host></server-data>"
        ),
    )
    .expect("ours");
    let (good, words) = said(&serve, &["import", "--from", "xep0227", text(&file), "--accounts"]);
    assert!(
        good && words.contains("3 account(s) made, 1 there already, 1 not taken over; 2 new contact(s)"),
        "{words}"
    );
    for part in [
        "juliet@example.com: 1 contact(s) whose address is none",
        "nurse@example.com: has no password that can be taken over: `rialto user passwd` sets one",
        "paris@example.com: its keys for SCRAM-SHA-512 cannot be used here",
        "tybalt@elsewhere.example: tybalt@elsewhere.example: this server does not host elsewhere.example",
        "not taken over: vCard of 1 account(s)",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    // Who was here keeps the password, and nobody's list says what another allows.
    let mut romeo = online(&serve, "romeo");
    let list = roster(&mut romeo);
    assert!(list.contains("jid='juliet@example.com'") && list.contains("subscription='to'"), "{list}");
    let mut juliet = online(&serve, "juliet");
    let list = roster(&mut juliet);
    assert!(list.contains("name='M'") && list.contains("subscription='from'"), "{list}");

    // Keys are for administrators alone.
    let (good, made) = said(&serve, &["admin", "add", "reviewer", "--role", "compliance-reviewer"]);
    assert!(good, "{made}");
    let token = said(&serve, &["admin", "token", "reviewer"]).1;
    let token = token.split_whitespace().find(|word| word.len() > 30).unwrap_or_default();
    std::fs::write(serve.path("token"), token).expect("ours");
    let (none, token) = (serve.path("none"), serve.path("token"));
    let (good, words) =
        said(&serve, &["export", text(&none), "--format", "xep0227", "--token-file", text(&token)]);
    assert!(!good && words.contains("administrators alone may ask for it"), "{words}");
}
