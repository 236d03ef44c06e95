//! Gaps: what passed while nothing could be put on record. An act tells it before the rows that follow late, and another when they are
//! all there.

use crate::act::Act;
use model::codec::decode;
use model::{LATE, Seq};
use serde::{Deserialize, Serialize};
use std::fmt;
use store::{Row, RowKind};

/// What an act says of a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapAct {
    /// Messages that passed; only where it is announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<u64>,
    /// Of them, those whose rows follow late, or, at the end, were written.
    pub late: u64,
    /// The row that announced it; on that row itself there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<u64>,
}

/// A gap that was announced, and of which no act says that its rows are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenGap {
    /// The row that announced it.
    pub seq: Seq,
    /// Rows that were to follow.
    pub late: u64,
    /// Rows that did.
    pub there: u64,
}

impl fmt::Display for OpenGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, late, there } = self;
        write!(
            f,
            "row {seq} announces {late} row(s) of messages that passed without, and no act says that they were written: {there} are \
             there. If no server is still writing them, the others were lost with the process that had them"
        )
    }
}

/// Goes along with the rows.
#[derive(Debug, Default)]
pub(crate) struct Gaps(pub Vec<OpenGap>);

impl Gaps {
    pub fn step(&mut self, row: &Row, act: Option<&Act>) {
        match act.and_then(|act| act.gap.as_ref()) {
            Some(GapAct { begun: Some(begun), .. }) => self.0.retain(|gap| gap.seq.0 != *begun),
            Some(gap) => self.0.push(OpenGap { seq: row.seq, late: gap.late, there: 0 }),
            None if row.kind != RowKind::Envelope => {}
            None => {
                let waiting = self.0.iter_mut().find(|gap| gap.there < gap.late);
                let is_late = |row: &Row| {
                    decode(&row.head, None)
                        .is_ok_and(|kept| kept.judged.rules.iter().any(|rule| rule == LATE))
                };
                if let Some(gap) = waiting.filter(|_| is_late(row)) {
                    gap.there += 1;
                }
            }
        }
    }
}
