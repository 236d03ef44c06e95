//! Name servers that do not answer, or that cannot tell: what waits is not lost, its sender hears in the end, and others
//! are not kept waiting.

use interop::abroad::Abroad;
use interop::dns::Mood;
use interop::known::judge;
use interop::slixmpp::{self, Account};
use interop::{Rialto, Talk};

const ILL: &str = "mantua.example";
const WELL: &str = "verona.example";

fn user(rialto: &Rialto, address: &str) -> Talk {
    slixmpp::elsewhere(&Account {
        jid: address.into(),
        port: rialto.xmpp(),
        ca: Some(rialto.ca()),
        log: rialto.log("slixmpp-user"),
    })
}

#[test]
fn nothing_is_lost_and_others_go_on() {
    judge("dns_faults::nothing_is_lost_and_others_go_on", || {
        let abroad = Abroad::new();
        let ours = abroad.rialto(&["juliet"], "");
        let ill = abroad.rialto_for(ILL, &["tybalt@mantua.example"], "");
        let well = abroad.rialto_for(WELL, &["romeo@verona.example"], "");
        let mut juliet = slixmpp::online(&ours, "juliet");
        let tybalt = user(&ill, "tybalt@mantua.example");
        let romeo = user(&well, "romeo@verona.example");
        let mut sent = Vec::new();
        for (n, mood) in [Mood::Silent, Mood::Failing].into_iter().enumerate() {
            abroad.dns.be(ILL, mood);
            for line in 0..3 {
                let words = format!("{mood:?} {line}");
                juliet.tell(format!("send tybalt@{ILL} {words}"));
                sent.push(words);
            }
            juliet.tell(format!("send romeo@{WELL} all is well {n}"));
            romeo.expect(format!("message juliet@example.com all is well {n}"));
            slixmpp::fence(&mut juliet);
            assert_eq!(tybalt.count("message"), 0, "nobody knew where to send it");
        }
        abroad.dns.be(ILL, Mood::Well);
        for words in &sent {
            tybalt.expect(format!("message juliet@example.com {words}"));
        }
        // Not for a moment did anybody tell her that it failed.
        slixmpp::fence(&mut juliet);
        assert_eq!((juliet.count("error"), tybalt.count("message")), (0, sent.len()));
        for rialto in [ill, well, ours] {
            rialto.finish();
        }
    });
}

#[test]
fn the_sender_hears_at_the_deadline() {
    judge("dns_faults::the_sender_hears_at_the_deadline", || {
        for mood in [Mood::Silent, Mood::Failing] {
            let abroad = Abroad::new();
            let ours = abroad.rialto(&["juliet"], "deadline_seconds = 3\n");
            abroad.dns.be(ILL, mood);
            let mut juliet = slixmpp::online(&ours, "juliet");
            juliet.tell(format!("send tybalt@{ILL} Art thou there?"));
            juliet.expect(format!("error tybalt@{ILL} remote-server-timeout"));
            assert!(abroad.dns.asked().iter().any(|name| name.contains(ILL)), "nobody asked");
            ours.finish();
        }
    });
}
