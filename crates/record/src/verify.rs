use crate::chain::{ChainId, body_digest, link};
use model::Seq;
use std::collections::HashMap;
use std::fmt;
use store::{Row, Rows, Trouble};

/// Rows read at a time: few enough to stay small in memory, even with large bodies.
const PAGE: usize = 1_000;

/// What is wrong with the first row that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Rows are missing: this number should have come next.
    Missing(Seq),
    /// The number came before, or out of order.
    Repeated,
    /// The head, a time, a number or a digest of the row was changed after it was written.
    Changed,
    /// The body is not the one that was written.
    BodyChanged,
    /// Content was destroyed in part only: body without salt, or salt without body.
    HalfErased,
    /// The row is whole but was written after another row than the one it stands after: that one was replaced.
    NotNext,
    /// The row was never written in this place of this chain: it was added, or moved here.
    Foreign,
    /// The row's place in its conversation does not follow from the row before it: this place should have come next.
    ConversationGap(u64),
    /// The row does not name the conversation's previous row.
    ConversationBroken,
}

/// The first row that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Its number.
    pub seq: Seq,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.fault {
            Fault::Missing(next) if next.0 + 1 == seq.0 => write!(f, "row {next} is missing"),
            Fault::Missing(next) => write!(f, "rows {next} to {} are missing", seq.0 - 1),
            Fault::Repeated => write!(f, "row {seq} comes twice or out of order"),
            Fault::Changed => write!(f, "row {seq} was changed"),
            Fault::BodyChanged => write!(f, "the content of row {seq} was changed"),
            Fault::HalfErased => write!(f, "the content of row {seq} was destroyed in part"),
            Fault::NotNext => write!(f, "row {seq} was written after another row than the one before it"),
            Fault::Foreign => write!(f, "row {seq} was added or moved here"),
            Fault::ConversationGap(next) => {
                write!(f, "row {seq} should be number {next} of its conversation")
            }
            Fault::ConversationBroken => {
                write!(f, "row {seq} does not follow the row before it in its conversation")
            }
        }
    }
}

/// What a verification came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Rows that were read and found good.
    pub rows: u64,
    /// Of them, rows whose content was erased.
    pub erased: u64,
    /// Conversations seen; their counters are gapless where there is no finding.
    pub conversations: u64,
    /// Number and link of the last good row. The chain itself cannot tell whether rows after it were cut off: compare
    /// with a head that was noted elsewhere.
    pub last: Option<(Seq, [u8; 32])>,
    /// The first row that is not as it was written.
    pub finding: Option<Finding>,
}

/// Reads the whole journal and proves that every row is as it was written and where it was written, from the first
/// one. `progress` hears the number of the last row of each page.
///
/// Rows are streamed; what grows in memory is 56 bytes for each *conversation*.
///
/// # Errors
/// [`Trouble`] when the journal cannot be read.
pub fn verify<R: Rows + ?Sized>(
    journal: &R,
    chain: ChainId,
    mut progress: impl FnMut(Seq),
) -> Result<Report, Trouble> {
    let mut walk = Walk { chain, next: 1, prev: chain.genesis(), conversations: HashMap::new() };
    let mut report = Report { rows: 0, erased: 0, conversations: 0, last: None, finding: None };
    loop {
        let page = journal.rows(Seq(walk.next), PAGE)?;
        let Some(end) = page.last().map(|r| r.seq) else { break };
        for row in &page {
            if let Err(fault) = walk.step(row) {
                report.finding = Some(Finding { seq: row.seq, fault });
                report.conversations = walk.conversations.len() as u64;
                return Ok(report);
            }
            report.rows += 1;
            report.erased += u64::from(row.salt.is_none());
            report.last = Some((row.seq, row.link));
        }
        progress(end);
    }
    report.conversations = walk.conversations.len() as u64;
    Ok(report)
}

/// Where the verification stands.
struct Walk {
    chain: ChainId,
    next: u64,
    prev: [u8; 32],
    conversations: HashMap<u64, (u64, [u8; 32])>,
}

impl Walk {
    fn step(&mut self, row: &Row) -> Result<(), Fault> {
        if row.seq.0 > self.next {
            return Err(Fault::Missing(Seq(self.next)));
        }
        if row.seq.0 < self.next {
            return Err(Fault::Repeated);
        }
        match (row.prev == self.prev, row.link == link(self.chain, row)) {
            (true, true) => {}
            (true, false) => return Err(Fault::Changed),
            (false, true) => return Err(Fault::NotNext),
            (false, false) => return Err(Fault::Foreign),
        }
        match (&row.salt, &row.body) {
            (Some(salt), Some(body)) if body_digest(salt, body) == row.body_digest => {}
            (Some(_), Some(_)) => return Err(Fault::BodyChanged),
            (None, None) => {}
            _ => return Err(Fault::HalfErased),
        }
        if row.conversation != 0 {
            let place = self.conversations.entry(row.conversation).or_insert((0, [0; 32]));
            if row.conversation_seq != place.0 + 1 {
                return Err(Fault::ConversationGap(place.0 + 1));
            }
            if row.conversation_prev != place.1 {
                return Err(Fault::ConversationBroken);
            }
            *place = (row.conversation_seq, row.link);
        }
        self.next += 1;
        self.prev = row.link;
        Ok(())
    }
}
