//! What waits by itself: until some time, or until its sender has answered a question. The rows are in the quarantine; here is
//! what ends their wait.

use model::Seq;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Pairs for which something waits.
const MOST: usize = 16_384;
/// Rows of one pair.
const ROWS: usize = 16;
/// Wrong answers to one question.
const TRIES: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// This time.
    Then(u64),
    /// This answer, which comes before this time or never.
    Answer(u32, u64),
}

#[derive(Debug)]
struct Wait {
    until: Until,
    /// Messages that were told to wait; their rows follow.
    told: usize,
    rows: Vec<Seq>,
    tries: u8,
    /// The answer came before the row's number did.
    over: bool,
}

/// Is there room for one more that waits?
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It waits.
    Waits,
    /// Enough of this pair waits already.
    Full,
    /// Too many pairs wait.
    None,
}

/// What is over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Over {
    /// Rows that pass now.
    pub pass: Vec<Seq>,
    /// The pairs that had to wait for them, and need not any more.
    pub pairs: Vec<u64>,
    /// Rows for which no answer came.
    pub lapsed: Vec<Seq>,
}

/// What an answer is worth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Nobody asked.
    NotAsked,
    /// These rows pass.
    Right(Vec<Seq>),
    /// It is not the answer.
    Wrong,
}

/// All that waits.
#[derive(Default)]
pub(crate) struct Waiting {
    all: Mutex<HashMap<u64, Wait>>,
    dice: RandomState,
}

const WORDS: [&str; 8] = ["two", "three", "four", "five", "six", "seven", "eight", "nine"];

impl Waiting {
    /// Does something of this pair wait?
    pub fn has(&self, pair: u64) -> bool {
        self.all.lock().contains_key(&pair)
    }

    /// What this pair sends waits until then.
    pub fn until(&self, pair: u64, then: u64) -> Room {
        self.open(pair, Until::Then(then))
    }

    /// What this pair sends waits for an answer. Gives the question where it is a new one.
    ///
    /// # Errors
    /// [`Room`] where there is none.
    pub fn ask(&self, pair: u64, now: u64, patience: u64) -> Result<Option<String>, Room> {
        let is_new = !self.has(pair);
        let dice = self.dice.hash_one((pair, now)) as usize;
        let (one, other) = (dice % 8, dice / 8 % 8);
        let answer = u32::try_from(one + other + 4).unwrap_or_default();
        match self.open(pair, Until::Answer(answer, now + patience)) {
            Room::Waits => Ok(is_new.then(|| format!("how much is {} and {}", WORDS[one], WORDS[other]))),
            no => Err(no),
        }
    }

    fn open(&self, pair: u64, until: Until) -> Room {
        let mut all = self.all.lock();
        if all.len() >= MOST && !all.contains_key(&pair) {
            return Room::None;
        }
        let fresh = || Wait { until, told: 0, rows: Vec::new(), tries: 0, over: false };
        let wait = all.entry(pair).or_insert_with(fresh);
        if wait.told >= ROWS {
            return Room::Full;
        }
        wait.told += 1;
        Room::Waits
    }

    /// A row of this pair waits under this number. Gives it back if its wait is over already.
    pub fn note(&self, pair: u64, seq: Seq) -> Option<Seq> {
        let mut all = self.all.lock();
        let Some(wait) = all.get_mut(&pair) else { return Some(seq) };
        if wait.over {
            all.remove(&pair);
            return Some(seq);
        }
        wait.rows.push(seq);
        None
    }

    /// A row that waited when the process began.
    pub fn restore(&self, pair: u64, seq: Seq, then: u64) {
        // What waited then waits, however much it is.
        if self.until(pair, then) != Room::None {
            self.note(pair, seq);
        }
    }

    /// Is this pair asked something, and is this the answer?
    pub fn answer(&self, pair: u64, text: &str, now: u64) -> Reply {
        let mut all = self.all.lock();
        let Some(wait) = all.get_mut(&pair).filter(|wait| !wait.over) else { return Reply::NotAsked };
        let Until::Answer(answer, until) = wait.until else { return Reply::NotAsked };
        if until <= now {
            return Reply::NotAsked;
        }
        if numbers(text) != [answer] || wait.tries >= TRIES {
            wait.tries = wait.tries.saturating_add(1);
            return Reply::Wrong;
        }
        let rows = std::mem::take(&mut wait.rows);
        match rows.is_empty() {
            true => wait.over = true,
            false => drop(all.remove(&pair)),
        }
        Reply::Right(rows)
    }

