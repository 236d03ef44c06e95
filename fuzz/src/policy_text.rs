//! The text of a policy: it is read, or each mistake is told with a place that the text has.

use model::Address;
use policy::{Belonging, Policy, Society};

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Policy::read(text) {
        Ok(policy) => {
            assert_eq!(policy.text(), text);
            let _ = policy.strangers(&Nobody);
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused for no reason: {text}");
            for mistake in mistakes {
                assert!(mistake.line <= text.lines().count().max(1), "{mistake}");
            }
        }
    }
}

/// Nobody is in any group.
pub struct Nobody;

impl Society for Nobody {
    fn belonging(&self, _: &Address) -> Belonging {
        Belonging::default()
    }

    fn has_group(&self, _: &str) -> bool {
        false
    }

    fn has_partner(&self, _: &str) -> bool {
        false
    }
}
