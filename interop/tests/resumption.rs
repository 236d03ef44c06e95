//! XEP-0198 resumption, seen by slixmpp: cuts that nobody else notices.

use interop::known::judge;
use interop::slixmpp::{self, Way};
use interop::talk::until;
use interop::{Rialto, Talk, at};

const CONSENT: &str = "[consent]\npresence = \"colleagues\"\n";

/// A client that will resume, and its contact, who sees it.
fn pair(rialto: &Rialto) -> (Talk, Talk) {
    let mut romeo = slixmpp::online(rialto, "romeo");
    let way = Way { stream_management: true, resource: Some("balcony".into()), ..Way::default() };
    let juliet = slixmpp::start(rialto, "juliet", &way);
    juliet.expect("stream-management");
    slixmpp::arrived(&juliet);
    romeo.tell(format!("add {}", at("juliet")));
    romeo.expect("presence juliet@example.com available");
    (romeo, juliet)
}

fn come_back(juliet: &mut Talk) {
    juliet.tell("connect");
    juliet.expect("resumed");
}

/// Everything arrived once, in order, and nobody saw anybody go.
fn whole(romeo: &Talk, juliet: &Talk, lines: usize) {
    assert_eq!(romeo.count("presence juliet@example.com unavailable"), 0, "{}", romeo.transcript());
    assert_eq!(juliet.count("message romeo@example.com line "), lines, "{}", juliet.transcript());
    assert_eq!(juliet.count("not-resumed"), 0);
}

#[test]
fn a_cut_that_nobody_notices() {
    judge("resumption::a_cut_that_nobody_notices", || {
        let rialto = Rialto::start_with(&["romeo", "juliet"], CONSENT, "debug");
        let (mut romeo, mut juliet) = pair(&rialto);
        let mut line = 0;
        for round in 0..3 {
            for _ in 0..10 {
                romeo.tell(format!("send {} line {line}", at("juliet")));
                line += 1;
            }
            // In mid conversation: what is on its way now has arrived, or not.
            juliet.tell("cut");
            juliet.expect("offline");
            for _ in 0..10 {
                romeo.tell(format!("send {} line {line}", at("juliet")));
                line += 1;
            }
            romeo.tell(format!("show away round {round}"));
            slixmpp::fence(&mut romeo);
            come_back(&mut juliet);
            // Hers arrive as well, and once.
            juliet.tell(format!("send {} answer {round}", at("romeo")));
            romeo.expect(format!("message juliet@example.com answer {round}"));
        }
        for n in 0..line {
            juliet.expect(format!("message romeo@example.com line {n}"));
        }
        slixmpp::fence(&mut juliet);
        whole(&romeo, &juliet, line);
        assert_eq!(romeo.count("message juliet@example.com answer"), 3);
        // A goodbye ends the session at once.
        juliet.quit();
        romeo.expect("presence juliet@example.com unavailable");
        rialto.finish();
    });
}

#[test]
fn the_old_connection_still_seems_to_be_there() {
    judge("resumption::the_old_connection_still_seems_to_be_there", || {
        let rialto = Rialto::start_with(&["romeo", "juliet"], CONSENT, "debug");
        let (mut romeo, mut juliet) = pair(&rialto);
        // Its packets are lost from now on, and the server cannot know.
        juliet.tell("vanish");
        juliet.expect("offline");
        romeo.tell(format!("send {} line 0", at("juliet")));
        slixmpp::fence(&mut romeo);
        come_back(&mut juliet);
        juliet.expect("message romeo@example.com line 0");
        slixmpp::fence(&mut juliet);
        whole(&romeo, &juliet, 1);
        rialto.finish();
    });
}

#[test]
fn the_window_ends() {
    judge("resumption::the_window_ends", || {
        let short = format!("[xmpp]\nresume_seconds = 1\n{CONSENT}");
        let rialto = Rialto::start_with(&["romeo", "juliet"], &short, "debug");
        let (mut romeo, mut juliet) = pair(&rialto);
        juliet.tell("cut");
        juliet.expect("offline");
        romeo.tell(format!("send {} line 0", at("juliet")));
        romeo.expect("presence juliet@example.com unavailable");
        // Too late: she binds anew, and has it from the record.
        juliet.tell("connect");
        juliet.expect("not-resumed");
        juliet.expect("message romeo@example.com line 0");
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("message romeo@example.com line 0"), 1);
        rialto.finish();
    });
}

/// Whatever end the server had, in order or not: the session ends with it, and no message does. `once`: nor does anything
/// come again; after a crash what was acknowledged in the last moment may.
fn after_a_restart(once: bool, restart: impl Fn(&mut Rialto)) {
    let mut rialto = Rialto::start_with(&["romeo", "juliet"], CONSENT, "debug");
    let (mut romeo, mut juliet) = pair(&rialto);
    romeo.tell(format!("send {} line 0", at("juliet")));
    juliet.expect("message romeo@example.com line 0");
    juliet.tell(format!("send {} answer 0", at("romeo")));
    romeo.expect("message juliet@example.com answer 0");
    juliet.tell("cut");
    juliet.expect("offline");
    // On record, and in the hands of nobody. An answer to a ping does not promise that: it waits for no disk.
    let recorded = |rialto: &Rialto| rialto.journal().lines().filter(|row| row.contains("message")).count();
    let before = recorded(&rialto);
    romeo.tell(format!("send {} line 1", at("juliet")));
    until("the message is on record", || recorded(&rialto) > before);
    restart(&mut rialto);
    romeo.expect("offline");
    romeo.tell("connect");
    slixmpp::arrived(&romeo);
    romeo.tell(format!("send {} line 2", at("juliet")));
    slixmpp::fence(&mut romeo);
    juliet.tell("connect");
    juliet.expect("not-resumed");
    for n in 1..3 {
        juliet.expect(format!("message romeo@example.com line {n}"));
    }
    // The new session may be resumed in its turn.
    juliet.expect("stream-management");
    juliet.tell("cut");
    juliet.expect("offline");
    romeo.tell(format!("send {} line 3", at("juliet")));
    slixmpp::fence(&mut romeo);
    come_back(&mut juliet);
    juliet.expect("message romeo@example.com line 3");
    slixmpp::fence(&mut juliet);
    let twice = |peer: &Talk, line: &str| peer.count(line) > 1;
    for n in 1..4 {
        assert_eq!(
            juliet.count(&format!("message romeo@example.com line {n}")),
            1,
            "{}",
            juliet.transcript()
        );
    }
    if once {
        assert!(!twice(&juliet, "message romeo@example.com line 0"), "{}", juliet.transcript());
        assert!(!twice(&romeo, "message juliet@example.com answer 0"), "{}", romeo.transcript());
    }
    rialto.finish();
}

#[test]
fn a_restart() {
    judge("resumption::a_restart", || {
        after_a_restart(true, |rialto| {
            rialto.stop();
            rialto.restart();
        });
    });
}

#[test]
fn a_crash() {
    judge("resumption::a_crash", || after_a_restart(false, Rialto::crash_and_restart));
}
