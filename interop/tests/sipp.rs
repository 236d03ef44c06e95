//! SIP by hand (SIPp) against XMPP by slixmpp, and against itself.

use interop::known::judge;
use interop::sipp::{Agent, Transport};
use interop::slixmpp;
use interop::{Rialto, at};

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

#[test]
fn options() {
    judge("sipp::options", || {
        let rialto = Rialto::start(&["romeo"]);
        for transport in BOTH {
            Agent::new(&rialto, "romeo", transport).run("options", &[]);
        }
        rialto.finish();
    });
}

#[test]
fn register_and_unregister() {
    judge("sipp::register_and_unregister", || {
        let rialto = Rialto::start(&["romeo"]);
        for transport in BOTH {
            let romeo = Agent::new(&rialto, "romeo", transport);
            romeo.run("register", &[]);
            romeo.run("unregister", &[]);
        }
        rialto.finish();
    });
}

#[test]
fn wrong_password() {
    judge("sipp::wrong_password", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        for transport in BOTH {
            for user in ["romeo", "nobody"] {
                let agent = Agent::new(&rialto, user, transport).with_password("capulet");
                agent.run("register_refused", &[]);
                agent.run("message_unauthorized", &[("to", "juliet"), ("text", "let me in")]);
            }
        }
        let mut juliet = slixmpp::online(&rialto, "juliet");
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("message"), 0, "an unauthorised message got through");
        rialto.finish();
    });
}

#[test]
fn message_to_xmpp() {
    judge("sipp::message_to_xmpp", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let juliet = slixmpp::online(&rialto, "juliet");
        for transport in BOTH {
            let text = format!("Art thou not Romeo, and a Montague? {transport:?}");
            let romeo = Agent::new(&rialto, "romeo", transport);
            let log = romeo.run("message_out", &[("to", "juliet"), ("text", &text)]);
            assert!(log.contains("SIP/2.0 200"), "she was there, so 200 and not 202:\n{log}");
            juliet.expect(format!("message romeo@example.com {text}"));
            // RFC 7572: a pager-mode message has no session, so it is no chat.
            juliet.expect("envelope normal live romeo@example.com");
        }
        rialto.finish();
    });
}

#[test]
fn message_from_xmpp() {
    judge("sipp::message_from_xmpp", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let juliet = Agent::new(&rialto, "juliet", Transport::Udp);
        juliet.run("register", &[]);
        let waiting = juliet.begin("message_in", &[("from", "romeo"), ("text", "Neither, fair maid")]);
        romeo.tell(format!("send {} Neither, fair maid", at("juliet")));
        let log = waiting.finish();
        assert!(log.contains("Content-Type: text/plain"), "plain text stays plain:\n{log}");
        slixmpp::fence(&mut romeo);
        assert_eq!(romeo.count("error"), 0, "a delivered message came back");
        rialto.finish();
    });
}

#[test]
fn message_to_a_contact_that_hung_up() {
    judge("sipp::message_to_a_contact_that_hung_up", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let juliet = Agent::new(&rialto, "juliet", Transport::Tcp);
        // SIPp closes the connection on which it registered; its Contact still listens.
        juliet.run("register", &[]);
        let waiting = juliet.begin("message_in", &[("from", "romeo"), ("text", "a new connection")]);
        romeo.tell(format!("send {} a new connection", at("juliet")));
        waiting.finish();
        rialto.finish();
    });
}

#[test]
fn message_between_sip_users() {
    judge("sipp::message_between_sip_users", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let juliet = Agent::new(&rialto, "juliet", Transport::Udp);
        juliet.run("register", &[]);
        for transport in BOTH {
            let romeo = Agent::new(&rialto, "romeo", transport);
            let waiting = juliet.begin("message_in", &[("from", "romeo"), ("text", "SIP to SIP")]);
            romeo.run("message_out", &[("to", "juliet"), ("text", "SIP to SIP")]);
            waiting.finish();
        }
        rialto.finish();
    });
}

#[test]
fn message_to_nobody() {
    judge("sipp::message_to_nobody", || {
        let rialto = Rialto::start(&["romeo"]);
        for transport in BOTH {
            let romeo = Agent::new(&rialto, "romeo", transport);
            romeo.run("message_refused", &[("to", "rosaline"), ("text", "Art thou there?")]);
        }
        rialto.finish();
    });
}

#[test]
fn refused_by_the_phone() {
    judge("sipp::refused_by_the_phone", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let juliet = Agent::new(&rialto, "juliet", Transport::Udp);
        juliet.run("register", &[]);
        // RFC 7247 section 7.2.
        for (status, condition) in
            [("403 Forbidden", "forbidden"), ("486 Busy Here", "recipient-unavailable")]
        {
            let waiting = juliet.begin("message_in_refused", &[("status", status)]);
            romeo.tell(format!("send {} Speak again, bright angel!", at("juliet")));
            waiting.finish();
            romeo.expect(format!("error juliet@example.com {condition}"));
        }
        rialto.finish();
    });
}

#[test]
fn retransmitted_request_is_one_message() {
    judge("sipp::retransmitted_request_is_one_message", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        let romeo = Agent::new(&rialto, "romeo", Transport::Udp).without_repeats();
        let log = romeo.run("message_retransmitted", &[("to", "juliet"), ("text", "said once")]);
        assert_eq!(
            log.matches("SIP/2.0 200").count(),
            2,
            "each copy is answered, with the same answer:\n{log}"
        );
        juliet.expect("message romeo@example.com said once");
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("message"), 1, "the copy was delivered too");
        rialto.finish();
    });
}

