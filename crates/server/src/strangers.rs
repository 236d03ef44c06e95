//! What the guard against unwanted messages cannot do itself: let pass what waited, end it, and ask its sender.

use crate::house::House;
use hub::{Hub, QuarantineError};
use model::{Address, Report, Seq};
use spim::{Act, Guard};
use std::sync::{Arc, Weak};
use std::time::Duration;
use store::SqliteStore;

/// How often the guard looks around.
const LOOK: Duration = Duration::from_secs(5);

/// Rows of the quarantine that are read at once.
const PAGE: usize = 1_000;

/// Ties the guard of a house to its hub.
pub fn attend(house: &House) {
    let (hub, runtime) = (Arc::downgrade(&house.hub), tokio::runtime::Handle::current());
    let (guard, store) = (Arc::downgrade(&house.guard), house.store.clone());
    house.guard.act_by(move |act| {
        let Some(hub) = hub.upgrade() else { return };
        match act {
            Act::Reported { by, who, report } => {
                let (guard, store) = (guard.clone(), store.clone());
                drop(runtime.spawn_blocking(move || reported(&guard, store.as_ref(), &by, &who, &report)));
            }
            Act::Ask { from, to, text } => hub.say_as(&from, &to, &text),
            Act::Release(rows) => drop(runtime.spawn_blocking(move || {
                end(&rows, |seq| hub.go_on_with_held(seq, hub::stages::SPIM));
            })),
            Act::Discard(rows) => drop(runtime.spawn_blocking(move || {
                end(&rows, |seq| hub.discard_held(seq, false));
            })),
        }
    });
}

/// A report lowers a reputation, and is on record like an act of administration.
fn reported(guard: &Weak<Guard>, store: &SqliteStore, by: &Address, who: &Address, report: &Report) {
    let Some(guard) = guard.upgrade() else { return };
    let again = if guard.report(by, who, crate::clock::now().unix_ms()) { "" } else { ", again" };
    let mut on = format!("{who}: {}{again}", report.complaint.name());
    if !report.messages.is_empty() {
        on += &format!(", messages {}", report.messages.join(", "));
    }
    if let Some(text) = &report.text {
        on += &format!(", {text:?}");
    }
    tracing::info!(%by, %who, complaint = report.complaint.name(), "reported");
    if let Err(error) = record::Act::done("spim.report", by.as_str()).on(on).note(store, crate::clock::now())
    {
        tracing::error!(%error, "a report could not be put on record");
    }
}

fn end(rows: &[Seq], how: impl Fn(Seq) -> Result<(), QuarantineError>) {
    for seq in rows {
        match how(*seq) {
            Ok(()) => tracing::info!(%seq, "its wait is over"),
            // Somebody has decided meanwhile.
            Err(QuarantineError::NotHeld(_)) => {}
            Err(error) => tracing::warn!(%seq, %error, "what waited stays in the quarantine"),
        }
    }
}

/// What waits since before this process. Blocks.
fn find_held(hub: &Hub, guard: &Guard) {
    let mut after = Seq(0);
    loop {
        let rows = match hub.held(after, PAGE) {
            Ok(rows) => rows,
            Err(trouble) => return tracing::error!(%trouble, "the quarantine cannot be read"),
        };
        let Some(last) = rows.last() else { return };
        after = last.seq;
        for row in &rows {
            if let Some(hold) = &row.kept.judged.held {
                guard.found_held(&row.kept.envelope, hold, row.seq, crate::clock::now().unix_ms());
            }
        }
    }
}

/// Has the guard look around for as long as the server runs.
pub async fn keep(hub: Arc<Hub>, guard: Arc<Guard>) {
    let found = guard.clone();
    let _ = tokio::task::spawn_blocking(move || find_held(&hub, &found)).await;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let guard = guard.clone();
        // A look that panicked has said so; the next one goes on.
        let _ = tokio::task::spawn_blocking(move || guard.look_around(crate::clock::now().unix_ms())).await;
    }
}
