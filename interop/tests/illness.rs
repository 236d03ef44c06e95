//! A disk that is full, read-only, failing or slow, under a server that runs: nothing is acknowledged that is not on it,
//! everybody is told, reading goes on, and when the disk is well the server goes on without a restart.

use interop::known::judge;
use interop::load::{Line, Place, Receiver, Until};
use interop::raw::sip::Sip;
use interop::raw::xmpp::{Xmpp, attribute};
use interop::talk::until;
use interop::{Rialto, SOON, at};
use std::time::Instant;

struct Writers {
    juliet: Xmpp,
    romeo: Sip,
    count: u32,
    /// Stanzas from juliet.
    sent: u32,
    kept: Vec<Line>,
}

impl Writers {
    fn new(rialto: &Rialto) -> Self {
        let mut juliet = Xmpp::online(rialto.xmpps(), &rialto.ca(), "juliet", "balcony");
        juliet.wire.send("<enable xmlns='urn:xmpp:sm:3'/>");
        juliet.expect("<enabled");
        let romeo = Sip::registered(rialto.sip(), "romeo");
        Self { juliet, romeo, count: 0, sent: 0, kept: Vec::new() }
    }

    fn line(&self, from: &str) -> Line {
        Line { from: from.into(), to: "nurse".into(), number: self.count }
    }

    /// Waits until the server has counted everything that juliet sent; gives what came meanwhile.
    fn handled(&mut self) -> Vec<String> {
        self.sent += 1;
        let mut came = Vec::new();
        loop {
            self.juliet.wire.send("<r xmlns='urn:xmpp:sm:3'/>");
            let element = self.juliet.next(Instant::now() + SOON).expect("the server counts");
            let h = element.starts_with("<a ").then(|| attribute(&element, "h")).flatten();
            match h.and_then(|h| h.parse::<u32>().ok()) {
                Some(h) if h >= self.sent => break,
                Some(_) => {}
                None => came.push(element),
            }
        }
        self.sent += 1;
        came.extend(self.juliet.fence());
        came
    }

    /// One message from juliet; gives the refusal.
    fn say(&mut self, to: &str, id: &str, more: &str) -> Option<String> {
        let to = at(to);
        self.juliet
            .wire
            .send(format!("<message to='{to}' id='{id}' type='chat'><body>word {id}</body>{more}</message>"));
        self.handled().into_iter().find(|e| e.contains("type='error'"))
    }

    /// One message from each; says how each was answered.
    fn write(&mut self) -> (Option<String>, interop::raw::sip::Received) {
        self.count += 1;
        let (line, n) = (self.line("juliet"), self.count);
        self.juliet.wire.send(format!(
            "<message to='{}' id='m{n}' type='chat'><body>{}</body></message>",
            at("nurse"),
            line.text()
        ));
        let refused = self.handled().into_iter().find(|e| e.contains("type='error'"));
        if refused.is_none() {
            self.kept.push(line);
        }
        let line = self.line("romeo");
        let request = self.romeo.request("MESSAGE", "nurse").saying(&line.text());
        let answer = self.romeo.ask(&request);
        if answer.status() < 300 {
            self.kept.push(line);
        }
        (refused, answer)
    }
}

/// `says` is in the log and in what the doctor finds.
fn ill(name: &str, disk: &str, says: &str) {
    judge(name, || {
        let mut rialto = Rialto::start_with(&["juliet", "romeo", "nurse"], "", "info");
        rialto.on_ill_disk();
        let mut writers = Writers::new(&rialto);
        let (refused, answer) = writers.write();
        assert!(refused.is_none() && answer.status() == 202, "{refused:?} {}", answer.head);

        for _ in 0..2 {
            rialto.disk().be(disk);
            // The disk hears of it in its own time; one message may still find it well.
            until("the disk is ill", || writers.write().0.is_some());
            for _ in 0..3 {
                let (refused, answer) = writers.write();
                let refused = refused.expect("nothing is taken that is not on the disk");
                assert!(refused.contains("resource-constraint") && refused.contains("'wait'"), "{refused}");
                assert_eq!(answer.status(), 503, "{}", answer.head);
                assert_eq!(answer.header("Retry-After"), Some("10"));
            }
            // Reading goes on: contacts, and what waits for somebody who comes now.
            writers.juliet.wire.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
            let roster = writers.handled().into_iter().find(|e| e.contains("id='r'")).expect("an answer");
            assert!(roster.contains("type='result'"), "{roster}");
            assert!(rialto.log_text().contains("the store cannot be written"));
            let found = rialto.refused(&["doctor"]);
            assert!(found.contains("puts nothing on record") && found.contains(says), "{found}");

            rialto.disk().be("well");
            // Without a message it finds out too.
            until("the store can be written again", || !rialto.doctor().contains("puts nothing on record"));
            let (refused, answer) = writers.write();
            assert!(refused.is_none() && answer.status() == 202, "{refused:?} {}", answer.head);
        }
        assert!(rialto.log_text().contains("the store can be written again"));
        // The disk keeps what was acknowledged before and after it was ill.
        rialto.cut_power(7);
        rialto.verify();
        rialto.restart();
        let place = Place { sip: rialto.sip(), xmpps: rialto.xmpps(), ca: rialto.ca() };
        let mut nurse = Receiver::new("nurse");
        nurse.xmpp(&place, Until::Has(&writers.kept));
        assert_eq!(nurse.check(), 0, "nothing came twice");
        rialto.finish();
    });
}

