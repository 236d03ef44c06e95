//! Two companies with this server each, which speak SIP with each other: what passes between their users passes through
//! both translations, and outlives connections and servers.

use std::time::{Duration, Instant};

use interop::known::judge;
use interop::raw::Wire;
use interop::raw::sip::{Received, Sip};
use interop::slixmpp::{self, Account};
use interop::trunk::{THERE, Trunk};
use interop::{SOON, Talk};

struct World(Trunk);

impl World {
    fn new() -> Self {
        Self(Trunk::between(&["juliet"], &["romeo@montague.test"]))
    }

    fn juliet(&self) -> Talk {
        slixmpp::online(&self.0.here, "juliet")
    }

    fn romeo(&self) -> Talk {
        let account = Account {
            jid: format!("romeo@{THERE}"),
            port: self.0.there.xmpp(),
            ca: Some(self.0.there.ca()),
            log: self.0.there.log("slixmpp-romeo"),
        };
        slixmpp::elsewhere(&account)
    }
}

#[test]
fn messages_typing_and_receipts() {
    judge("federation_sip::messages_typing_and_receipts", || {
        let world = World::new();
        let (mut juliet, mut romeo) = (world.juliet(), world.romeo());
        juliet.tell("send romeo@montague.test O Romeo, Romeo! <&> \u{1F339}");
        romeo.expect("message juliet@example.com O Romeo, Romeo! <&> \u{1F339}");
        romeo.tell("typing juliet@example.com");
        juliet.expect("typing romeo@montague.test");
        juliet.tell("receipt romeo@montague.test Wherefore art thou?");
        romeo.expect("message juliet@example.com Wherefore art thou?");
        juliet.expect("delivered romeo@montague.test");
        romeo.tell("send nobody@example.com Who is there?");
        romeo.expect("error nobody@example.com item-not-found");
        for n in 0..100 {
            romeo.tell(format!("send juliet@example.com line {n}"));
        }
        for n in 0..100 {
            assert_eq!(juliet.expect("message romeo@montague.test"), format!("line {n}"), "out of order");
        }
        world.0.finish();
    });
}

#[test]
fn a_company_that_is_down_gets_everything_later() {
    judge("federation_sip::a_company_that_is_down_gets_everything_later", || {
        let mut world = World::new();
        let mut juliet = world.juliet();
        let mut romeo = world.romeo();
        juliet.tell("send romeo@montague.test first");
        romeo.expect("message juliet@example.com first");
        world.0.there.crash();
        for n in 0..20 {
            juliet.tell(format!("send romeo@montague.test line {n}"));
        }
        slixmpp::fence(&mut juliet);
        world.0.there.restart();
        romeo = world.romeo();
        for n in 0..20 {
            romeo.expect(format!("message juliet@example.com line {n}"));
        }
        romeo.tell("send juliet@example.com all of it");
        juliet.expect("message romeo@montague.test all of it");
        world.0.finish();
    });
}

#[test]
fn presence_outlives_connections_and_servers() {
    judge("federation_sip::presence_outlives_connections_and_servers", || {
        let mut world = World::new();
        let (mut juliet, mut romeo) = (world.juliet(), world.romeo());
        juliet.tell("add romeo@montague.test");
        romeo.expect("ask juliet@example.com");
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("presence romeo@montague.test"), 0, "presence without consent");
        romeo.tell("approve juliet@example.com");
        juliet.expect("granted romeo@montague.test");
        juliet.expect("presence romeo@montague.test available");
        romeo.tell("show away in Mantua");
        juliet.expect("presence romeo@montague.test away in Mantua");
        // The watcher's server goes and comes back: its subscription goes on.
        world.0.here.crash_and_restart();
        juliet = world.juliet();
        juliet.expect("presence romeo@montague.test away in Mantua");
        romeo.tell("show dnd at the tomb");
        juliet.expect("presence romeo@montague.test dnd at the tomb");
        // The other server goes and comes back, and everything it had in memory is gone.
        world.0.there.crash_and_restart();
        romeo = world.romeo();
        romeo.tell("show xa asleep");
        juliet.expect("presence romeo@montague.test xa asleep");
        // Consent is taken back.
        romeo.tell("deny juliet@example.com");
        juliet.expect("denied romeo@montague.test");
        world.0.finish();
    });
}

