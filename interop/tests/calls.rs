//! Calls: between phones of one house, and with another company over a trunk.

use interop::baresip::{Baresip, Transport, no_talk, talk};
use interop::known::judge;
use interop::{Rialto, at, slixmpp};

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
