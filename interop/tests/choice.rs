//! A company with an XMPP server and a SIP server behind one domain, and each of its people on one of them: whoever is
//! written to is reached where they answer, and that is remembered.

use interop::abroad::Abroad;
use interop::authority::Flaw;
use interop::baresip::{Baresip, Line};
use interop::kamailio::{Kamailio, Setup};
use interop::known::judge;
use interop::ports::Ports;
use interop::prosody::Prosody;
use interop::raw::sip::Request;
use interop::raw::udp::Udp;
use interop::talk::until;
use interop::{Rialto, slixmpp};

const THERE: &str = "montague.example";

struct World {
    rialto: Rialto,
    prosody: Prosody,
    kamailio: Kamailio,
    abroad: Abroad,
}

impl World {
    /// The protocols in the order in which we prefer them.
    fn new(protocols: [&str; 2]) -> Self {
        let (abroad, trunk) = (Abroad::new(), Ports::take());
        let sip = format!(
            "\n[sip]\npublic_host = \"127.0.0.1\"\n[[sip.listen]]\naddress = \"127.0.0.1:{}\"\ntransport = \"tls\"\n\
             serves = \"servers\"\n",
            trunk.base
        );
        let rialto = abroad.rialto(&["juliet"], &sip);
        let setup = abroad.prosody_setup(&rialto, THERE, Flaw::None);
        let shows = setup.certificate.clone();
        let prosody = abroad.prosody(setup, &["romeo"]);
        let trusts = &rialto.ca();
        let home = abroad.home("kamailio");
        let setup = Setup { domain: THERE, home, shows, trusts, peer: trunk.base, reuses: true };
        let kamailio = Kamailio::start(&setup);
        let (xmpp, sip) = (prosody.s2s(), kamailio.sips());
        let (xmpp, sip) = (format!("xmpp:127.0.0.1:{xmpp}"), format!("sip:127.0.0.1:{sip}"));
        let [first, second] = protocols;
        let spoken = ["--protocol", first, "--protocol", second, "--route", &xmpp, "--route", &sip];
        rialto.command(&[&["partner", "add", "montague", "--domain", THERE][..], &spoken].concat());
        Self { rialto, prosody, kamailio, abroad }
    }

    /// One who has a phone.
    fn tybalt(&self) -> Baresip {
        let home = self.abroad.home("tybalt");
        let line = Line {
            log: home.with_extension("log"),
            home,
            authority: None,
            address: &format!("tybalt@{THERE}"),
            password: "none",
            server: &format!("127.0.0.1:{};transport=udp", self.kamailio.sip()),
            contact: Some(("contact", "juliet@example.com", false)),
        };
        Baresip::elsewhere("baresip-tybalt", &line)
    }

    fn shown(&self) -> String {
        self.rialto.command(&["partner", "show", "montague"])
    }

    /// Waits until it is known who is where.
    fn knows(&self, user: &str, protocol: &str) {
        let line = format!("{user}@{THERE} by {protocol}");
        until("it is known who is where", || self.shown().contains(&line));
    }

    /// How often somebody was tried elsewhere.
    fn tried(&self) -> usize {
        self.rialto.log_text().matches("tried elsewhere").count()
    }
}

#[test]
fn everybody_is_reached_where_they_answer() {
    judge("choice::everybody_is_reached_where_they_answer", || {
        let mut world = World::new(["xmpp", "sip"]);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        let mut romeo = slixmpp::elsewhere(&world.prosody.account("romeo"));
        let mut tybalt = world.tybalt();
        for n in 0..5 {
            juliet.tell(format!("send tybalt@{THERE} line {n}"));
            juliet.tell(format!("send romeo@{THERE} line {n}"));
        }
        for n in 0..5 {
            tybalt.expect_message("juliet", &format!("line {n}"));
            assert_eq!(romeo.expect("message juliet@example.com"), format!("line {n}"), "out of order");
        }
        world.knows("tybalt", "sip");
        assert_eq!(juliet.count(&format!("error tybalt@{THERE}")), 0, "she heard of a failure that was none");
        romeo.tell("send juliet@example.com I take thee at thy word");
        juliet.expect(format!("message romeo@{THERE} I take thee at thy word"));
        world.knows("romeo", "xmpp");
        // Nobody has the name: that comes back, once both have said so.
        juliet.tell(format!("send nobody@{THERE} Who is there?"));
        juliet.expect(format!("error nobody@{THERE}"));
        // What is known outlives the server, and nobody is tried again.
        assert!(world.tried() >= 2, "{}", world.tried());
        world.rialto.stop();
        world.rialto.restart();
        world.knows("tybalt", "sip");
        juliet = slixmpp::online(&world.rialto, "juliet");
        let tried = world.tried();
        juliet.tell(format!("send tybalt@{THERE} after the restart"));
        tybalt.expect_message("juliet", "after the restart");
        assert_eq!(world.tried(), tried, "tried again");
        // Until somebody wants it forgotten.
        let said = world.rialto.command(&["partner", "forget", "montague", &format!("tybalt@{THERE}")]);
        assert_eq!(said, "forgotten: 1\n");
        juliet.tell(format!("send tybalt@{THERE} as if for the first time"));
        tybalt.expect_message("juliet", "as if for the first time");
        assert!(world.tried() > tried, "not tried again");
        tybalt.quit();
        world.rialto.finish();
    });
}

