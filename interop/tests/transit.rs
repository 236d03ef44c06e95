//! Two partners that are connected to us alone reach one another through us, if both want that.

use interop::Rialto;
use interop::abroad::Abroad;
use interop::authority::Flaw;
use interop::baresip::{Baresip, Line};
use interop::kamailio::{Kamailio, Setup};
use interop::known::judge;
use interop::ports::Ports;
use interop::prosody::Prosody;
use interop::slixmpp;
use interop::talk::until;

const ONE: &str = "montague.example";
const OTHER: &str = "capulet.example";

/// A Prosody that finds everybody else, and is found by everybody else, at our server.
fn behind(abroad: &Abroad, rialto: &Rialto, domain: &str, user: &str) -> Prosody {
    let mut setup = abroad.prosody_setup(rialto, domain, Flaw::None);
    setup.without = vec!["s2s_auth_certs"];
    let prosody = Prosody::start(setup, &[user]);
    abroad.dns.service(&format!("_xmpp-server._tcp.{domain}"), rialto.s2s());
    prosody
}

fn agree(rialto: &Rialto, name: &str, domain: &str, port: u16, transit: &str) {
    let route = format!("xmpp:127.0.0.1:{port}");
    rialto.command(&["partner", "add", name, "--domain", domain, "--route", &route, "--transit", transit]);
}

#[test]
fn partners_meet_through_us() {
    judge("transit::partners_meet_through_us", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "");
        let (one, other) =
            (behind(&abroad, &rialto, ONE, "romeo"), behind(&abroad, &rialto, OTHER, "tybalt"));
        agree(&rialto, "montague", ONE, one.s2s(), "yes");
        agree(&rialto, "capulet", OTHER, other.s2s(), "yes");
        let mut romeo = slixmpp::elsewhere(&one.account("romeo"));
        let mut tybalt = slixmpp::elsewhere(&other.account("tybalt"));
        romeo.tell(format!("send tybalt@{OTHER} I do protest I never injured thee. <&>"));
        tybalt.expect(format!("message romeo@{ONE} I do protest I never injured thee. <&>"));
        tybalt.tell(format!("send romeo@{ONE} Thou wretched boy"));
        romeo.expect(format!("message tybalt@{OTHER} Thou wretched boy"));
        // Nobody is there: their server says so, and that comes back the whole way.
        romeo.tell(format!("send nobody@{OTHER} Is anybody there?"));
        romeo.expect(format!("error nobody@{OTHER}"));
        // It is on our record like everything that passes.
        let said = rialto.command(&["journal", "tail"]);
        assert!(said.contains(ONE) && said.contains(OTHER), "{said}");
        rialto.finish();
    });
}

#[test]
fn one_who_does_not_want_it_is_not_reached() {
    judge("transit::one_who_does_not_want_it_is_not_reached", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet"], "");
        let (one, other) =
            (behind(&abroad, &rialto, ONE, "romeo"), behind(&abroad, &rialto, OTHER, "tybalt"));
        agree(&rialto, "montague", ONE, one.s2s(), "yes");
        agree(&rialto, "capulet", OTHER, other.s2s(), "no");
        let mut romeo = slixmpp::elsewhere(&one.account("romeo"));
        romeo.tell(format!("send tybalt@{OTHER} I do protest I never injured thee."));
        romeo.expect(format!("error tybalt@{OTHER}"));
        // To us they both speak as before.
        let mut juliet = slixmpp::online(&rialto, "juliet");
        juliet.tell(format!("send romeo@{ONE} What's in a name?"));
        romeo.expect("message juliet@example.com What's in a name?");
        until("nothing was sent on", || !other.said().transcript().contains("I do protest"));
        rialto.finish();
    });
}

#[test]
fn companies_that_share_no_protocol_meet_through_us() {
    judge("transit::companies_that_share_no_protocol_meet_through_us", || {
        let (abroad, trunk) = (Abroad::new(), Ports::take());
        let sip = format!(
            "\n[sip]\npublic_host = \"127.0.0.1\"\n[[sip.listen]]\naddress = \"127.0.0.1:{}\"\ntransport = \"tls\"\n\
             serves = \"servers\"\n",
            trunk.base
        );
        let rialto = abroad.rialto(&["juliet"], &sip);
        let one = behind(&abroad, &rialto, ONE, "romeo");
        agree(&rialto, "montague", ONE, one.s2s(), "yes");
        let home = abroad.home("kamailio");
        let kamailio = Kamailio::start(&Setup {
            domain: OTHER,
            home: home.clone(),
            shows: abroad.certify(OTHER, Flaw::None),
            trusts: &rialto.ca(),
            peer: trunk.base,
            reuses: true,
        });
        // To Prosody that domain is where we are; we alone know where it really is, and what it speaks.
        abroad.dns.service(&format!("_xmpp-server._tcp.{OTHER}"), rialto.s2s());
        let route = format!("sip:127.0.0.1:{}", kamailio.sips());
        let terms = ["--protocol", "sip", "--route", &route, "--transit", "yes"];
        rialto.command(&[&["partner", "add", "capulet", "--domain", OTHER][..], &terms].concat());
        let mut romeo = slixmpp::elsewhere(&one.account("romeo"));
        let line = Line {
            log: home.join("tybalt.log"),
            home: home.join("tybalt"),
            authority: None,
            address: &format!("tybalt@{OTHER}"),
            password: "none",
            server: &format!("127.0.0.1:{};transport=udp", kamailio.sip()),
            contact: Some(("contact", &format!("romeo@{ONE}"), false)),
        };
        let mut tybalt = Baresip::elsewhere("baresip-tybalt", &line);
        romeo.tell(format!("send tybalt@{OTHER} From XMPP to SIP, between strangers"));
        tybalt.expect_message_of(&format!("romeo@{ONE}"), "From XMPP to SIP, between strangers");
        tybalt.send("And back");
        romeo.expect(format!("message tybalt@{OTHER} And back"));
        tybalt.quit();
        rialto.finish();
    });
}
