//! Calls: between phones of one house, and with another company over a trunk.

use std::time::Instant;

use interop::baresip::{Baresip, Transport, no_talk, talk};
use interop::known::judge;
use interop::raw::sip::Sip;
use interop::trunk::{THERE, Trunk};
use interop::{Rialto, SOON, at, slixmpp};

const ROMEO: &str = "romeo@montague.test";
const JULIET: &str = "juliet@example.com";

#[test]
fn between_phones() {
    judge("calls::between_phones", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let people = [at("romeo"), at("juliet")];
        let people = [people[0].as_str(), people[1].as_str()];
        for [one, other] in [
            [Transport::Tcp, Transport::Udp],
            [Transport::Udp, Transport::Udp],
            [Transport::Tcp, Transport::Tcp],
        ] {
            let mut romeo = Baresip::for_calls(&rialto, "romeo", one);
            let mut juliet = Baresip::for_calls(&rialto, "juliet", other);
            talk(&mut romeo, &mut juliet, people);
            no_talk(&mut romeo, &mut juliet, people[1]);
            romeo.quit();
            juliet.quit();
        }
        rialto.finish();
    });
}

#[test]
fn to_who_takes_none() {
    judge("calls::to_who_takes_none", || {
        let rialto = Rialto::start(&["romeo", "juliet", "mercutio"]);
        let _juliet = slixmpp::online(&rialto, "juliet");
        let mut romeo = Baresip::for_calls(&rialto, "romeo", Transport::Udp);
        for (whom, answer) in [("juliet", "488"), ("mercutio", "480"), ("nobody", "404")] {
            romeo.call(&at(whom));
            romeo.expect(&["session closed", answer]);
        }
        rialto.finish();
    });
}

#[test]
fn between_companies() {
    judge("calls::between_companies", || {
        let trunk = Trunk::between(&["juliet"], &[ROMEO]);
        for [one, other] in [[Transport::Udp, Transport::Tcp], [Transport::Tcp, Transport::Udp]] {
            let mut juliet = Baresip::for_calls(&trunk.here, "juliet", one);
            let mut romeo = Baresip::for_calls(&trunk.there, ROMEO, other);
            talk(&mut juliet, &mut romeo, [JULIET, ROMEO]);
            no_talk(&mut juliet, &mut romeo, ROMEO);
            talk(&mut romeo, &mut juliet, [ROMEO, JULIET]);
            no_talk(&mut romeo, &mut juliet, JULIET);
            juliet.call("nobody@montague.test");
            juliet.expect(&["session closed", "404"]);
            juliet.quit();
            romeo.quit();
        }
        trunk.finish();
    });
}

#[test]
fn with_a_partner_without_calls() {
    judge("calls::with_a_partner_without_calls", || {
        let trunk = Trunk::between(&["juliet"], &[ROMEO]);
        let terms = ["--domain", THERE, "--protocol", "sip", "--without", "calls"];
        trunk.here.command(&[&["partner", "add", "montague"][..], &terms].concat());
        let mut romeo = Baresip::for_calls(&trunk.there, ROMEO, Transport::Udp);
        let mut phone = Baresip::for_calls(&trunk.here, "juliet", Transport::Udp);
        phone.call(ROMEO);
        phone.expect(&["session closed", "403"]);
        romeo.call(JULIET);
        romeo.expect(&["session closed", "403"]);
        // Why stands in a Warning, and messages pass.
        let mut juliet = Sip::registered(trunk.here.sip(), "juliet");
        let request = juliet.request("INVITE", ROMEO).with("Contact: <sip:juliet@127.0.0.1:9;transport=tcp>");
        juliet.wire.send(request.bytes());
        let answer = loop {
            let answer = juliet.next_answer(Instant::now() + SOON).expect("an answer");
            if answer.status() >= 200 {
                break answer;
            }
        };
        assert_eq!(answer.status(), 403, "{}", answer.head);
        assert!(answer.has("Warning", "399") && answer.has("Warning", "calls"), "{}", answer.head);
        let request = juliet.request("MESSAGE", ROMEO).saying("Then in writing");
        assert_eq!(juliet.ask(&request).status(), 200);
        romeo.expect_message_of(JULIET, "Then in writing");
        trunk.finish();
    });
}
