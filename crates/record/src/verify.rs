use crate::Ranges;
use crate::act::{Act, Restore, Retention};
use crate::ahead::read_ahead;
use crate::allowed::Allowed;
use crate::chain::ChainId;
use crate::finding::{Fault, Finding};
use crate::gaps::{Gaps, OpenGap};
use crate::marks::{Against, Marks, SignedRows};
use crate::walk::Walk;
use model::Seq;
use std::fmt;
use store::{Row, RowKind, Rows, Trouble};

/// Rows read at a time: few enough to stay small in memory, even with large bodies.
pub(crate) const PAGE: usize = 1_000;

/// What a verification came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows that were read and found good.
    pub rows: u64,
    /// Of them, rows whose content was erased.
    pub erased: u64,
    /// Acts of administrators and of the server.
    pub acts: u64,
    /// The act that destroyed most content by rule, and its row.
    pub retention: Option<(Seq, Retention)>,
    /// Acts that destroyed the content of single rows.
    pub destructions: u64,
    /// Where the journal was put back from a backup.
    pub restores: Vec<NewEpoch>,
    /// Gaps that were announced, and not ended.
    pub gaps: Vec<OpenGap>,
    /// Conversations seen; their counters are gapless where there is no finding.
    pub conversations: u64,
    /// Number and link of the last good row. The chain itself cannot tell whether rows after it were cut off: compare
    /// with a head that was noted elsewhere.
    pub last: Option<(Seq, [u8; 32])>,
    /// Uploaded files whose content was looked at, where it is still kept.
    pub files: u64,
    /// What was found signed.
    pub signed: SignedRows,
    /// The first row that is not as it was written.
    pub finding: Option<Finding>,
}

/// A row that begins a new epoch of the chain, because the node was put back from a backup. Rows that the node may have
/// written after that backup belonged to the old epoch and are not in this journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEpoch {
    /// The first row of the epoch.
    pub seq: Seq,
    /// What it says.
    pub restore: Restore,
}

impl fmt::Display for NewEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Restore { backup, made, head, epoch } = &self.restore;
        write!(
            f,
            "row {} begins epoch {epoch}: put back from {backup:?}, made {made}, which ends with row {head}; what was \
             written after that backup, if anything, is not in this journal",
            self.seq
        )
    }
}

/// Reads the whole journal and proves that every row is as it was written and where it was written, from the first
/// one; `chain` is what the store says now, and its rows may come from earlier epochs. `progress` hears the number of the last row of each page.
///
/// Rows are streamed; what grows in memory is 56 bytes for each *conversation*, and 16 for each unbroken run of rows whose
/// content was destroyed.
///
/// # Errors
/// [`Trouble`] when the journal cannot be read.
pub fn verify<R: Rows + Sync + ?Sized>(
    journal: &R,
    chain: ChainId,
    progress: impl FnMut(Seq),
) -> Result<Report, Trouble> {
    verify_against(journal, chain, &Against::default(), progress)
}

/// The same, against what was signed of it: its own checkpoints, and those that were kept elsewhere.
///
/// # Errors
/// [`Trouble`] when the journal or its checkpoints cannot be read.
pub fn verify_against<R: Rows + Sync + ?Sized>(
    journal: &R,
    chain: ChainId,
    against: &Against<'_>,
    mut progress: impl FnMut(Seq),
) -> Result<Report, Trouble> {
    let mut walk = Walk::begin(chain.node);
    let mut marks = Marks::new(against, chain)?;
    let (mut report, mut gaps) = (Report::default(), Gaps::default());
    // Rows whose content is gone, and those whose content may be.
    let (mut bare, mut allowed) = (Ranges::default(), Allowed::new(against.keys));
    // The first file whose content is not as it was.
    let mut file = None;
    let mut look = |pages: &mut dyn Iterator<Item = Result<Vec<Row>, Trouble>>| {
        for page in pages {
            let page = page?;
            for row in &page {
                let act = Act::read(row);
                let restore = act.as_ref().and_then(|a| a.restore.as_ref());
                match walk.step(row, restore.map(|r| r.epoch)) {
                    Err(fault) => return Ok(Some(Finding { seq: row.seq, fault })),
                    Ok(false) => {}
                    Ok(true) => {
                        report.restores.extend(restore.map(|r| NewEpoch { seq: row.seq, restore: r.clone() }))
                    }
                }
                report.rows += 1;
                report.acts += u64::from(row.kind == RowKind::Admin);
                gaps.step(row, act.as_ref());
                if row.salt.is_none() {
                    report.erased += 1;
                    bare.add(row.seq.0);
                }
                report.last = Some((row.seq, row.link));
                if let Err(finding) =
                    marks.step(row, walk.chain, act.as_ref().and_then(|a| a.checkpoint.as_ref()))?
                {
                    return Ok(Some(finding));
                }
                let upload = act.as_ref().filter(|a| a.act == "upload").and_then(|a| a.file.as_ref());
                if let (Some(upload), Some(look), None) = (upload, against.files, file) {
                    report.files += 1;
                    file = look(upload)?.map(|fault| Finding { seq: row.seq, fault });
                }
                if let Some(act) = &act {
                    report.destructions += u64::from(act.destruction.is_some());
                    if let Err(fault) = allowed.hear(row, walk.chain, act) {
                        return Ok(Some(Finding { seq: row.seq, fault }));
                    }
                }
            }
            progress(Seq(walk.next - 1));
        }
        Ok(None)
    };
    let finding = read_ahead(journal, Seq(1), PAGE, |pages| look(pages))?;
    report.gaps = gaps.0;
    report.conversations = walk.conversations();
    report.retention = allowed.retention.take();
    let unexplained =
        bare.first_beyond(&allowed.rows()).map(|seq| Finding { seq: Seq(seq), fault: Fault::Unexplained });
    let epoch = (walk.chain != chain)
        .then(|| Finding { seq: Seq(walk.next - 1), fault: Fault::NoEpoch(chain.epoch) });
    let end = if finding.is_none() { marks.end(Seq(walk.next - 1), walk.chain.epoch) } else { None };
    report.finding = finding.or(epoch).or(end).or(file).or(unexplained);
    report.signed = marks.signed;
    Ok(report)
}
