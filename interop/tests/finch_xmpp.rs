//! libpurple's XMPP (Finch, Pidgin) against slixmpp and itself, and Finch on a screen.

use interop::finch::Finch;
use interop::known::judge;
use interop::{PASSWORD, Rialto, at, purple, slixmpp};

#[test]
fn login_over_starttls_and_direct_tls() {
    judge("finch_xmpp::login_over_starttls_and_direct_tls", || {
        let rialto = Rialto::start(&["romeo"]);
        for direct in [false, true] {
            let romeo = purple::start_xmpp(&rialto, "romeo", PASSWORD, direct);
            romeo.expect("online");
            romeo.quit();
        }
        rialto.finish();
    });
}

#[test]
fn wrong_password() {
    judge("finch_xmpp::wrong_password", || {
        let rialto = Rialto::start(&["romeo"]);
        let romeo = purple::start_xmpp(&rialto, "romeo", "capulet", false);
        romeo.expect("failed auth");
        assert_eq!(romeo.count("online"), 0, "got in with a wrong password");
        rialto.finish();
    });
}

#[test]
fn messages_both_ways() {
    judge("finch_xmpp::messages_both_ways", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let mut juliet = purple::xmpp(&rialto, "juliet");
        romeo.tell(format!("send {} What shall I swear by?", at("juliet")));
        juliet.expect("message romeo@example.com What shall I swear by?");
        juliet.tell(format!("send {} Do not swear at all <or> & if", at("romeo")));
        romeo.expect("message juliet@example.com Do not swear at all <or> & if");
        rialto.finish();
    });
}

#[test]
fn subscribe_and_approve() {
    judge("finch_xmpp::subscribe_and_approve", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = purple::xmpp(&rialto, "romeo");
        let mut juliet = slixmpp::online(&rialto, "juliet");
        romeo.tell(format!("add {}", at("juliet")));
        juliet.expect("ask romeo@example.com");
        juliet.tell(format!("approve {}", at("romeo")));
        romeo.expect("presence juliet@example.com available");
        juliet.tell("show dnd at prayer");
        romeo.expect("presence juliet@example.com dnd at prayer");
        // And the other way round: libpurple answers.
        juliet.tell(format!("add {}", at("romeo")));
        romeo.expect("ask juliet@example.com");
        romeo.tell(format!("approve {}", at("juliet")));
        juliet.expect("granted romeo@example.com");
        juliet.expect("presence romeo@example.com available");
        romeo.tell("show away");
        juliet.expect("presence romeo@example.com away");
        romeo.quit();
        juliet.expect("presence romeo@example.com unavailable");
        rialto.finish();
    });
}

#[test]
fn subscribe_and_deny() {
    judge("finch_xmpp::subscribe_and_deny", || {
        let rialto = Rialto::start(&["paris", "juliet"]);
        let mut paris = slixmpp::online(&rialto, "paris");
        let mut juliet = purple::xmpp(&rialto, "juliet");
        paris.tell(format!("add {}", at("juliet")));
        juliet.expect("ask paris@example.com");
        juliet.tell(format!("deny {}", at("paris")));
        paris.expect("denied juliet@example.com");
        slixmpp::fence(&mut paris);
        assert_eq!(paris.count("presence juliet@example.com"), 0, "presence after a no");
        rialto.finish();
    });
}

#[test]
fn offline_message() {
    judge("finch_xmpp::offline_message", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        romeo.tell(format!("send {} for the morning", at("juliet")));
        slixmpp::fence(&mut romeo);
        let juliet = purple::xmpp(&rialto, "juliet");
        juliet.expect("message romeo@example.com for the morning");
        rialto.finish();
    });
}

#[test]
fn finch_on_a_screen() {
    judge("finch_xmpp::finch_on_a_screen", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        romeo.tell(format!("add {}", at("juliet")));
        slixmpp::fence(&mut romeo);
        let screen = Finch::xmpp(&rialto, "juliet");
        // The question that a person would be asked, answered with the keys that a person would press.
        screen.wait_for("Authorize buddy?");
        screen.window(2);
        screen.enter("");
        romeo.expect("granted juliet@example.com");
        romeo.expect("presence juliet@example.com available");
        rialto.finish();
    });
}

#[test]
fn conversation_on_a_screen() {
    judge("finch_xmpp::conversation_on_a_screen", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let screen = Finch::xmpp(&rialto, "juliet");
        let mut romeo = slixmpp::online(&rialto, "romeo");
        // Kept for her if her login is not through yet: the story is the same.
        romeo.tell(format!("send {} Good morrow.", at("juliet")));
        screen.wait_for("Good morrow.");
        screen.window(2);
        screen.enter("Art thou gone so?");
        romeo.expect("message juliet@example.com Art thou gone so?");
        rialto.finish();
    });
}
