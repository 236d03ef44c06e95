//! What waits for a second administrator.

use crate::acts::now;
use crate::gate::{Behind, in_words};
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use admin::{Decided, Request, Role, State as Stands};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Requests, the oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RequestList {
    /// Those that whoever asks may see: their own, and those they could have asked for.
    pub requests: Vec<Request>,
}

/// A word with a decision.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Word {
    /// Why.
    #[serde(default)]
    pub note: String,
}

impl Desk {
    /// Removes requests that are too late, and puts that on record. Blocks.
    pub(crate) fn forget_late(&self) -> Result<(), Problem> {
        for late in self.requests.expire(now().unix_ms())? {
            self.act(&Who::elsewhere("server"), "approve.expire", &in_words(&late), || Ok(()))?;
        }
        Ok(())
    }
}

/// May they know of this?
fn may_see(request: &Request, who: &Who) -> bool {
    let may = |role: Role| admin::ACTS.iter().any(|act| act.name == request.act && act.is_for(role));
    request.by == who.as_str() || who.role().is_some_and(may)
}

/// Lists what waits for a second administrator, and what was decided lately.
#[utoipa::path(get, path = "/v1/requests", responses((status = 200, body = RequestList)))]
pub async fn list(State(desk): State<Arc<Desk>>, who: Who) -> Result<Json<RequestList>, Problem> {
    blocking(move || {
        desk.forget_late()?;
        let mut requests = desk.requests.all()?;
        requests.retain(|request| may_see(request, &who));
        Ok(Json(RequestList { requests }))
    })
    .await
}

fn visible(desk: &Desk, id: &str, who: &Who) -> Result<Request, Problem> {
    desk.forget_late()?;
    let request = desk.requests.named(id)?;
    if !may_see(&request, who) {
        return Err(Problem(StatusCode::FORBIDDEN, format!("request {id} is not for your role")));
    }
    Ok(request)
}

/// One request, with all that was asked for.
#[utoipa::path(get, path = "/v1/requests/{id}", responses(
    (status = 200, body = Request), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn show(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<Request>, Problem> {
    blocking(move || Ok(Json(visible(&desk, &id, &who)?))).await
}

/// Says yes as the second administrator: what was asked for is done now, or whoever asked may do it once.
#[utoipa::path(post, path = "/v1/requests/{id}/yes", request_body = Word, responses(
    (status = 200, body = Request), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody)))]
pub async fn yes(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Extension(behind): Extension<Behind>,
    Path(id): Path<String>,
    Json(word): Json<Word>,
) -> Result<Json<Request>, Problem> {
    // A task of its own: whoever decided may hang up, and what was decided is still done and noted.
    let whole = tokio::spawn(async move {
        let keeper = desk.clone();
        let request = blocking(move || decide(&desk, &who, &id, true, word)).await?;
        if request.state != Stands::Done {
            return Ok(Json(request));
        }
        let (status, text) = behind.perform(&request).await;
        let answer = admin::Answer { status: status.as_u16(), text };
        blocking(move || Ok(Json(keeper.requests.answered(request, answer)?))).await
    });
    let broke_off = || Problem(StatusCode::INTERNAL_SERVER_ERROR, "it broke off".into());
    whole.await.unwrap_or_else(|_| Err(broke_off()))
}

/// Says no as the second administrator; whoever asked may take their own request back.
#[utoipa::path(post, path = "/v1/requests/{id}/no", request_body = Word, responses(
    (status = 200, body = Request), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody)))]
pub async fn no(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<String>,
    Json(word): Json<Word>,
) -> Result<Json<Request>, Problem> {
    blocking(move || Ok(Json(decide(&desk, &who, &id, false, word)?))).await
}

fn decide(desk: &Desk, who: &Who, id: &str, yes: bool, word: Word) -> Result<Request, Problem> {
    let request = visible(desk, id, who)?;
    let mut on = in_words(&request);
    if !word.note.is_empty() {
        on += &format!(" ({})", word.note);
    }
    desk.act(who, if yes { "approve.yes" } else { "approve.no" }, &on, || {
        if yes {
            may_still(desk, &request)?;
        }
        let role = who.role().ok_or_else(|| Problem::bad("nobody decides"))?;
        let (by, how) = (who.as_str().to_owned(), who.how().to_owned());
        let decided = Decided { by, role, how, at: now().unix_ms(), note: word.note };
        Ok(desk.requests.decide(id, yes, decided)?)
    })
}

/// Whoever asked may have lost their role meanwhile.
fn may_still(desk: &Desk, request: &Request) -> Result<(), Problem> {
    if Who::is_owner(&request.how) {
        return Ok(());
    }
    let role = desk.admins.named(&request.by).ok().map(|one| one.role);
    let may = |act: &admin::Act| act.name == request.act && role.is_some_and(|role| act.is_for(role));
    match admin::ACTS.iter().any(may) {
        true => Ok(()),
        false => {
            let why = format!("{} may not do this any more, who asked for it", request.by);
            Err(Problem(StatusCode::CONFLICT, why))
        }
    }
}
