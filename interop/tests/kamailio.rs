//! Another company whose server is Kamailio: SIP federation over mutual TLS, with users of XMPP here and of SIP there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use interop::authority::{Authority, Certificate, Flaw};
use interop::baresip::{Baresip, Line, Transport, no_talk, talk};
use interop::dns::{Dns, RecordType};
use interop::kamailio::{Kamailio, Setup};
use interop::known::judge;
use interop::ports::Ports;
use interop::raw::Wire;
use interop::raw::sip::{Request, Sip};
use interop::raw::udp::Udp;
use interop::{Rialto, slixmpp};

const PARTNER: &str = "partner.test";
/// Longer than what waits for a way to them may wait.
const LONG: Duration = Duration::from_secs(60);

/// Two companies that find each other by DNS and know each other's authority, and nothing else.
struct World {
    kamailio: Kamailio,
    rialto: Rialto,
    dns: Dns,
    trunk: Ports,
    authority: Authority,
    dir: tempfile::TempDir,
}

impl World {
    fn new(users: &[&str], flaw: Flaw, reuses: bool) -> Self {
        let (dns, trunk, ports) = (Dns::start(), Ports::take(), Ports::take());
        let dir = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::new(dir.path());
        let more = format!(
            "[sip]\npublic_host = \"127.0.0.1\"\n\n[[sip.listen]]\naddress = \"127.0.0.1:{}\"\ntransport = \"tls\"\n\
             serves = \"servers\"\n\n[federation]\nmode = \"open\"\nsystem_authorities = false\n\
             authorities = [\"{}\"]\ndns = [\"{}\"]\ndeadline_seconds = 20\n",
            trunk.base,
            authority.file().display(),
            dns.addr()
        );
        let rialto = Rialto::start_with(users, &more, "debug");
        dns.service("_sips._tcp.partner.test", ports.base + 1);
        let setup = Setup {
            domain: PARTNER,
            home: dir.path().join("kamailio"),
            shows: authority.certify_with(PARTNER, flaw),
            trusts: &rialto.ca(),
            peer: trunk.base,
            reuses,
        };
        let kamailio = Kamailio::start_at(&setup, ports);
        Self { kamailio, rialto, dns, trunk, authority, dir }
    }

    /// A phone at the other company.
    fn phone(&self, user: &str, contact: &str, watched: bool) -> Baresip {
        let home: PathBuf = self.dir.path().join(user);
        let line = Line {
            log: home.with_extension("log"),
            home,
            authority: None,
            address: &format!("{user}@{PARTNER}"),
            password: "none",
            server: &format!("127.0.0.1:{};transport=udp", self.kamailio.sip()),
            contact: Some(("contact", contact, watched)),
        };
        Baresip::elsewhere(&format!("baresip-{user}"), &line)
    }
}

/// Somebody at the other company who publishes presence. (baresip does too, but begins with two publications when the
/// answer to the first is late, and takes only one of them back.)
struct Carol {
    agent: Udp,
    etag: String,
    n: u32,
}

impl Carol {
    fn online(world: &World) -> Self {
        let mut carol = Self { agent: Udp::new(world.kamailio.sip(), "carol"), etag: String::new(), n: 0 };
        let pidf = "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:carol@partner.test\">\
                    <tuple id=\"desk\"><status><basic>open</basic></status></tuple></presence>";
        let request = carol.publish(600).with("Content-Type: application/pidf+xml");
        carol.say(Request { body: pidf.as_bytes().to_vec(), ..request });
        carol
    }

    fn leave(&mut self) {
        let request = self.publish(0).with(format!("SIP-If-Match: {}", self.etag));
        self.say(request);
    }

    fn publish(&mut self, expires: u32) -> Request {
        self.n += 1;
        Request::new("PUBLISH", "carol", "carol", self.n, "UDP")
            .starting("PUBLISH sip:carol@partner.test SIP/2.0")
            .replacing("From", "From: <sip:carol@partner.test>;tag=c")
            .replacing("To", "To: <sip:carol@partner.test>")
            .with("Event: presence")
            .with(format!("Expires: {expires}"))
    }

    fn say(&mut self, request: Request) {
        let answer = self.agent.ask(&request);
        assert_eq!(answer.status(), 200, "{}", answer.head);
        answer.header("SIP-ETag").unwrap_or_default().clone_into(&mut self.etag);
    }
}

