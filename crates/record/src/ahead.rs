//! Reading rows beside whoever looks at them: reading takes as long as looking does.

use model::Seq;
use std::sync::mpsc::sync_channel;
use store::{Row, Rows, Trouble};

/// Pages that wait, beside the one that is being read and the one that is looked at.
const WAITING: usize = 1;

/// Hands over all rows from `first` on, in pages of at most `page`, as they are read.
pub(crate) fn read_ahead<R: Rows + Sync + ?Sized, T>(
    journal: &R,
    first: Seq,
    page: usize,
    look: impl FnOnce(&mut dyn Iterator<Item = Result<Vec<Row>, Trouble>>) -> T,
) -> T {
    std::thread::scope(|scope| {
        let (tell, hear) = sync_channel(WAITING);
        scope.spawn(move || {
            let mut next = first;
            loop {
                let rows = journal.rows(next, page);
                let last = rows.as_ref().ok().and_then(|rows| rows.last()).map(|row| row.seq);
                // Whoever looks may have seen enough.
                let (Ok(()), Some(last)) = (tell.send(rows), last) else { break };
                next = Seq(last.0 + 1);
            }
        });
        look(&mut hear.into_iter().take_while(|rows| !matches!(rows, Ok(rows) if rows.is_empty())))
    })
}
