//! Prosody, a server of another company: by dialback, by certificate, and with certificates that prove nothing.

use interop::abroad::Abroad;
use interop::authority::Flaw;
use interop::converse::Pair;
use interop::dns::RecordType;
use interop::known::judge;
use interop::linphone::{Linphone, Transport};
use interop::prosody::Prosody;
use interop::slixmpp::{self, Way};
use interop::{Rialto, Talk, at};

const THEIRS: &str = "montague.example";

fn romeo() -> String {
    format!("romeo@{THEIRS}")
}

/// Two people at their places.
fn people(rialto: &Rialto, prosody: &Prosody) -> (Talk, Talk) {
    (slixmpp::online(rialto, "juliet"), slixmpp::elsewhere(&prosody.account("romeo")))
}

#[test]
fn by_dialback() {
    judge("prosody::by_dialback", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "");
        let prosody = abroad.prosody(abroad.prosody_setup(&rialto, THEIRS, Flaw::SelfSigned), &["romeo"]);
        let (mut juliet, mut romeo) = people(&rialto, &prosody);
        let (ours, theirs) = (at("juliet"), self::romeo());
        let mut pair = Pair { juliet: &mut juliet, ours: &ours, romeo: &mut romeo, theirs: &theirs };
        pair.greet();
        pair.chatter();
        pair.report();
        pair.watch();
        pair.ask();
        pair.miss();
        // Their certificate proves nothing to us; so they called, and were called back.
        prosody.said().expect_words(&["verified dialback key... it is valid"]);
        juliet.quit();
        romeo.expect("presence juliet@example.com unavailable");
        // Whoever comes back sees who is there, and is seen.
        romeo.forget();
        let way = Way { stream_management: true, ..Way::default() };
        let juliet = slixmpp::start(&rialto, "juliet", &way);
        slixmpp::arrived(&juliet);
        juliet.expect(format!("presence {theirs} away in the orchard"));
        romeo.expect("presence juliet@example.com available");
        romeo.quit();
        juliet.expect(format!("presence {theirs} unavailable"));
        juliet.forget();
        let romeo = slixmpp::elsewhere(&prosody.account("romeo"));
        romeo.expect("presence juliet@example.com available");
        juliet.expect(format!("presence {theirs} available"));
        // And when our server goes, its sessions go for those elsewhere, too.
        romeo.forget();
        rialto.finish();
        romeo.expect("presence juliet@example.com unavailable");
    });
}

#[test]
fn by_certificate() {
    judge("prosody::by_certificate", || {
        // Also where the certificate was made for servers only, as most are today.
        for flaw in [Flaw::None, Flaw::NoClientUse] {
            let abroad = Abroad::new();
            let rialto = abroad.rialto(&["juliet"], "dialback = false\n");
            let mut setup = abroad.prosody_setup(&rialto, THEIRS, flaw);
            setup.secure_auth = true;
            let prosody = abroad.prosody(setup, &["romeo"]);
            let (mut juliet, mut romeo) = people(&rialto, &prosody);
            let (ours, theirs) = (at("juliet"), self::romeo());
            let mut pair = Pair { juliet: &mut juliet, ours: &ours, romeo: &mut romeo, theirs: &theirs };
            pair.greet();
            pair.chatter();
            pair.report();
            pair.watch();
            pair.ask();
            pair.miss();
            // One stream for both ways, acknowledged.
            prosody.said().expect_words(&["Accepting SASL EXTERNAL identity from example.com"]);
            prosody.said().expect_words(&["Requested bidirectional stream"]);
            prosody.said().expect_words(&["Received[s2sin]: <enable"]);
            rialto.finish();
        }
    });
}

#[test]
fn they_come_first() {
    judge("prosody::they_come_first", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "dialback = false\n");
        let mut setup = abroad.prosody_setup(&rialto, THEIRS, Flaw::None);
        setup.secure_auth = true;
        // Without both ways on one stream, each opens its own.
        setup.without = vec!["s2s_bidi"];
        let prosody = abroad.prosody(setup, &["romeo"]);
        let (juliet, mut romeo) = people(&rialto, &prosody);
        romeo.tell("receipt juliet@example.com What lady is that?");
        juliet.expect(format!("message {} What lady is that?", self::romeo()));
        romeo.expect("delivered juliet@example.com");
        prosody.said().expect_words(&["SASL EXTERNAL with example.com succeeded"]);
        prosody.said().expect_words(&["Accepting SASL EXTERNAL identity from example.com"]);
        rialto.finish();
    });
}

#[test]
fn certificates_that_prove_nothing() {
    judge("prosody::certificates_that_prove_nothing", || {
        for (flaw, why) in [
            (Flaw::Expired, "expired on"),
            (Flaw::WrongName, "is for somebody-else.example, not for montague.example"),
            (Flaw::SelfSigned, "is self-signed"),
        ] {
            let abroad = Abroad::new();
            let rialto = abroad.rialto(&["juliet"], "dialback = false\n");
            let prosody = abroad.prosody(abroad.prosody_setup(&rialto, THEIRS, flaw), &["romeo"]);
            let (mut juliet, mut romeo) = people(&rialto, &prosody);
            juliet.tell(format!("send {} Art thou not Romeo?", self::romeo()));
            juliet.expect(format!("error {} not-authorized", self::romeo()));
            let log = rialto.log_text();
            assert!(log.contains(why), "{flaw:?}: {why} is not in the log");
            romeo.tell("send juliet@example.com Neither, fair saint.");
            romeo.expect("error juliet@example.com");
            slixmpp::fence(&mut juliet);
            assert_eq!(juliet.count("message"), 0, "{flaw:?}: a message of nobody knows whom");
            rialto.finish();
        }
    });
}