    /// The addressee wants to hear from the sender.
    pub fn wanted(&self, pair: u64) -> Vec<Seq> {
        self.all.lock().remove(&pair).map(|wait| wait.rows).unwrap_or_default()
    }

    /// What is over by now.
    pub fn due(&self, now: u64) -> Over {
        let mut over = Over::default();
        self.all.lock().retain(|pair, wait| match wait.until {
            Until::Then(then) if then <= now => {
                over.pass.append(&mut wait.rows);
                over.pairs.push(*pair);
                false
            }
            Until::Answer(_, until) if until <= now => {
                over.lapsed.append(&mut wait.rows);
                false
            }
            _ => true,
        });
        over
    }

    pub fn len(&self) -> usize {
        self.all.lock().len()
    }
}

/// The numbers in a short text.
fn numbers(text: &str) -> Vec<u32> {
    let all = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    match text.len() <= 100 {
        true => all.filter_map(|digits| digits.parse().ok()).collect(),
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer that a person gives.
    fn solved(question: &str) -> u32 {
        question
            .split(' ')
            .filter_map(|word| WORDS.iter().position(|w| *w == word))
            .map(|at| u32::try_from(at).unwrap() + 2)
            .sum()
    }

    #[test]
    fn an_answer_lets_pass_what_waited() {
        let waiting = Waiting::default();
        let question = waiting.ask(1, 0, 100).unwrap().unwrap();
        assert_eq!(waiting.ask(1, 0, 100), Ok(None), "asked once");
        assert_eq!(waiting.note(1, Seq(7)), None);
        assert_eq!(waiting.answer(2, "5", 0), Reply::NotAsked);
        assert_eq!(waiting.answer(1, "click http://1.example", 0), Reply::Wrong);
        let answer = solved(&question);
        assert_eq!(waiting.answer(1, &format!("{answer} 99"), 0), Reply::Wrong);
        assert_eq!(waiting.answer(1, &format!("It is {answer}."), 0), Reply::Right(vec![Seq(7)]));
        assert_eq!(waiting.answer(1, &answer.to_string(), 0), Reply::NotAsked);
        // Quicker than the disk.
        let answer = solved(&waiting.ask(3, 0, 100).unwrap().unwrap()).to_string();
        assert_eq!(waiting.answer(3, &answer, 0), Reply::Right(vec![]));
        assert_eq!(waiting.note(3, Seq(9)), Some(Seq(9)));
        // Whoever tries all numbers gets nowhere.
        let answer = solved(&waiting.ask(4, 0, 100).unwrap().unwrap());
        waiting.note(4, Seq(11));
        (100..103).for_each(|n| assert_eq!(waiting.answer(4, &n.to_string(), 0), Reply::Wrong));
        assert_eq!(waiting.answer(4, &answer.to_string(), 0), Reply::Wrong);
        assert_eq!(waiting.due(100), Over { lapsed: vec![Seq(11)], ..Over::default() });
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn time_and_the_addressee_end_a_wait() {
        let waiting = Waiting::default();
        assert_eq!([waiting.until(1, 50), waiting.until(2, 60)], [Room::Waits, Room::Waits]);
        waiting.note(1, Seq(1));
        waiting.note(1, Seq(2));
        waiting.restore(2, Seq(3), 60);
        assert_eq!(waiting.due(49), Over::default());
        let over = Over { pass: vec![Seq(1), Seq(2)], pairs: vec![1], lapsed: vec![] };
        assert_eq!(waiting.due(50), over);
        assert_eq!(waiting.wanted(2), [Seq(3)]);
        assert_eq!(waiting.len(), 0);
        // A row whose wait ended before it had a number.
        assert_eq!(waiting.note(2, Seq(4)), Some(Seq(4)));
    }

    #[test]
    fn none_waits_that_nobody_would_let_go() {
        let waiting = Waiting::default();
        (0..ROWS).for_each(|_| assert_eq!(waiting.until(1, 50), Room::Waits));
        assert_eq!(waiting.until(1, 50), Room::Full);
        (0..ROWS as u64).for_each(|n| assert_eq!(waiting.note(1, Seq(n)), None));
        assert_eq!(waiting.due(50).pass.len(), ROWS);
        assert_eq!(waiting.until(1, 90), Room::Waits);
        (0..ROWS).for_each(|n| assert_eq!(waiting.ask(2, 0, 100).unwrap().is_some(), n == 0));
        assert_eq!(waiting.ask(2, 0, 100), Err(Room::Full));
    }
}
