//! Forgetting by rule: the act first, then the destruction, so that the verifier can explain every row without content.

use crate::act::{Act, Retention};
use model::{Seq, Timestamp};
use std::fmt;
use std::str::FromStr;
use store::{Destroyed, Journal, Retain, Trouble};

const DAY_MS: u64 = 86_400_000;

/// How long content is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rule {
    /// Until somebody decides otherwise.
    #[default]
    Forever,
    /// For so many days.
    Days(u32),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::Days(days) => write!(f, "{days} days"),
        }
    }
}

impl FromStr for Rule {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write \"forever\" or \"N days\", such as \"365 days\"";
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let days = text.strip_suffix(" days").or(text.strip_suffix(" day")).ok_or(wrong)?;
        days.parse().map(Self::Days).map_err(|_| wrong)
    }
}

/// Destroys the content of all rows that are older than the rule says, except of messages that still wait for somebody:
/// theirs goes with the first run after they were delivered. Heads and links stay, and the chain verifies. Gives what was
/// done, `None` where the rule keeps everything. `pause` is called between steps. Blocks.
///
/// # Errors
/// [`Trouble`] when the store cannot be read or written; what was done until then stays done, and the next run goes on.
pub fn expire<S: Journal + Retain>(
    store: &S,
    rule: Rule,
    by: Act,
    now: Timestamp,
    mut pause: impl FnMut(),
) -> Result<Option<Destroyed>, Trouble> {
    let Rule::Days(days) = rule else { return Ok(None) };
    let mut all = Destroyed::default();
    let mut after = Some(Seq(0));
    while let Some(seq) = after {
        let (done, last) = store.destroy_held(seq)?;
        all.rows += done.rows;
        all.held += done.held;
        after = last;
        pause();
    }
    let to = store.last_before(Timestamp(now.0.saturating_sub(u64::from(days) * DAY_MS)))?;
    if to <= store.destroyed_to()? || !store.is_anything_left(to)? {
        return Ok(Some(all));
    }
    let rule = Retention { rule: rule.to_string(), to: to.0 };
    Act { retention: Some(rule), ..by }.note(store, now)?;
    loop {
        let done = store.destroy(to)?;
        all.rows += done.rows;
        all.held += done.held;
        if !done.more {
            return Ok(Some(all));
        }
        pause();
    }
}
