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
    rows: Vec<Seq>,
    tries: u8,
    /// The answer came before the row's number did.
    over: bool,
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
    /// What this pair sends waits until then. False where there is no room.
    pub fn until(&self, pair: u64, then: u64) -> bool {
        self.open(pair, Until::Then(then))
    }

    /// What this pair sends waits for an answer. Gives the question where it is a new one; `Err` where there is no room.
    pub fn ask(&self, pair: u64, now: u64, patience: u64) -> Result<Option<String>, ()> {
        if self.all.lock().contains_key(&pair) {
            return Ok(None);
        }
        let dice = self.dice.hash_one((pair, now)) as usize;
        let (one, other) = (dice % 8, dice / 8 % 8);
        let answer = u32::try_from(one + other + 4).unwrap_or_default();
        match self.open(pair, Until::Answer(answer, now + patience)) {
            true => Ok(Some(format!("how much is {} and {}", WORDS[one], WORDS[other]))),
            false => Err(()),
        }
    }

    fn open(&self, pair: u64, until: Until) -> bool {
        let mut all = self.all.lock();
        if all.len() >= MOST && !all.contains_key(&pair) {
            return false;
        }
        all.entry(pair).or_insert_with(|| Wait { until, rows: Vec::new(), tries: 0, over: false });
        true
    }

    /// A row of this pair waits under this number. Gives it back if its wait is over already.
    pub fn note(&self, pair: u64, seq: Seq) -> Option<Seq> {
        let mut all = self.all.lock();
        let wait = all.get_mut(&pair)?;
        if wait.over {
            all.remove(&pair);
            return Some(seq);
        }
        if wait.rows.len() < ROWS {
            wait.rows.push(seq);
        }
        None
    }

    /// A row that waited when the process began.
    pub fn restore(&self, pair: u64, seq: Seq, then: u64) {
        if self.until(pair, then) {
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

    /// What is over: rows that pass now, and rows for which no answer came.
    pub fn due(&self, now: u64) -> (Vec<Seq>, Vec<Seq>) {
        let (mut pass, mut lapsed) = (Vec::new(), Vec::new());
        self.all.lock().retain(|_, wait| match wait.until {
            Until::Then(then) if then <= now => {
                pass.append(&mut wait.rows);
                false
            }
            Until::Answer(_, until) if until <= now => {
                lapsed.append(&mut wait.rows);
                false
            }
            _ => true,
        });
        (pass, lapsed)
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
        assert_eq!(waiting.due(100), (vec![], vec![Seq(11)]));
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn time_and_the_addressee_end_a_wait() {
        let waiting = Waiting::default();
        assert!(waiting.until(1, 50) && waiting.until(2, 60));
        waiting.note(1, Seq(1));
        waiting.note(1, Seq(2));
        waiting.restore(2, Seq(3), 60);
        assert_eq!(waiting.due(49), (vec![], vec![]));
        assert_eq!(waiting.due(50), (vec![Seq(1), Seq(2)], vec![]));
        assert_eq!(waiting.wanted(2), [Seq(3)]);
        assert_eq!(waiting.len(), 0);
    }
}
