//! The server is killed and starts again: phones are as reachable as before, subscriptions and publications go on.

use interop::baresip::{Baresip, Contacts, Transport};
use interop::known::judge;
use interop::raw::sip::Sip;
use interop::raw::udp::{Udp, lasting};
use interop::{Rialto, at, slixmpp};

#[test]
fn a_phone_is_reachable_after_a_crash() {
    judge("restart::a_phone_is_reachable_after_a_crash", || {
        let mut rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = Baresip::online(&rialto, "romeo", Transport::Udp, Contacts::Plain("juliet"));
        // What is answered after the registration is on disk after it.
        let juliet = slixmpp::online(&rialto, "juliet");
        romeo.send("Wilt thou be gone?");
        juliet.expect("message romeo@example.com Wilt thou be gone?");
        juliet.quit();
        for round in 0..2 {
            rialto.crash_and_restart();
            let mut juliet = slixmpp::online(&rialto, "juliet");
            juliet.tell(format!("send {} it is not yet near day {round}", at("romeo")));
            romeo.expect_message("juliet", &format!("it is not yet near day {round}"));
            juliet.quit();
        }
        rialto.finish();
    });
}

#[test]
fn dialogs_and_publications_go_on() {
    judge("restart::dialogs_and_publications_go_on", || {
        let consent = "[consent]\npresence = \"colleagues\"\n";
        let mut rialto = Rialto::start_with(&["romeo", "juliet"], consent, "debug");
        let juliet = slixmpp::online(&rialto, "juliet");
        let mut romeo = Udp::new(rialto.sip(), "romeo");
        let first = lasting(&romeo, "SUBSCRIBE", "juliet", 1);
        let accepted = romeo.ask(&first);
        assert_eq!(accepted.status(), 200, "{}", accepted.head);
        let dialog = accepted.header("To").expect("a To").to_owned();
        let mut news = romeo.expect("NOTIFY");
        while !news.body.contains(">open<") {
            news = romeo.expect("NOTIFY");
        }
        let published = romeo.ask(&lasting(&romeo, "PUBLISH", "romeo", 5));
        assert_eq!(published.status(), 200, "{}", published.head);
        let etag = published.header("SIP-ETag").expect("an entity-tag").to_owned();
        // What is answered after the others is on disk after them.
        let said = romeo.ask(
            &interop::raw::sip::Request::new("MESSAGE", "romeo", "juliet", 9, "UDP").saying("look there"),
        );
        assert_eq!(said.status(), 200, "{}", said.head);
        juliet.quit();

        rialto.crash_and_restart();
        // He is told that she is not there any more, without asking, in the dialog of before.
        let told = romeo.expect("NOTIFY");
        assert!(told.has("From", dialog.split("tag=").nth(1).expect("a tag")), "{}", told.head);
        assert!(told.has("Subscription-State", "active") && !told.body.contains(">open<"), "{}", told.head);
        // What he had published is seen by who comes now.
        let mut juliet = slixmpp::online(&rialto, "juliet");
        juliet.tell(format!("add {}", at("romeo")));
        juliet.expect("presence romeo@example.com available at the phone");
        // Refreshes are accepted, over another connection too.
        let refreshed = lasting(&romeo, "SUBSCRIBE", "juliet", 1)
            .replacing("To", &format!("To: {dialog}"))
            .replacing("CSeq", "CSeq: 20 SUBSCRIBE")
            .replacing("Via", "Via: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKrefresh");
        let answer = romeo.ask(&refreshed);
        assert_eq!(answer.status(), 200, "{}", answer.head);
        let mut news = romeo.expect("NOTIFY");
        while !news.body.contains(">open<") {
            news = romeo.expect("NOTIFY");
        }
        let mut again = lasting(&romeo, "PUBLISH", "romeo", 30).with(format!("SIP-If-Match: {etag}"));
        again.body.clear();
        again.headers.retain(|h| !h.starts_with("Content-Type"));
        let answer = romeo.ask(&again);
        assert_eq!(answer.status(), 200, "{}", answer.head);
        assert_ne!(answer.header("SIP-ETag"), Some(&*etag));
        rialto.finish();
    });
}

#[test]
fn a_dialog_over_tcp_is_claimed() {
    judge("restart::a_dialog_over_tcp_is_claimed", || {
        let consent = "[consent]\npresence = \"colleagues\"\n";
        let mut rialto = Rialto::start_with(&["romeo", "juliet"], consent, "debug");
        let juliet = slixmpp::online(&rialto, "juliet");
        let subscribe = |agent: &mut Sip| {
            agent
                .request("SUBSCRIBE", "juliet")
                .with("Contact: <sip:romeo@127.0.0.1:9;transport=tcp>")
                .with("Event: presence")
                .with("Expires: 600")
        };
        let mut romeo = Sip::registered(rialto.sip(), "romeo");
        let first = subscribe(&mut romeo);
        let accepted = romeo.ask(&first);
        assert_eq!(accepted.status(), 200, "{}", accepted.head);
        let message = romeo.request("MESSAGE", "juliet").saying("look there");
        assert_eq!(romeo.ask(&message).status(), 200);
        juliet.quit();

        rialto.crash_and_restart();
        let _juliet = slixmpp::online(&rialto, "juliet");
        let mut romeo = Sip::registered(rialto.sip(), "romeo");
        let keep = |name: &str| {
            first.headers.iter().find(|h| h.starts_with(&format!("{name}:"))).expect(name).clone()
        };
        let refresh = subscribe(&mut romeo)
            .replacing("From", &keep("From"))
            .replacing("Call-ID", &keep("Call-ID"))
            .replacing("To", &format!("To: {}", accepted.header("To").expect("a To")))
            .replacing("CSeq", "CSeq: 50 SUBSCRIBE");
        romeo.wire.send(refresh.bytes());
        let end = std::time::Instant::now() + interop::SOON;
        let (mut answered, mut shown) = (false, false);
        while !(answered && shown) {
            let message = romeo.next(end).expect("an answer and a NOTIFY");
            match message.status() {
                0 => {
                    shown |= message.body.contains(">open<");
                    romeo.accept(&message);
                }
                status => {
                    assert_eq!(status, 200, "{}", message.head);
                    answered = true;
                }
            }
        }
        rialto.finish();
    });
}
