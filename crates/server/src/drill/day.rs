//! A busy day on which nothing bad happens: nothing must be held.

use super::dice::Dice;
use super::instance::{End, Instance};
use super::worm::Plan;
use crate::failure::Failure;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
/// The links that go round.
const ALL_HANDS: &str =
    "All hands today at four, please read before: https://intranet.drill.example/all-hands";
const ROOM: &str = "The plan is here: https://wiki.drill.example/plan?rev=7";
const NEWS: &str = "have you seen this? https://news.example/politics/2026/surprise?utm_source=im";

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Messages that were sent.
    pub sent: usize,
    /// People who passed the news on.
    pub passed_on: usize,
    /// Messages that were held.
    pub held: usize,
    /// Messages that were refused.
    pub refused: usize,
}

/// Who writes to whom, and what; news may be passed on.
type Said = (u64, u64, usize, usize, usize);

/// Plays it: an executive's link to everybody, passed on by managers; a link that a room has; a piece of news that
/// hundreds pass on within an hour; and what people write besides.
///
/// # Errors
/// [`Failure`] when the instance cannot be opened.
pub async fn innocent(plan: Plan) -> Result<Day, Failure> {
    let mut instance = Instance::open(plan.users, plan.settings).await?;
    let mut dice = Dice::new(plan.seed);
    let users = plan.users as u64;
    let mut ahead: BinaryHeap<Reverse<Said>> = BinaryHeap::new();
    let mut number = 0;
    let mut say = |ahead: &mut BinaryHeap<Reverse<Said>>, at: u64, from: usize, to: u64, what: usize| {
        let to = usize::try_from(to).unwrap_or_default();
        if from != to {
            number += 1;
            ahead.push(Reverse((at, number, from, to, what)));
        }
    };
    // To everybody, as fast as the client can.
    for to in 1..users {
        say(&mut ahead, to * 2, 0, to, 0);
    }
    // Each manager passes it on to a team, by hand: a message every few seconds.
    for manager in 1..=25u64 {
        let begins = 20 * SECOND + dice.below(9 * MINUTE);
        for one in 0..12 {
            let at = begins + one * (2 * SECOND + dice.below(3 * SECOND));
            say(&mut ahead, at, usize::try_from(manager).unwrap_or_default(), manager * 12 + one, 0);
        }
    }
    // What one says in a room, the room says to all who are in it; they answer there.
    let room = plan.users - 1;
    for to in 0..200.min(users) {
        say(&mut ahead, 5 * MINUTE, room, to, 1);
        say(
            &mut ahead,
            5 * MINUTE + dice.below(MINUTE),
            usize::try_from(to).unwrap_or_default(),
            users - 1,
            3,
        );
    }
    // The news begins with a few.
    for _ in 0..5 {
        say(&mut ahead, dice.below(MINUTE), room - 1, dice.below(users), 2);
    }
    for _ in 0..users {
        let from = usize::try_from(dice.below(users)).unwrap_or_default();
        say(&mut ahead, dice.below(60 * MINUTE), from, dice.below(users), 3 + usize::from(dice.percent(50)));
    }
    let mut day = Day { sent: 0, passed_on: 0, held: 0, refused: 0 };
    let mut has_news = BTreeSet::new();
    while let Some(Reverse((at, _, from, to, what))) = ahead.pop() {
        let text = match what {
            0 => ALL_HANDS.to_owned(),
            1 => ROOM.to_owned(),
            2 => NEWS.to_owned(),
            3 => "ok, thanks".to_owned(),
            _ => format!(
                "Could you look at the numbers for project {at} before we meet, please? I am not sure."
            ),
        };
        day.sent += 1;
        match instance.send(from, to, at, &text).await {
            End::Arrived => {}
            End::Held => day.held += 1,
            End::Refused => day.refused += 1,
        }
        // Somebody reads it, some minutes later tells a few whom it may interest.
        let early = at < 55 * MINUTE && has_news.len() < 2_000;
        if what == 2 && has_news.insert(to) && early && dice.percent(60) {
            day.passed_on += 1;
            let begins = at + 10 * SECOND + dice.below(12 * MINUTE);
            for one in 0..1 + dice.below(5) {
                let at = begins + one * (2 * SECOND + dice.below(8 * SECOND));
                say(&mut ahead, at, to, dice.below(users), 2);
            }
        }
    }
    Ok(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_day_holds_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for seed in 1..4 {
            let day = runtime.block_on(innocent(Plan { seed, ..Plan::default() })).unwrap();
            assert!(day.sent > 10_000 && day.passed_on > 200, "{day:?}");
            assert_eq!((day.held, day.refused), (0, 0), "{day:?}");
        }
    }
}
