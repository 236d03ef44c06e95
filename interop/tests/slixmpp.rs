//! XMPP to XMPP, seen by slixmpp.

use interop::known::judge;
use interop::slixmpp::{self, Way};
use interop::{Rialto, at};

#[test]
fn login_over_starttls() {
    judge("slixmpp::login_over_starttls", || {
        let rialto = Rialto::start(&["romeo"]);
        let mut romeo = slixmpp::start(&rialto, "romeo", &Way::default());
        romeo.expect("online romeo@example.com/");
        slixmpp::fence(&mut romeo);
        romeo.tell("disco");
        let features = romeo.expect("features");
        for needed in ["http://jabber.org/protocol/disco#info", "urn:xmpp:ping", "urn:xmpp:carbons:2"] {
            assert!(features.contains(needed), "{needed} is not announced: {features}");
        }
        romeo.quit();
        rialto.finish();
    });
}

#[test]
fn login_over_direct_tls() {
    judge("slixmpp::login_over_direct_tls", || {
        let rialto = Rialto::start(&["romeo"]);
        let way = Way { direct: true, resource: Some("orchard".into()), ..Way::default() };
        let mut romeo = slixmpp::start(&rialto, "romeo", &way);
        romeo.expect("online romeo@example.com/orchard");
        slixmpp::fence(&mut romeo);
        romeo.quit();
        rialto.finish();
    });
}

#[test]
fn wrong_password() {
    judge("slixmpp::wrong_password", || {
        let rialto = Rialto::start(&["romeo"]);
        for (user, password) in [("romeo", "capulet"), ("nobody", "capulet")] {
            let way = Way { password: password.into(), ..Way::default() };
            let peer = slixmpp::start(&rialto, user, &way);
            peer.expect("failed auth");
            assert_eq!(peer.count("online"), 0, "{user} got in");
        }
        rialto.finish();
    });
}

#[test]
fn account_added_while_running() {
    judge("slixmpp::account_added_while_running", || {
        let rialto = Rialto::start(&["romeo"]);
        rialto.add_user("juliet", interop::PASSWORD);
        slixmpp::online(&rialto, "juliet").quit();
        rialto.finish();
    });
}

#[test]
fn messages_both_ways() {
    judge("slixmpp::messages_both_ways", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let mut juliet = slixmpp::online(&rialto, "juliet");
        romeo.tell(format!(
            "send {} Neither, fair saint, if either thee dislike. <&> \u{1F339}",
            at("juliet")
        ));
        juliet.expect("message romeo@example.com Neither, fair saint, if either thee dislike. <&> \u{1F339}");
        juliet.expect("envelope chat live romeo@example.com/");
        juliet.tell(format!("send {} How cam'st thou hither?", at("romeo")));
        romeo.expect("message juliet@example.com How cam'st thou hither?");
        // Order within one conversation is kept.
        for n in 0..100 {
            romeo.tell(format!("send {} line {n}", at("juliet")));
        }
        for n in 0..100 {
            let line = juliet.expect("message romeo@example.com");
            assert_eq!(line, format!("line {n}"), "out of order");
        }
        rialto.finish();
    });
}

#[test]
fn typing_and_receipt() {
    judge("slixmpp::typing_and_receipt", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let juliet = slixmpp::online(&rialto, "juliet");
        romeo.tell(format!("typing {}", at("juliet")));
        juliet.expect("typing romeo@example.com");
        romeo.tell(format!("receipt {} Hast thou got this?", at("juliet")));
        juliet.expect("message romeo@example.com Hast thou got this?");
        romeo.expect("delivered juliet@example.com");
        rialto.finish();
    });
}

#[test]
fn subscribe_and_approve() {
    judge("slixmpp::subscribe_and_approve", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let mut juliet = slixmpp::online(&rialto, "juliet");
        romeo.tell(format!("add {}", at("juliet")));
        juliet.expect("ask romeo@example.com");
        // Nothing leaks before she agrees.
        slixmpp::fence(&mut romeo);
        assert_eq!(romeo.count("presence juliet@example.com"), 0, "presence without consent");
        juliet.tell(format!("approve {}", at("romeo")));
        romeo.expect("granted juliet@example.com");
        romeo.expect("presence juliet@example.com available");
        juliet.tell("show away at the friar's cell");
        romeo.expect("presence juliet@example.com away at the friar's cell");
        juliet.quit();
        romeo.expect("presence juliet@example.com unavailable");
        // The consent outlives the sessions.
        romeo.quit();
        let romeo = slixmpp::online(&rialto, "romeo");
        romeo.expect("roster 1");
        let _juliet = slixmpp::online(&rialto, "juliet");
        romeo.expect("presence juliet@example.com available");
        rialto.finish();
    });
}

