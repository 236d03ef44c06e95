use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use ports::PortError;
use serde::{Deserialize, Serialize};
use store::Trouble;
use utoipa::ToSchema;

/// What went wrong, in words for a person (after RFC 9457).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// The HTTP status.
    pub status: u16,
    /// In words.
    pub detail: String,
}

/// A request that failed.
#[derive(Debug)]
pub struct Problem(pub StatusCode, pub String);

impl Problem {
    /// The caller's fault.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, detail.into())
    }

    /// There is no such thing.
    pub fn missing(detail: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, detail.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody { status: self.0.as_u16(), detail: self.1 };
        (self.0, [(CONTENT_TYPE, "application/problem+json")], Json(body)).into_response()
    }
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        let status = match error {
            PortError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            PortError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self(status, error.to_string())
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, trouble.to_string())
    }
}

/// Runs what may wait for the disk on a thread that may wait.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Problem> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Problem(StatusCode::INTERNAL_SERVER_ERROR, "the request broke off".into())),
    }
}
