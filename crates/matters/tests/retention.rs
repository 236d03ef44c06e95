//! Content is destroyed by rule, what waits or is held is not, and the chain says which and why.

#[allow(dead_code)]
mod rig;

use matters::{Clock, MatterError, Preview, Subject, Wanted};
use model::{Event, Message, Part, Seq, Timestamp};
use record::{Act, Fault, Rule};
use rig::{People, Rig, address};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use store::{Erase, Journal, MailboxCursor};

fn message(text: &str) -> Event {
    Event::Message(Message {
        parts: vec![Part::text(text.to_owned(), None)],
        lasting: true,
        ..Message::default()
    })
}

const RULES: &str = "
[[rule]]
name = \"traders\"
keep = \"100 days\"
group = \"traders\"

[[rule]]
name = \"partner chats\"
keep = \"30 days\"
partner = \"net\"
kind = \"chat\"

[[rule]]
name = \"consent\"
keep = \"forever\"
kind = \"presence\"
";

#[test]
fn the_rule_that_keeps_longest_decides_and_the_general_one_where_none_fits() {
    let rig = Rig::new();
    let rules = rig.set(RULES, Rule::Days(10));
    let trader = rig.say(0, "tom@example.com", "eve@x.example.net", "one");
    let partner = rig.say(0, "ann@example.com", "eve@x.example.net", "two");
    let ours = rig.say(0, "ann@example.com", "bob@example.com", "three");
    rig.allow(0, "ann@example.com", "bob@example.com");
    let file = rig.upload(0, "ann@example.com", "f1");
    assert_eq!(rig.run(&rules, 9).rows(), 0);
    let done = rig.run(&rules, 11);
    assert_eq!(done.destroyed, [("[record] retention: 10 days".into(), 2)].into());
    assert_eq!(*rig.notes.files.lock(), ["f1"]);
    assert_eq!(rig.bare(), [ours.0, file.0].into_iter().collect());
    let done = rig.run(&rules, 31);
    assert_eq!(done.destroyed, [("partner chats: 30 days".into(), 1)].into());
    assert_eq!(rig.bare(), [partner.0, ours.0, file.0].into_iter().collect());
    assert_eq!(rig.run(&rules, 100).rows(), 0);
    assert_eq!(rig.run(&rules, 101).destroyed, [("traders: 100 days".into(), 1)].into());
    assert!(rig.bare().has(trader.0));
    assert_eq!(rig.run(&rules, 9_999).rows(), 0, "for ever is for ever, and nothing is done twice");
    let report = rig.report();
    assert_eq!((report.erased, report.destructions, report.finding), (4, 3, None));
    assert_eq!(*rig.notes.rows.lock(), rig.bare());
    // What nobody announced is found.
    rig.store.erase(Seq(4)).unwrap();
    let finding = rig.report().finding.unwrap();
    assert_eq!((finding.seq, finding.fault), (Seq(4), Fault::Unexplained));
}

#[test]
fn a_destruction_record_is_signed_and_says_what_was_kept() {
    let rig = Rig::new();
    let rules = rig.set("", Rule::Days(10));
    rig.say(0, "ann@example.com", "bob@example.com", "one");
    rig.say(0, "ann@example.com", "eve@example.com", "two");
    rig.matters.begin("suit", "a reason", "test", rig.at(0)).unwrap();
    let people = Wanted { people: vec!["Eve@example.com".into()], ..Wanted::default() };
    rig.matters.hold("suit", people, Vec::new(), "test", rig.at(0)).unwrap();
    rig.run(&rules, 20);
    let row = rig.store.acts(1).unwrap().pop().unwrap();
    let gone = Act::read(&row).unwrap().destruction.unwrap();
    assert_eq!((gone.rows.as_str(), gone.count, gone.kept.get("suit")), ("1", 1, Some(&1)));
    assert!(gone.is_genuine(rig.chain(), row.at));
    let forged = record::Destruction { rows: "1-2".into(), ..gone };
    assert!(!forged.is_genuine(rig.chain(), row.at));
}