/// What somebody shows, made when they come: each certificate takes the place of the one before.
type Showing<'a> = dyn Fn() -> Option<Certificate> + 'a;

/// A MESSAGE of a server to one of ours.
fn message(agent: &mut Sip, from: &str, to: &str) -> Request {
    let request = agent.request("MESSAGE", "juliet").saying("who am I?");
    request
        .starting(&format!("MESSAGE sip:{to} SIP/2.0"))
        .replacing("From", &format!("From: <sip:{from}>;tag=f"))
        .replacing("To", &format!("To: <sip:{to}>"))
}

#[test]
fn messages_both_ways() {
    judge("kamailio::messages_both_ways", || {
        let world = World::new(&["juliet"], Flaw::None, true);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        let mut bob = world.phone("bob", "juliet@example.com", false);
        juliet.tell("send bob@partner.test Hello across the companies");
        bob.expect_message_of("juliet@example.com", "Hello across the companies");
        bob.send("And back");
        juliet.expect("message bob@partner.test And back");
        bob.quit();
        world.rialto.finish();
    });
}

#[test]
fn messages_over_two_connections() {
    judge("kamailio::messages_over_two_connections", || {
        // This one opens connections of its own for what it sends.
        let world = World::new(&["juliet"], Flaw::None, false);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        let mut bob = world.phone("bob", "juliet@example.com", false);
        bob.send("First");
        juliet.expect("message bob@partner.test First");
        for n in 0..20 {
            juliet.tell(format!("send bob@partner.test line {n}"));
        }
        for n in 0..20 {
            bob.expect_message_of("juliet@example.com", &format!("line {n}"));
        }
        // Over TLS a long one may go (RFC 3428 section 8).
        let long = "long ".repeat(1_000);
        let mut other = Udp::new(world.kamailio.sip(), "bob");
        let request = Request::new("MESSAGE", "bob", "juliet", 1, "UDP").saying(long.trim_end());
        let answer = other.ask(&request.replacing("From", "From: <sip:bob@partner.test>;tag=b"));
        assert_eq!(answer.status(), 200, "{}", answer.head);
        juliet.expect(format!("message bob@partner.test {}", long.trim_end()));
        bob.quit();
        world.rialto.finish();
    });
}

#[test]
fn unknown_users_are_named_both_ways() {
    judge("kamailio::unknown_users_are_named_both_ways", || {
        let world = World::new(&["juliet"], Flaw::None, true);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        juliet.tell("send nobody@partner.test Is anybody there?");
        juliet.expect("error nobody@partner.test item-not-found");
        let mut bob = Udp::new(world.kamailio.sip(), "bob");
        let request = Request::new("MESSAGE", "bob", "nobody", 1, "UDP").saying("Hello?");
        let answer = bob.ask(&request.replacing("From", "From: <sip:bob@partner.test>;tag=b"));
        assert_eq!(answer.status(), 604, "{}", answer.head);
        world.rialto.finish();
    });
}

#[test]
fn presence_both_ways() {
    for reuses in [true, false] {
        judge("kamailio::presence_both_ways", || {
            let world = World::new(&["juliet"], Flaw::None, reuses);
            let mut juliet = slixmpp::online(&world.rialto, "juliet");
            let mut bob = world.phone("bob", "juliet@example.com", true);
            juliet.expect("ask bob@partner.test");
            juliet.tell("approve bob@partner.test");
            bob.wait_for_presence_of("juliet@example.com", "Online");
            juliet.tell("show dnd Not now");
            bob.wait_for_presence_of("juliet@example.com", "Busy");
            let mut carol = Carol::online(&world);
            juliet.tell("add carol@partner.test");
            juliet.expect("granted carol@partner.test");
            juliet.expect("presence carol@partner.test available");
            carol.leave();
            juliet.expect("presence carol@partner.test unavailable");
            bob.quit();
            world.rialto.finish();
        });
    }
}

