//! Certificates that only signed DNS makes good, or bad: a Prosody, and another of this server over SIP.

use interop::abroad::Abroad;
use interop::authority::Flaw;
use interop::converse::Pair;
use interop::dns::RData;
use interop::known::judge;
use interop::prosody::Prosody;
use interop::slixmpp::{self, Account};
use interop::{Rialto, Talk, at};

const THEIRS: &str = "montague.example";

/// `[federation]` of a server that believes signed DNS.
fn believes(abroad: &Abroad, dialback: bool) -> String {
    format!("dialback = {dialback}\ndane = true\ndnssec_anchors = {:?}\n", abroad.anchors())
}

fn romeo() -> String {
    format!("romeo@{THEIRS}")
}

/// A Prosody whose certificate has this flaw, and what its DNS says about it: that certificate, or ours.
fn prosody(abroad: &Abroad, rialto: &Rialto, flaw: Flaw, named: bool) -> Prosody {
    let mut setup = abroad.prosody_setup(rialto, THEIRS, flaw);
    // Without both ways on one stream, each opens its own.
    setup.without = vec!["s2s_bidi"];
    let certificate = if named { setup.certificate.chain.clone() } else { rialto.certificate() };
    let prosody = abroad.prosody(setup, &["romeo"]);
    abroad.dns.tlsa(prosody.s2s(), 3, &certificate);
    prosody
}

/// Nothing passes, either way, and this is why.
fn refused(rialto: Rialto, prosody: &Prosody, condition: &str, why: &str) {
    let mut juliet = slixmpp::online(&rialto, "juliet");
    let romeo = slixmpp::elsewhere(&prosody.account("romeo"));
    juliet.tell(format!("send {} Art thou not Romeo?", self::romeo()));
    juliet.expect(format!("error {} {condition}", self::romeo()));
    let log = rialto.log_text();
    assert!(log.contains(why), "{why} is not in the log");
    let mut romeo = romeo;
    romeo.tell("send juliet@example.com Neither, fair saint.");
    romeo.expect("error juliet@example.com");
    slixmpp::fence(&mut juliet);
    assert_eq!(juliet.count("message"), 0, "a message of nobody knows whom");
    rialto.finish();
}

#[test]
fn a_self_signed_certificate_that_dns_names() {
    judge("dane::a_self_signed_certificate_that_dns_names", || {
        let abroad = Abroad::signed(&[]);
        let rialto = abroad.rialto(&["juliet"], &believes(&abroad, false));
        let prosody = prosody(&abroad, &rialto, Flaw::SelfSigned, true);
        let (mut juliet, mut romeo) =
            (slixmpp::online(&rialto, "juliet"), slixmpp::elsewhere(&prosody.account("romeo")));
        let (ours, theirs) = (at("juliet"), self::romeo());
        let mut pair = Pair { juliet: &mut juliet, ours: &ours, romeo: &mut romeo, theirs: &theirs };
        pair.greet();
        pair.chatter();
        pair.watch();
        prosody.said().expect_words(&["SASL EXTERNAL with example.com succeeded"]);
        let tested = rialto.command(&["partner", "test", THEIRS]);
        for words in ["by DANE: DANE-EE at _", "1 signed TLSA"] {
            assert!(tested.contains(words), "{words} is not in\n{tested}");
        }
        // With whom nothing but DANE was agreed, it is the same.
        rialto.command(&["partner", "add", "montagues", "--domain", THEIRS, "--dane", "only"]);
        juliet.tell(format!("send {theirs} How cam'st thou hither?"));
        romeo.expect(format!("message {ours} How cam'st thou hither?"));
        let shown = rialto.command(&["partner", "show", "montagues"]);
        for words in ["what their signed DNS names (DANE), and nothing else", "by DANE: DANE-EE"] {
            assert!(shown.contains(words), "{words} is not in\n{shown}");
        }
        rialto.finish();
    });
}

