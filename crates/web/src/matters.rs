//! Matters: what must be kept, whatever the rules say.

use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use matters::{Hold, Matter, MatterError, Wanted};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Matters, by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MatterList {
    /// Each with its holds.
    pub matters: Vec<Matter>,
}

/// A matter that is to be opened.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMatter {
    /// Its name: small letters, digits, - _ .
    pub name: String,
    /// What it is about.
    pub reason: String,
}

/// What is to be released.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Release {
    /// The hold's number; all of them without one.
    pub hold: Option<u32>,
}

impl From<MatterError> for Problem {
    fn from(error: MatterError) -> Self {
        let status = match &error {
            MatterError::Bad(_) => StatusCode::BAD_REQUEST,
            MatterError::Missing(_) => StatusCode::NOT_FOUND,
            MatterError::Conflict(_) => StatusCode::CONFLICT,
            MatterError::Trouble(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// Lists matters.
#[utoipa::path(get, path = "/v1/matters", responses((status = 200, body = MatterList)))]
pub async fn list(State(desk): State<Arc<Desk>>) -> Json<MatterList> {
    Json(MatterList { matters: desk.matters.all().to_vec() })
}

/// A matter with its holds.
#[utoipa::path(get, path = "/v1/matters/{name}", responses(
    (status = 200, body = Matter), (status = 404, body = ProblemBody)))]
pub async fn show(State(desk): State<Arc<Desk>>, Path(name): Path<String>) -> Result<Json<Matter>, Problem> {
    Ok(Json(desk.matters.named(&name)?))
}

/// Opens a matter. It keeps nothing before a hold is put.
#[utoipa::path(post, path = "/v1/matters", request_body = NewMatter, responses(
    (status = 200, body = Matter), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn open(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(new): Json<NewMatter>,
) -> Result<Json<Matter>, Problem> {
    blocking(move || {
        let on = format!("{}: {}", new.name, new.reason);
        desk.act(&who, "matter.open", &on, || {
            Ok(Json(desk.matters.begin(&new.name, &new.reason, who.as_str(), now())?))
        })
    })
    .await
}

/// Puts a hold: from now on nothing that it fits is destroyed, whether it is written already or not.
#[utoipa::path(post, path = "/v1/matters/{name}/holds", request_body = Wanted, responses(
    (status = 200, body = Hold), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn hold(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Hold>, Problem> {
    blocking(move || {
        let put = || {
            let mut wanted = wanted.clone();
            let mut domains = Vec::new();
            if let Some(partner) = &mut wanted.partner {
                let known = desk.partners.partner(partner)?;
                (*partner, domains) = (known.name, known.domains);
            }
            Ok::<_, Problem>(desk.matters.hold(&name, wanted, domains, who.as_str(), now())?)
        };
        let end = put();
        let on = match &end {
            Ok(hold) => format!("{name}, hold {}: {}", hold.number, hold.in_words()),
            Err(_) => name.clone(),
        };
        desk.act(&who, "matter.hold", &on, || end.map(Json))
    })
    .await
}

/// Ends a hold, or all holds of a matter. What no other hold keeps may be destroyed from then on.
#[utoipa::path(post, path = "/v1/matters/{name}/release", request_body = Release, responses(
    (status = 200, body = Vec<Hold>), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn release(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(release): Json<Release>,
) -> Result<Json<Vec<Hold>>, Problem> {
    blocking(move || {
        // On record before anything can be destroyed because of it.
        let record = |ended: &[Hold]| {
            let all: Vec<String> =
                ended.iter().map(|h| format!("hold {}: {}", h.number, h.in_words())).collect();
            let act = who.done("matter.release").on(format!("{name}, {}", all.join("; ")));
            act.note(desk.journal.as_ref(), now())?;
            Ok(())
        };
        let ended = desk.matters.release(&name, release.hold, who.as_str(), now(), record);
        if let Err(error) = &ended {
            let mut act = who.done("matter.release").on(name.clone());
            act.result = format!("refused: {error}");
            act.note(desk.journal.as_ref(), now())?;
        }
        tracing::info!(act = "matter.release", matter = name, who = who.as_str(), "administration");
        Ok(Json(ended?))
    })
    .await
}

/// Closes a matter without holds in force. It stays readable.
#[utoipa::path(post, path = "/v1/matters/{name}/close", responses(
    (status = 200, body = Matter), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn close(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Json<Matter>, Problem> {
    blocking(move || {
        desk.act(&who, "matter.close", &name, || Ok(Json(desk.matters.close(&name, who.as_str(), now())?)))
    })
    .await
}
