//! In front of an existing server: our server speaks for its domain to the world, with a certificate of its own for that
//! domain, and everything that passes is judged and on record.

use std::os::unix::fs::PermissionsExt;

use interop::abroad::Abroad;
use interop::authority::{Authority, Flaw};
use interop::baresip::{Baresip, Line};
use interop::dns::Dns;
use interop::kamailio::{Kamailio, Setup};
use interop::known::judge;
use interop::ports::Ports;
use interop::prosody::{self, Prosody};
use interop::raw::sip::Request;
use interop::raw::udp::Udp;
use interop::{Rialto, slixmpp};

const INSIDE: &str = "corp.example";
const OUTSIDE: &str = "montague.example";

/// What is inside has a name server and an authority of its own, which nobody outside knows.
struct World {
    rialto: Rialto,
    abroad: Abroad,
    names: Dns,
    authority: Authority,
    trunk: Ports,
}

impl World {
    fn new() -> Self {
        let (abroad, names, trunk) = (Abroad::new(), Dns::start(), Ports::take());
        let ours = abroad.certify(INSIDE, Flaw::None);
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&ours.key, private).expect("the key is this test's own");
        let more = format!(
            "\n[[tls.domain]]\nname = \"{INSIDE}\"\ncertificate = {:?}\nkey = {:?}\n\n\
             [sip]\npublic_host = \"127.0.0.1\"\n[[sip.listen]]\naddress = \"127.0.0.1:{}\"\ntransport = \"tls\"\n\
             serves = \"servers\"\n",
            ours.chain, ours.key, trunk.base
        );
        let rialto = abroad.rialto(&["juliet"], &more);
        // To those outside the domain is where our server is, and to those inside everybody else is.
        abroad.dns.service(&format!("_xmpp-server._tcp.{INSIDE}"), rialto.s2s());
        for domain in [OUTSIDE, interop::DOMAIN] {
            names.service(&format!("_xmpp-server._tcp.{domain}"), rialto.s2s());
        }
        let authority = Authority::new(&abroad.home("inside"));
        Self { rialto, abroad, names, authority, trunk }
    }

    fn agree(&self, route: &str, protocol: &str) {
        let ca = self.authority.file();
        let ca = ca.to_str().expect("a path in UTF-8");
        let terms =
            ["--inside", "yes", "--protocol", protocol, "--route", route, "--ca", ca, "--ca-only", "yes"];
        self.rialto.command(&[&["partner", "add", "corp", "--domain", INSIDE][..], &terms].concat());
    }

    /// A server that believes certificates alone, and so knows that it is the domain's.
    fn outside(&self) -> Prosody {
        let mut setup = self.abroad.prosody_setup(&self.rialto, OUTSIDE, Flaw::None);
        setup.secure_auth = true;
        self.abroad.prosody(setup, &["romeo"])
    }

    /// A server that asks our server about everybody else.
    fn inside(&self) -> Prosody {
        let setup = prosody::Setup {
            certificate: self.authority.certify(INSIDE),
            authorities: self.authority.and(&self.rialto.ca()),
            dns: self.names.addr(),
            without: vec!["s2s_auth_certs"],
            ..self.abroad.prosody_setup(&self.rialto, INSIDE, Flaw::None)
        };
        let prosody = Prosody::start(setup, &["carol"]);
        self.agree(&format!("xmpp:127.0.0.1:{}", prosody.s2s()), "xmpp");
        prosody
    }
}