#[test]
fn down_and_up_again() {
    judge("prosody::down_and_up_again", || {
        let abroad = Abroad::new();
        let mut rialto = abroad.rialto(&["juliet"], "");
        let mut prosody = abroad.prosody(abroad.prosody_setup(&rialto, THEIRS, Flaw::None), &["romeo"]);
        prosody.stop();
        let way = Way { stream_management: true, ..Way::default() };
        let mut juliet = slixmpp::start(&rialto, "juliet", &way);
        juliet.expect("stream-management");
        slixmpp::arrived(&juliet);
        juliet.tell(format!("send {} Stay but a little.", self::romeo()));
        slixmpp::fence(&mut juliet);
        juliet.expect("acked Stay but a little.");
        // What was promised outlives us as well.
        rialto.crash_and_restart();
        prosody.restart();
        let romeo = slixmpp::elsewhere(&prosody.account("romeo"));
        romeo.expect("message juliet@example.com Stay but a little.");
        rialto.finish();
    });
}

#[test]
fn down_for_too_long() {
    judge("prosody::down_for_too_long", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "deadline_seconds = 3\n");
        let mut prosody = abroad.prosody(abroad.prosody_setup(&rialto, THEIRS, Flaw::None), &["romeo"]);
        prosody.stop();
        let mut juliet = slixmpp::online(&rialto, "juliet");
        juliet.tell(format!("send {} Art thou gone so?", self::romeo()));
        juliet.expect(format!("error {} remote-server-timeout", self::romeo()));
        // What nobody knows is no different.
        juliet.tell("send romeo@nowhere.example Art thou there?");
        juliet.expect("error romeo@nowhere.example remote-server-not-found");
        rialto.finish();
    });
}

#[test]
fn the_connection_breaks() {
    judge("prosody::the_connection_breaks", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "");
        let mut prosody = abroad.prosody(abroad.prosody_setup(&rialto, THEIRS, Flaw::None), &["romeo"]);
        let (mut juliet, mut romeo) = people(&rialto, &prosody);
        let (ours, theirs) = (at("juliet"), self::romeo());
        Pair { juliet: &mut juliet, ours: &ours, romeo: &mut romeo, theirs: &theirs }.greet();
        prosody.stop();
        for n in 0..20 {
            juliet.tell(format!("send {theirs} line {n}"));
        }
        slixmpp::fence(&mut juliet);
        prosody.restart();
        let romeo = slixmpp::elsewhere(&prosody.account("romeo"));
        for n in 0..20 {
            assert_eq!(romeo.expect("message juliet@example.com line"), n.to_string(), "out of order");
        }
        rialto.finish();
    });
}

#[test]
fn over_direct_tls() {
    judge("prosody::over_direct_tls", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "dialback = false\n");
        abroad.dns.service("_xmpps-server._tcp.example.com", rialto.s2s_direct());
        abroad.dns.remove("_xmpp-server._tcp.example.com", RecordType::SRV);
        let mut setup = abroad.prosody_setup(&rialto, THEIRS, Flaw::None);
        setup.secure_auth = true;
        setup.without = vec!["s2s_bidi"];
        let prosody = abroad.prosody(setup, &["romeo"]);
        abroad.dns.service(&format!("_xmpps-server._tcp.{THEIRS}"), prosody.s2s_direct());
        abroad.dns.remove(&format!("_xmpp-server._tcp.{THEIRS}"), RecordType::SRV);
        let (mut juliet, mut romeo) = people(&rialto, &prosody);
        let (ours, theirs) = (at("juliet"), self::romeo());
        Pair { juliet: &mut juliet, ours: &ours, romeo: &mut romeo, theirs: &theirs }.greet();
        rialto.finish();
    });
}

#[test]
fn with_a_phone_of_ours() {
    judge("prosody::with_a_phone_of_ours", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "");
        let prosody = abroad.prosody(abroad.prosody_setup(&rialto, THEIRS, Flaw::None), &["romeo"]);
        let mut romeo = slixmpp::elsewhere(&prosody.account("romeo"));
        let mut juliet = Linphone::online(&rialto, "juliet", Transport::Tcp);
        let theirs = self::romeo();
        juliet.send(&theirs, "By whose direction found'st thou out this place?");
        romeo.expect("message juliet@example.com By whose direction found'st thou out this place?");
        romeo.tell("send juliet@example.com By love, that first did prompt me to inquire.");
        juliet.expect_message(&theirs, "By love, that first did prompt me to inquire.");
        juliet.watch(&theirs);
        romeo.expect("ask juliet@example.com");
        romeo.tell("approve juliet@example.com");
        juliet.expect_presence("romeo", "Online");
        romeo.tell("add juliet@example.com");
        romeo.expect("granted juliet@example.com");
        romeo.expect("presence juliet@example.com available");
        rialto.finish();
    });
}
