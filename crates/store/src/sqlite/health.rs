//! How the disk under the store is, as the writer meets it.

use super::{os_trouble, private};
use crate::{Health, Trouble};
use parking_lot::Mutex;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A disk on which a commit takes longer than this on average is called slow, and no longer below half of it.
const SLOW: Duration = Duration::from_millis(20);

#[derive(Default)]
struct State {
    trouble: Option<Trouble>,
    commit: Duration,
    commits: u64,
    slow: bool,
}

/// Told by the writer, read by everybody. Changes are logged, once each.
#[derive(Default)]
pub(super) struct Pulse(Mutex<State>);

impl Pulse {
    pub(super) fn read(&self) -> Health {
        let state = self.0.lock();
        Health { trouble: state.trouble.clone(), commit: state.commit }
    }

    pub(super) fn committed(&self, took: Duration) {
        let mut state = self.0.lock();
        // A moving average over about eight commits.
        state.commit = if state.commit.is_zero() { took } else { (state.commit * 7 + took) / 8 };
        if state.trouble.take().is_some() {
            tracing::info!("the store can be written again");
        }
        state.commits += 1;
        // One slow commit is no slow disk.
        let slow = state.commits > 8 && state.commit > if state.slow { SLOW / 2 } else { SLOW };
        if slow != state.slow {
            state.slow = slow;
            let average = state.commit;
            if slow {
                tracing::warn!(?average, "the disk is slow: every acknowledgement waits for a commit");
            } else {
                tracing::info!(?average, "the disk is quick again");
            }
        }
    }

    pub(super) fn failed(&self, trouble: &Trouble) {
        let mut state = self.0.lock();
        if state.trouble.as_ref().is_none_or(|t| std::mem::discriminant(t) != std::mem::discriminant(trouble))
        {
            tracing::error!(%trouble, "the store cannot be written: what needs it is refused until it can");
        }
        state.trouble = Some(trouble.clone());
    }
}

/// What the database calls an error of the disk may be one that the system has a name for: tries to write a small file
/// beside the store.
pub(super) fn diagnose(path: &Path, trouble: Trouble) -> Trouble {
    if !matches!(trouble, Trouble::Failed(_) | Trouble::ReadOnly(_)) {
        return trouble;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".probe");
    let probe = PathBuf::from(name);
    let end = private(&probe).and_then(|mut file| {
        file.write_all(&[0; 4096]).and_then(|()| file.sync_all()).map_err(|e| os_trouble(&e))
    });
    let _ = std::fs::remove_file(&probe);
    match end {
        Err(told @ (Trouble::Full(_) | Trouble::ReadOnly(_))) => told,
        Err(Trouble::Failed(why)) => Trouble::Failed(why),
        _ => trouble,
    }
}