#[test]
fn a_server_behind_ours_meets_the_world() {
    judge("edge::a_server_behind_ours_meets_the_world", || {
        let world = World::new();
        let (outside, inside) = (world.outside(), world.inside());
        let mut romeo = slixmpp::elsewhere(&outside.account("romeo"));
        let mut carol = slixmpp::elsewhere(&inside.account("carol"));
        // The first word comes from outside: our certificate for the domain is what counts there.
        romeo.tell(format!("send carol@{INSIDE} Good morrow. <&>"));
        carol.expect(format!("message romeo@{OUTSIDE} Good morrow. <&>"));
        carol.tell(format!("send romeo@{OUTSIDE} Is the day so young?"));
        romeo.expect(format!("message carol@{INSIDE} Is the day so young?"));
        // Presence, asked for from either side.
        carol.tell(format!("add romeo@{OUTSIDE}"));
        romeo.expect(format!("ask carol@{INSIDE}"));
        romeo.tell(format!("approve carol@{INSIDE}"));
        carol.expect(format!("granted romeo@{OUTSIDE}"));
        carol.expect(format!("presence romeo@{OUTSIDE} available"));
        romeo.tell(format!("add carol@{INSIDE}"));
        carol.expect(format!("ask romeo@{OUTSIDE}"));
        carol.tell(format!("approve romeo@{OUTSIDE}"));
        romeo.expect(format!("granted carol@{INSIDE}"));
        romeo.expect(format!("presence carol@{INSIDE} available"));
        carol.tell("show away at the border");
        romeo.expect(format!("presence carol@{INSIDE} away at the border"));
        romeo.tell("show dnd in exile");
        carol.expect(format!("presence romeo@{OUTSIDE} dnd in exile"));
        // Our own users and those inside meet as well.
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        juliet.tell(format!("send carol@{INSIDE} next door"));
        carol.expect("message juliet@example.com next door");
        carol.tell("send juliet@example.com through the wall");
        juliet.expect(format!("message carol@{INSIDE} through the wall"));
        // All of it is on record here.
        let said = world.rialto.command(&["journal", "tail", "-n", "100"]);
        assert!(
            said.contains(&format!("carol@{INSIDE}")) && said.contains(&format!("romeo@{OUTSIDE}")),
            "{said}"
        );
        world.rialto.finish();
    });
}

#[test]
fn rules_of_the_border_hold_for_those_inside() {
    judge("edge::rules_of_the_border_hold_for_those_inside", || {
        let world = World::new();
        let (outside, inside) = (world.outside(), world.inside());
        let mut romeo = slixmpp::elsewhere(&outside.account("romeo"));
        let mut carol = slixmpp::elsewhere(&inside.account("carol"));
        carol.tell(format!("send romeo@{OUTSIDE} before"));
        romeo.expect(format!("message carol@{INSIDE} before"));
        // A rule about people of ours is about hers as well: the partner is for others.
        let partner = ["partner", "add", "montague", "--domain", OUTSIDE, "--local", "dave@corp.example"];
        world.rialto.command(&partner);
        carol.tell(format!("send romeo@{OUTSIDE} not for me"));
        carol.expect(format!("error romeo@{OUTSIDE}"));
        romeo.tell(format!("send carol@{INSIDE} nor for thee"));
        romeo.expect(format!("error carol@{INSIDE}"));
        let rules = |rule: &str| {
            let said = world.rialto.journal();
            assert!(said.contains(rule), "{rule} is not in {said}");
        };
        rules("partner:montague/local");
        // One that is kept away hears so, and so does she.
        let partner = ["partner", "edit", "montague", "--clear", "local", "--denied", "yes"];
        world.rialto.command(&partner);
        carol.tell(format!("send romeo@{OUTSIDE} denied"));
        carol.expect(format!("error romeo@{OUTSIDE}"));
        rules("partner:montague/denied");
        for (peer, words) in [(&romeo, "not for me"), (&carol, "nor for thee"), (&romeo, "denied")] {
            assert!(!peer.transcript().contains(&format!("example {words}")), "{words} has passed");
        }
        world.rialto.finish();
    });
}

