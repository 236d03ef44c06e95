use crate::problem::{Problem, ProblemBody};
use crate::{Desk, Who, problem::blocking};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How one step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should.
    Good,
    /// It works, and somebody should know this.
    Note,
    /// It does not.
    Bad,
}

/// One step of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// `xmpp`, `sip`, or `both`.
    pub protocol: String,
    /// Which step: `dns`, `tcp`, `tls`, `certificate`, `offer`...
    pub step: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was found, in words.
    pub found: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What a test of another company's servers found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Probed {
    /// Which domain.
    pub domain: String,
    /// The partner it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// When, RFC 3339.
    pub at: String,
    /// Can this server federate with it?
    pub good: bool,
    /// Step by step.
    pub checks: Vec<Check>,
}

/// Tests the servers of a partner, or of any domain.
#[utoipa::path(post, path = "/v1/partners/{name}/test", responses(
    (status = 200, body = Probed), (status = 400, body = ProblemBody)))]
pub async fn test(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Json<Probed>, Problem> {
    // A task of its own: whoever asked may hang up, and what was begun is still put on record.
    let whole = tokio::spawn(async move {
        let end = desk.operator.probe(name.clone()).await.map(Json).map_err(Problem::bad);
        blocking(move || desk.act(&who, "partner.test", &name, || end)).await
    });
    let broke_off = || Problem(StatusCode::INTERNAL_SERVER_ERROR, "the test broke off".into());
    whole.await.unwrap_or_else(|_| Err(broke_off()))
}
