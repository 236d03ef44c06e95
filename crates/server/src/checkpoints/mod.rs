//! Signed checkpoints of the journal: made by the clock, on request and at the end; kept beside it, and elsewhere by choice.

mod anchors;
mod post;
mod stamp;
mod syslog;

pub use anchors::{anchored, keep};

use crate::clock::now;
use crate::in_force::InForce;
use model::{Seq, Timestamp};
use parking_lot::Mutex;
use record::{Act, NotClosed, Signed, Signer};
use std::sync::Arc;
use std::time::Duration;
use store::{Checkpoints as _, Journal as _, SqliteStore};
use tokio::sync::Notify;

/// How often we look whether a checkpoint is due.
const LOOK: Duration = Duration::from_secs(20);

/// So many new rows are closed whatever the clock says: a stop closes what is new and must read all of it again, which
/// takes a second or two for these.
const MANY: u64 = 1_000_000;

/// Who closes rows.
pub struct Notary {
    store: Arc<SqliteStore>,
    signer: Arc<Signer>,
    node: [u8; 16],
    standing: Mutex<Standing>,
    /// One at a time.
    closing: Mutex<()>,
    /// Rung when there is something new for the anchors.
    made: Notify,
}

/// How it stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The last row that is closed; 0 for none.
    pub to: Seq,
    /// When it was, Unix milliseconds.
    pub at: u64,
    /// Checkpoints made since the start.
    pub made: u64,
    /// Why none could be made the last time.
    pub trouble: Option<String>,
    /// How it is with each place where they are kept besides here.
    pub anchors: Vec<Anchored>,
}

/// A place where checkpoints are kept besides here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored {
    /// `directory`, `syslog`, `http`, `timestamp`.
    pub kind: &'static str,
    /// Where.
    pub place: String,
    /// The last row of the last checkpoint that it has; 0 for none.
    pub to: Seq,
    /// Why it has not got what is newer.
    pub trouble: Option<String>,
}

impl Standing {
    /// As the API shows it.
    pub fn view(self) -> web::Signing {
        let anchor = |a: Anchored| web::AnchorView {
            kind: a.kind.to_owned(),
            place: a.place,
            to: a.to.0,
            trouble: a.trouble,
        };
        web::Signing {
            to: self.to.0,
            at: (self.at > 0).then(|| Timestamp(self.at).to_string()),
            trouble: self.trouble,
            anchors: self.anchors.into_iter().map(anchor).collect(),
        }
    }
}

impl Notary {
    /// For a store and the key that signs. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(
        store: Arc<SqliteStore>,
        signer: Arc<Signer>,
        node: [u8; 16],
    ) -> Result<Self, store::Trouble> {
        record::recover(store.as_ref())?;
        let mut standing = Standing::default();
        if let Some((to, line)) = store.last_checkpoint()? {
            standing.to = to;
            standing.at = Signed::parse(&line).map_or(0, |signed| signed.checkpoint.at.unix_ms());
        }
        let (closing, made) = (Mutex::default(), Notify::new());
        Ok(Self { store, signer, node, standing: Mutex::new(standing), closing, made })
    }

    /// The key that signs.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The node whose chain it is.
    pub fn node(&self) -> &[u8; 16] {
        &self.node
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.standing.lock().clone()
    }

    /// Closes what is new, in the name of who asks. Gives the checkpoints that were made: none where nothing is new. Blocks.
    ///
    /// # Errors
    /// In words; then nothing was signed.
    pub fn close(&self, by: &Act) -> Result<Vec<Signed>, String> {
        let _one = self.closing.lock();
        let end = record::close(self.store.as_ref(), &self.signer, self.node, by, now());
        let mut standing = self.standing.lock();
        match end {
            Ok(made) => {
                standing.made += made.len() as u64;
                standing.trouble = None;
                if let Some(Signed { checkpoint, .. }) = made.last() {
                    (standing.to, standing.at) = (checkpoint.last, checkpoint.at.unix_ms());
                    tracing::info!(
                        to = checkpoint.last.0,
                        who = by.who,
                        "rows were closed with a checkpoint"
                    );
                }
                drop(standing);
                self.made.notify_one();
                Ok(made)
            }
            Err(why) => {
                let said = why.to_string();
                // Said once, not every time.
                if standing.trouble.as_ref() != Some(&said) {
                    match &why {
                        NotClosed::Trouble(_) => tracing::warn!(said, "no checkpoint could be made"),
                        _ => tracing::error!(said, "no checkpoint was made: the record was tampered with"),
                    }
                }
                standing.trouble = Some(said.clone());
                Err(said)
            }
        }
    }

    /// Rings for the anchors, as after a change of the configuration.
    pub fn ring(&self) {
        self.made.notify_one();
    }

    /// Is it time, and is there anything new?
    fn is_due(&self, minutes: u32, began: u64) -> bool {
        let standing = self.standing.lock();
        let new = self.store.head().0.saturating_sub(standing.to.0);
        // The act of the checkpoint itself is nothing new.
        new > 1 && (is_late(standing.at.max(began), minutes, now().unix_ms()) || is_much(new, minutes))
    }
}

/// Have so many minutes passed?
fn is_late(since: u64, minutes: u32, now: u64) -> bool {
    minutes > 0 && now.saturating_sub(since) >= u64::from(minutes) * 60_000
}

/// Are so many rows new that they are closed before it is time? Not where nothing is closed by the clock.
fn is_much(new: u64, minutes: u32) -> bool {
    minutes > 0 && new >= MANY
}

/// Closes rows by the clock.
pub async fn by_the_clock(in_force: Arc<InForce>, notary: Arc<Notary>) {
    // A store that has never had one gets its first after the time has passed once; else the last one counts.
    let began = if notary.standing().to == Seq(0) { now().unix_ms() } else { 0 };
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let (notary, minutes) = (notary.clone(), in_force.config().record.checkpoint_minutes);
        if notary.is_due(minutes, began) {
            let close = move || notary.close(&Act::done("checkpoint", "server"));
            // What went wrong was logged, and the next look tries again.
            let _ = tokio::task::spawn_blocking(close).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_when_the_minutes_have_passed() {
        assert!(!is_late(1_000, 1, 60_999));
        assert!(is_late(1_000, 1, 61_000));
        assert!(!is_late(61_000, 1, 1_000));
        assert!(!is_late(0, 0, u64::MAX));
        assert!(is_much(MANY, 60) && !is_much(MANY - 1, 60) && !is_much(u64::MAX, 0));
    }
}
