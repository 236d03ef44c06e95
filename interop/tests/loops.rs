//! Two gateways that send to one another what is for neither: it ends in an answer, and goes no further.

use interop::abroad::Abroad;
use interop::authority::{Flaw, key_sha256};
use interop::known::judge;
use interop::prosody::Prosody;
use interop::raw::Wire;
use interop::raw::sip::Sip;
use interop::trunk::Trunk;
use interop::{Rialto, slixmpp};

const THEIRS: &str = "mantua.example";
const BEYOND: &str = "beyond.example";
const BEHIND: &str = "montague.example";

fn agree(rialto: &Rialto, name: &str, domain: &str, protocol: &str, port: u16) {
    let route = format!("{protocol}:127.0.0.1:{port}");
    let terms = ["--domain", domain, "--protocol", protocol, "--route", &route, "--transit", "yes"];
    rialto.command(&[&["partner", "add", name][..], &terms].concat());
}

/// How often something from this person for somebody beyond is on a server's record.
fn recorded(rialto: &Rialto, from: &str) -> usize {
    let to = format!("-> somebody@{BEYOND}");
    rialto.journal().lines().filter(|line| line.contains(from) && line.contains(&to)).count()
}

#[test]
fn over_xmpp() {
    judge("loops::over_xmpp", || {
        let abroad = Abroad::new();
        // Each tries again for so long, and then says so.
        let more = "deadline_seconds = 3\n";
        let ours = abroad.rialto(&["juliet"], more);
        let theirs = abroad.rialto_for(THEIRS, &[], more);
        let mut setup = abroad.prosody_setup(&ours, BEHIND, Flaw::None);
        setup.without = vec!["s2s_auth_certs"];
        let prosody = Prosody::start(setup, &["romeo"]);
        abroad.dns.service(&format!("_xmpp-server._tcp.{BEHIND}"), prosody.s2s());
        abroad.dns.service(&format!("_xmpp-server._tcp.{BEYOND}"), ours.s2s());
        agree(&ours, "montague", BEHIND, "xmpp", prosody.s2s());
        agree(&ours, "mantua", THEIRS, "xmpp", theirs.s2s());
        agree(&ours, "beyond", BEYOND, "xmpp", theirs.s2s());
        agree(&theirs, "example", "example.com", "xmpp", ours.s2s());
        agree(&theirs, "montague", BEHIND, "xmpp", prosody.s2s());
        agree(&theirs, "beyond", BEYOND, "xmpp", ours.s2s());
        // From one of the two, and from somebody who is behind it.
        let mut juliet = slixmpp::online(&ours, "juliet");
        let mut romeo = slixmpp::elsewhere(&prosody.account("romeo"));
        juliet.tell(format!("send somebody@{BEYOND} round and round"));
        juliet.expect(format!("error somebody@{BEYOND}"));
        romeo.tell(format!("send somebody@{BEYOND} round and round"));
        romeo.expect(format!("error somebody@{BEYOND}"));
        // Hers went as far as the other; his they could not take from us, who are not his server.
        for (rialto, hers, his) in [(&ours, 1, 1), (&theirs, 1, 0)] {
            let seen = [recorded(rialto, "juliet@example.com"), recorded(rialto, "romeo@montague.example")];
            assert_eq!(seen, [hers, his], "more or fewer passed:\n{}", rialto.journal());
        }
        theirs.finish();
        ours.finish();
    });
}

