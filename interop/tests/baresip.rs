//! baresip against slixmpp and itself. Its Contact does not bear its user's name, which finds servers that guess.

use interop::baresip::{Baresip, Contacts, Transport};
use interop::known::judge;
use interop::{Rialto, at, slixmpp};

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

#[test]
fn register_over_udp_and_tcp() {
    judge("baresip::register_over_udp_and_tcp", || {
        let rialto = Rialto::start(&["romeo"]);
        for transport in BOTH {
            Baresip::online(&rialto, "romeo", transport, Contacts::None).quit();
        }
        rialto.finish();
    });
}

#[test]
fn register_over_tls() {
    judge("baresip::register_over_tls", || {
        let rialto = Rialto::start(&["romeo"]);
        Baresip::online(&rialto, "romeo", Transport::Tls, Contacts::None).quit();
        rialto.finish();
    });
}

#[test]
fn wrong_password() {
    judge("baresip::wrong_password", || {
        let rialto = Rialto::start(&["romeo"]);
        Baresip::start(&rialto, "romeo", "capulet", Transport::Udp, Contacts::None).expect_refusal();
        rialto.finish();
    });
}

#[test]
fn messages_with_xmpp() {
    judge("baresip::messages_with_xmpp", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        for transport in BOTH {
            let mut romeo = Baresip::online(&rialto, "romeo", transport, Contacts::Plain("juliet"));
            romeo.send(&format!("With love's light wings {transport:?}"));
            juliet.expect(format!("message romeo@example.com With love's light wings {transport:?}"));
            juliet.tell(format!("send {} If they do see thee {transport:?}", at("romeo")));
            romeo.expect_message("juliet", &format!("If they do see thee {transport:?}"));
            romeo.quit();
        }
        rialto.finish();
    });
}

#[test]
fn messages_between_phones() {
    judge("baresip::messages_between_phones", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = Baresip::online(&rialto, "romeo", Transport::Tcp, Contacts::Plain("juliet"));
        let mut juliet = Baresip::online(&rialto, "juliet", Transport::Udp, Contacts::Plain("romeo"));
        romeo.send("from TCP to UDP");
        juliet.expect_message("romeo", "from TCP to UDP");
        juliet.send("and back");
        romeo.expect_message("juliet", "and back");
        rialto.finish();
    });
}

#[test]
fn presence_both_ways() {
    judge("baresip::presence_both_ways", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        let mut romeo = Baresip::online(&rialto, "romeo", Transport::Tcp, Contacts::Watched("juliet"));
        juliet.expect("ask romeo@example.com");
        juliet.tell(format!("approve {}", at("romeo")));
        romeo.wait_for_presence("juliet", "Online");
        // He asked to see her, so she may see him.
        juliet.tell(format!("add {}", at("romeo")));
        juliet.expect("granted romeo@example.com");
        juliet.expect("presence romeo@example.com available");
        juliet.quit();
        romeo.wait_for_presence("juliet", "Offline");
        rialto.finish();
    });
}

#[test]
fn offline_message() {
    judge("baresip::offline_message", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        juliet.tell(format!("send {} for the evening", at("romeo")));
        slixmpp::fence(&mut juliet);
        let mut romeo = Baresip::online(&rialto, "romeo", Transport::Tcp, Contacts::None);
        romeo.expect_message("juliet", "for the evening");
        rialto.finish();
    });
}
