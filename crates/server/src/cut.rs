//! A journal that ends before rows that others know of: it was cut off, or an older file lies in its place. Whoever went on writing
//! would give numbers a second time, and nobody could tell any more which rows were meant.

use crate::checkpoints::anchored;
use crate::config::Config;
use crate::failure::Failure;
use model::Seq;
use record::{ChainId, Signed};
use store::SqliteStore;

/// Looks whether the journal has all rows that it must have had.
///
/// # Errors
/// [`Failure`] where it has not: nothing may be written to it.
pub fn refuse(config: &Config, store: &SqliteStore, chain: ChainId) -> Result<(), Failure> {
    if config.may_be_cut {
        return Ok(());
    }
    let (head, noted) = store.ends()?;
    let known = [
        ("its own checkpoints and mailboxes know", Some(noted)),
        ("the search index has", search::Index::last(&config.index(), &chain.to_string())),
        ("a checkpoint in the directory of [record.anchors] closes", kept(config, chain)),
    ];
    let beyond = known.into_iter().filter_map(|(who, last)| Some((who, last.filter(|last| *last > head)?)));
    let Some((who, last)) = beyond.max_by_key(|(_, last)| *last) else { return Ok(()) };
    let store = config.store();
    tracing::error!(%head, %last, store = %store.display(), "rows of the journal are gone");
    Err(Failure::new(format!(
        "{}: the journal ends with row {head}, and {who} row {last}: rows {} to {last} were cut off, or an older file lies in its place. \
         Nothing is written to it, for their numbers would be given a second time. Keep the directory as it is for whoever looks into this \
         (`rialto journal verify` says what is left), and put the newest backup back: `rialto restore BACKUP --replace` goes on in a new \
         epoch, and says so on record",
        store.display(),
        head.0 + 1,
    )))
}

/// The last row of this chain that checkpoints kept elsewhere close, as far as their signature is good.
fn kept(config: &Config, chain: ChainId) -> Option<Seq> {
    let lines = anchored(config, &chain.node)?.ok()?;
    let signed = lines.iter().filter_map(|line| Signed::parse(line).ok());
    let ours = signed.filter(|one| one.checkpoint.chain == chain && one.is_genuine());
    ours.map(|one| one.checkpoint.last).max()
}
