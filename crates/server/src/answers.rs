//! The listener on which answers to invitations come over HTTPS, and where our certificates are named (RFC 7711): few
//! connections, short ones, and nothing else to be had.

use crate::config::Config;
use crate::failure::Failure;
use crate::in_force::InForce;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use web::Desk;

/// Connections at a time.
const AT_ONCE: usize = 32;
/// How long one may last.
const PATIENCE: Duration = Duration::from_secs(10);

/// The listener, if one is configured.
///
/// # Errors
/// [`Failure`] with file and line.
pub async fn open(config: &Config) -> Result<Option<TcpListener>, Failure> {
    let Some(addr) = &config.federation.listen else { return Ok(None) };
    match TcpListener::bind(addr.get_ref()).await {
        Ok(socket) => Ok(Some(socket)),
        Err(error) => {
            let what = format!("cannot listen for answers to invitations: {error}; choose another address");
            Err(config.source.mistake_at(addr, what).into())
        }
    }
}

/// Serves until the task is dropped.
pub async fn serve(socket: TcpListener, in_force: Arc<InForce>, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, from) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "an answer to an invitation could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, desk) = (in_force.tls(), desk.clone());
        tokio::spawn(async move {
            let _place = place;
            let serving = async {
                let tls = tls.ok_or("there is no certificate")?;
                let secured = tls.accept(stream).await.map_err(|e| e.to_string())?;
                let posh = crate::posh::document(&tls.leaves());
                web::serve_answer(secured, from, desk, posh).await
            };
            match tokio::time::timeout(PATIENCE, serving).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => tracing::debug!(%from, why, "no answer to an invitation came"),
                Err(_) => tracing::debug!(%from, "took too long over an answer to an invitation"),
            }
        });
    }
}
