//! Keeps those who look for unclean things up to date: lists by the time of their files, names by who there is.

use hygiene::{Acquaintances, Eyes};
use std::sync::Arc;
use std::time::Duration;
use store::{Accounts, SqliteStore};

/// How often files of lists are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Every so many looks, whether there are other people.
const PEOPLE: u32 = 12;

/// Accounts that are read at a time.
const PAGE: usize = 1000;

/// Tells whom there is. Blocks.
pub fn acquaint(eyes: &Eyes, partners: &partner::Federation, store: &SqliteStore) {
    if !eyes.wants_names() {
        return;
    }
    let mut people = Vec::new();
    loop {
        match Accounts::list(store, people.last(), PAGE) {
            Ok(page) if page.is_empty() => break,
            Ok(page) => people.extend(page),
            Err(trouble) => {
                tracing::error!(%trouble, "who there is cannot be read; names are compared with those known before");
                return;
            }
        }
    }
    let partners = partners.partners().into_iter().flat_map(|partner| partner.domains).collect();
    eyes.meet(Acquaintances { partners, people });
}

/// Looks again and again for as long as the server runs.
pub async fn keep(eyes: Arc<Eyes>, partners: Arc<partner::Federation>, store: Arc<SqliteStore>) {
    let mut looks = tokio::time::interval(LOOK);
    for count in 1u32.. {
        looks.tick().await;
        let (eyes, partners, store) = (eyes.clone(), partners.clone(), store.clone());
        let look = move || {
            eyes.refresh();
            if count.is_multiple_of(PEOPLE) {
                acquaint(&eyes, &partners, &store);
            }
        };
        // A look that panicked has said so; the next one goes on.
        let _ = tokio::task::spawn_blocking(look).await;
    }
}
