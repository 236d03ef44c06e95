//! liblinphone's console against slixmpp and itself: the only SIP peer here that speaks TLS.

use interop::known::judge;
use interop::linphone::{Linphone, Transport};
use interop::{Rialto, at, slixmpp};

const ALL: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

#[test]
fn register_over_every_transport() {
    judge("linphone::register_over_every_transport", || {
        let rialto = Rialto::start(&["romeo"]);
        for transport in ALL {
            Linphone::online(&rialto, "romeo", transport).quit();
        }
        rialto.finish();
    });
}

#[test]
fn wrong_password() {
    judge("linphone::wrong_password", || {
        let rialto = Rialto::start(&["romeo"]);
        let mut phone = Linphone::start(&rialto, "romeo", "capulet", Transport::Tls);
        // It asks its user for another password, and is not registered.
        phone.wait_for_state("registered=-1");
        rialto.finish();
    });
}

#[test]
fn messages_with_xmpp() {
    judge("linphone::messages_with_xmpp", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        for transport in ALL {
            let mut romeo = Linphone::online(&rialto, "romeo", transport);
            romeo.send("juliet", &format!("By a name I know not how to tell thee {transport:?}"));
            juliet.expect(format!(
                "message romeo@example.com By a name I know not how to tell thee {transport:?}"
            ));
            juliet.tell(format!("send {} My ears have not yet drunk {transport:?}", at("romeo")));
            romeo.expect_message("juliet", &format!("My ears have not yet drunk {transport:?}"));
            romeo.quit();
        }
        rialto.finish();
    });
}

#[test]
fn messages_between_phones() {
    judge("linphone::messages_between_phones", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = Linphone::online(&rialto, "romeo", Transport::Tls);
        let mut juliet = Linphone::online(&rialto, "juliet", Transport::Udp);
        romeo.send("juliet", "from TLS to UDP");
        juliet.expect_message("romeo", "from TLS to UDP");
        juliet.send("romeo", "and back");
        romeo.expect_message("juliet", "and back");
        rialto.finish();
    });
}

#[test]
fn presence_both_ways() {
    judge("linphone::presence_both_ways", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        let mut romeo = Linphone::online(&rialto, "romeo", Transport::Tcp);
        romeo.watch("juliet");
        juliet.expect("ask romeo@example.com");
        juliet.tell(format!("approve {}", at("romeo")));
        romeo.expect_presence("juliet", "Online");
        // He asked to see her, so she may see him.
        juliet.tell(format!("add {}", at("romeo")));
        juliet.expect("granted romeo@example.com");
        juliet.expect("presence romeo@example.com available");
        rialto.finish();
    });
}

#[test]
fn offline_message() {
    judge("linphone::offline_message", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        juliet.tell(format!("send {} for the evening", at("romeo")));
        slixmpp::fence(&mut juliet);
        let romeo = Linphone::online(&rialto, "romeo", Transport::Tls);
        romeo.expect_message("juliet", "for the evening");
        rialto.finish();
    });
}
