//! No password, no key and nothing anybody wrote is ever in the log, however much is logged and whatever goes wrong.

use std::time::Instant;

use interop::known::judge;
use interop::raw::Wire;
use interop::raw::sip::Sip;
use interop::raw::xmpp::Xmpp;
use interop::{PASSWORD, Rialto, SOON, at, hostile};

const TO_SIP: &str = "words for a phone 6021";
const TO_XMPP: &str = "words for a desktop 6022";
const LATER: &str = "words for tomorrow 6023";

#[test]
fn nothing_private_is_logged() {
    judge("quiet_log::nothing_private_is_logged", || look_at_everything(""));
}

#[test]
fn nothing_private_is_logged_in_json() {
    judge("quiet_log::nothing_private_is_logged_in_json", || {
        look_at_everything("[log]\nformat = \"json\"\n")
    });
}

fn look_at_everything(config: &str) {
    let (user, other) = (hostile::sip::USER, hostile::sip::OTHER);
    let mut rialto = Rialto::start_with(&["romeo", user, other, "tybalt"], config, "trace");
    // A conversation between the protocols, and a message for somebody who is not there.
    let mut phone = Sip::registered(rialto.sip(), user);
    let mut desk = Xmpp::online(rialto.xmpps(), &rialto.ca(), other, "desk");
    for (to, text) in [(user, TO_SIP), ("tybalt", LATER)] {
        desk.wire.send(format!("<message to='{}' type='chat'><body>{text}</body></message>", at(to)));
    }
    let arrived = phone.next(Instant::now() + SOON).expect("the message arrives");
    assert!(arrived.body.contains(TO_SIP), "{}", arrived.body);
    phone.accept(&arrived);
    let request = phone.request("MESSAGE", other).saying(TO_XMPP);
    let answer = phone.ask(&request);
    assert!((200..300).contains(&answer.status()), "{}", answer.head);
    assert!(desk.expect("<message").contains(TO_XMPP));
    desk.fence();
    // Things going wrong.
    let mut lost = Wire::plain(rialto.xmpps());
    lost.send(format!("not TLS at all: {PASSWORD}"));
    let _ = lost.to_the_end();
    hostile::xmpp::fire(&rialto);
    hostile::xmpp::inject(&rialto);
    hostile::sip::fire(&rialto);
    hostile::sip::smuggle(&rialto);
    hostile::sip::forge(&rialto);
    hostile::sip::noise(&rialto, 500, 1);
    let mut log = rialto.log_text();
    rialto.crash_and_restart();
    let mut heir = Xmpp::online(rialto.xmpps(), &rialto.ca(), "tybalt", "heir");
    assert!(heir.expect("<message").contains(LATER));
    heir.fence();
    log.push_str(&rialto.log_text());
    // The search would be worth nothing if these were not logged.
    for logged in ["TLS handshake failed", "too-large"] {
        assert!(log.contains(logged), "no word of `{logged}` in the log:\n{log}");
    }
    let texts = [TO_SIP, TO_XMPP, LATER].map(str::to_owned);
    for secret in hostile::secrets().iter().chain(&texts) {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "`{secret}` is in the log: {line:?}");
    }
    println!("{} lines of log, none of them private", log.lines().count());
    rialto.finish();
}
