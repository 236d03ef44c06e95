//! ejabberd, a server of another company: by dialback and by certificate.

use interop::abroad::Abroad;
use interop::authority::Flaw;
use interop::converse::Pair;
use interop::ejabberd::Ejabberd;
use interop::known::judge;
use interop::slixmpp;
use interop::{Rialto, at};

const THEIRS: &str = "verona.example";

fn romeo() -> String {
    format!("romeo@{THEIRS}")
}

/// Everything two people do.
fn converse(rialto: &Rialto, ejabberd: &Ejabberd) {
    let mut juliet = slixmpp::online(rialto, "juliet");
    let mut romeo = slixmpp::elsewhere(&ejabberd.account("romeo"));
    let (ours, theirs) = (at("juliet"), self::romeo());
    let mut pair = Pair { juliet: &mut juliet, ours: &ours, romeo: &mut romeo, theirs: &theirs };
    pair.greet();
    pair.chatter();
    pair.report();
    pair.watch();
    pair.ask();
    pair.miss();
    juliet.quit();
    romeo.expect("presence juliet@example.com unavailable");
}

#[test]
fn by_dialback() {
    judge("ejabberd::by_dialback", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "");
        let mut setup = abroad.ejabberd_setup(&rialto, THEIRS, Flaw::SelfSigned);
        setup.dialback = true;
        let ejabberd = abroad.ejabberd(setup, &["romeo"]);
        converse(&rialto, &ejabberd);
        rialto.finish();
    });
}

#[test]
fn by_certificate() {
    judge("ejabberd::by_certificate", || {
        for flaw in [Flaw::None, Flaw::NoClientUse] {
            let abroad = Abroad::new();
            let rialto = abroad.rialto(&["juliet"], "dialback = false\n");
            let ejabberd = abroad.ejabberd(abroad.ejabberd_setup(&rialto, THEIRS, flaw), &["romeo"]);
            converse(&rialto, &ejabberd);
            rialto.finish();
        }
    });
}

#[test]
fn certificates_that_prove_nothing() {
    judge("ejabberd::certificates_that_prove_nothing", || {
        for flaw in [Flaw::Expired, Flaw::WrongName, Flaw::SelfSigned] {
            let abroad = Abroad::new();
            let rialto = abroad.rialto(&["juliet"], "dialback = false\n");
            let mut setup = abroad.ejabberd_setup(&rialto, THEIRS, flaw);
            setup.dialback = true;
            let ejabberd = abroad.ejabberd(setup, &["romeo"]);
            let mut juliet = slixmpp::online(&rialto, "juliet");
            let mut romeo = slixmpp::elsewhere(&ejabberd.account("romeo"));
            juliet.tell(format!("send {} Art thou not Romeo?", self::romeo()));
            juliet.expect(format!("error {} not-authorized", self::romeo()));
            romeo.tell("send juliet@example.com Neither, fair saint.");
            romeo.expect("error juliet@example.com");
            slixmpp::fence(&mut juliet);
            assert_eq!(juliet.count("message"), 0, "{flaw:?}: a message of nobody knows whom");
            rialto.finish();
        }
    });
}
