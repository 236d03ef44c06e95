//! What looking for things may cost: measured when a policy is saved, on texts that are always the same.

use policy::Policy;
use std::time::{Duration, Instant};

/// A message of 300 bytes may cost so much on average.
const BUDGET: Duration = Duration::from_micros(50);
/// So many tries; the quickest counts, for machines have other things to do.
const TRIES: usize = 5;

/// Texts of people at work, with digits, names, links and other alphabets: what expressions stumble over.
fn corpus() -> Vec<String> {
    let words = [
        "the",
        "meeting",
        "is",
        "at",
        "14:30",
        "please",
        "call",
        "+41",
        "44",
        "123",
        "45",
        "67",
        "order",
        "12345678901",
        "see",
        "https://intranet.example/wiki/Page_12?x=1",
        "Müller",
        "für",
        "Привет",
        "invoice",
        "2026-11-21",
        "4111",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "anna@corp.example",
        "ok",
        "-",
        "#42",
        "quarterly",
        "numbers",
        "confidential",
    ];
    (0..64usize)
        .map(|n| {
            let mut text = String::new();
            let mut at = n;
            while text.len() < 300 {
                text.push_str(words[at % words.len()]);
                text.push(' ');
                at = at * 7 + n + 3;
                at %= 10_007;
            }
            text
        })
        .collect()
}

fn cost(texts: &[String], mut work: impl FnMut(&str)) -> Duration {
    let one = |work: &mut dyn FnMut(&str)| {
        let begun = Instant::now();
        texts.iter().for_each(|text| work(text));
        begun.elapsed() / texts.len() as u32
    };
    (0..TRIES).map(|_| one(&mut work)).min().unwrap_or_default()
}

/// Does looking for all that the policy looks for cost little enough?
///
/// # Errors
/// In words, how much it costs, and which expression costs most.
pub(crate) fn fits(policy: &Policy) -> Result<Duration, String> {
    let texts = corpus();
    let all = cost(&texts, |text| {
        policy.found_in(text);
    });
    if all <= BUDGET {
        return Ok(all);
    }
    let each = (0..policy.expressions().len()).map(|at| {
        (
            cost(&texts, |text| {
                policy.matches(at, text);
            }),
            at,
        )
    });
    let worst = each.max().map(|(cost, at)| {
        format!(
            "; the slowest expression takes {} microseconds: {}",
            cost.as_micros(),
            policy.expressions()[at]
        )
    });
    Err(format!(
        "looking for all of it takes {} microseconds for a message of 300 bytes, and may take {}{}",
        all.as_micros(),
        BUDGET.as_micros(),
        worst.unwrap_or_default()
    ))
}