#[test]
fn a_full_disk() {
    ill("illness::a_full_disk", "full", "the disk is full");
}

#[test]
fn a_read_only_disk() {
    ill("illness::a_read_only_disk", "readonly", "read-only");
}

#[test]
fn a_disk_whose_syncs_fail() {
    ill("illness::a_disk_whose_syncs_fail", "failing", "Input/output error");
}

#[test]
fn a_slow_disk() {
    judge("illness::a_slow_disk", || {
        let mut rialto = Rialto::start_with(&["juliet", "romeo", "nurse"], "", "info");
        rialto.on_ill_disk();
        let mut writers = Writers::new(&rialto);
        for micros in [5_000, 50_000] {
            rialto.disk().be(&format!("slow {micros}"));
            for _ in 0..20 {
                let (refused, answer) = writers.write();
                assert!(refused.is_none() && answer.status() == 202, "{refused:?} {}", answer.head);
            }
        }
        assert!(rialto.log_text().contains("the disk is slow"), "{}", rialto.log_text());
        rialto.disk().be("well");
        until("the disk is quick again", || {
            writers.write();
            rialto.log_text().contains("the disk is quick again")
        });
        rialto.cut_power(11);
        rialto.restart();
        let place = Place { sip: rialto.sip(), xmpps: rialto.xmpps(), ca: rialto.ca() };
        let mut nurse = Receiver::new("nurse");
        nurse.xmpp(&place, Until::Has(&writers.kept));
        assert_eq!(nurse.check(), 0, "nothing came twice");
        rialto.finish();
    });
}

/// What the house lets pass while nothing can be put on record reaches those who are there, is counted, and is on record
/// afterwards; what it does not name is refused as ever.
#[test]
fn a_full_disk_and_messages_that_may_pass() {
    judge("illness::a_full_disk_and_messages_that_may_pass", || {
        let more = "[[record.fail_open]]\npartner = \"here\"\nfeatures = [\"im\"]\n";
        let mut rialto = Rialto::start_with(&["juliet", "romeo", "nurse"], more, "info");
        rialto.on_ill_disk();
        let mut writers = Writers::new(&rialto);
        rialto.disk().be("full");
        until("the disk is ill", || writers.say("nurse", "probe", "").is_some());
        // Romeo is there, the nurse is not.
        assert_eq!(writers.say("romeo", "passes", ""), None);
        let heard = writers.romeo.next(Instant::now() + SOON).expect("a message");
        assert!(heard.head.starts_with("MESSAGE ") && heard.body.contains("word passes"), "{}", heard.head);
        writers.romeo.accept(&heard);
        let refused = writers.say("nurse", "stays", "").expect("there is nowhere to wait");
        assert!(refused.contains("resource-constraint"), "{refused}");
        let file = "<x xmlns='jabber:x:oob'><url>https://files.example.com/a.pdf</url></x>";
        assert!(writers.say("romeo", "file", file).is_some(), "files are not named");
        let found = rialto.refused(&["doctor"]);
        assert!(found.contains("1 message(s) passed without"), "{found}");
        assert!(!rialto.journal().contains("word passes"));

        rialto.disk().be("well");
        until("the row follows", || {
            rialto.command(&["journal", "tail", "--admin"]).contains("record.gap.closed")
        });
        let acts = rialto.command(&["journal", "tail", "--admin"]);
        assert!(acts.contains("1 message(s) passed") && acts.contains("1 follow(s), 0 not"), "{acts}");
        until("the index has it", || {
            rialto.command(&["search", "passes", "--rule", "record.late"]).contains("juliet")
        });
        rialto.verify();
        rialto.finish();
    });
}
