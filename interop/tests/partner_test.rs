//! `rialto partner test` on other people's servers: what it says of good ones, and of certificates that prove nothing.

use interop::Rialto;
use interop::abroad::Abroad;
use interop::authority::{Authority, Flaw};
use interop::dns::Dns;
use interop::kamailio::{Kamailio, Setup};
use interop::known::judge;
use interop::ports::Ports;

const THEIRS: &str = "capulet.example";

/// What the test says of a domain or a partner, and whether it is content.
fn tested(rialto: &Rialto, name: &str) -> (bool, String) {
    let config = rialto.config();
    match rialto.run_command(&["partner", "test", name, "--config", config.to_str().expect("text")]) {
        Ok(said) => (true, said),
        Err(said) => (false, said),
    }
}

fn has(said: &str, rows: &[&str]) {
    for row in rows {
        assert!(said.contains(row), "{row:?} in\n{said}");
    }
}

#[test]
fn prosody() {
    judge("partner_test::prosody", || {
        for (flaw, good, rows) in [
            (Flaw::None, true, &["good  xmpp  certificate", "good  xmpp  login        "][..]),
            (Flaw::NoClientUse, true, &["good  xmpp  certificate", "note  xmpp  usage"]),
            (Flaw::SelfSigned, false, &["BAD   xmpp  certificate", "self-signed", "--pin"]),
            (Flaw::Expired, false, &["BAD   xmpp  expiry", "they must renew it"]),
            (Flaw::WrongName, false, &["BAD   xmpp  certificate", "not for capulet.example"]),
        ] {
            let abroad = Abroad::new();
            let rialto = abroad.rialto(&[], "");
            let _prosody = abroad.prosody(abroad.prosody_setup(&rialto, THEIRS, flaw), &[]);
            let (content, said) = tested(&rialto, THEIRS);
            assert_eq!(content, good, "{said}");
            has(&said, rows);
            has(&said, &["good  xmpp  dns", "good  xmpp  starttls", "BAD   sip   dns"]);
            if good {
                // As a partner it is tried further: nobody may be forged, and it has no responder.
                rialto.command(&["partner", "add", "capulet", "--domain", THEIRS, "--protocol", "xmpp"]);
                let (content, said) = tested(&rialto, "capulet");
                assert!(content, "{said}");
                has(
                    &said,
                    &["good  xmpp  forged", "note  all   messages", "there is no conformance responder"],
                );
            }
            rialto.finish();
        }
    });
}

#[test]
fn ejabberd() {
    judge("partner_test::ejabberd", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&[], "");
        let _ejabberd = abroad.ejabberd(abroad.ejabberd_setup(&rialto, THEIRS, Flaw::None), &["romeo"]);
        let (content, said) = tested(&rialto, THEIRS);
        assert!(content, "{said}");
        has(&said, &["good  xmpp  starttls", "good  xmpp  certificate", "good  xmpp  offer"]);
        rialto.command(&["partner", "add", "capulet", "--domain", THEIRS, "--protocol", "xmpp"]);
        has(&tested(&rialto, "capulet").1, &["good  xmpp  forged"]);
        rialto.finish();
    });
}

#[test]
fn kamailio() {
    judge("partner_test::kamailio", || {
        let (dns, trunk, ports) = (Dns::start(), Ports::take(), Ports::take());
        let dir = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::new(dir.path());
        let more = format!(
            "[federation]\nmode = \"open\"\nsystem_authorities = false\nauthorities = [{:?}]\ndns = [\"{}\"]\n",
            authority.file(),
            dns.addr()
        );
        let rialto = Rialto::start_with(&[], &more, "debug");
        dns.service(&format!("_sips._tcp.{THEIRS}"), ports.base + 1);
        let setup = Setup {
            domain: THEIRS,
            home: dir.path().join("kamailio"),
            shows: authority.certify_with(THEIRS, Flaw::None),
            trusts: &rialto.ca(),
            peer: trunk.base,
            reuses: false,
        };
        let _kamailio = Kamailio::start_at(&setup, ports);
        let (content, said) = tested(&rialto, THEIRS);
        assert!(content, "{said}");
        has(
            &said,
            &["good  sip   dns", "good  sip   tls", "good  sip   certificate", "OPTIONS was answered with"],
        );
        rialto.finish();
    });
}
