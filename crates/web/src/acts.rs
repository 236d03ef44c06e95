//! Acts of administrators go on the chain, with how they ended.

use crate::problem::Problem;
use crate::{Desk, Who};
use axum::http::StatusCode;
use model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Desk {
    /// Does something that changes the server, and records that it was asked for, by whom and how it ended. Blocks.
    pub(crate) fn act<T>(
        &self,
        who: &Who,
        act: &str,
        on: &str,
        work: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.act_in_full(who, act, (on, on), work)
    }

    /// The same, where the record says in full what the log says shortly.
    ///
    /// # Errors
    /// As `act`.
    pub(crate) fn act_in_full<T>(
        &self,
        who: &Who,
        act: &str,
        (on, in_full): (&str, &str),
        work: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let end = work();
        let mut row = who.done(act).on(in_full);
        if let Err(Problem(status, detail)) = &end {
            row.result = format!("refused, {}: {detail}", status.as_u16());
        }
        tracing::info!(act, on, who = who.as_str(), result = row.result, "administration");
        match (row.note(self.journal.as_ref(), now()), end) {
            (Ok(_), end) => end,
            // What failed has changed nothing, so nothing is missing from the record.
            (Err(_), Err(problem)) => Err(problem),
            (Err(trouble), Ok(_)) => Err(Problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("it is done, but it could not be put on record: {trouble}"),
            )),
        }
    }
}