#[test]
fn subscribe_and_deny() {
    judge("slixmpp::subscribe_and_deny", || {
        let rialto = Rialto::start(&["paris", "juliet"]);
        let mut paris = slixmpp::online(&rialto, "paris");
        let mut juliet = slixmpp::online(&rialto, "juliet");
        paris.tell(format!("add {}", at("juliet")));
        juliet.expect("ask paris@example.com");
        juliet.tell(format!("deny {}", at("paris")));
        paris.expect("denied juliet@example.com");
        juliet.tell("show dnd");
        slixmpp::fence(&mut juliet);
        slixmpp::fence(&mut paris);
        assert_eq!(paris.count("presence juliet@example.com"), 0, "presence after a no");
        rialto.finish();
    });
}

#[test]
fn request_while_offline() {
    judge("slixmpp::request_while_offline", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        romeo.tell(format!("add {}", at("juliet")));
        slixmpp::fence(&mut romeo);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        juliet.expect("ask romeo@example.com");
        juliet.tell(format!("approve {}", at("romeo")));
        romeo.expect("presence juliet@example.com available");
        rialto.finish();
    });
}

#[test]
fn offline_message() {
    judge("slixmpp::offline_message", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        for n in 1..=3 {
            romeo.tell(format!("send {} message {n}", at("juliet")));
        }
        slixmpp::fence(&mut romeo);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        for n in 1..=3 {
            assert_eq!(juliet.expect("message romeo@example.com"), format!("message {n}"));
            juliet.expect("envelope chat delayed romeo@example.com");
        }
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("message"), 3, "something came twice");
        // Delivered is delivered: the next login finds nothing.
        juliet.quit();
        let mut juliet = slixmpp::online(&rialto, "juliet");
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("message"), 0, "an offline message came again");
        rialto.finish();
    });
}

#[test]
fn nobody_there() {
    judge("slixmpp::nobody_there", || {
        let rialto = Rialto::start(&["romeo"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        romeo.tell(format!("send {} Art thou there?", at("rosaline")));
        let error = romeo.expect("error rosaline@example.com");
        assert!(["item-not-found", "service-unavailable"].contains(&error.as_str()), "{error}");
        rialto.finish();
    });
}

#[test]
fn carbons_reach_the_other_device() {
    judge("slixmpp::carbons_reach_the_other_device", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let device = |name: &str| {
            let way = Way { resource: Some(name.into()), ..Way::default() };
            let mut peer = slixmpp::start(&rialto, "romeo", &way);
            slixmpp::arrived(&peer);
            peer.tell("carbons");
            peer.expect("carbons");
            peer
        };
        let mut desk = device("desk");
        let phone = device("phone");
        let juliet = slixmpp::online(&rialto, "juliet");
        desk.tell(format!("send {} By whose direction?", at("juliet")));
        juliet.expect("message romeo@example.com By whose direction?");
        phone.expect("carbon juliet@example.com By whose direction?");
        slixmpp::fence(&mut desk);
        assert_eq!(desk.count("carbon "), 0, "a carbon to the sender itself");
        rialto.finish();
    });
}

#[test]
fn stream_management() {
    judge("slixmpp::stream_management", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let way = Way { stream_management: true, ..Way::default() };
        let mut romeo = slixmpp::start(&rialto, "romeo", &way);
        romeo.expect("stream-management");
        slixmpp::arrived(&romeo);
        let juliet = slixmpp::online(&rialto, "juliet");
        for n in 0..20 {
            romeo.tell(format!("send {} acknowledged {n}", at("juliet")));
        }
        for n in 0..20 {
            juliet.expect(format!("message romeo@example.com acknowledged {n}"));
        }
        slixmpp::fence(&mut romeo);
        rialto.finish();
    });
}

#[test]
fn kept_over_a_crash() {
    judge("slixmpp::kept_over_a_crash", || {
        let mut rialto = Rialto::start(&["romeo", "juliet"]);
        let way = Way { stream_management: true, ..Way::default() };
        let mut romeo = slixmpp::start(&rialto, "romeo", &way);
        romeo.expect("stream-management");
        slixmpp::arrived(&romeo);
        romeo.tell(format!("send {} Stay but a little, I will come again.", at("juliet")));
        slixmpp::fence(&mut romeo);
        // From here on it is the server's.
        romeo.expect("acked Stay but a little, I will come again.");
        rialto.crash_and_restart();
        let juliet = slixmpp::online(&rialto, "juliet");
        juliet.expect("message romeo@example.com Stay but a little, I will come again.");
        rialto.finish();
    });
}
