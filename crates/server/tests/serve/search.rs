//! `rialto search`, `trace` and `losses` on a running server.

use crate::client::{Phone, Xmpp, until};
use crate::harness::{LISTEN, Serve};
use std::time::{Duration, Instant};

fn said(serve: &Serve, args: &[&str]) -> (bool, String) {
    let done = serve.run(args);
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

/// Asks until the answer has something in it: the index is written behind the journal.
fn soon(serve: &Serve, args: &[&str], what: &str) -> String {
    let begun = Instant::now();
    loop {
        let (_, text) = said(serve, args);
        if text.contains(what) {
            return text;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{args:?} never says {what:?}: {text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn what_was_said_is_found_in_its_conversation_and_every_search_is_on_record() {
    let serve = Serve::start(&["romeo", "juliet", "nurse"], LISTEN);
    let online = |user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut romeo, mut juliet) = (online("romeo"), online("juliet"));
    for (n, text) in
        ["But soft", "what light through yonder window breaks", "It is the east"].iter().enumerate()
    {
        romeo.say(&format!(
            "<message id='m{n}' type='chat' to='juliet@example.com'><body>{text}</body></message>"
        ));
        juliet.hear("</message>");
    }
    let found = soon(&serve, &["search", "window", "light"], "juliet@example.com");
    assert!(!found.contains("yonder"), "no content without --content: {found}");
    let found =
        soon(&serve, &["search", "\"yonder window\"", "--from", "romeo@example.com", "--content"], "yonder");
    assert!(found.contains("what light through yonder window breaks"), "{found}");
    assert_eq!(said(&serve, &["search", "yonder", "--to", "nurse@example.com"]).1, "nothing is found\n");
    let row = found.split_whitespace().next().unwrap().to_owned();
    let around = said(&serve, &["search", "--around", &row]).1;
    let at = |text: &str| around.find(text).unwrap_or_else(|| panic!("{text} in {around}"));
    assert!(at("But soft") < at("yonder") && at("yonder") < at("It is the east"));

    let page: serde_json::Value = serde_json::from_str(
        &said(&serve, &["search", "--with", "romeo@example.com", "--kind", "message", "-n", "2", "--json"]).1,
    )
    .unwrap();
    assert_eq!(page["hits"].as_array().map(Vec::len), Some(2), "{page}");
    let next = page["next"].to_string();
    let rest =
        said(&serve, &["search", "--with", "romeo@example.com", "--kind", "message", "--before", &next]).1;
    assert_eq!(rest.matches("romeo@example.com").count(), 1, "{rest}");

    soon(&serve, &["search", "yonder", "--kind", "admin"], "search.content");
    let (good, wrong) = said(&serve, &["search", "\"open"]);
    assert!(!good && wrong.contains("quotation mark at character 1"), "{wrong}");
    let acts = said(&serve, &["journal", "tail", "--admin"]).1;
    for act in [
        "search words \"window light\" by uid",
        "search.content words \"\\\"yonder window\\\"\", from \"romeo@example.com\" by uid",
        "search.context row",
    ] {
        assert!(acts.contains(act), "{act:?} in {acts}");
    }
}

#[test]
fn a_message_is_traced_over_protocols_with_what_it_lost() {
    let serve = Serve::start(&["romeo", "juliet", "nurse"], LISTEN);
    let mut romeo = Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), "romeo");
    let mut phone = Phone::registered(serve.at("sip-tcp"), "juliet");
    romeo.say(
        "<message id='rose' type='chat' to='juliet@example.com'><body>By any other name</body>\
         <html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>\
         <b>By any other name</b></body></html></message>",
    );
    let mut request = until(&mut phone.wire, "\r\n\r\n");
    if !request.starts_with("MESSAGE") {
        request = until(&mut phone.wire, "\r\n\r\n");
    }
    phone.accept(&request);
    let trace = soon(&serve, &["trace", "rose"], "now: delivered");
    for piece in
        ["its sender calls it \"rose\"", "came encrypted", "romeo@example.com, logged in", "(xmpp to sip)"]
    {
        assert!(trace.contains(piece), "{piece:?} in {trace}");
    }
    // By the server's own name, and by its row.
    let name = trace.split_whitespace().next().unwrap().to_owned();
    assert!(said(&serve, &["trace", &name]).1.contains("now: delivered"));
    romeo.say("<message id='m2' type='chat' to='nurse@example.com'><body>are you there?</body></message>");
    let waits = soon(&serve, &["trace", "--to", "nurse@example.com"], "m2");
    assert!(waits.contains("it waits until nurse@example.com"), "{waits}");
    romeo.say("<message id='m3' type='chat' to='nobody@example.com'><body>?</body></message>");
    romeo.hear("</message>");
    let refused = soon(&serve, &["trace", "m3", "--from", "romeo@example.com"], "m3");
    assert!(refused.contains("refused"), "{refused}");
    let (good, none) = said(&serve, &["trace", "no-such-message"]);
    assert!(!good && none.contains("no such message"), "{none}");

    let losses = said(&serve, &["losses"]).1;
    assert!(losses.contains("(xmpp to sip)") && losses.contains("here"), "{losses}");
    assert!(losses.contains("1 message(s) lost something"), "{losses}");
    assert!(said(&serve, &["losses", "--partner", "acme"]).1.contains("0 message(s)"));
}

#[test]
fn the_index_goes_on_after_a_kill_and_forgets_what_the_journal_forgets() {
    let more = format!("{LISTEN}\n[record]\nretention = \"0 days\"\n");
    let mut serve = Serve::start(&["romeo", "juliet"], &more);
    let ca = serve.path("ca.pem");
    let speak = |serve: &Serve, word: &str| {
        let mut romeo = Xmpp::online(serve.at("xmpps-c2s"), &ca, "romeo");
        let mut juliet = Xmpp::online(serve.at("xmpps-c2s"), &ca, "juliet");
        romeo.say(&format!(
            "<message id='{word}' type='chat' to='juliet@example.com'><body>{word}</body></message>"
        ));
        juliet.hear("</message>");
        juliet.say("<presence type='unavailable'/>");
        juliet.fence();
    };
    speak(&serve, "nightingale");
    soon(&serve, &["search", "nightingale"], "juliet@example.com");
    serve.crash();
    serve.restart();
    speak(&serve, "lark");
    soon(&serve, &["search", "lark"], "juliet@example.com");
    assert!(said(&serve, &["search", "nightingale"]).1.contains("juliet@example.com"));

    soon(&serve, &["journal", "expire"], "destroyed");
    assert_eq!(said(&serve, &["search", "nightingale", "OR", "lark"]).1, "nothing is found\n");
    let bare = said(&serve, &["search", "--kind", "message", "--content"]).1;
    assert_eq!(bare.matches("juliet@example.com").count(), 2, "{bare}");
    serve.signal("TERM");
    assert!(serve.ended().success());
}