#[test]
fn another_certificate_than_dns_names() {
    judge("dane::another_certificate_than_dns_names", || {
        // However good it is otherwise, and though they could be called back.
        let abroad = Abroad::signed(&[]);
        let rialto = abroad.rialto(&["juliet"], &believes(&abroad, true));
        let prosody = prosody(&abroad, &rialto, Flaw::None, false);
        refused(rialto, &prosody, "not-authorized", "it is not the certificate that its DNS names");
    });
}

#[test]
fn a_record_that_was_forged() {
    judge("dane::a_record_that_was_forged", || {
        let abroad = Abroad::signed(&[]);
        // DNS may be mended; so what is under way waits, until its time is over.
        let more = format!("deadline_seconds = 3\n{}", believes(&abroad, true));
        let rialto = abroad.rialto(&["juliet"], &more);
        let prosody = prosody(&abroad, &rialto, Flaw::None, true);
        let name = abroad.dns.tlsa_name(prosody.s2s());
        let forged = interop::dns::tlsa(3, &rialto.certificate());
        abroad.dns.forge(&name, RData::TLSA(forged));
        refused(rialto, &prosody, "remote-server-timeout", "cannot be trusted (DANE)");
    });
}

#[test]
fn names_that_are_not_signed() {
    judge("dane::names_that_are_not_signed", || {
        for (flaw, named, passes) in [(Flaw::None, false, true), (Flaw::SelfSigned, true, false)] {
            let abroad = Abroad::signed(&[THEIRS]);
            let rialto = abroad.rialto(&["juliet"], &believes(&abroad, false));
            let prosody = prosody(&abroad, &rialto, flaw, named);
            if !passes {
                refused(rialto, &prosody, "not-authorized", "is self-signed");
                continue;
            }
            let (mut juliet, mut romeo) =
                (slixmpp::online(&rialto, "juliet"), slixmpp::elsewhere(&prosody.account("romeo")));
            let (ours, theirs) = (at("juliet"), self::romeo());
            Pair { juliet: &mut juliet, ours: &ours, romeo: &mut romeo, theirs: &theirs }.greet();
            rialto.finish();
        }
    });
}

#[test]
fn over_sip_by_an_authority_of_their_own() {
    judge("dane::over_sip_by_an_authority_of_their_own", || {
        let abroad = Abroad::signed(&[]);
        let start = |domain: &str, user: &str| {
            let config = |base: u16| {
                let port = base + 6;
                abroad.dns.service(&format!("_sips._tcp.{domain}"), port);
                format!(
                    "[federation]\nmode = \"open\"\nsystem_authorities = false\ndns = [\"{}\"]\n{}\
                     protocols = [\"sip\"]\n\n[[sip.listen]]\naddress = \"127.0.0.1:{port}\"\n\
                     transport = \"tls\"\nserves = \"servers\"\n",
                    abroad.dns.addr(),
                    believes(&abroad, false)
                )
            };
            let rialto = Rialto::start_for(&[domain], &[user], config, "debug");
            abroad.dns.tlsa(rialto.s2s() + 2, 2, &rialto.ca());
            rialto
        };
        let (here, there) = (start(interop::DOMAIN, "juliet"), start(THEIRS, &romeo()));
        let mut juliet = slixmpp::online(&here, "juliet");
        let mut romeo: Talk = slixmpp::elsewhere(&Account {
            jid: self::romeo(),
            port: there.xmpp(),
            ca: Some(there.ca()),
            log: there.log("slixmpp-romeo"),
        });
        juliet.tell(format!("send {} O Romeo, Romeo!", self::romeo()));
        romeo.expect("message juliet@example.com O Romeo, Romeo!");
        romeo.tell("send juliet@example.com Shall I hear more?");
        juliet.expect(format!("message {} Shall I hear more?", self::romeo()));
        let tested = here.command(&["partner", "test", THEIRS]);
        assert!(tested.contains("by DANE: DANE-TA at _"), "{tested}");
        there.finish();
        here.finish();
    });
}
