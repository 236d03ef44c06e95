//! Writing a journal, closing it with checkpoints and verifying it: a store on disk, no server.

use super::journal::{Wanted, Written, written};
use super::search::APART_MS;
use crate::{Result, clock, report::Report};
use model::Seq;
use record::{Against, verify_against};
use std::path::Path;
use store::Checkpoints as _;

/// Runs it.
///
/// # Errors
/// In words.
pub fn measure(rows: u64, dir: &Path, report: &mut Report) -> Result<()> {
    std::fs::create_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    report.put("rows", rows);
    let wanted = Wanted { messages: rows, apart: APART_MS, pairs: 100_000, settled: false };
    let Written { store, chain, signer, took: (writing, closing) } = written(dir, &wanted)?;
    let rate = |took: u64| rows as f64 / (took as f64 / 1e9);
    report.num("write_rows_per_s", rate(writing), 0);
    report.num("close_rows_per_s", rate(closing), 0);
    let begun = clock::now();
    let read = |after: Seq, limit: usize| store.checkpoints(after, limit);
    let against = Against { checkpoints: Some(&read), keys: &[signer.key()], ..Against::default() };
    let found = verify_against(&store, chain, &against, |_| {}).map_err(|e| e.to_string())?;
    report.num("verify_rows_per_s", rate(clock::now() - begun), 0);
    if let Some(finding) = found.finding {
        return Err(finding.to_string().into());
    }
    report.put("checkpoints", found.signed.checkpoints);
    drop(store);
    Ok(std::fs::remove_dir_all(dir)?)
}