#[test]
fn nobody_speaks_for_another_domain() {
    judge("kamailio::nobody_speaks_for_another_domain", || {
        let world = World::new(&["juliet"], Flaw::None, true);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        let port = world.trunk.base;
        let good = world.authority.certify(PARTNER);
        let connect = |own| Sip::on(Wire::as_server(port, &world.rialto.ca(), own), "mallory");
        let mut mallory = connect(Some(&good));
        for (from, to, asserted, status, why) in [
            ("m@other.test", "juliet@example.com", None, 403, "for partner.test, not for other.test"),
            ("romeo@example.com", "juliet@example.com", None, 403, "example.com is served here"),
            ("m@partner.test", "juliet@example.com", Some("<sip:ceo@other.test>"), 403, "not for other.test"),
            ("m@partner.test", "juliet@example.com", Some("<sip:romeo@example.com>"), 403, "served here"),
            ("m@partner.test", "victim@third.test", None, 404, "not served here"),
            ("partner.test", "juliet@example.com", None, 403, "From names no user"),
        ] {
            let mut request = message(&mut mallory, from, to);
            if let Some(asserted) = asserted {
                request = request.with(format!("P-Asserted-Identity: {asserted}"));
            }
            let answer = mallory.ask(&request);
            assert_eq!(answer.status(), status, "{from} {to}: {}", answer.head);
            assert!(answer.head.lines().next().unwrap_or_default().contains(why), "{from}: {}", answer.head);
        }
        // What is true passes on the same connection.
        let request = message(&mut mallory, "bob@partner.test", "juliet@example.com")
            .with("P-Asserted-Identity: \"Bob\" <sip:bob@partner.test>");
        let answer = mallory.ask(&request);
        assert_eq!(answer.status(), 200, "{}", answer.head);
        juliet.expect("message bob@partner.test who am I?");
        assert_eq!(juliet.count("message"), 1);
        slixmpp::fence(&mut juliet);
        world.rialto.finish();
    });
}

#[test]
fn a_partner_cannot_answer_for_another() {
    judge("kamailio::a_partner_cannot_answer_for_another", || {
        let world = World::new(&["juliet"], Flaw::None, true);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        let connect = |domain: &str, user: &str| {
            let own = world.authority.certify(domain);
            Sip::on(Wire::as_server(world.trunk.base, &world.rialto.ca(), Some(&own)), user)
        };
        let (mut bob, mut mallory) = (connect(PARTNER, "bob"), connect("other.test", "mallory"));
        // With `alias` a connection takes what is for its domain (RFC 5923); one of another domain does not.
        for (agent, from) in [(&mut bob, "bob@partner.test"), (&mut mallory, "m@other.test")] {
            let request = message(agent, from, "juliet@example.com");
            let via = format!("{};alias", request.headers[0]);
            let answer = agent.ask(&request.replacing("Via", &via));
            assert_eq!(answer.status(), 200, "{}", answer.head);
            juliet.expect(format!("message {from}"));
        }
        juliet.tell("send bob@partner.test For Bob alone");
        let request = bob.next(Instant::now() + LONG).expect("it comes over the connection that is there");
        assert!(request.body.contains("For Bob alone"), "{}", request.head);
        // Mallory has guessed everything there is to guess.
        let mut forged = "SIP/2.0 404 Not Found\r\n".to_owned();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            forged += &format!("{name}: {}\r\n", request.header(name).unwrap_or_default());
        }
        mallory.wire.send(format!("{forged}Content-Length: 0\r\n\r\n"));
        let fence = |agent: &mut Sip, from| {
            let request = message(agent, from, "juliet@example.com");
            assert_eq!(agent.ask(&request).status(), 200);
        };
        fence(&mut mallory, "m@other.test");
        bob.accept(&request);
        fence(&mut bob, "bob@partner.test");
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("error"), 0, "somebody else's answer counted");
        assert!(!world.kamailio.log_text().contains("saw MESSAGE"), "a second connection was opened");
        world.rialto.finish();
    });
}

#[test]
fn subscriptions_do_not_multiply() {
    judge("kamailio::subscriptions_do_not_multiply", || {
        let world = World::new(&["juliet"], Flaw::None, true);
        let own = world.authority.certify(PARTNER);
        let mut bob = Sip::on(Wire::as_server(world.trunk.base, &world.rialto.ca(), Some(&own)), "bob");
        for n in 1..=17 {
            let request = bob
                .request("SUBSCRIBE", "juliet")
                .replacing("From", &format!("From: <sip:bob@partner.test>;tag=f{n}"))
                .with("Contact: <sip:bob@127.0.0.1:9;transport=tls>")
                .with("Event: presence")
                .with("Expires: 600");
            let answer = bob.ask(&request);
            let wanted = if n <= 16 { 200 } else { 403 };
            assert_eq!(answer.status(), wanted, "{n}: {}", answer.head);
        }
        world.rialto.finish();
    });
}