#[test]
fn a_hold_keeps_what_it_fits_until_it_is_released() {
    let rig = Rig::new();
    let rules = rig.set("", Rule::Days(0));
    rig.matters.begin("suit", "a reason", "test", rig.at(0)).unwrap();
    let hold = |wanted| rig.matters.hold("suit", wanted, vec!["old.example.org".into()], "test", rig.at(0));
    let two = ["ann@example.com".to_owned(), "bob@example.com".to_owned()];
    hold(Wanted { conversation: two.into(), ..Wanted::default() }).unwrap();
    hold(Wanted { partner: Some("net".into()), since: Some(rig.at(5).0), ..Wanted::default() }).unwrap();
    hold(Wanted { people: vec!["hr.example.com".into()], ..Wanted::default() }).unwrap();
    // Rows that come after the hold are held all the same.
    let kept = [
        rig.say(1, "bob@example.com", "ann@example.com", "their conversation"),
        rig.upload(2, "ann@example.com", "f1"),
        rig.say(5, "cat@example.com", "eve@a.example.net", "in its time"),
        rig.say(5, "cat@example.com", "eve@old.example.org", "a domain it had when it was held"),
        rig.say(5, "sue@hr.example.com", "cat@example.com", "a whole domain"),
    ];
    let gone = [
        rig.say(5, "ann@example.com", "cat@example.com", "one of the two with somebody else"),
        rig.upload(5, "cat@example.com", "f2"),
    ];
    let early = rig.say(4, "cat@example.com", "eve@a.example.net", "before its time");
    let done = rig.run(&rules, 50);
    let expected: record::Ranges = gone.iter().chain([&early]).map(|seq| seq.0).collect();
    assert_eq!((rig.bare(), done.kept.get("suit")), (expected, Some(&5)));
    assert_eq!(*rig.notes.files.lock(), ["f2"]);

    let close = rig.matters.close("suit", "test", rig.at(50)).unwrap_err();
    assert!(matches!(&close, MatterError::Conflict(why) if why.contains("3 hold(s) in force")), "{close}");
    let refused = |_: &[matters::Hold]| Err(MatterError::Bad("the journal is full".into()));
    assert!(rig.matters.release("suit", Some(1), "test", rig.at(50), refused).is_err());
    assert_eq!(rig.run(&rules, 51).rows(), 0, "what is not on record is not released");
    rig.matters.release("suit", Some(1), "test", rig.at(51), |_| Ok(())).unwrap();
    assert_eq!(rig.run(&rules, 52).rows(), 2);
    assert!(rig.bare().has(kept[0].0) && rig.bare().has(kept[1].0) && !rig.bare().has(kept[2].0));
    rig.matters.release("suit", None, "test", rig.at(52), |_| Ok(())).unwrap();
    rig.matters.close("suit", "test", rig.at(52)).unwrap();
    assert_eq!(rig.run(&rules, 53).rows(), 3);
    assert_eq!(rig.report().finding, None);
    assert!(
        rig.matters
            .hold("suit", Wanted { everybody: true, ..Wanted::default() }, vec![], "test", rig.at(53))
            .is_err()
    );
}

#[test]
fn what_waits_is_destroyed_when_it_was_delivered_and_many_go_in_steps() {
    let rig = Rig::new();
    let rules = rig.set("", Rule::Days(5));
    let first = rig.put(0, "ann@example.com", "bob@example.com", message("waits"), Some("bob@example.com"));
    for n in 0..2_600 {
        rig.say(0, "ann@example.com", "cat@example.com", &format!("text {n}"));
    }
    let preview = Preview::of(rig.store.as_ref(), &rig.matters, &rules, &rig.notes, rig.at(6)).unwrap();
    let line = &preview.rules[0];
    assert_eq!((line.rows, line.waiting, line.people), (2_600, 1, 1));
    assert_eq!((line.most[0].who.as_str(), line.most[0].rows), ("ann@example.com", 2_600));
    let done = rig.run(&rules, 6);
    assert_eq!((done.rows(), done.waiting, done.bytes), (2_600, 1, line.bytes));
    assert_eq!(rig.run(&rules, 7).waiting, 1);
    rig.store.advance(MailboxCursor { account: address("bob@example.com"), low: first, above: vec![] });
    // A cursor goes with the next commit.
    let mut gone = 0;
    while gone == 0 {
        rig.say(7, "ann@example.com", "cat@example.com", "later");
        gone = rig.run(&rules, 8).rows();
    }
    assert_eq!(gone, 1);
    assert_eq!((rig.report().erased, rig.report().finding), (2_601, None));
}

