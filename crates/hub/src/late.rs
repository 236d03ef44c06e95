//! What passes while the record cannot be written, where the house wants that: handed to those who are there, and put on
//! record as soon as it can be.

use crate::clock;
use crate::house::Hub;
use crate::link::HubEvent;
use crate::router::{Committed, Plan};
use model::codec::encode_head;
use model::{Envelope, Event, Judgement, LATE, Outcome, Seq, Timestamp};
use parking_lot::Mutex;
use ports::Gap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Draft, Trouble};

/// Bytes of rows that are kept for later. Of what passes beyond them only the number is known.
const BYTES: usize = 32 << 20;

/// Rows that are written late, at one time.
const AT_ONCE: usize = 1_000;

#[derive(Default)]
pub(crate) struct Late {
    state: Mutex<State>,
    /// Is somebody writing them?
    writing: AtomicBool,
}

#[derive(Default)]
struct State {
    gap: Option<Gap>,
    rows: VecDeque<Draft>,
    bytes: usize,
    /// The first so many rows were announced.
    announced: usize,
    /// Acts that announced them, each with how many; they wait for an act that says that the rows are there.
    open: Vec<(Seq, u64)>,
}

/// What a row takes.
fn size(draft: &Draft) -> usize {
    draft.head.len() + draft.body.len()
}

impl State {
    /// One more has passed. Says whether it is the first.
    fn passed(&mut self, at: Timestamp, draft: Draft) -> bool {
        let first = self.gap.is_none();
        let gap = self.gap.get_or_insert(Gap { since: at, until: at, passed: 0, late: 0 });
        gap.until = gap.until.max(at);
        gap.passed += 1;
        if self.bytes + size(&draft) <= BYTES {
            gap.late += 1;
            self.bytes += size(&draft);
            self.rows.push_back(draft);
        }
        first
    }
}

impl Hub {
    /// The row as it would be written late, where this may pass without one.
    pub(crate) fn late_row(
        &self,
        envelope: &Envelope,
        plan: &Plan,
        judged: &Judgement,
        draft: &Draft,
    ) -> Option<Box<Draft>> {
        let rules = self.parts.unrecorded.as_ref()?;
        let passes = matches!(plan, Plan::Mailbox(_) | Plan::Remote(_))
            && matches!(envelope.event, Event::Message(_) | Event::Receipt(_))
            && rules.may_pass(envelope);
        passes.then(|| {
            let mut judged = judged.clone();
            judged.rules.push(LATE.into());
            // It does not wait for anybody any more.
            Box::new(Draft { mailbox: None, head: encode_head(envelope, &judged), ..draft.clone() })
        })
    }

    /// Hands over what has no row. `false` if nobody is there: it has nowhere to wait.
    pub(crate) fn pass_unrecorded(
        self: &Arc<Self>,
        committed: &Committed,
        trouble: &Trouble,
        draft: Draft,
    ) -> bool {
        let Committed { link, ticket, envelope, plan, .. } = committed;
        // What is damaged becomes no better by waiting.
        if matches!(trouble, Trouble::Damaged(_)) {
            return false;
        }
        match plan {
            Plan::Mailbox(account) => {
                if self.pass_on(account, envelope).outcome != Outcome::Delivered {
                    return false;
                }
                self.copy(account, envelope);
                link.send(HubEvent::Kept(*ticket));
                if committed.outcome_wanted {
                    link.send(HubEvent::Settled(*ticket, Outcome::Delivered.into()));
                }
            }
            Plan::Remote(account) => {
                if !account.state.lock().is_carried() {
                    return false;
                }
                link.send(HubEvent::Kept(*ticket));
                self.pass_abroad(link, *ticket, account, envelope, committed.outcome_wanted);
            }
            Plan::Presence | Plan::Hold(_) | Plan::Refuse(_) | Plan::Drop => return false,
        }
        self.counting.unrecorded();
        if self.late.state.lock().passed(envelope.at, draft) {
            tracing::error!(%trouble, "messages pass that are not on record, as [record] fail_open says");
        }
        true
    }

    /// If the record can be written again: what passed, and its rows.
    pub(crate) fn record_late(self: &Arc<Self>) {
        let Some(rules) = &self.parts.unrecorded else { return };
        let idle = {
            let state = self.late.state.lock();
            state.gap.is_none() && state.rows.is_empty() && state.open.is_empty()
        };
        if idle || self.parts.journal.health().trouble.is_some() {
            return;
        }
        if self.late.writing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (hub, rules) = (self.clone(), rules.clone());
        self.blocking(move || {
            hub.write_late(rules.as_ref());
            hub.late.writing.store(false, Ordering::Release);
        });
    }

