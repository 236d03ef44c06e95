//! Backups are made by the command beside the server; here they are put on record.

use crate::problem::{Problem, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A backup that was made and verified.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BackupMade {
    /// Where to.
    pub to: String,
    /// The last row in it.
    pub rows: u64,
}

/// Puts on record that a backup was made.
#[utoipa::path(post, path = "/v1/backups", request_body = BackupMade, responses((status = 200, description = "noted")))]
pub async fn made(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(made): Json<BackupMade>,
) -> Result<Json<()>, Problem> {
    blocking(move || {
        let on = format!("{} up to row {}", made.to, made.rows);
        desk.act(&who, "backup", &on, || Ok(Json(())))
    })
    .await
}
