//! Retention rules: they are read, or refused with a reason.

use super::policy_text::Nobody;
use matters::RuleSet;

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let general = "30 days".parse().expect("thirty days");
    match RuleSet::read(text, general, &Nobody) {
        Ok(rules) => rules.terms().for_each(|term| assert!(term.in_words().starts_with(&term.name))),
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}
