//! A worm as Kelvir was in 2005: a link from somebody one knows; whoever opens it sends it to everybody in their list.

use super::dice::Dice;
use super::instance::{End, Instance};
use crate::failure::Failure;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Who opens it, of a hundred who get it.
const OPEN: u64 = 30;
/// Within so much time, in milliseconds.
const WITHIN: u64 = 5_000;
/// Between two messages of the worm on one computer, in milliseconds.
const PACE: u64 = 20;

const BAIT: &str = "omg is this really you?? http://pics.kelvir.example/omg.php?email=";

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// People.
    pub users: usize,
    /// In each one's contact list.
    pub contacts: usize,
    /// Fixes chance.
    pub seed: u64,
    /// The thresholds.
    pub settings: outbreak::Settings,
}

impl Default for Plan {
    fn default() -> Self {
        Self { users: 5_000, contacts: 50, seed: 1, settings: outbreak::Settings::default() }
    }
}

/// One thing that was done, or happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// Seconds since the first message.
    pub seconds: f64,
    /// What.
    pub what: String,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worm {
    /// People.
    pub users: usize,
    /// In each one's contact list.
    pub contacts: usize,
    /// What fixed chance.
    pub seed: u64,
    /// Was it contained?
    pub containment: bool,
    /// People who opened the link, the first among them.
    pub infected: usize,
    /// People who got it.
    pub received: usize,
    /// Messages the worm sent.
    pub sent: usize,
    /// Of these, held.
    pub held: usize,
    /// And refused.
    pub refused: usize,
    /// Accounts that were muted.
    pub muted: u64,
    /// What happened when.
    pub steps: Vec<Moment>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// One opens the link.
    Open(usize),
    /// The worm on one's computer writes to the contact of this number.
    Write(usize, usize),
}

/// Plays it.
///
/// # Errors
/// [`Failure`] when the instance cannot be opened.
pub async fn run(plan: Plan) -> Result<Worm, Failure> {
    let mut instance = Instance::open(plan.users, plan.settings).await?;
    let mut dice = Dice::new(plan.seed);
    let lists: Vec<Vec<usize>> = (0..plan.users).map(|me| contacts(me, &plan, &mut dice)).collect();
    let (mut infected, mut received) = (BTreeSet::new(), BTreeSet::new());
    let mut worm = Worm {
        users: plan.users,
        contacts: plan.contacts,
        seed: plan.seed,
        containment: plan.settings.enabled,
        infected: 0,
        received: 0,
        sent: 0,
        held: 0,
        refused: 0,
        muted: 0,
        steps: Vec::new(),
    };
    let mut marks = [1, 10, 25, 50, 90].iter().map(|percent| plan.users * percent / 100).peekable();
    let mut told = BTreeSet::new();
    // What is to come, and a number that keeps equal times in order.
    let mut ahead = BinaryHeap::from([Reverse((0, 0, Act::Open(0)))]);
    let (mut number, mut last) = (0, 0);
    while let Some(Reverse((at, _, act))) = ahead.pop() {
        let mut note = |what: String| worm.steps.push(Moment { seconds: at as f64 / 1_000.0, what });
        let mut next = |at: u64, act: Act| {
            number += 1;
            ahead.push(Reverse((at, number, act)));
        };
        match act {
            Act::Open(who) => {
                if !infected.insert(who) {
                    continue;
                }
                last = at;
                while marks.next_if(|mark| infected.len() >= *mark && *mark > 0).is_some() {
                    note(format!("{} infected", infected.len()));
                }
                if !lists[who].is_empty() {
                    next(at + PACE, Act::Write(who, 0));
                }
            }
            Act::Write(who, nth) => {
                last = at;
                let to = lists[who][nth];
                if nth + 1 < lists[who].len() {
                    next(at + PACE, Act::Write(who, nth + 1));
                }
                worm.sent += 1;
                match instance.send(who, to, at, &format!("{BAIT}user{to}")).await {
                    End::Arrived => {
                        received.insert(to);
                        if dice.percent(OPEN) {
                            next(at + dice.below(WITHIN), Act::Open(to));
                        }
                    }
                    End::Held => worm.held += 1,
                    End::Refused => worm.refused += 1,
                }
                let (infected, received) = (infected.len(), received.len());
                for (order, _) in instance.outbreaks.orders(at) {
                    let (name, kind) = (order.target.name(), order.target.kind());
                    if told.insert(name.clone()) && (kind != "user" || worm.muted == 0) {
                        let what = if kind == "user" { "the first account is muted" } else { &name };
                        let what =
                            format!("{what}: {}; {infected} infected, {received} received", order.note);
                        worm.steps.push(Moment { seconds: at as f64 / 1_000.0, what });
                    }
                }
                worm.muted = instance.outbreaks.counts().muted;
            }
        }
    }
    worm.steps.push(Moment { seconds: last as f64 / 1_000.0, what: "the worm is done".into() });
    (worm.infected, worm.received) = (infected.len(), received.len());
    Ok(worm)
}

/// Half of them colleagues nearby, half anybody.
fn contacts(me: usize, plan: &Plan, dice: &mut Dice) -> Vec<usize> {
    let mut list = BTreeSet::new();
    let wanted = plan.contacts.min(plan.users.saturating_sub(1));
    let near = wanted / 2;
    for step in 1..=near {
        let away = step.div_ceil(2);
        let one = if step % 2 == 0 { me + away } else { me + plan.users - away };
        list.insert(one % plan.users);
    }
    list.remove(&me);
    while list.len() < wanted {
        let one = usize::try_from(dice.below(plan.users as u64)).unwrap_or_default();
        if one != me {
            list.insert(one);
        }
    }
    let mut list: Vec<usize> = list.into_iter().collect();
    // In no order that tells who is near.
    for at in (1..list.len()).rev() {
        list.swap(at, usize::try_from(dice.below(at as u64 + 1)).unwrap_or_default());
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(plan: Plan) -> Worm {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(plan)).unwrap()
    }

    #[test]
    fn with_containment_hardly_anybody_is_infected() {
        for seed in 1..6 {
            let plan = Plan { seed, ..Plan::default() };
            let worm = played(plan);
            assert!(worm.infected * 100 < plan.users, "{worm:?}");
            assert!(worm.received * 100 < plan.users * 5, "{worm:?}");
            assert!(worm.held > 0 && worm.muted > 0, "{worm:?}");
            if seed == 1 {
                assert_eq!(played(plan), worm, "the same each time");
            }
        }
    }

    #[test]
    fn without_containment_nearly_everybody_is() {
        let off = outbreak::Settings { enabled: false, ..outbreak::Settings::default() };
        let worm = played(Plan { settings: off, ..Plan::default() });
        assert!(worm.infected * 100 > 90 * worm.users, "{worm:?}");
        assert_eq!((worm.held, worm.refused), (0, 0));
    }
}