#[test]
fn over_sip() {
    judge("loops::over_sip", || {
        let abroad = Abroad::new();
        let listen = |port: u16| {
            format!(
                "[[sip.listen]]\naddress = \"127.0.0.1:{port}\"\ntransport = \"tls\"\nserves = \"servers\"\n"
            )
        };
        let authorities = abroad.home("authorities").join("both.pem");
        std::fs::copy(abroad.authority.file(), &authorities).expect("the directory is writable");
        let start = |domain: &str, users: &[&str]| {
            let config = |base: u16| {
                format!(
                    "[federation]\nmode = \"open\"\nsystem_authorities = false\nauthorities = [{authorities:?}]\n\
                     dns = [\"{}\"]\nprotocols = [\"sip\"]\n\n{}",
                    abroad.dns.addr(),
                    listen(base + 6)
                )
            };
            Rialto::start_for(&[domain], users, config, "debug")
        };
        let (ours, theirs) = (start(interop::DOMAIN, &["juliet"]), start(THEIRS, &[]));
        let texts = [&abroad.authority.file(), &ours.ca(), &theirs.ca()];
        let texts = texts.map(|file| std::fs::read_to_string(file).expect("a certificate"));
        std::fs::write(&authorities, texts.concat()).expect("the directory is writable");
        for rialto in [&ours, &theirs] {
            rialto.command(&["reload"]);
        }
        // Their certificates say nothing of the domain beyond; each takes the other's key for it.
        let pin = |rialto: &Rialto, at: &Rialto| {
            let key = key_sha256(&at.certificate().with_file_name("key.pem"));
            rialto.command(&["partner", "edit", "beyond", "--pin", &key]);
        };
        let (our_port, their_port) = (ours.s2s() + 2, theirs.s2s() + 2);
        agree(&ours, "mantua", THEIRS, "sip", their_port);
        agree(&ours, "beyond", BEYOND, "sip", their_port);
        agree(&theirs, "example", "example.com", "sip", our_port);
        agree(&theirs, "beyond", BEYOND, "sip", our_port);
        pin(&ours, &theirs);
        pin(&theirs, &ours);
        let mut juliet = slixmpp::online(&ours, "juliet");
        juliet.tell(format!("send somebody@{BEYOND} round and round"));
        juliet.expect(format!("error somebody@{BEYOND}"));
        let from = "juliet@example.com";
        assert_eq!(recorded(&ours, from), 1, "it came back:\n{}", ours.journal());
        assert_eq!(recorded(&theirs, from), 1, "it did not get there:\n{}", theirs.journal());
        theirs.finish();
        ours.finish();
    });
}

#[test]
fn too_many_hops_over_sip() {
    judge("loops::too_many_hops_over_sip", || {
        let trunk = Trunk::between(&["juliet"], &["romeo@montague.test"]);
        let (port, here) = (Trunk::port(&trunk.here), &trunk.here);
        agree(here, "montague", "montague.test", "sip", Trunk::port(&trunk.there));
        agree(here, "beyond", BEYOND, "sip", port);
        let mut juliet = slixmpp::online(here, "juliet");
        let own = trunk.abroad.authority.certify(BEYOND);
        let mut beyond = Sip::on(Wire::as_server(port, &here.ca(), Some(&own)), "beyond");
        let ours = format!("Via: SIP/2.0/TLS 127.0.0.1:{port};branch=z9hG4bKbefore");
        for (method, to, hops, been, status) in [
            ("MESSAGE", "juliet@example.com", 0, false, 483),
            ("INVITE", "juliet@example.com", 0, false, 483),
            // As far as we, and no further.
            ("MESSAGE", "romeo@montague.test", 1, false, 482),
            ("MESSAGE", "juliet@example.com", 70, true, 482),
            ("MESSAGE", "romeo@montague.test", 70, true, 482),
            ("MESSAGE", "juliet@example.com", 1, false, 200),
        ] {
            let mut request = beyond
                .request(method, to)
                .replacing("Max-Forwards", &format!("Max-Forwards: {hops}"))
                .replacing("From", &format!("From: <sip:somebody@{BEYOND}>;tag=f"));
            if been {
                request.headers.insert(1, ours.clone());
            }
            let request = if method == "MESSAGE" { request.saying("round and round") } else { request };
            let answer = beyond.ask(&request);
            assert_eq!(answer.status(), status, "{method} {to} {hops}: {}", answer.head);
        }
        juliet.expect(format!("message somebody@{BEYOND} round and round"));
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("message"), 1, "what went in circles arrived");
        assert!(!trunk.there.journal().contains(BEYOND), "{}", trunk.there.journal());
        trunk.finish();
    });
}
