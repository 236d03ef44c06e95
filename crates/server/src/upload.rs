//! The listener on which files are put and fetched, and what has to be done about files from time to time.

use crate::config::Config;
use crate::failure::Failure;
use crate::in_force::InForce;
use files::Files;
use hub::Hub;
use model::Seq;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use web::FileDoor;

/// Connections at a time, and of one address; a proxy may have all of them.
const AT_ONCE: usize = 512;
const OF_ONE: usize = 32;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often what waits is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Every so many looks, whether files are too old.
const OLD: u32 = 120;
/// Held messages that are read at a time.
const PAGE: usize = 100;

/// The listener, if one is configured.
///
/// # Errors
/// [`Failure`] with file and line.
pub async fn open(config: &Config, files: Option<&Arc<Files>>) -> Result<Option<TcpListener>, Failure> {
    let (Some(addr), Some(files), false) = (&config.upload.listen, files, config.upload.closed) else {
        return Ok(None);
    };
    let socket = TcpListener::bind(addr.get_ref()).await.map_err(|error| {
        let what = format!("cannot listen for files: {error}; choose another address");
        Failure::from(config.source.mistake_at(addr, what))
    })?;
    if let Some(domain) = config.domains.first() {
        let name = partner::ascii(domain.domain());
        files.listens_at(format!("https://{name}:{}", socket.local_addr()?.port()));
    }
    Ok(Some(socket))
}

/// Who is connected, by address.
type Guests = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A connection of somebody; counts until dropped.
struct Guest(Guests, IpAddr);

impl Guest {
    fn enter(guests: &Guests, from: IpAddr) -> Option<Self> {
        let mut all = guests.lock();
        let here = all.entry(from).or_default();
        (*here < OF_ONE).then(|| {
            *here += 1;
            Self(guests.clone(), from)
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.0.lock();
        if let Some(here) = all.get_mut(&self.1) {
            *here -= 1;
            if *here == 0 {
                all.remove(&self.1);
            }
        }
    }
}

/// Serves until the task is dropped.
pub async fn serve(socket: TcpListener, in_force: Arc<InForce>, files: Arc<Files>) {
    let (places, guests) = (Arc::new(Semaphore::new(AT_ONCE)), Guests::default());
    let (door, plain) = (FileDoor::new(files), in_force.config().upload.plain);
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, from) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection for files could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let guest = Guest::enter(&guests, from.ip());
        if guest.is_none() && !plain {
            tracing::debug!(%from, "too many connections for files");
            continue;
        }
        let (tls, door) = (in_force.tls(), door.clone());
        tokio::spawn(async move {
            let _counted = (place, guest);
            let serving = async {
                if plain {
                    return door.serve(stream).await;
                }
                let tls = tls.ok_or("there is no certificate")?;
                let secured = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await;
                let secured = secured.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
                door.serve(secured).await
            };
            if let Err(why) = serving.await {
                tracing::debug!(%from, why, "a connection for files ended");
            }
        });
    }
}

/// Looks again and again for as long as the server runs: at files that wait, at messages that wait for them, and at what is
/// too old.
pub async fn keep(files: Arc<Files>, hub: Arc<Hub>) {
    let mut looks = tokio::time::interval(LOOK);
    for count in 0u32.. {
        looks.tick().await;
        let (files, hub) = (files.clone(), hub.clone());
        // A look that panicked has said so; the next one goes on.
        let _ = tokio::task::spawn_blocking(move || look(&files, &hub, count.is_multiple_of(OLD))).await;
    }
}

fn look(files: &Files, hub: &Arc<Hub>, and_old: bool) {
    if let Err(trouble) = files.look_again() {
        tracing::error!(%trouble, "files that wait could not be looked into");
    }
    if files.was_awaited() {
        match settle(files, hub) {
            Ok(true) => files.is_awaited(),
            Ok(false) => {}
            Err(why) => {
                files.is_awaited();
                tracing::error!(why, "messages that wait for files could not be looked at");
            }
        }
    }
    if and_old {
        match files.expire() {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "files that were too old are gone"),
            Err(trouble) => tracing::error!(%trouble, "files that are too old could not be removed"),
        }
    }
}

/// Judges those messages again that wait for files of which something was decided. Do some still wait?
fn settle(files: &Files, hub: &Arc<Hub>) -> Result<bool, String> {
    let (mut after, mut some_wait) = (Seq(0), false);
    loop {
        let page = hub.held(after, PAGE).map_err(|trouble| trouble.to_string())?;
        let Some(last) = page.last() else { return Ok(some_wait) };
        after = last.seq;
        for row in page {
            if row.kept.judged.held.as_ref().is_none_or(|hold| hold.rule != hygiene::WAITS) {
                continue;
            }
            let texts = policy::texts(&row.kept.envelope.event);
            if texts.iter().any(|text| files.waits(text)) {
                some_wait = true;
            } else if let Err(error) = hub.judge_held_again(row.seq) {
                tracing::error!(row = row.seq.0, %error, "a message that waited for a file was not judged again");
            }
        }
    }
}
