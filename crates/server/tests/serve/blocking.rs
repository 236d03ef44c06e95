//! Whom people do not want to hear from, and whom they report: over XMPP, and against SIP.

use crate::client::{Phone, Xmpp};
use crate::harness::{LISTEN, SOON, Serve};
use std::time::Instant;

fn online(serve: &Serve, user: &str) -> Xmpp {
    Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user)
}

fn said(serve: &Serve, args: &[&str]) -> String {
    let done = serve.run(args);
    String::from_utf8([done.stdout, done.stderr].concat()).expect("text")
}

fn ask(client: &mut Xmpp, kind: &str, what: &str) -> String {
    client.say(&format!("<iq type='{kind}' id='b1'>{what}</iq>"));
    client.hear("id='b1'")
}

fn write(client: &mut Xmpp, to: &str, text: &str) {
    client.say(&format!("<message id='m' type='chat' to='{to}@example.com'><body>{text}</body></message>"));
}

const ITEM: &str = "<item jid='nurse@example.com'/>";

#[test]
fn who_is_blocked_is_not_heard_and_who_is_reported_is_on_record() {
    let serve = Serve::start(&["romeo", "nurse", "juliet"], LISTEN);
    let (mut romeo, mut nurse, mut juliet) =
        (online(&serve, "romeo"), online(&serve, "nurse"), online(&serve, "juliet"));
    let empty = ask(&mut romeo, "get", "<blocklist xmlns='urn:xmpp:blocking'/>");
    assert!(empty.contains("type='result'") && !empty.contains("<item"), "{empty}");
    let report = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'>\
                  <stanza-id xmlns='urn:xmpp:sid:0' by='romeo@example.com' id='0192-4711'/><text>never asked</text></report>";
    romeo.say(&format!(
        "<iq type='set' id='b2'><block xmlns='urn:xmpp:blocking'><item jid='nurse@example.com'>{report}</item></block></iq>"
    ));
    // The push comes to whoever asked for the list, before the answer.
    let seen = romeo.hear("id='b2'");
    assert!(
        seen.contains("<block xmlns='urn:xmpp:blocking'><item jid='nurse@example.com'/></block>"),
        "{seen}"
    );
    assert!(ask(&mut romeo, "get", "<blocklist xmlns='urn:xmpp:blocking'/>").contains(ITEM));

    write(&mut nurse, "romeo", "hello?");
    assert!(nurse.hear("</message>").contains("recipient-unavailable"));
    let mut phone = Phone::registered(serve.at("sip-tcp"), "nurse");
    phone.send("MESSAGE", "sip:romeo@example.com", "romeo", "", "hello?");
    let no = phone.answer();
    // Said of the whole account, not of a device.
    assert!(no.starts_with("SIP/2.0 600"), "{no}");
    write(&mut romeo, "nurse", "go away");
    let no = romeo.hear("</message>");
    assert!(no.contains("not-acceptable") && no.contains("you have blocked this address"), "{no}");
    write(&mut juliet, "romeo", "good night");
    assert!(romeo.hear("</message>").contains("good night"));

    let end = Instant::now() + SOON;
    while !said(&serve, &["journal", "tail", "--admin", "-n", "9"]).contains("spim.report") {
        assert!(Instant::now() < end, "{}", serve.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let record = said(&serve, &["journal", "tail", "--admin", "-n", "9"]);
    let row = "spim.report nurse@example.com: spam, messages 0192-4711, \"never asked\" by romeo@example.com";
    assert!(record.contains(row), "{record}");
    assert!(said(&serve, &["spim", "show", "nurse@example.com"]).contains("reputation -10.0: 1 reports"));

    for (what, error) in [
        ("<block xmlns='urn:xmpp:blocking'/>", "bad-request"),
        ("<block xmlns='urn:xmpp:blocking'><item jid='a@b@c'/></block>", "jid-malformed"),
        ("<block xmlns='urn:xmpp:blocking'><item jid='a@b.example/c'/></block>", "not-acceptable"),
    ] {
        assert!(ask(&mut romeo, "set", what).contains(error), "{what}");
    }
    romeo.say("<iq type='set' id='b3'><unblock xmlns='urn:xmpp:blocking'/></iq>");
    assert!(romeo.hear("id='b3'").contains("<unblock xmlns='urn:xmpp:blocking'/>"));
    write(&mut nurse, "romeo", "there you are");
    assert!(romeo.hear("</message>").contains("there you are"));
}

#[test]
fn a_block_takes_presence_away_and_outlives_a_restart() {
    let mut serve =
        Serve::start(&["romeo", "nurse"], &format!("{LISTEN}[consent]\npresence = \"colleagues\"\n"));
    let (mut romeo, mut nurse) = (online(&serve, "romeo"), online(&serve, "nurse"));
    nurse.say("<presence type='subscribe' to='romeo@example.com'/>");
    let seen = nurse.hear("from='romeo@example.com/desk'/>");
    assert!(!seen.contains("unavailable"), "{seen}");
    ask(&mut romeo, "set", &format!("<block xmlns='urn:xmpp:blocking'>{ITEM}</block>"));
    nurse.hear("type='unavailable'");
    ask(&mut romeo, "set", &format!("<unblock xmlns='urn:xmpp:blocking'>{ITEM}</unblock>"));
    nurse.hear("from='romeo@example.com/desk'/>");
    ask(&mut romeo, "set", &format!("<block xmlns='urn:xmpp:blocking'>{ITEM}</block>"));
    serve.signal("TERM");
    assert!(serve.ended().success());
    let serve = Serve::restarted(serve);
    let mut romeo = online(&serve, "romeo");
    assert!(ask(&mut romeo, "get", "<blocklist xmlns='urn:xmpp:blocking'/>").contains(ITEM));
}

#[test]
fn nobody_makes_themselves_known() {
    let serve =
        Serve::start(&["romeo", "juliet"], &format!("{LISTEN}\n[consent]\nmessages = \"contacts\"\n"));
    let (mut romeo, mut juliet) = (online(&serve, "romeo"), online(&serve, "juliet"));
    romeo.say("<presence type='subscribed' to='juliet@example.com'/>");
    romeo.fence();
    write(&mut romeo, "juliet", "we know each other");
    let no = romeo.hear("</message>");
    assert!(no.contains("accepts messages from contacts only"), "{no}");
    // It is her who accepts.
    juliet.say("<presence type='subscribe' to='romeo@example.com'/>");
    juliet.hear("subscribed");
    write(&mut romeo, "juliet", "now we do");
    assert!(juliet.hear("</message>").contains("now we do"));
}

#[test]
fn who_blocks_somebody_sees_them_go() {
    let serve = Serve::start(&["romeo", "juliet"], LISTEN);
    let (mut romeo, mut juliet) = (online(&serve, "romeo"), online(&serve, "juliet"));
    juliet.say("<presence type='subscribe' to='romeo@example.com'/>");
    romeo.hear("type='subscribe'");
    romeo.say("<presence type='subscribed' to='juliet@example.com'/>");
    juliet.hear("from='romeo@example.com/");
    juliet.say("<iq type='set' id='b4'><block xmlns='urn:xmpp:blocking'><item jid='romeo@example.com'/></block></iq>");
    let gone = juliet.hear("type='unavailable'");
    assert!(gone.contains("from='romeo@example.com/"), "{gone}");
    juliet.say("<iq type='set' id='b5'><unblock xmlns='urn:xmpp:blocking'><item jid='romeo@example.com'/></unblock></iq>");
    let back = juliet.hear("from='romeo@example.com/");
    assert!(!back.contains("type='unavailable'"), "{back}");
}
