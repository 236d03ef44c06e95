//! Ill-formed and hostile XMPP streams, each with the answer that RFC 6120 wants.

use interop::known::judge;
use interop::{Rialto, hostile};

#[test]
fn streams() {
    judge("hostile_xmpp::streams", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let fired = hostile::xmpp::fire(&rialto);
        println!("{fired} hostile streams answered as they should be");
        rialto.finish();
    });
}

#[test]
fn plaintext_behind_starttls() {
    judge("hostile_xmpp::plaintext_behind_starttls", || {
        let rialto = Rialto::start(&["romeo"]);
        let tried = hostile::xmpp::inject(&rialto);
        println!("{tried} injections before TLS, none believed");
        rialto.finish();
    });
}