    fn write_late(&self, rules: &dyn ports::Unrecorded) {
        let (gap, rows) = {
            let mut state = self.late.state.lock();
            (state.gap.take(), state.rows.len())
        };
        if let Some(gap) = gap {
            let act = match rules.gap(&gap) {
                Ok(act) => act,
                Err(error) => {
                    tracing::debug!(%error, "what passed cannot be put on record yet");
                    return self.late.state.lock().reopen(gap);
                }
            };
            let mut state = self.late.state.lock();
            state.announced = rows;
            state.open.push((act, gap.late));
            tracing::warn!(
                passed = gap.passed,
                late = gap.late,
                "what passed without a row is on record now"
            );
        }
        while let Some(rows) = self.late.state.lock().announced() {
            let mut ends = Vec::with_capacity(rows.len());
            for row in rows {
                let row = Draft { at: clock::wall(), ..row };
                let (tell, hear) = std::sync::mpsc::sync_channel(1);
                self.parts.journal.append(row.clone(), Box::new(move |end| drop(tell.send(end))));
                ends.push((row, hear));
            }
            let ends = ends.into_iter().map(|(row, hear)| (row, matches!(hear.recv(), Ok(Ok(_)))));
            let failed: Vec<Draft> = ends.filter_map(|(row, kept)| (!kept).then_some(row)).collect();
            if !failed.is_empty() {
                return self.late.state.lock().back(failed);
            }
        }
        let open = std::mem::take(&mut self.late.state.lock().open);
        let left = open.into_iter().filter(|(act, late)| rules.closed(*act, *late).is_err());
        let left: Vec<_> = left.collect();
        self.late.state.lock().open.extend(left);
    }
}

impl State {
    /// Some of the rows that were announced; `None` when there are no more.
    fn announced(&mut self) -> Option<Vec<Draft>> {
        let some = self.announced.min(AT_ONCE);
        let rows: Vec<Draft> = self.rows.drain(..some).collect();
        self.announced -= some;
        self.bytes -= rows.iter().map(size).sum::<usize>();
        (!rows.is_empty()).then_some(rows)
    }

    /// These could not be written after all.
    fn back(&mut self, rows: Vec<Draft>) {
        self.bytes += rows.iter().map(size).sum::<usize>();
        self.announced += rows.len();
        rows.into_iter().rev().for_each(|row| self.rows.push_front(row));
    }

    /// The gap is not on record yet, and may have grown.
    fn reopen(&mut self, gap: Gap) {
        self.gap = Some(match self.gap {
            None => gap,
            Some(more) => Gap {
                since: gap.since,
                until: more.until,
                passed: gap.passed + more.passed,
                late: gap.late + more.late,
            },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Address;
    use store::RowKind;

    fn draft(bytes: usize) -> Draft {
        let nobody = Address::parse("localhost").unwrap();
        let parties = (nobody.clone(), nobody);
        let kind = RowKind::Envelope;
        Draft { kind, at: Timestamp(1), mailbox: None, parties, head: Vec::new(), body: vec![0; bytes] }
    }

    #[test]
    fn what_is_too_much_to_keep_is_counted() {
        let mut state = State::default();
        assert!(state.passed(Timestamp(5), draft(BYTES - 1)));
        assert!(!state.passed(Timestamp(7), draft(2)));
        assert!(!state.passed(Timestamp(6), draft(1)));
        let gap = Gap { since: Timestamp(5), until: Timestamp(7), passed: 3, late: 2 };
        assert_eq!((state.gap, state.rows.len()), (Some(gap), 2));
    }

    #[test]
    fn rows_wait_until_they_are_announced() {
        let mut state = State::default();
        assert!(state.passed(Timestamp(1), draft(3)));
        assert!(state.announced().is_none(), "no act says that it follows");
        state.announced = 1;
        state.passed(Timestamp(2), draft(4));
        let rows = state.announced().unwrap();
        assert_eq!((rows.len(), state.bytes), (1, 4));
        state.back(rows);
        assert_eq!((state.rows.len(), state.announced, state.bytes), (2, 1, 7));
    }

    #[test]
    fn a_gap_that_cannot_be_written_grows() {
        let mut state = State::default();
        state.passed(Timestamp(5), draft(1));
        let gap = state.gap.take().unwrap();
        state.passed(Timestamp(9), draft(1));
        state.reopen(gap);
        assert_eq!(state.gap, Some(Gap { since: Timestamp(5), until: Timestamp(9), passed: 2, late: 2 }));
    }
}
