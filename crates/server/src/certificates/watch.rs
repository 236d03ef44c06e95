//! Warns of certificates that end.

use super::paper::{Paper, SOON, now};
use crate::in_force::InForce;
use std::sync::Arc;
use std::time::Duration;

/// How often somebody looks.
const LOOK: Duration = Duration::from_secs(12 * 3600);

/// Looks twice a day, and says in the log what ends soon or has ended.
pub async fn watch(in_force: Arc<InForce>) {
    let mut interval = tokio::time::interval(LOOK);
    loop {
        interval.tick().await;
        let now = now();
        for files in super::files(&in_force.config()) {
            let Ok(paper) = Paper::open(&files.certificate) else { continue };
            let file = files.certificate.display();
            match paper.days_left(now) {
                ..0 => {
                    tracing::error!(%file, names = paper.names.join(", "), "this certificate has expired: partners and clients refuse it")
                }
                days @ 0..SOON => {
                    tracing::warn!(%file, days, names = paper.names.join(", "), "this certificate expires soon")
                }
                _ => {}
            }
        }
    }
}