#[test]
fn lost_request_is_retransmitted() {
    judge("sipp::lost_request_is_retransmitted", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        let juliet = Agent::new(&rialto, "juliet", Transport::Udp);
        juliet.run("register", &[]);
        std::thread::scope(|scope| {
            let loss = scope.spawn(|| juliet.lose_one("MESSAGE "));
            romeo.tell(format!("send {} lost at first", at("juliet")));
            loss.join().expect("the first copy comes");
        });
        juliet.run("message_in", &[("from", "romeo"), ("text", "lost at first")]);
        rialto.finish();
    });
}

#[test]
fn offline_both_ways() {
    judge("sipp::offline_both_ways", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        // SIP to an XMPP user who is away: kept, and said so.
        let romeo = Agent::new(&rialto, "romeo", Transport::Udp);
        let log = romeo.run("message_out", &[("to", "juliet"), ("text", "for the morning")]);
        assert!(log.contains("SIP/2.0 202"), "kept for later is 202, not 200:\n{log}");
        let mut juliet = slixmpp::online(&rialto, "juliet");
        juliet.expect("message romeo@example.com for the morning");
        juliet.expect("envelope normal delayed romeo@example.com");
        // XMPP to a SIP user who has no binding: delivered when he registers.
        juliet.tell(format!("send {} for the evening", at("romeo")));
        slixmpp::fence(&mut juliet);
        let waiting_text = [("from", "juliet"), ("text", "for the evening")];
        romeo.run("register", &[]);
        romeo.run("message_in", &waiting_text);
        rialto.finish();
    });
}

#[test]
fn kept_over_a_crash() {
    judge("sipp::kept_over_a_crash", || {
        let mut rialto = Rialto::start(&["romeo", "juliet"]);
        Agent::new(&rialto, "romeo", Transport::Tcp)
            .run("message_out", &[("to", "juliet"), ("text", "kept")]);
        rialto.crash_and_restart();
        let juliet = slixmpp::online(&rialto, "juliet");
        juliet.expect("message romeo@example.com kept");
        rialto.finish();
    });
}

#[test]
fn subscribe_approved_by_xmpp() {
    judge("sipp::subscribe_approved_by_xmpp", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        for (transport, user) in [(Transport::Udp, "romeo"), (Transport::Tcp, "tybalt")] {
            if user == "tybalt" {
                rialto.add_user(user, interop::PASSWORD);
            }
            let agent = Agent::new(&rialto, user, transport);
            agent.run("register", &[]);
            let watching = agent.begin("subscribe_approved", &[("to", "juliet"), ("basic", "open")]);
            juliet.expect(format!("ask {}", at(user)));
            watching.wait_for("pending");
            juliet.tell(format!("approve {}", at(user)));
            watching.finish();
            // The consent lasts: the next subscription is active at once.
            agent.run("subscribe_active", &[("to", "juliet"), ("basic", "open")]);
        }
        rialto.finish();
    });
}

#[test]
fn subscribe_denied_by_xmpp() {
    judge("sipp::subscribe_denied_by_xmpp", || {
        let rialto = Rialto::start(&["paris", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        let paris = Agent::new(&rialto, "paris", Transport::Udp);
        paris.run("register", &[]);
        let watching = paris.begin("subscribe_denied", &[("to", "juliet")]);
        juliet.expect("ask paris@example.com");
        watching.wait_for("pending");
        juliet.tell(format!("deny {}", at("paris")));
        let log = watching.finish();
        assert!(!log.contains("<basic>open"), "presence leaked to somebody who was refused:\n{log}");
        rialto.finish();
    });
}

#[test]
fn xmpp_presence_comes_and_goes() {
    judge("sipp::xmpp_presence_comes_and_goes", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut juliet = slixmpp::online(&rialto, "juliet");
        let romeo = Agent::new(&rialto, "romeo", Transport::Tcp);
        romeo.run("register", &[]);
        let asking = romeo.begin("subscribe_approved", &[("to", "juliet"), ("basic", "open")]);
        juliet.expect("ask romeo@example.com");
        asking.wait_for("pending");
        juliet.tell(format!("approve {}", at("romeo")));
        asking.finish();
        let watching = romeo.begin("subscribe_watch", &[("to", "juliet")]);
        watching.wait_for("<basic>open");
        juliet.quit();
        watching.finish();
        rialto.finish();
    });
}

#[test]
fn sip_presence_reaches_xmpp() {
    judge("sipp::sip_presence_reaches_xmpp", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut romeo = slixmpp::online(&rialto, "romeo");
        // SIP has no verb to answer a request, so asking to see somebody grants the same to him.
        let juliet = Agent::new(&rialto, "juliet", Transport::Udp);
        juliet.run("register", &[]);
        juliet.run("subscribe_pending", &[("to", "romeo")]);
        romeo.expect("ask juliet@example.com");
        romeo.tell(format!("add {}", at("juliet")));
        romeo.expect("granted juliet@example.com");
        juliet.run("publish", &[("basic", "open"), ("note", "on the balcony")]);
        romeo.expect("presence juliet@example.com available on the balcony");
        rialto.finish();
    });
}
