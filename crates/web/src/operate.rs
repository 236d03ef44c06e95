use crate::{Desk, ListenerView, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use utoipa::ToSchema;

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// What is in force now that was not before, one line each.
    pub changed: Vec<String>,
    /// What waits for a restart: the place in the file, the key and why.
    pub restart: Vec<String>,
}

/// What an answer takes its time for.
pub type Answered<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The running server, as far as the API may turn its knobs.
pub trait Operator: Send + Sync {
    /// Reads configuration and certificate again. On error, in words with file and line, nothing has changed.
    fn reload(&self) -> Answered<Result<Reloaded, String>>;

    /// What is listened on.
    fn listeners(&self) -> Vec<ListenerView>;

    /// `running`, or `stopping` while it drains.
    fn state(&self) -> &'static str;

    /// Connections that are open.
    fn connections(&self) -> usize;
}

/// Reads configuration and certificate again, without dropping connections. What is wrong with them is said with file
/// and line, and then nothing has changed.
#[utoipa::path(post, path = "/v1/reload", responses(
    (status = 200, body = Reloaded), (status = 422, body = crate::ProblemBody)))]
pub async fn reload(State(desk): State<Arc<Desk>>) -> Result<Json<Reloaded>, Problem> {
    let wrong = |text| Problem(StatusCode::UNPROCESSABLE_ENTITY, text);
    desk.operator.reload().await.map(Json).map_err(wrong)
}
