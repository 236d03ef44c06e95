//! What the server put on record, read through the control socket as any other client of the API would.

use super::wire::PATIENCE;
use crate::client::Control;
use crate::failure::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use web::{JournalRow, JournalRows, SettledView, Verification};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The journal as far as it was read.
pub struct Book {
    control: Control,
    rows: Vec<JournalRow>,
    /// Rows that stand beside a line of the conversation already.
    told: BTreeSet<u64>,
    /// Losses of translation, and how often.
    pub losses: BTreeMap<String, usize>,
}

impl Book {
    /// The journal behind this socket.
    pub fn new(control: Control) -> Self {
        Self { control, rows: Vec::new(), told: BTreeSet::new(), losses: BTreeMap::new() }
    }

    async fn read_on(&mut self) -> Result<(), Failure> {
        let last = self.rows.last().map_or(0, |r| r.seq);
        let new: JournalRows = self.control.get(&format!("/v1/journal?after={last}&limit=1000")).await?;
        for loss in new.rows.iter().flat_map(|r| &r.settled).flat_map(|s| &s.losses) {
            let became = if loss.became.is_empty() { String::new() } else { format!(" to {}", loss.became) };
            let name = format!("{} {}{became} ({} -> {})", loss.what, loss.kind, loss.from, loss.to);
            *self.losses.entry(name).or_default() += 1;
        }
        self.rows.extend(new.rows);
        Ok(())
    }

    /// The next row about `event` from one to the other that was not asked for yet.
    pub async fn row(&mut self, event: &str, from: &str, to: &str) -> Result<(u64, Option<String>), Failure> {
        let until = Instant::now() + PATIENCE;
        let bare = |a: &Option<String>| a.as_deref().and_then(|a| a.split('/').next()).map(str::to_owned);
        loop {
            self.read_on().await?;
            let found = self.rows.iter().find(|r| {
                r.event.as_deref() == Some(event)
                    && bare(&r.from).as_deref() == Some(from)
                    && bare(&r.to).as_deref() == Some(to)
                    && !self.told.contains(&r.seq)
            });
            if let Some(row) = found {
                let (seq, reason) = (row.seq, row.refused.as_ref().map(|r| r.reason.clone()));
                self.told.insert(seq);
                return Ok((seq, reason));
            }
            if Instant::now() > until {
                return Err(Failure::new(format!(
                    "expected {event} from {from} to {to} in the journal; it is not there"
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// How a row ended.
    pub async fn outcome(&mut self, seq: u64) -> Result<String, Failure> {
        let until = Instant::now() + PATIENCE;
        let of = |s: &&SettledView| s.seq == seq;
        loop {
            self.read_on().await?;
            if let Some(settled) = self.rows.iter().flat_map(|r| &r.settled).find(of) {
                return Ok(settled.outcome.clone());
            }
            if Instant::now() > until {
                return Err(Failure::new(format!(
                    "expected the outcome of row {seq} in the journal; it is not there"
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Has the server go through all rows and their chain.
    pub async fn verify(&self) -> Result<Verification, Failure> {
        self.control.post("/v1/journal/verify", &()).await
    }
}