#[test]
fn what_was_imported_is_held_and_erased_by_when_it_was_said() {
    let rig = Rig::new();
    let rules = rig.set("", Rule::Days(5));
    rig.import(1, 40, "ann@example.com", "bob@example.com");
    rig.import(20, 40, "ann@example.com", "bob@example.com");
    let then = |from: u64, to: u64| (Some(rig.at(from).0), Some(rig.at(to).0));
    let (since, until) = then(0, 10);
    rig.matters.begin("suit", "a reason", "test", rig.at(0)).unwrap();
    let wanted = Wanted { everybody: true, since, until, ..Wanted::default() };
    rig.matters.hold("suit", wanted, Vec::new(), "test", rig.at(41)).unwrap();
    rig.run(&rules, 50);
    assert_eq!(rig.bare().to_string(), "2");
    rig.matters.release("suit", None, "test", rig.at(51), |_| Ok(())).unwrap();
    let of = |(since, until)| Subject { who: "ann@example.com".into(), since, until, ..Subject::default() };
    rig.destroyer(52).erase(&of(then(39, 60)), false).unwrap();
    assert_eq!(rig.bare().to_string(), "2", "she said it long before");
    rig.destroyer(52).erase(&of(then(0, 10)), false).unwrap();
    assert_eq!(rig.bare().to_string(), "1-2");
}

#[test]
fn nothing_goes_early_where_times_do_not_grow_with_numbers() {
    let rig = Rig::new();
    let rules = rig.set("", Rule::Days(7));
    for day in [0, 0, 8, 8, 1, 8, 8, 8] {
        rig.say(day, "ann@example.com", "bob@example.com", "hello");
    }
    rig.run(&rules, 9);
    assert_eq!(rig.bare().to_string(), "1-2,5");
    rig.run(&rules, 16);
    assert_eq!(rig.bare().to_string(), "1-8");
}

#[test]
fn what_the_index_could_not_forget_it_is_told_again() {
    let rig = Rig::new();
    let rules = rig.set("", Rule::Days(0));
    rig.say(0, "ann@example.com", "bob@example.com", "one");
    *rig.notes.refuses.lock() = true;
    assert!(rig.destroyer(1).run(&rules, b"").is_err());
    assert_eq!(rig.bare().to_string(), "1");
    *rig.notes.refuses.lock() = false;
    assert_eq!(rig.run(&rules, 2).rows(), 0);
    assert_eq!(rig.notes.rows.lock().to_string(), "1");
}

/// An index writes much anew each time: so it is told once, and holds do not wait for it.
#[test]
fn many_rows_are_forgotten_at_once_while_holds_are_put() {
    let rig = Rig::new();
    let rules = rig.set("", Rule::Days(5));
    rig.fill(0, 25_000);
    rig.matters.begin("suit", "a reason", "test", rig.at(0)).unwrap();
    let (matters, at, put) = (rig.matters.clone(), rig.at(6), Arc::new(AtomicUsize::new(0)));
    let count = put.clone();
    *rig.notes.before.lock() = Some(Box::new(move || {
        let (matters, (tell, hear)) = (matters.clone(), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            let everybody = Wanted { everybody: true, ..Wanted::default() };
            matters.hold("suit", everybody, Vec::new(), "test", at).unwrap();
            tell.send(()).unwrap();
        });
        let held = hear.recv_timeout(std::time::Duration::from_secs(20)).is_ok();
        count.fetch_add(usize::from(held), Ordering::Relaxed);
    }));
    let done = rig.run(&rules, 6);
    assert_eq!((done.rows(), done.acts, *rig.notes.told.lock()), (25_000, 3, 1));
    assert_eq!(put.load(Ordering::Relaxed), 1, "the hold had to wait");
    assert_eq!((*rig.notes.rows.lock()).clone(), rig.bare());
    assert_eq!(rig.report().finding, None);
}

