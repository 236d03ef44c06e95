//! A thousand partners, half of which are dead in one way or another: the living wait for nobody, and whoever wrote to
//! the dead hears so.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use interop::SOON;
use interop::abroad::Abroad;
use interop::known::judge;
use interop::ports::Ports;
use interop::raw::xmpp::{Xmpp, attribute};

/// Dead ones and living ones, each.
const HALF: usize = 500;
/// What the living connect to and from, the attempts that may be under way (`net/dial.rs`), and what any server has open.
const DESCRIPTORS: usize = 2 * HALF + 256 + 32 + 512 + 200;

#[test]
fn the_dead_keep_nobody_waiting() {
    judge("many_partners::the_dead_keep_nobody_waiting", || {
        let abroad = Abroad::new();
        // One person writes to five hundred strangers within a minute, which the living would find odd.
        let more = "deadline_seconds = 60\n[limits]\nmessages_per_second = 0\n[spim]\nenabled = false\n";
        let ours = abroad.rialto(&["juliet"], more);
        // One server is all of the living.
        let living: Vec<String> = (0..HALF).map(|n| format!("living{n}.example")).collect();
        let _theirs = abroad.rialto_of_many(&living, &["romeo@living0.example"], more);
        // A third of the dead take connections and say nothing, a third take none, and a third no name server knows.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let silent_port = silent.local_addr().expect("it is bound").port();
        let refusing = Ports::take();
        for n in 0..HALF {
            let name = format!("_xmpp-server._tcp.dead{n}.example");
            match n % 3 {
                0 => abroad.dns.service(&name, silent_port),
                1 => abroad.dns.service(&name, refusing.base),
                _ => {}
            }
        }
        let mut juliet = Xmpp::online(ours.xmpps(), &ours.ca(), "juliet", "balcony");
        let begin = Instant::now();
        for n in 0..HALF {
            // The dead come first.
            juliet.wire.send(format!(
                "<message to='romeo@dead{n}.example' id='d{n}' type='chat'><body>dead {n}</body></message>"
            ));
        }
        for (n, domain) in living.iter().enumerate() {
            juliet.wire.send(format!(
                "<message to='nobody@{domain}' id='l{n}' type='chat'><body>living {n}</body></message>"
            ));
        }
        // Nobody is at home with the living, and their server says so: an answer that only they can give.
        let (mut said, mut given_up) = (BTreeSet::new(), BTreeSet::new());
        let (mut all_living, mut most) = (Duration::ZERO, 0);
        let mut quiet = Instant::now();
        while said.len() < HALF || given_up.len() < HALF {
            most = most.max(ours.descriptors());
            let Some(element) = juliet.next(Instant::now() + Duration::from_secs(1)) else {
                let missing = (HALF - said.len(), HALF - given_up.len());
                assert!(
                    quiet.elapsed() < SOON * 4,
                    "no answer from {missing:?} of the living and the dead: {said:?}"
                );
                continue;
            };
            if !element.contains("type='error'") {
                continue;
            }
            quiet = Instant::now();
            let id = attribute(&element, "id").expect("an error names its message");
            if id.starts_with('l') {
                assert!(
                    element.contains("<service-unavailable") || element.contains("<item-not-found"),
                    "{element}"
                );
                said.insert(id);
                all_living = begin.elapsed();
            } else {
                assert!(element.contains("<remote-server-"), "{element}");
                assert!(element.contains("<text "), "no reason is given: {element}");
                given_up.insert(id);
            }
        }
        println!(
            "all {HALF} living answered within {all_living:.1?}, all {HALF} dead were given up within {:.1?}, {most} \
             descriptors at most, {} MiB in use",
            begin.elapsed(),
            ours.resident_kib() / 1024
        );
        assert!(most < DESCRIPTORS, "{most} descriptors were open");
        ours.verify();
    });
}
