use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Path, Query, State};
use files::Files;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{FileState, StoredFile};
use utoipa::{IntoParams, ToSchema};

/// An uploaded file. Its link is not told: whoever has that has the file.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FileView {
    /// Its name here.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// Its name, as its owner had it.
    pub name: String,
    /// What its owner said it is.
    pub mime: String,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of its content, hexadecimal.
    pub sha256: String,
    /// When it came, Unix milliseconds.
    pub at: u64,
    /// How it stands with it: `waiting`, `held`, `clean`, `unseen`, `malware`, `refused`.
    pub state: String,
    /// Why, in words; empty where it is clean.
    pub why: String,
}

/// Files, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FileList {
    /// Each without its content.
    pub files: Vec<FileView>,
}

/// Which.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Page {
    /// All of them, and not only those that wait.
    #[serde(default)]
    all: bool,
    /// How many at most.
    limit: Option<usize>,
}

fn view(file: StoredFile) -> FileView {
    FileView {
        sha256: file.hash.iter().map(|b| format!("{b:02x}")).collect(),
        id: file.id,
        owner: file.owner.to_string(),
        name: file.name,
        mime: file.mime,
        bytes: file.size,
        at: file.at.unix_ms(),
        state: file.state.name().to_owned(),
        why: file.why,
    }
}

fn kept(desk: &Desk) -> Result<&Arc<Files>, Problem> {
    desk.files.as_ref().ok_or_else(|| Problem::missing("nothing is uploaded here: [upload] has no `listen`"))
}

/// Uploaded files that wait for somebody, or all of them.
#[utoipa::path(get, path = "/v1/files", params(Page), responses((status = 200, body = FileList)))]
pub async fn list(
    State(desk): State<Arc<Desk>>,
    Query(page): Query<Page>,
) -> Result<Json<FileList>, Problem> {
    blocking(move || {
        let waiting = [FileState::Waiting, FileState::Held];
        let states = if page.all { &FileState::ALL[..] } else { &waiting };
        let limit = page.limit.unwrap_or(100).clamp(1, 1_000);
        // Where nothing is uploaded there are none.
        let found = desk.files.as_ref().map_or(Ok(Vec::new()), |files| files.list(states, limit))?;
        Ok(Json(FileList { files: found.into_iter().map(view).collect() }))
    })
    .await
}

/// Lets a file that waits be fetched, as it is.
#[utoipa::path(post, path = "/v1/files/{id}/release", responses(
    (status = 200, body = FileView), (status = 404, body = ProblemBody)))]
pub async fn release(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<FileView>, Problem> {
    blocking(move || {
        desk.act(&who, "files.release", &id, || {
            let none = || Problem::missing(format!("no file {id} waits"));
            kept(&desk)?.release(&id, who.as_str())?.map(view).map(Json).ok_or_else(none)
        })
    })
    .await
}

/// Takes a file away. Its content is destroyed unless another file has the same; the record keeps that it was there.
#[utoipa::path(delete, path = "/v1/files/{id}", responses(
    (status = 200, body = FileView), (status = 404, body = ProblemBody)))]
pub async fn delete(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<FileView>, Problem> {
    blocking(move || {
        desk.act(&who, "files.delete", &id, || {
            let _still = desk.matters.still();
            if let Some(matter) = desk.operator.file_kept_by(&id)? {
                let why = format!("the matter {matter:?} keeps this file");
                return Err(Problem(axum::http::StatusCode::CONFLICT, why));
            }
            let none = || Problem::missing(format!("there is no file {id}, or its content is gone"));
            kept(&desk)?.delete(&id, who.as_str())?.map(view).map(Json).ok_or_else(none)
        })
    })
    .await
}