#[test]
fn presence_comes_from_where_somebody_is() {
    judge("choice::presence_comes_from_where_somebody_is", || {
        let world = World::new(["xmpp", "sip"]);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        let mut romeo = slixmpp::elsewhere(&world.prosody.account("romeo"));
        let mut carol = Udp::new(world.kamailio.sip(), "carol");
        let pidf = format!(
            "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:carol@{THERE}\">\
             <tuple id=\"desk\"><status><basic>open</basic></status></tuple></presence>"
        );
        let publish = Request::new("PUBLISH", "carol", "carol", 1, "UDP")
            .starting(&format!("PUBLISH sip:carol@{THERE} SIP/2.0"))
            .replacing("From", &format!("From: <sip:carol@{THERE}>;tag=c"))
            .replacing("To", &format!("To: <sip:carol@{THERE}>"))
            .with("Event: presence")
            .with("Expires: 600")
            .with("Content-Type: application/pidf+xml");
        assert_eq!(carol.ask(&Request { body: pidf.into_bytes(), ..publish }).status(), 200);
        juliet.tell(format!("add carol@{THERE}"));
        juliet.expect(format!("granted carol@{THERE}"));
        juliet.expect(format!("presence carol@{THERE} available"));
        assert_eq!(juliet.count(&format!("denied carol@{THERE}")), 0, "she heard a no that was none");
        juliet.tell(format!("add romeo@{THERE}"));
        romeo.expect("ask juliet@example.com");
        romeo.tell("approve juliet@example.com");
        juliet.expect(format!("granted romeo@{THERE}"));
        juliet.expect(format!("presence romeo@{THERE} available"));
        romeo.tell("show away in Mantua");
        juliet.expect(format!("presence romeo@{THERE} away in Mantua"));
        world.knows("carol", "sip");
        world.knows("romeo", "xmpp");
        world.rialto.finish();
    });
}

#[test]
fn one_protocol_does_not_wait_for_the_other() {
    judge("choice::one_protocol_does_not_wait_for_the_other", || {
        let mut world = World::new(["sip", "xmpp"]);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        let mut romeo = slixmpp::elsewhere(&world.prosody.account("romeo"));
        let mut tybalt = world.tybalt();
        // The phone's server knows no Romeo.
        juliet.tell(format!("send romeo@{THERE} wherefore art thou"));
        romeo.expect("message juliet@example.com wherefore art thou");
        romeo.tell("send juliet@example.com Shall I hear more?");
        juliet.expect(format!("message romeo@{THERE} Shall I hear more?"));
        juliet.tell(format!("send tybalt@{THERE} good coz"));
        tybalt.expect_message("juliet", "good coz");
        world.knows("romeo", "xmpp");
        world.knows("tybalt", "sip");
        // One of the two is down: what is for its people waits, and nothing else.
        world.prosody.stop();
        drop(romeo);
        juliet.tell(format!("send romeo@{THERE} for later"));
        juliet.tell(format!("send tybalt@{THERE} for now"));
        tybalt.expect_message("juliet", "for now");
        world.prosody.restart();
        romeo = slixmpp::elsewhere(&world.prosody.account("romeo"));
        romeo.expect("message juliet@example.com for later");
        tybalt.quit();
        world.rialto.finish();
    });
}

#[test]
fn who_is_not_known_is_tried_where_somebody_answers() {
    judge("choice::who_is_not_known_is_tried_where_somebody_answers", || {
        let mut world = World::new(["xmpp", "sip"]);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        let mut tybalt = world.tybalt();
        world.prosody.stop();
        juliet.tell(format!("send tybalt@{THERE} is anybody there?"));
        tybalt.expect_message("juliet", "is anybody there?");
        world.knows("tybalt", "sip");
        tybalt.quit();
        world.rialto.finish();
    });
}
