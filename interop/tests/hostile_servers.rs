//! Servers that are not who they say, or on whose way somebody sits.

use interop::authority::Flaw;
use interop::raw::server::{EXTERNAL, STARTTLS, Server, call, open, proved};
use interop::raw::xmpp::Xmpp;
use interop::raw::{Wire, xmpp};
use interop::{Abroad, Rialto, slixmpp};

const TLS_OFFERED: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";

fn hello(from: &str, to: &str) -> String {
    format!("<message from='{from}' to='{to}' type='chat' id='m1'><body>Hello</body></message>")
}

/// It ends with this stream error.
fn ends_with(mut stream: Xmpp, condition: &str) {
    let last = stream.wire.to_the_end();
    assert!(last.contains(&format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>")), "{last}");
}

/// Juliet has heard nothing from anybody.
fn undisturbed(rialto: &Rialto, juliet: &mut interop::Talk) {
    slixmpp::fence(juliet);
    assert_eq!(juliet.count("message"), 0, "somebody got through");
    assert!(!rialto.log_text().contains("panicked"), "the server panicked");
}

#[test]
fn forged_senders_and_foreign_addressees() {
    let abroad = Abroad::new();
    let rialto = abroad.rialto(&["juliet"], "dialback = false\n");
    let mut juliet = slixmpp::online(&rialto, "juliet");
    let shown = abroad.certify("mallory.example", Flaw::None);
    for (stanza, condition) in [
        (hello("romeo@montague.example", "juliet@example.com"), "invalid-from"),
        (hello("juliet@example.com", "juliet@example.com"), "invalid-from"),
        (hello("x@mallory.example", "romeo@montague.example"), "host-unknown"),
        (hello("x@mallory.example", "nurse@localhost"), "not-authorized"),
        ("<message to='juliet@example.com'><body>Hello</body></message>".into(), "improper-addressing"),
        ("<message from='x@mallory.example'><body>Hello</body></message>".into(), "improper-addressing"),
        ("<presence from='romeo@montague.example' to='juliet@example.com'/>".into(), "invalid-from"),
        (
            "<iq type='get' id='1' from='montague.example' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>".into(),
            "invalid-from",
        ),
    ] {
        let mut stream = proved(rialto.s2s(), &rialto.ca(), "mallory.example", &shown);
        stream.wire.send(stanza);
        ends_with(stream, condition);
    }
    undisturbed(&rialto, &mut juliet);
    // What is true gets through on the same way.
    let mut stream = proved(rialto.s2s(), &rialto.ca(), "mallory.example", &shown);
    stream.wire.send(hello("x@mallory.example", "juliet@example.com"));
    juliet.expect("message x@mallory.example Hello");
    rialto.finish();
}

#[test]
fn a_certificate_for_another_domain() {
    let abroad = Abroad::new();
    let rialto = abroad.rialto(&["juliet"], "dialback = false\n");
    let mut juliet = slixmpp::online(&rialto, "juliet");
    let shown = abroad.certify("mallory.example", Flaw::None);
    let (mut stream, features) = call(rialto.s2s(), &rialto.ca(), "montague.example", Some(&shown));
    assert!(!features.contains("EXTERNAL"), "{features}");
    stream.wire.send(EXTERNAL);
    let failure = stream.expect("<failure");
    assert!(failure.contains("<not-authorized"), "{failure}");
    let why = "its certificate is for mallory.example, not for montague.example";
    assert!(failure.contains(why), "{failure}");
    stream.wire.send("<db:result from='montague.example' to='example.com'>key</db:result>");
    let refusal = stream.expect("<db:result");
    assert!(refusal.contains("type='error'") && refusal.contains(why), "{refusal}");
    stream.wire.send(hello("romeo@montague.example", "juliet@example.com"));
    ends_with(stream, "not-authorized");
    // The domain that was proved is not given up for another on the same connection.
    let (mut stream, _) = call(rialto.s2s(), &rialto.ca(), "mallory.example", Some(&shown));
    stream.wire.send(EXTERNAL);
    stream.expect("<success");
    stream.wire.send(open("montague.example"));
    ends_with(stream, "invalid-from");
    undisturbed(&rialto, &mut juliet);
    rialto.finish();
}

#[test]
fn a_dialback_key_is_good_for_one_pair_and_one_stream() {
    let abroad = Abroad::new();
    let rialto = abroad.rialto(&["juliet"], "");
    let mut juliet = slixmpp::online(&rialto, "juliet");
    let mallory = Server::of("mallory.example", abroad.certify("mallory.example", Flaw::None));
    abroad.dns.service("_xmpp-server._tcp.mallory.example", mallory.port());
    juliet.tell("send x@mallory.example Who art thou?");
    let mut stream = mallory.called();
    mallory.answer(&mut stream, "s0", TLS_OFFERED);
    let mut stream = mallory.secure(stream, "");
    mallory.answer(&mut stream, "s1", "<dialback xmlns='urn:xmpp:features:dialback'/>");
    let result = stream.expect("<db:result");
    let (_, key) = result.split_once('>').expect("a tag");
    let key = key.trim_end_matches("</db:result>").to_owned();
    // Mallory shows it to others as if it were meant for them.
    let (mut asking, _) = call(rialto.s2s(), &rialto.ca(), "montague.example", None);
    for (from, id, verdict) in [
        ("mallory.example", "s1", "valid"),
        ("montague.example", "s1", "invalid"),
        ("mallory.example", "s2", "invalid"),
        ("montague.example", "s2", "invalid"),
    ] {
        asking.wire.send(format!("<db:verify from='{from}' to='example.com' id='{id}'>{key}</db:verify>"));
        let answer = asking.expect("<db:verify");
        assert_eq!(xmpp::attribute(&answer, "type").as_deref(), Some(verdict), "{from} {id}: {answer}");
    }
    // And to us, as if it were somebody else's: we ask those whom DNS names, and they know nothing of it.
    abroad.dns.service("_xmpp-server._tcp.montague.example", mallory.port());
    asking.wire.send(format!("<db:result from='montague.example' to='example.com'>{key}</db:result>"));
    let montague = Server::of("montague.example", abroad.certify("montague.example", Flaw::None));
    let mut asked = mallory.called();
    montague.answer(&mut asked, "s3", TLS_OFFERED);
    let mut asked = montague.secure(asked, "");
    montague.answer(&mut asked, "s4", "<dialback xmlns='urn:xmpp:features:dialback'/>");
    let question = asked.expect("<db:verify");
    let id = xmpp::attribute(&question, "id").expect("an id");
    asked
        .wire
        .send(format!("<db:verify from='montague.example' to='example.com' id='{id}' type='invalid'/>"));
    let answer = asking.expect("<db:result");
    assert_eq!(xmpp::attribute(&answer, "type").as_deref(), Some("invalid"), "{answer}");
    asking.wire.send(hello("romeo@montague.example", "juliet@example.com"));
    ends_with(asking, "not-authorized");
    undisturbed(&rialto, &mut juliet);
    rialto.finish();
}

#[test]
fn words_slipped_in_before_tls() {
    let abroad = Abroad::new();
    let rialto = abroad.rialto(&["juliet"], "");
    let mut juliet = slixmpp::online(&rialto, "juliet");
    // Behind STARTTLS, in the same packet, in the name of whoever comes after the handshake.
    let injected = format!(
        "{STARTTLS}{}<db:result from='montague.example' to='example.com'>key</db:result>{}",
        open("montague.example"),
        hello("romeo@montague.example", "juliet@example.com")
    );
    let mut plain = Xmpp::on(Wire::plain(rialto.s2s()));
    plain.wire.send(open("montague.example"));
    plain.expect("<stream:features");
    plain.wire.send(injected);
    plain.expect("<proceed");
    let mut stream = Xmpp::on(plain.wire.upgraded(&rialto.ca()).expect("the TLS handshake succeeds"));
    stream.wire.send(open("montague.example"));
    stream.expect("<stream:features");
    // Nothing of it was heard: the first thing that is answered is what comes now.
    stream.wire.send("<db:verify from='montague.example' to='example.com' id='s1'>key</db:verify>");
    let next = stream.next(std::time::Instant::now() + interop::SOON).expect("an answer");
    assert!(next.starts_with("<db:verify"), "{next}");
    // The other way round: behind the word to proceed.
    let mallory = Server::of("mallory.example", abroad.certify("mallory.example", Flaw::None));
    abroad.dns.service("_xmpp-server._tcp.mallory.example", mallory.port());
    juliet.tell("send x@mallory.example Who art thou?");
    let mut called = mallory.called();
    mallory.answer(&mut called, "s0", TLS_OFFERED);
    let slipped = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' id='evil' \
         version='1.0'><stream:features/><db:result xmlns:db='jabber:server:dialback' type='valid' \
         from='mallory.example' to='example.com'/>";
    let mut called = mallory.secure(called, slipped);
    mallory.answer(&mut called, "s1", "<dialback xmlns='urn:xmpp:features:dialback'/>");
    // Had it been heard, the message would come now, and no proof before it.
    let next = called.next(std::time::Instant::now() + interop::SOON).expect("a proof");
    assert!(next.starts_with("<db:result"), "{next}");
    undisturbed(&rialto, &mut juliet);
    rialto.finish();
}

#[test]
fn somebody_hides_starttls() {
    let abroad = Abroad::new();
    let rialto = abroad.rialto(&["juliet"], "deadline_seconds = 2\n");
    let mut juliet = slixmpp::online(&rialto, "juliet");
    let montague = Server::of("montague.example", abroad.certify("montague.example", Flaw::None));
    abroad.dns.service("_xmpp-server._tcp.montague.example", montague.port());
    juliet.tell("send romeo@montague.example A secret");
    let mut called = montague.called();
    montague.answer(&mut called, "s0", "<dialback xmlns='urn:xmpp:features:dialback'/>");
    let said = called.wire.to_the_end();
    assert!(!said.contains("secret") && !said.contains("db:result"), "in the clear: {said}");
    juliet.expect("error romeo@montague.example remote-server-timeout");
    assert!(rialto.log_text().contains("their server offers no encryption"), "the log does not say why");
    // Nor does anybody get in without.
    for early in [
        "<db:result from='montague.example' to='example.com'>key</db:result>".to_owned(),
        EXTERNAL.to_owned(),
    ] {
        let mut plain = Xmpp::on(Wire::plain(rialto.s2s()));
        plain.wire.send(open("montague.example"));
        plain.expect("<stream:features");
        plain.wire.send(early);
        ends_with(plain, "policy-violation");
    }
    let mut plain = Xmpp::on(Wire::plain(rialto.s2s()));
    plain.wire.send(open("montague.example"));
    plain.expect("<stream:features");
    plain.wire.send(hello("romeo@montague.example", "juliet@example.com"));
    ends_with(plain, "not-authorized");
    undisturbed(&rialto, &mut juliet);
    rialto.finish();
}

#[test]
fn a_server_that_makes_us_call_others() {
    let abroad = Abroad::new();
    let rialto = abroad.rialto(&["juliet"], "");
    let (mut stream, _) = call(rialto.s2s(), &rialto.ca(), "mallory.example", None);
    // Each of these would have us look for somebody: a few are enough.
    for n in 0..50 {
        stream.wire.send(format!("<db:result from='victim{n}.example' to='example.com'>key</db:result>"));
    }
    let said = stream.wire.to_the_end();
    assert!(said.contains("Too many failed attempts"), "{said}");
    let asked = abroad.dns.asked();
    assert!(asked.iter().any(|name| name.contains("victim")), "nobody was looked for: {asked:?}");
    for n in 20..50 {
        let name = format!("victim{n}.example.");
        assert!(!asked.iter().any(|asked| asked.ends_with(&name)), "{name} was looked for");
    }
    rialto.finish();
}

#[test]
fn a_server_that_never_says_a_word() {
    let abroad = Abroad::new();
    let rialto = abroad.rialto(&["juliet"], "deadline_seconds = 3\n");
    let mut juliet = slixmpp::online(&rialto, "juliet");
    // It takes the connection, and that is all.
    let silent = Server::of("montague.example", abroad.certify("montague.example", Flaw::None));
    abroad.dns.service("_xmpp-server._tcp.montague.example", silent.port());
    juliet.tell("send romeo@montague.example Art thou there?");
    juliet.expect("error romeo@montague.example remote-server-timeout");
    // Nor does it after TLS.
    let slow = Server::of("verona.example", abroad.certify("verona.example", Flaw::None));
    abroad.dns.service("_xmpp-server._tcp.verona.example", slow.port());
    juliet.tell("send nurse@verona.example Art thou there?");
    let mut called = slow.called();
    slow.answer(&mut called, "s0", TLS_OFFERED);
    let _called = slow.secure(called, "");
    juliet.expect("error nurse@verona.example remote-server-timeout");
    rialto.finish();
}