/// A server of another company that is asked for Bob's presence, and wants to be asked again every few seconds.
struct Beyond(Sip);

impl Beyond {
    fn connected(trunk: &Trunk) -> Self {
        let own = trunk.abroad.authority.certify("beyond.test");
        let wire = Wire::as_server(Trunk::port(&trunk.here), &trunk.here.ca(), Some(&own));
        let mut beyond = Self(Sip::on(wire, "bob"));
        // From now on requests may come over this connection (RFC 5923).
        let request = beyond.0.request("MESSAGE", "juliet").saying("Hello");
        let via = format!("{};alias", request.headers[0]);
        let request = request.replacing("Via", &via).replacing("From", "From: <sip:bob@beyond.test>;tag=f");
        let answer = beyond.0.ask(&request);
        assert_eq!(answer.status(), 200, "{}", answer.head);
        beyond
    }

    /// The next SUBSCRIBE, answered.
    fn asked(&mut self) -> Received {
        let request = self.0.next(Instant::now() + SOON + Duration::from_secs(10)).expect("a request");
        assert!(request.head.starts_with("SUBSCRIBE sip:"), "{}", request.head);
        self.0.accept(&request);
        request
    }

    /// Tells that he is there, for some seconds.
    fn tells(&mut self, asked: &Received) {
        let pidf = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:bob@beyond.test'><tuple id='desk'>\
                    <status><basic>open</basic></status></tuple></presence>";
        let header = |name| asked.header(name).expect("a sound request").to_owned();
        let mut request = self
            .0
            .request("NOTIFY", "juliet")
            .replacing("From", "From: <sip:bob@beyond.test>;tag=mine")
            .replacing("To", &format!("To: {}", header("From")))
            .replacing("Call-ID", &format!("Call-ID: {}", header("Call-ID")))
            .with("Event: presence")
            .with("Subscription-State: active;expires=6")
            .with("Content-Type: application/pidf+xml");
        request.body = pidf.as_bytes().to_vec();
        let answer = self.0.ask(&request);
        assert_eq!(answer.status(), 200, "{}", answer.head);
    }
}

#[test]
fn a_subscription_lasts_while_somebody_is_there_to_hear() {
    judge("federation_sip::a_subscription_lasts_while_somebody_is_there_to_hear", || {
        let world = World::new();
        let mut juliet = world.juliet();
        let mut beyond = Beyond::connected(&world.0);
        juliet.tell("add bob@beyond.test");
        let first = beyond.asked();
        beyond.tells(&first);
        juliet.expect("granted bob@beyond.test");
        juliet.expect("presence bob@beyond.test available");
        // She hears, so it is renewed; she goes, and it ends.
        let renewed = beyond.asked();
        assert_eq!(
            [renewed.header("Call-ID"), renewed.header("Expires")],
            [first.header("Call-ID"), Some("3600")]
        );
        beyond.tells(&renewed);
        juliet.quit();
        let last = loop {
            let asked = beyond.asked();
            if asked.header("Expires") == Some("0") {
                break asked;
            }
            beyond.tells(&asked);
        };
        assert_eq!(last.header("Call-ID"), first.header("Call-ID"));
        // She is back.
        let juliet = world.juliet();
        let anew = beyond.asked();
        assert_ne!(anew.header("Call-ID"), first.header("Call-ID"));
        assert_eq!(anew.header("Expires"), Some("3600"));
        beyond.tells(&anew);
        juliet.expect("presence bob@beyond.test available");
        world.0.finish();
    });
}
