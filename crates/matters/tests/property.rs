//! Whatever rows, rules and holds there are: nothing held is destroyed, what is destroyed is in a signed act, and the chain
//! is good.

#[allow(dead_code)]
mod rig;

use matters::{Facts, Wanted};
use model::{Event, Message, Part, Seq};
use proptest::prelude::*;
use record::{Act, Ranges, Rule};
use rig::Rig;
use store::{Journal, Retain};

const WHO: [&str; 6] = [
    "ann@example.com",
    "bob@example.com",
    "tom@example.com",
    "tim@example.com",
    "eve@a.example.net",
    "joe@b.example.net",
];

#[derive(Debug, Clone)]
enum Deed {
    Say(usize, usize, bool),
    Upload(usize),
    Hold(Wanted),
    Release,
    Rules(Vec<(u32, u8, u8, u8)>, Option<u32>),
    Run,
    Later(u64),
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let time = || proptest::option::of(0u64..80);
    (0u8..4, 0..WHO.len(), 0..WHO.len(), time(), time()).prop_map(|(what, one, two, since, until)| {
        let at = |day: u64| rig::START + day * rig::DAY;
        let mut wanted = Wanted { since: since.map(at), until: until.map(at), ..Wanted::default() };
        match what {
            0 => wanted.people = vec![WHO[one].into(), WHO[two].into()],
            1 => wanted.conversation = vec![WHO[one].into(), WHO[two].into()],
            2 => wanted.partner = Some("net".into()),
            _ => wanted.everybody = true,
        }
        wanted
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    let rule = (0u32..60, 0u8..3, 0u8..3, 0u8..5);
    prop_oneof![
        8 => (0..WHO.len(), 0..WHO.len(), proptest::bool::weighted(0.2)).prop_map(|(a, b, w)| Deed::Say(a, b, w)),
        2 => (0..4usize).prop_map(Deed::Upload),
        2 => wanted().prop_map(Deed::Hold),
        1 => Just(Deed::Release),
        1 => (proptest::collection::vec(rule, 0..4), proptest::option::of(0u32..40)).prop_map(|(r, g)| Deed::Rules(r, g)),
        3 => Just(Deed::Run),
        4 => (1u64..15).prop_map(Deed::Later),
    ]
}

fn text_of(rules: &[(u32, u8, u8, u8)]) -> String {
    let rule = |(n, (days, group, partner, kind)): (usize, &(u32, u8, u8, u8))| {
        let mut text = format!("[[rule]]\nname = \"r{n}\"\nkeep = \"{days} days\"\n");
        text += if *group == 1 { "group = \"traders\"\n" } else { "" };
        text += if *partner == 1 { "partner = \"net\"\n" } else { "" };
        text += ["", "kind = \"chat\"\n", "kind = \"file\"\n", "", ""][usize::from(*kind)];
        text
    };
    rules.iter().enumerate().map(rule).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn nothing_held_goes_and_nothing_goes_unsaid(deeds in proptest::collection::vec(deed(), 1..80)) {
        let rig = Rig::new();
        let (mut day, mut files) = (0, 0);
        let mut rules = rig.set("", Rule::Forever);
        rig.matters.begin("suit", "a reason", "test", rig.at(0)).unwrap();
        for deed in deeds {
            match deed {
                Deed::Say(from, to, waits) => {
                    let event = Event::Message(Message { parts: vec![Part::text("text", None)], ..Message::default() });
                    rig.put(day, WHO[from], WHO[to], event, waits.then_some(WHO[to]));
                }
                Deed::Upload(who) => {
                    files += 1;
                    rig.upload(day, WHO[who], &format!("f{files}"));
                }
                // Some make no sense: conversations with oneself are fine, an end before the beginning is not.
                Deed::Hold(wanted) => drop(rig.matters.hold("suit", wanted, vec![], "test", rig.at(day))),
                Deed::Release => drop(rig.matters.release("suit", None, "test", rig.at(day), |_| Ok(()))),
                Deed::Rules(some, general) => {
                    rules = rig.set(&text_of(&some), general.map_or(Rule::Forever, Rule::Days));
                }
                Deed::Later(days) => day += days,
                Deed::Run => {
                    let head = rig.store.head();
                    let held: Ranges = rig.store.with_content(Seq(0), head, 10_000).unwrap().iter()
                        .filter(|row| row.waits || !rig.matters.keepers(&Facts::read(row)).is_empty())
                        .map(|row| row.seq.0)
                        .collect();
                    let before = rig.bare();
                    let done = rig.run(&rules, day);
                    let after = rig.bare();
                    prop_assert_eq!(after.count() - before.count(), done.rows());
                    prop_assert!(held.iter().all(|seq| !after.has(seq)), "held {held}, bare {after}");
                }
            }
        }
        let mut said = Ranges::default();
        for row in Journal::rows(rig.store.as_ref(), Seq(1), 100_000).unwrap() {
            if let Some(gone) = Act::read(&row).and_then(|act| act.destruction) {
                prop_assert!(gone.is_genuine(rig.chain(), row.at));
                prop_assert_eq!(gone.rows().count(), gone.count);
                said.join(&gone.rows());
            }
        }
        prop_assert_eq!(rig.bare(), said);
        prop_assert_eq!(rig.report().finding, None);
    }
}
