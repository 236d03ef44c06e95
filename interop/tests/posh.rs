//! Certificates that a domain's web server makes good (RFC 7711), and documents that prove nothing.

use base64::Engine as _;
use interop::abroad::Abroad;
use interop::authority::{Certificate, Flaw, sha256};
use interop::converse::Pair;
use interop::known::judge;
use interop::slixmpp;
use interop::web::{Web, get};
use interop::{Rialto, at};

const THEIRS: &str = "montague.example";
const PATH: &str = "/.well-known/posh/xmpp-server.json";
const BELIEVES: &str = "dialback = false\nposh = true\n";

fn names(certificate: &Certificate, expires: u32) -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(sha256(&certificate.chain));
    format!(r#"{{"fingerprints":[{{"sha-1":"ignored","sha-256":"{hash}"}}],"expires":{expires}}}"#)
}

/// A world in which they have a web server; it shows a certificate of an authority that counts, with this flaw.
fn world(flaw: Flaw) -> (Abroad, Rialto, Web) {
    let abroad = Abroad::new();
    let rialto = abroad.rialto(&["juliet"], BELIEVES);
    let web = Web::start(&abroad.certify(THEIRS, flaw));
    abroad.dns.host_at(THEIRS, web.addr());
    (abroad, rialto, web)
}

#[test]
fn a_self_signed_certificate_that_their_web_server_names() {
    judge("posh::a_self_signed_certificate_that_their_web_server_names", || {
        let (abroad, rialto, web) = world(Flaw::None);
        let mut setup = abroad.prosody_setup(&rialto, THEIRS, Flaw::SelfSigned);
        setup.without = vec!["s2s_bidi"];
        // Once by itself, once by reference.
        web.put(PATH, r#"{"url":"https://montague.example/elsewhere.json","expires":86400}"#);
        web.put("/elsewhere.json", &names(&setup.certificate, 86_400));
        let prosody = abroad.prosody(setup, &["romeo"]);
        let theirs = format!("romeo@{THEIRS}");
        let (mut juliet, mut romeo) =
            (slixmpp::online(&rialto, "juliet"), slixmpp::elsewhere(&prosody.account("romeo")));
        let ours = at("juliet");
        Pair { juliet: &mut juliet, ours: &ours, romeo: &mut romeo, theirs: &theirs }.greet();
        let tested = rialto.command(&["partner", "test", THEIRS]);
        assert!(tested.contains("by POSH: the domain names it over HTTPS"), "{tested}");
        // Both directions and the test asked once.
        assert_eq!(web.asked(), [PATH, "/elsewhere.json"]);
        rialto.finish();
    });
}

#[test]
fn documents_that_prove_nothing() {
    judge("posh::documents_that_prove_nothing", || {
        type Put = fn(&Web, &Certificate, &Certificate);
        let cases: [(Flaw, Put, &str); 6] = [
            (Flaw::None, |_, _, _| (), "montague.example answered \"HTTP/1.1 404"),
            (Flaw::None, |web, _, other| web.put(PATH, &names(other, 60)), "nor does the domain name it"),
            (Flaw::None, |web, theirs, _| web.put(PATH, &names(theirs, 0)), "for how long it holds"),
            (
                Flaw::None,
                |web, _, _| web.put(PATH, r#"{"url":"http://montague.example/a","expires":60}"#),
                "no place of HTTPS",
            ),
            (
                Flaw::None,
                |web, _, _| {
                    web.put(PATH, &format!(r#"{{"url":"https://montague.example{PATH}","expires":60}}"#))
                },
                "something else again",
            ),
            (
                Flaw::WrongName,
                |web, theirs, _| web.put(PATH, &names(theirs, 60)),
                "the web server montague.example is not trusted",
            ),
        ];
        for (flaw, put, why) in cases {
            let (abroad, rialto, web) = world(flaw);
            let other = abroad.certify("other.example", Flaw::SelfSigned);
            let setup = abroad.prosody_setup(&rialto, THEIRS, Flaw::SelfSigned);
            put(&web, &setup.certificate, &other);
            let _prosody = abroad.prosody(setup, &["romeo"]);
            let mut juliet = slixmpp::online(&rialto, "juliet");
            juliet.tell(format!("send romeo@{THEIRS} Art thou not Romeo?"));
            juliet.expect(format!("error romeo@{THEIRS} not-authorized"));
            let log = rialto.log_text();
            assert!(log.contains(why), "{why} is not in the log");
            rialto.finish();
        }
    });
}

#[test]
fn our_own_document() {
    judge("posh::our_own_document", || {
        let config = |base: u16| format!("[federation]\nlisten = \"127.0.0.1:{}\"\n", base + 6);
        let rialto = Rialto::start_by(&["juliet"], config, "info");
        let heard = get(rialto.s2s() + 2, &rialto.ca(), PATH);
        let hash = base64::engine::general_purpose::STANDARD.encode(sha256(&rialto.certificate()));
        assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
        assert!(heard.contains(&hash) && heard.contains("\"expires\":"), "{heard}");
        rialto.finish();
    });
}
