//! The body of an outcomes row: what became of earlier rows, one entry after the other.

use super::CodecError;
use super::refusal::{read_refusal, write_refusal};
use super::tlv::{Reader, Writer, int, text};
use crate::{Dialect, Loss, LossKind, Outcome, Seq};

/// One entry of an outcomes row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledEntry {
    /// Which row ended.
    pub seq: Seq,
    /// How.
    pub outcome: Outcome,
    /// What its translation lost.
    pub losses: Vec<Loss>,
}

/// Appends one entry to the bytes of an outcomes row, which start empty.
pub fn encode_outcome(out: &mut Vec<u8>, seq: Seq, outcome: &Outcome, losses: &[Loss]) {
    Writer(out).nest(1, |w| {
        w.int(1, seq.0);
        match outcome {
            Outcome::Delivered => w.int(2, 1),
            Outcome::Accepted => w.int(2, 2),
            Outcome::Pending => w.int(2, 3),
            Outcome::Unknown => w.int(2, 4),
            Outcome::Refused(refusal) => w.nest(3, |w| write_refusal(w, refusal)),
        }
        for loss in losses {
            w.nest(4, |w| {
                w.int(1, loss.kind as u64);
                w.text(2, &loss.what);
                w.text(3, &loss.became);
                w.int(4, loss.from as u64);
                w.int(5, loss.to as u64);
            });
        }
    });
}

/// Reads an outcomes row.
///
/// # Errors
/// [`CodecError`] for bytes no version of ours wrote.
pub fn decode_outcomes(bytes: &[u8]) -> Result<Vec<SettledEntry>, CodecError> {
    let mut entries = Vec::new();
    let mut rows = Reader(bytes);
    while let Some((tag, row)) = rows.next()? {
        if tag != 1 {
            continue;
        }
        let mut entry = SettledEntry { seq: Seq(0), outcome: Outcome::Unknown, losses: Vec::new() };
        let mut r = Reader(row);
        while let Some((tag, v)) = r.next()? {
            match tag {
                1 => entry.seq = Seq(int(v)?),
                2 => {
                    entry.outcome = match int(v)? {
                        1 => Outcome::Delivered,
                        2 => Outcome::Accepted,
                        3 => Outcome::Pending,
                        _ => Outcome::Unknown,
                    };
                }
                3 => entry.outcome = Outcome::Refused(read_refusal(v)?),
                4 => entry.losses.push(loss(v)?),
                _ => {}
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn loss(bytes: &[u8]) -> Result<Loss, CodecError> {
    let mut loss = Loss::dropped("", Dialect::Hub, Dialect::Hub);
    let dialect = |v| u8::try_from(int(v)?).ok().and_then(Dialect::from_code).ok_or(CodecError("dialect"));
    let mut r = Reader(bytes);
    while let Some((tag, v)) = r.next()? {
        match tag {
            1 if int(v)? == 2 => loss.kind = LossKind::Changed,
            2 => loss.what = text(v)?.into(),
            3 => loss.became = text(v)?.into(),
            4 => loss.from = dialect(v)?,
            5 => loss.to = dialect(v)?,
            _ => {}
        }
    }
    Ok(loss)
}
