//! Writing a journal, closing it with checkpoints and verifying it: a store on disk, no server.

use super::search::row;
use crate::{Result, clock, report::Report};
use model::{Address, Seq};
use record::{Act, Against, Chain, ChainId, Signer, close, verify_against};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use store::{CHAIN_SETTING, Checkpoints as _, Draft, Journal as _, Options, Settings as _, SqliteStore};

/// Rows between two checkpoints.
const SEGMENT: u64 = 100_000;
/// Rows that wait for the disk at a time.
const AT_ONCE: u64 = 20_000;

/// Runs it.
///
/// # Errors
/// In words.
pub fn measure(rows: u64, dir: &Path, report: &mut Report) -> Result<()> {
    std::fs::create_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    report.put("rows", rows);
    let chain = Chain::new().map_err(|e| e.to_string())?;
    let open = SqliteStore::open(&dir.join("rialto.db"), Box::new(chain), Options::default());
    let store = open.map_err(|e| e.to_string())?;
    let id = store.value(CHAIN_SETTING).map_err(|e| e.to_string())?;
    let id = id.and_then(|bytes| ChainId::from_bytes(&bytes)).ok_or("the store has no chain")?;
    let signer = Signer::open(&dir.join("checkpoint.key"))?;
    let (mut writing, mut closing, mut written) = (0, 0, 0);
    while written < rows {
        let until = rows.min(written + SEGMENT);
        let begun = clock::now();
        while written < until {
            let some = (until - written).min(AT_ONCE);
            write(&store, written, some)?;
            written += some;
        }
        writing += clock::now() - begun;
        let begun = clock::now();
        let act = Act::done("checkpoint", "server");
        close(&store, &signer, id.node, &act, row(written)?.at).map_err(|e| e.to_string())?;
        closing += clock::now() - begun;
    }
    let rate = |took: u64| rows as f64 / (took as f64 / 1e9);
    report.num("write_rows_per_s", rate(writing), 0);
    report.num("close_rows_per_s", rate(closing), 0);
    let begun = clock::now();
    let read = |after: Seq, limit: usize| store.checkpoints(after, limit);
    let against = Against { checkpoints: Some(&read), keys: &[signer.key()], ..Against::default() };
    let found = verify_against(&store, id, &against, |_| {}).map_err(|e| e.to_string())?;
    report.num("verify_rows_per_s", rate(clock::now() - begun), 0);
    if let Some(finding) = found.finding {
        return Err(finding.to_string().into());
    }
    report.put("checkpoints", found.signed.checkpoints);
    drop(store);
    Ok(std::fs::remove_dir_all(dir)?)
}

/// Writes so many rows after this one, and waits for them.
fn write(store: &SqliteStore, after: u64, rows: u64) -> Result<()> {
    let (tell, hear) = sync_channel(1);
    for n in after + 1..=after + rows {
        let made = row(n)?;
        let party = |n: u64| Address::new(&format!("user{n}"), "corp.example");
        let parties = (
            party(made.conversation % 300).map_err(|e| e.to_string())?,
            party(300 + made.conversation / 300).map_err(|e| e.to_string())?,
        );
        let draft = Draft {
            kind: made.kind,
            at: made.at,
            mailbox: None,
            parties,
            head: made.head.to_vec(),
            body: made.body.map(|body| body.to_vec()).unwrap_or_default(),
        };
        let (last, tell) = (n == after + rows, tell.clone());
        store.append(
            draft,
            Box::new(move |end| {
                if last || end.is_err() {
                    let _ = tell.try_send(end);
                }
            }),
        );
    }
    hear.recv().map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    Ok(())
}