#[test]
fn a_hold_that_comes_before_a_file_is_forgotten_keeps_it() {
    let rig = Rig::new();
    let rules = rig.set("", Rule::Days(5));
    let file = rig.upload(0, "ann@example.com", "f1");
    rig.upload(0, "bob@example.com", "f2");
    rig.matters.begin("suit", "a reason", "test", rig.at(0)).unwrap();
    let (matters, at) = (rig.matters.clone(), rig.at(6));
    *rig.notes.before.lock() = Some(Box::new(move || {
        let ann = Wanted { people: vec!["ann@example.com".into()], ..Wanted::default() };
        matters.hold("suit", ann, Vec::new(), "test", at).unwrap();
    }));
    assert_eq!(rig.run(&rules, 6).rows(), 2);
    assert!(rig.bare().has(file.0), "its name was gone by then");
    assert_eq!(*rig.notes.files.lock(), ["f2"]);
    *rig.notes.before.lock() = None;
    rig.run(&rules, 7);
    assert_eq!(*rig.notes.files.lock(), ["f2"]);
    rig.matters.release("suit", None, "test", rig.at(7), |_| Ok(())).unwrap();
    rig.run(&rules, 8);
    assert_eq!(*rig.notes.files.lock(), ["f2", "f1"]);
}

/// Hours of this process.
const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_clock_that_leaps_ahead_destroys_nothing_until_somebody_says_that_it_is_right() {
    let rig = Rig::new();
    rig.say(0, "ann@example.com", "bob@example.com", "one");
    let began = Instant::now();
    let open = || Clock::open(&rig.store, began).unwrap();
    let refused = |end: Result<(), MatterError>| {
        let said = end.unwrap_err().to_string();
        assert!(said.contains("more than have passed") && said.contains("`rialto retention run`"), "{said}");
    };
    // Nothing was believed yet: the journal's last row says when there was a process.
    assert_eq!(open().check(rig.at(30), began), Ok(()));
    refused(open().believe(rig.at(32), began));
    let clock = open();
    assert_eq!(clock.believe(rig.at(1), began), Ok(()));
    assert_eq!(clock.believe(Timestamp(rig.at(2).0 + 3_600_000), began + HOUR), Ok(()));
    // Ten years in an hour; and messages that come meanwhile prove nothing, nor does a restart.
    refused(clock.believe(rig.at(3_652), began + 2 * HOUR));
    rig.say(3_652, "ann@example.com", "bob@example.com", "two");
    refused(clock.believe(rig.at(3_652), began + 3 * HOUR));
    refused(open().believe(rig.at(3_652), began));
    // It was set again.
    assert_eq!(clock.believe(rig.at(2), began + 4 * HOUR), Ok(()));
    assert_eq!(clock.believe(Timestamp(rig.at(2).0 + 7_200_000), began + 5 * HOUR), Ok(()));
    // One that begins in 1970 and is set right a little later.
    let late = open();
    assert_eq!(late.believe(Timestamp(1_000), began), Ok(()));
    assert_eq!(late.believe(rig.at(3), began + HOUR), Ok(()));
    // The server was off for two months.
    let away = open();
    refused(away.believe(rig.at(63), began));
    away.trust(rig.at(63), began).unwrap();
    assert_eq!(away.believe(Timestamp(rig.at(63).0 + 3_600_000), began + HOUR), Ok(()));
    assert_eq!(open().believe(rig.at(65), began), Ok(()));
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let rig = Rig::new();
    for (text, why) in [
        ("[[rule]]\nname = \"a\"\nkeep = \"a year\"\n", "\"a year\" is no time to keep"),
        ("[[rule]]\nname = \"a\"\nkeep = \"1 day\"\ngroup = \"trader\"\n", "there is no group \"trader\""),
        ("[[rule]]\nname = \"a\"\nkeep = \"1 day\"\npartner = \"x\"\n", "there is no partner \"x\""),
        ("[[rule]]\nname = \"a\"\nkeep = \"1 day\"\nkind = \"room\"\n", "unknown variant `room`"),
        ("[[rule]]\nname = \"\"\nkeep = \"1 day\"\n", "a name of its own"),
        ("[[rules]]\n", "unknown field `rules`"),
    ] {
        let said = rig.rules.set(text, &People, "test", rig.at(0)).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(rig.rules.now(), None);
    let twice = "[[rule]]\nname = \"a\"\nkeep = \"1 day\"\n".repeat(2);
    assert!(rig.rules.set(&twice, &People, "test", rig.at(0)).is_err());
}
