//! Prosody, a server of another company: by dialback, by certificate, and with certificates that prove nothing.

use interop::abroad::Abroad;
use interop::authority::Flaw;
use interop::known::judge;
use interop::slixmpp;

const THEIRS: &str = "montague.example";

#[test]
fn messages_both_ways_by_dialback() {
    judge("prosody::messages_both_ways_by_dialback", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "");
        let mut setup = abroad.prosody_setup(&rialto, THEIRS, Flaw::SelfSigned);
        setup.without = vec!["s2s_auth_certs"];
        let prosody = abroad.prosody(setup, &["romeo"]);
        let mut romeo = slixmpp::elsewhere(&prosody.account("romeo"));
        let mut juliet = slixmpp::online(&rialto, "juliet");
        juliet.tell(format!("send romeo@{THEIRS} Art thou not Romeo, and a Montague?"));
        romeo.expect("message juliet@example.com Art thou not Romeo, and a Montague?");
        romeo.tell("send juliet@example.com Neither, fair saint, if either thee dislike. <&>");
        juliet.expect(format!("message romeo@{THEIRS} Neither, fair saint, if either thee dislike. <&>"));
        rialto.finish();
    });
}
