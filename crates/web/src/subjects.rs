//! What one person may ask for: everything that is kept of them, and that it is erased.

use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use matters::{Erased, Subject};
use std::io::Write;
use std::sync::Arc;
use tokio_util::io::{ReaderStream, SyncIoBridge};

/// So much waits for whoever reads.
const BUFFER: usize = 256 * 1024;

/// Everything that is kept of a person: lines of JSON, the last of which says that it is the last.
#[utoipa::path(post, path = "/v1/subjects/export", request_body = Subject, responses(
    (status = 200, body = String, content_type = "application/x-ndjson"), (status = 400, body = ProblemBody)))]
pub async fn export(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(subject): Json<Subject>,
) -> Result<Response, Problem> {
    let (noted, asked) = (desk.clone(), subject.clone());
    blocking(move || {
        let address = asked.address()?;
        noted.act(&who, "subject.export", address.as_str(), || Ok(()))
    })
    .await?;
    let (near, far) = tokio::io::duplex(BUFFER);
    tokio::task::spawn_blocking(move || {
        let mut out = std::io::BufWriter::new(SyncIoBridge::new(near));
        let told = desk.operator.tell_of(&subject, &mut |line| {
            serde_json::to_writer(&mut out, &line).map_err(|e| e.to_string())?;
            out.write_all(b"\n").map_err(|e| e.to_string())
        });
        let last = match told {
            Ok(()) => serde_json::json!({ "kind": "end" }),
            Err(why) => serde_json::json!({ "kind": "broken", "why": why }),
        };
        // Whoever has gone away does not hear it.
        let _ = writeln!(out, "{last}").and_then(|()| out.flush());
    });
    let body = Body::from_stream(ReaderStream::with_capacity(far, BUFFER));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// What an erasure would come to: how much would go, and which matters keep how much.
#[utoipa::path(post, path = "/v1/subjects/preview", request_body = Subject, responses(
    (status = 200, body = Erased), (status = 400, body = ProblemBody)))]
pub async fn preview(
    State(desk): State<Arc<Desk>>,
    Json(subject): Json<Subject>,
) -> Result<Json<Erased>, Problem> {
    blocking(move || Ok(Json(desk.operator.erase(&subject, None)?))).await
}

/// Destroys what is of a person and not held: when this answers, nothing of it is left in database, index and files.
#[utoipa::path(post, path = "/v1/subjects/erase", request_body = Subject, responses(
    (status = 200, body = Erased), (status = 400, body = ProblemBody)))]
pub async fn erase(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(subject): Json<Subject>,
) -> Result<Json<Erased>, Problem> {
    let work = move || {
        let address = subject.address()?;
        let mut erased =
            desk.operator.erase(&subject, Some(who.done("subject.erase").on(address.as_str())))?;
        if subject.account && erased.account_kept.is_empty() {
            erased.account = desk.accounts.remove(&address)?;
            desk.hub.revoke(&address, true);
            ports::Blocking::unblock(desk.guard.as_ref(), &address, &[])?;
            // Once more, for what was just removed.
            desk.operator.scrub()?;
        }
        let kept: u64 = erased.kept.values().sum();
        let account = if erased.account { ", account removed" } else { "" };
        let on = format!(
            "{address}: {} row(s), {} file(s){account}; {kept} kept by matters, {} wait",
            erased.rows, erased.files, erased.waiting
        );
        tracing::info!(act = "subject.erase", who = who.as_str(), rows = erased.rows, kept, "administration");
        who.done("subject.erased").on(on).note(desk.journal.as_ref(), now())?;
        Ok(Json(erased))
    };
    // A task of its own: whoever asked may hang up, and what was begun is finished.
    let whole = tokio::spawn(blocking(work));
    let broke_off = || Problem::bad("the erasure broke off: ask for it again");
    whole.await.unwrap_or_else(|_| Err(broke_off()))
}
