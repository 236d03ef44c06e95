//! Answers an authority's http-01 challenges (RFC 8555 section 8.3).

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at a time: an authority looks from a few places.
const AT_ONCE: usize = 32;
/// How long one may last.
const PATIENCE: Duration = Duration::from_secs(10);

/// Key authorizations by token.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Arc<Mutex<HashMap<String, String>>>);

impl Answers {
    pub fn set(&self, token: &str, authorization: &str) {
        self.0.lock().insert(token.to_owned(), authorization.to_owned());
    }

    pub fn clear(&self, token: &str) {
        self.0.lock().remove(token);
    }

    /// Answers until the task is dropped. Everything else is not found here.
    pub async fn serve(self, socket: TcpListener) {
        let router = Router::new().route("/.well-known/acme-challenge/{token}", get(answer)).with_state(self);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let stream = match socket.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "whoever asks for a challenge could not be heard");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let router = router.clone();
            tokio::spawn(async move {
                let _place = place;
                let service = TowerToHyperService::new(router);
                let mut http = hyper::server::conn::http1::Builder::new();
                let serving = http.keep_alive(false).serve_connection(TokioIo::new(stream), service);
                let _ = tokio::time::timeout(PATIENCE, serving).await;
            });
        }
    }
}

async fn answer(State(answers): State<Answers>, Path(token): Path<String>) -> Result<String, StatusCode> {
    answers.0.lock().get(&token).cloned().ok_or(StatusCode::NOT_FOUND)
}
