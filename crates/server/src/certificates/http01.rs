//! Answers an authority's http-01 challenges (RFC 8555 section 8.3).

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::net::TcpListener;

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
        if let Err(error) = axum::serve(socket, router).await {
            tracing::error!(%error, "the listener for http-01 challenges failed");
        }
    }
}

async fn answer(State(answers): State<Answers>, Path(token): Path<String>) -> Result<String, StatusCode> {
    answers.0.lock().get(&token).cloned().ok_or(StatusCode::NOT_FOUND)
}