#[test]
fn bad_certificates_are_refused_with_the_reason() {
    judge("kamailio::bad_certificates_are_refused_with_the_reason", || {
        let world = World::new(&["juliet"], Flaw::WrongName, true);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        // They connect to us.
        let stranger = Authority::new(&world.dir.path().join("stranger"));
        let with = |flaw| Some(world.authority.certify_with(PARTNER, flaw));
        let cases: [(&Showing<'_>, u16, &str); 7] = [
            (&|| None, 403, "shows no certificate"),
            (&|| Some(stranger.certify(PARTNER)), 403, "not signed with the key of"),
            (&|| with(Flaw::SelfSigned), 403, "self-signed"),
            (&|| with(Flaw::WrongName), 403, "for somebody-else.example, not for"),
            (&|| with(Flaw::Expired), 403, "expired on"),
            (&|| Some(world.authority.certify_uri(PARTNER)), 200, "OK"),
            // Many authorities issue no others any more.
            (&|| with(Flaw::NoClientUse), 200, "OK"),
        ];
        for (n, (own, status, why)) in cases.into_iter().enumerate() {
            let own = own();
            let wire = Wire::as_server(world.trunk.base, &world.rialto.ca(), own.as_ref());
            // Each is another request, and is named so.
            let mut peer = Sip::on(wire, &format!("bob{n}"));
            let request = message(&mut peer, "bob@partner.test", "juliet@example.com");
            let answer = peer.ask(&request);
            assert_eq!(answer.status(), status, "{}", answer.head);
            assert!(answer.head.lines().next().unwrap_or_default().contains(why), "{}", answer.head);
        }
        // We connect to them: nothing is said to who is not who they should be, and the sender hears it.
        juliet.tell("send bob@partner.test For your eyes only");
        juliet.expect_within("error bob@partner.test not-authorized", LONG);
        let log = world.rialto.log_text();
        assert!(log.contains("its certificate is for somebody-else.example, not for partner.test"), "{log}");
        let seen = world.kamailio.log_text();
        assert!(!seen.contains("MESSAGE"), "{seen}");
        world.rialto.finish();
    });
}

#[test]
fn presence_comes_back_with_their_server() {
    judge("kamailio::presence_comes_back_with_their_server", || {
        let mut world = World::new(&["juliet"], Flaw::None, true);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        let mut carol = Carol::online(&world);
        juliet.tell("add carol@partner.test");
        juliet.expect("granted carol@partner.test");
        juliet.expect("presence carol@partner.test available");
        carol.leave();
        juliet.expect("presence carol@partner.test unavailable");
        // It forgets every subscription: ours is begun anew without anybody asking for it.
        world.kamailio.stop();
        world.kamailio.run();
        let _carol = Carol::online(&world);
        juliet.expect_within("presence carol@partner.test available", LONG);
        world.rialto.finish();
    });
}

#[test]
fn calls() {
    judge("kamailio::calls", || {
        for reuses in [true, false] {
            let world = World::new(&["juliet"], Flaw::None, reuses);
            let mut juliet = Baresip::for_calls(&world.rialto, "juliet", Transport::Udp);
            let mut bob = world.phone("bob", "juliet@example.com", false);
            let (ours, theirs) = ("juliet@example.com", "bob@partner.test");
            talk(&mut juliet, &mut bob, [ours, theirs]);
            no_talk(&mut juliet, &mut bob, theirs);
            talk(&mut bob, &mut juliet, [theirs, ours]);
            no_talk(&mut bob, &mut juliet, ours);
            world.rialto.finish();
        }
    });
}

#[test]
fn found_by_naptr() {
    judge("kamailio::found_by_naptr", || {
        let world = World::new(&["juliet"], Flaw::None, true);
        world.dns.remove("_sips._tcp.partner.test", RecordType::SRV);
        world.dns.naptr("partner.test", (10, "SIP+D2U"), "_sip._udp.partner.test");
        world.dns.naptr("partner.test", (20, "SIPS+D2T"), "_sips._tcp.servers.test");
        world.dns.service("_sips._tcp.servers.test", world.kamailio.sips());
        let mut bob = world.phone("bob", "juliet@example.com", false);
        let mut juliet = slixmpp::online(&world.rialto, "juliet");
        juliet.tell("send bob@partner.test Wherefore art thou?");
        bob.expect_message_of("juliet@example.com", "Wherefore art thou?");
        world.rialto.finish();
    });
}
