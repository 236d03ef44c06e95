//! A certificate whose time is over while it is in use, and one that is renewed in time.

use std::time::Duration;

use interop::abroad::Abroad;
use interop::authority::{Certificate, Flaw};
use interop::known::judge;
use interop::slixmpp::{self, Account};
use interop::talk::until;
use interop::{Rialto, Talk};

const THEIRS: &str = "mantua.example";
const TYBALT: &str = "tybalt@mantua.example";
/// How long the short certificate lasts, in seconds.
const SHORT: u64 = 12;

fn install(rialto: &Rialto, certificate: &Certificate) {
    std::fs::copy(&certificate.chain, rialto.certificate()).expect("the directory is writable");
    let key = rialto.certificate().with_file_name("key.pem");
    // Written, not copied: it is to stay its owner's alone.
    std::fs::write(&key, std::fs::read(&certificate.key).expect("a key")).expect("the directory is writable");
    rialto.command(&["reload"]);
}

fn tybalt(rialto: &Rialto, authority: std::path::PathBuf) -> Talk {
    slixmpp::elsewhere(&Account {
        jid: TYBALT.into(),
        port: rialto.xmpp(),
        ca: Some(authority),
        log: rialto.log("slixmpp-tybalt"),
    })
}

fn world() -> (Abroad, Rialto, Rialto) {
    let abroad = Abroad::new();
    let more = "dialback = false\n";
    let (ours, theirs) = (abroad.rialto(&["juliet"], more), abroad.rialto_for(THEIRS, &[TYBALT], more));
    (abroad, ours, theirs)
}

#[test]
fn in_mid_life() {
    judge("expiry::in_mid_life", || {
        let (abroad, ours, mut theirs) = world();
        let mut juliet = slixmpp::online(&ours, "juliet");
        install(&ours, &abroad.certify("example.com", Flaw::None));
        let short = abroad.authority.certify_for(THEIRS, SHORT);
        let until_it_is_over = std::time::Instant::now() + Duration::from_secs(SHORT + 1);
        install(&theirs, &short);
        let romeo = tybalt(&theirs, abroad.authority.file());
        juliet.tell(format!("send {TYBALT} while it lasts"));
        romeo.expect("message juliet@example.com while it lasts");
        std::thread::sleep(until_it_is_over.saturating_duration_since(std::time::Instant::now()));
        // The connection that was made in time is good until its certificate is looked at again.
        juliet.tell(format!("send {TYBALT} on the old connection"));
        romeo.expect("message juliet@example.com on the old connection");
        drop(romeo);
        theirs.crash();
        theirs.restart();
        // No new one is, and what is under way waits.
        juliet.tell(format!("send {TYBALT} on a new one"));
        until("it is refused", || ours.log_text().contains("its certificate expired on"));
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("error"), 0, "it waits");
        install(&theirs, &abroad.certify(THEIRS, Flaw::None));
        let mut romeo = tybalt(&theirs, abroad.authority.file());
        romeo.expect("message juliet@example.com on a new one");
        romeo.tell("send juliet@example.com renewed");
        juliet.expect(format!("message {TYBALT} renewed"));
        theirs.finish();
        ours.finish();
    });
}

#[test]
fn renewed_while_connected() {
    judge("expiry::renewed_while_connected", || {
        let (abroad, ours, theirs) = world();
        let mut juliet = slixmpp::online(&ours, "juliet");
        for (rialto, domain) in [(&ours, "example.com"), (&theirs, THEIRS)] {
            install(rialto, &abroad.certify(domain, Flaw::None));
        }
        let mut romeo = tybalt(&theirs, abroad.authority.file());
        for n in 0..3 {
            juliet.tell(format!("send {TYBALT} line {n}"));
            romeo.expect(format!("message juliet@example.com line {n}"));
            romeo.tell(format!("send juliet@example.com line {n}"));
            juliet.expect(format!("message {TYBALT} line {n}"));
            install(&ours, &abroad.certify("example.com", Flaw::None));
        }
        assert_eq!((juliet.count("error"), romeo.count("error")), (0, 0));
        theirs.finish();
        ours.finish();
    });
}
