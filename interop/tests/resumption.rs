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

/// A crash ends sessions, and no message: what was acknowledged in the last moment may come again.
fn after_a_crash(mut rialto: Rialto, mut romeo: Talk, mut juliet: Talk) {
    rialto.crash_and_restart();
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
    for n in 1..4 {
        let line = format!("message romeo@example.com line {n}");
        assert_eq!(juliet.count(&line), 1, "{}", juliet.transcript());
    }
    rialto.finish();
}

/// Two in conversation, one of them cut, with a message on record that nobody has in hand.
fn in_mid_conversation() -> (Rialto, Talk, Talk) {
    let rialto = Rialto::start_with(&["romeo", "juliet", "tybalt"], CONSENT, "debug");
    let (mut romeo, mut juliet) = pair(&rialto);
    romeo.tell(format!("send {} line 0", at("juliet")));
    juliet.expect("message romeo@example.com line 0");
    juliet.tell(format!("send {} answer 0", at("romeo")));
    romeo.expect("message juliet@example.com answer 0");
    juliet.tell("cut");
    juliet.expect("offline");
    // An answer to a ping does not promise that it is on record: it waits for no disk.
    let recorded = |rialto: &Rialto| rialto.journal().lines().filter(|row| row.contains("message")).count();
    let before = recorded(&rialto);
    romeo.tell(format!("send {} line 1", at("juliet")));
    until("the message is on record", || recorded(&rialto) > before);
    (rialto, romeo, juliet)
}

#[test]
fn a_restart() {
    judge("resumption::a_restart", || {
        let (mut rialto, mut romeo, mut juliet) = in_mid_conversation();
        // The third is connected to the end, and hears the server go.
        let way = Way { stream_management: true, resource: Some("cell".into()), ..Way::default() };
        let mut tybalt = slixmpp::start(&rialto, "tybalt", &way);
        tybalt.expect("stream-management");
        slixmpp::arrived(&tybalt);
        romeo.tell(format!("add {}", at("tybalt")));
        romeo.expect("presence tybalt@example.com available");
        rialto.stop();
        // Somebody else has the port: what waits for the server waits for its next start.
        let taken = std::net::TcpListener::bind(("127.0.0.1", rialto.xmpp())).expect("the port is free");
        let said = rialto.refused(&["serve"]);
        assert!(said.contains("choose another address"), "{said}");
        drop(taken);
        rialto.restart();
        // Romeo's session may not be resumed: whoever saw him hears that he went, and comes again.
        romeo.expect("offline");
        romeo.tell("connect");
        slixmpp::arrived(&romeo);
        romeo.tell(format!("send {} line 2", at("juliet")));
        romeo.tell(format!("send {} hello", at("tybalt")));
        slixmpp::fence(&mut romeo);
        tybalt.expect("offline");
        come_back(&mut tybalt);
        tybalt.expect("message romeo@example.com hello");
        come_back(&mut juliet);
        for n in 1..3 {
            juliet.expect(format!("message romeo@example.com line {n}"));
        }
        juliet.tell(format!("send {} answer 1", at("romeo")));
        romeo.expect("message juliet@example.com answer 1");
        slixmpp::fence(&mut juliet);
        whole(&romeo, &juliet, 3);
        assert_eq!(romeo.count("message juliet@example.com answer 0"), 1, "{}", romeo.transcript());
        assert_eq!(romeo.count("presence tybalt@example.com unavailable"), 0, "{}", romeo.transcript());
        // Whoever does not come back goes when the time is over: here, by a goodbye.
        juliet.quit();
        romeo.expect("presence juliet@example.com unavailable");
        rialto.finish();
    });
}

#[test]
fn a_crash() {
    judge("resumption::a_crash", || {
        let (rialto, romeo, juliet) = in_mid_conversation();
        after_a_crash(rialto, romeo, juliet);
    });
}