#[test]
fn nobody_outside_is_believed_to_be_inside() {
    judge("edge::nobody_outside_is_believed_to_be_inside", || {
        let world = World::new();
        // A certificate of a public authority, for the very domain: but the domain is behind us, and has its own.
        let mut setup = world.abroad.prosody_setup(&world.rialto, INSIDE, Flaw::None);
        setup.without = vec!["s2s_auth_certs"];
        world.agree("xmpp:127.0.0.1:9", "xmpp");
        let liar = Prosody::start(setup, &["carol"]);
        let mut carol = slixmpp::elsewhere(&liar.account("carol"));
        let juliet = slixmpp::online(&world.rialto, "juliet");
        carol.tell("send juliet@example.com I am inside");
        carol.expect("error juliet@example.com");
        assert!(!juliet.transcript().contains("I am inside"));
        world.rialto.finish();
    });
}

#[test]
fn a_sip_server_behind_ours_meets_the_world() {
    judge("edge::a_sip_server_behind_ours_meets_the_world", || {
        let world = World::new();
        let outside = world.outside();
        let home = world.abroad.home("kamailio");
        let kamailio = Kamailio::start(&Setup {
            domain: INSIDE,
            home: home.clone(),
            shows: world.authority.certify(INSIDE),
            // It knows our server by the authority of our server's own certificate.
            trusts: &world.abroad.authority.and(&world.rialto.ca()),
            peer: world.trunk.base,
            reuses: true,
        });
        world.agree(&format!("sip:127.0.0.1:{}", kamailio.sips()), "sip");
        let mut romeo = slixmpp::elsewhere(&outside.account("romeo"));
        let line = Line {
            log: home.join("tybalt.log"),
            home: home.join("tybalt"),
            authority: None,
            address: &format!("tybalt@{INSIDE}"),
            password: "none",
            server: &format!("127.0.0.1:{};transport=udp", kamailio.sip()),
            contact: Some(("contact", &format!("romeo@{OUTSIDE}"), false)),
        };
        let mut tybalt = Baresip::elsewhere("baresip-tybalt", &line);
        romeo.tell(format!("send tybalt@{INSIDE} From the world to a phone behind the border"));
        tybalt.expect_message_of(&format!("romeo@{OUTSIDE}"), "From the world to a phone behind the border");
        tybalt.send("And back");
        romeo.expect(format!("message tybalt@{INSIDE} And back"));
        // Presence is seen from the world; whoever watches is let by the server inside.
        let mut desk = Udp::new(kamailio.sip(), "carol");
        let pidf = format!(
            "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:carol@{INSIDE}\">\
             <tuple id=\"desk\"><status><basic>open</basic></status></tuple></presence>"
        );
        let publish = Request::new("PUBLISH", "carol", "carol", 1, "UDP")
            .starting(&format!("PUBLISH sip:carol@{INSIDE} SIP/2.0"))
            .replacing("From", &format!("From: <sip:carol@{INSIDE}>;tag=c"))
            .replacing("To", &format!("To: <sip:carol@{INSIDE}>"))
            .with("Event: presence")
            .with("Expires: 600")
            .with("Content-Type: application/pidf+xml");
        assert_eq!(desk.ask(&Request { body: pidf.into_bytes(), ..publish }).status(), 200);
        romeo.tell(format!("add carol@{INSIDE}"));
        romeo.expect(format!("granted carol@{INSIDE}"));
        romeo.expect(format!("presence carol@{INSIDE} available"));
        let said = world.rialto.command(&["journal", "tail"]);
        assert!(said.contains(&format!("tybalt@{INSIDE}")), "{said}");
        let passed = || kamailio.log_text().matches("saw MESSAGE").count();
        let before = passed();
        let suspended = world.rialto.command(&["partner", "suspend", "corp"]);
        assert!(suspended.contains("suspended"), "{suspended}");
        romeo.tell(format!("send tybalt@{INSIDE} Nobody passes now"));
        romeo.expect(format!("error tybalt@{INSIDE}"));
        assert_eq!(passed(), before, "it was sent on");
        tybalt.quit();
        world.rialto.finish();
    });
}
