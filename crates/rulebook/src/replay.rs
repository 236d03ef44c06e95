//! A candidate over the record: what it would have decided of what has been.

use crate::trial::{Report, Tally, in_words};
use model::Judgement;
use policy::{Facts, Policy, Society};
use serde::{Deserialize, Serialize};
use store::{Journal, RowKind, Trouble};
use utoipa::ToSchema;

/// Rows read at a time.
const PAGE: usize = 500;

/// What one stretch of the record came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replayed {
    /// What would have been different.
    #[serde(flatten)]
    pub report: Report,
    /// Rows whose content was destroyed or cannot be read; the candidate was not asked.
    pub unreadable: u64,
    /// The row with which to go on; `None` at the end of the record.
    pub next: Option<u64>,
}

/// Runs a policy over at most `limit` rows from `first` on that entered in the given time, Unix milliseconds. Groups and
/// partners are those of today. Blocks.
///
/// # Errors
/// [`Trouble`] when the record cannot be read.
pub fn replay(
    policy: &Policy,
    society: &dyn Society,
    journal: &dyn Journal,
    first: u64,
    limit: usize,
    time: std::ops::Range<u64>,
) -> Result<Replayed, Trouble> {
    let mut tally = Tally::default();
    let mut replayed = Replayed::default();
    let (mut next, end) = (first.max(1), first.max(1) + limit as u64);
    'pages: while next < end {
        let rows = journal.rows(model::Seq(next), PAGE.min((end - next) as usize))?;
        if rows.is_empty() {
            replayed.report = tally.report();
            return Ok(replayed);
        }
        for row in rows {
            next = row.seq.0 + 1;
            if row.at.unix_ms() >= time.end {
                // What comes later is later, but for clocks that were set back.
                replayed.report = tally.report();
                return Ok(replayed);
            }
            if row.kind != RowKind::Envelope || row.at.unix_ms() < time.start {
                continue;
            }
            match model::codec::decode(&row.head, row.body.as_deref()) {
                // The same message once more, let pass by a person.
                Ok(kept) if kept.judged.released.is_some() => {}
                Ok(kept) if !kept.erased => {
                    let would = policy.decide(&Facts::of(&kept.envelope, society));
                    tally.note(&kept.envelope, was(&kept.judged), in_words(&would));
                }
                _ => replayed.unreadable += 1,
            }
            if next >= end {
                break 'pages;
            }
        }
    }
    replayed.next = Some(next);
    replayed.report = tally.report();
    Ok(replayed)
}

/// What was done at the time, in the words of [`in_words`].
fn was(judged: &Judgement) -> (String, String) {
    let rules = judged.rules.iter().map(|rule| rule.as_str());
    let (verdict, by): (&str, Vec<&str>) = match (&judged.refused, &judged.held) {
        (Some(refusal), _) => ("block", refusal.rule.as_deref().into_iter().collect()),
        (None, Some(hold)) => ("hold", vec![hold.rule.as_str()]),
        // Whether a rule changed it or warned its sender is not on record apart; what passed is as it passed.
        (None, None) => ("allow", rules.collect()),
    };
    let full = if by.is_empty() { verdict.to_owned() } else { format!("{verdict} by {}", by.join(", ")) };
    (verdict.to_owned(), full)
}
