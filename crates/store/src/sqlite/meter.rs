//! How the writer does, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the histogram's buckets, in microseconds; the last bucket has none.
pub const COMMIT_BOUNDS_US: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

#[derive(Default)]
pub(super) struct Meter {
    buckets: [AtomicU64; COMMIT_BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
    failed: AtomicU64,
}

impl Meter {
    pub(super) fn committed(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = COMMIT_BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[at].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self, report: &mut WriterReport) {
        report.commits = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        report.commit_us = self.sum_us.load(Relaxed);
        report.failed = self.failed.load(Relaxed);
    }
}

/// What waits for the writer, and what it has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterReport {
    /// Rows that wait.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Outcomes that wait.
    pub outcomes: u64,
    /// Outcomes that could not be kept while nothing could be written.
    pub lost_outcomes: u64,
    /// Mailbox cursors that wait.
    pub cursors: u64,
    /// Commits by duration: one number for each of [`COMMIT_BOUNDS_US`] and one for longer ones.
    pub commits: Vec<u64>,
    /// Microseconds of all of them.
    pub commit_us: u64,
    /// Commits that failed.
    pub failed: u64,
}
