//! libpurple's SIP/SIMPLE (Finch, Pidgin) against slixmpp and itself, and Finch on a screen.

use interop::finch::Finch;
use interop::known::judge;
use interop::rialto::LAZY;
use interop::sipp::{Agent, Transport};
use interop::{PASSWORD, Rialto, at, purple, slixmpp};

#[test]
fn login_over_udp_and_tcp() {
    judge("finch_simple::login_over_udp_and_tcp", || {
        let rialto = Rialto::start(&["romeo"]);
        for udp in [true, false] {
            let romeo = purple::start_simple(&rialto, "romeo", PASSWORD, udp);
            romeo.expect("online");
            romeo.quit();
        }
        rialto.finish();
    });
}

#[test]
fn wrong_password() {
    judge("finch_simple::wrong_password", || {
        let rialto = Rialto::start(&["romeo"]);
        for udp in [true, false] {
            let romeo = purple::start_simple(&rialto, "romeo", "capulet", udp);
            romeo.expect("failed auth");
            assert_eq!(romeo.count("online"), 0, "got in with a wrong password");
        }
        rialto.finish();
    });
}

#[test]
fn messages_with_xmpp() {
    judge("finch_simple::messages_with_xmpp", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        for udp in [true, false] {
            let mut juliet = purple::simple(&rialto, "juliet", udp);
            romeo.tell(format!("send {} What shall I swear by? udp={udp}", at("juliet")));
            juliet.expect(format!("message romeo@example.com What shall I swear by? udp={udp}"));
            juliet.tell(format!("send {} Do not swear at all. udp={udp}", at("romeo")));
            romeo.expect(format!("message juliet@example.com Do not swear at all. udp={udp}"));
            juliet.quit();
        }
        rialto.finish();
    });
}

#[test]
fn messages_with_sip() {
    judge("finch_simple::messages_with_sip", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = purple::simple(&rialto, "romeo", true);
        let mut juliet = purple::simple(&rialto, "juliet", false);
        romeo.tell(format!("send {} over two transports", at("juliet")));
        juliet.expect("message romeo@example.com over two transports");
        juliet.tell(format!("send {} and back", at("romeo")));
        romeo.expect("message juliet@example.com and back");
        rialto.finish();
    });
}

#[test]
fn presence_both_ways() {
    judge("finch_simple::presence_both_ways", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let mut juliet = purple::simple(&rialto, "juliet", false);
        juliet.tell(format!("add {}", at("romeo")));
        // libpurple subscribes on a timer of its own.
        romeo.expect_within("ask juliet@example.com", LAZY);
        romeo.tell(format!("approve {}", at("juliet")));
        juliet.expect("presence romeo@example.com available");
        // She asked to see him, so he may see her.
        romeo.tell(format!("add {}", at("juliet")));
        romeo.expect("granted juliet@example.com");
        romeo.expect("presence juliet@example.com available");
        romeo.quit();
        juliet.expect("presence romeo@example.com offline");
        rialto.finish();
    });
}

#[test]
fn presence_denied() {
    judge("finch_simple::presence_denied", || {
        let rialto = Rialto::start(&["romeo", "paris"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let mut paris = purple::simple(&rialto, "paris", true);
        paris.tell(format!("add {}", at("romeo")));
        romeo.expect_within("ask paris@example.com", LAZY);
        romeo.tell(format!("deny {}", at("paris")));
        romeo.tell("show dnd");
        slixmpp::fence(&mut romeo);
        // A later message to him is the fence: it comes over the same flow as a notification would.
        romeo.tell(format!("send {} no", at("paris")));
        paris.expect("message romeo@example.com no");
        assert_eq!(paris.count("presence romeo@example.com available"), 0, "presence after a no");
        assert_eq!(paris.count("presence romeo@example.com dnd"), 0, "presence after a no");
        rialto.finish();
    });
}

#[test]
fn offline_message() {
    judge("finch_simple::offline_message", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        Agent::new(&rialto, "romeo", Transport::Udp)
            .run("message_out", &[("to", "juliet"), ("text", "for the morning")]);
        let juliet = purple::simple(&rialto, "juliet", true);
        juliet.expect("message romeo@example.com for the morning");
        rialto.finish();
    });
}

#[test]
fn conversation_on_a_screen() {
    judge("finch_simple::conversation_on_a_screen", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let screen = Finch::simple(&rialto, "juliet");
        let mut romeo = slixmpp::online(&rialto, "romeo");
        romeo.tell(format!("send {} Good morrow.", at("juliet")));
        screen.wait_for("Good morrow.");
        screen.window(2);
        screen.enter("Art thou gone so?");
        romeo.expect("message juliet@example.com Art thou gone so?");
        rialto.finish();
    });
}
