//! Malformed and hostile SIP, each piece with the answer that RFC 3261 wants.

use interop::known::judge;
use interop::{Rialto, hostile};

const USERS: &[&str] = &["romeo", hostile::sip::USER, hostile::sip::OTHER];

#[test]
fn requests() {
    judge("hostile_sip::requests", || {
        let rialto = Rialto::start(USERS);
        let fired = hostile::sip::fire(&rialto);
        println!("{fired} hostile requests answered as they should be");
        rialto.finish();
    });
}

#[test]
fn bodies_stay_bodies() {
    judge("hostile_sip::bodies_stay_bodies", || {
        let rialto = Rialto::start(USERS);
        let tried = hostile::sip::smuggle(&rialto);
        println!("{tried} ways of smuggling, none works");
        rialto.finish();
    });
}

#[test]
fn forgeries() {
    judge("hostile_sip::forgeries", || {
        let rialto = Rialto::start(USERS);
        hostile::sip::forge(&rialto);
        rialto.finish();
    });
}

#[test]
fn torture() {
    judge("hostile_sip::torture", || {
        let rialto = Rialto::start(&["user", "caller", "j.user", "watson", "resource"]);
        let sent = hostile::torture::fire(&rialto);
        println!("{sent} torture messages answered as they should be");
        rialto.finish();
    });
}

#[test]
fn datagram_noise() {
    judge("hostile_sip::datagram_noise", || {
        let rialto = Rialto::start(USERS);
        hostile::sip::noise(&rialto, 10_000, 4475);
        rialto.finish();
    });
}
