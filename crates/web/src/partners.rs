use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Probed, Who};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use partner::{BookError, Contact, Learnt, Observed, Partner};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Partners, by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PartnerList {
    /// What was agreed with each.
    pub partners: Vec<Partner>,
}

/// A partner, and what is known of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PartnerView {
    /// What was agreed.
    pub partner: Partner,
    /// What is known of connections with its servers, since the start.
    pub contacts: Vec<Contact>,
    /// Over which protocol its people were last heard, where several are spoken with it.
    #[serde(default)]
    pub people: Vec<Learnt>,
    /// What the last test found.
    #[serde(default)]
    pub tested: Option<Probed>,
}

/// What would have been refused, had it not only been observed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ObservedList {
    /// By domain and rule.
    pub observed: Vec<Observed>,
}

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        let status = match &error {
            BookError::Bad(_) => StatusCode::BAD_REQUEST,
            BookError::Missing(_) => StatusCode::NOT_FOUND,
            BookError::Conflict(_) => StatusCode::CONFLICT,
            BookError::Trouble(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// Lists partners.
#[utoipa::path(get, path = "/v1/partners", responses((status = 200, body = PartnerList)))]
pub async fn list(State(desk): State<Arc<Desk>>) -> Json<PartnerList> {
    Json(PartnerList { partners: desk.partners.partners() })
}

/// What would have been refused since the start, had `[federation] mode` not been `observe`.
#[utoipa::path(get, path = "/v1/observed", responses((status = 200, body = ObservedList)))]
pub async fn observed(State(desk): State<Arc<Desk>>) -> Json<ObservedList> {
    Json(ObservedList { observed: desk.partners.observed() })
}

/// Adds a partner.
#[utoipa::path(post, path = "/v1/partners", request_body = Partner, responses(
    (status = 201, body = Partner), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn add(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(partner): Json<Partner>,
) -> Result<(StatusCode, Json<Partner>), Problem> {
    blocking(move || {
        let name = partner.name.clone();
        desk.act(&who, "partner.add", &name, || {
            Ok((StatusCode::CREATED, Json(desk.partners.add_partner(partner)?)))
        })
    })
    .await
}

/// A partner, by its name or one of its domains, and what is known of it.
#[utoipa::path(get, path = "/v1/partners/{name}", responses(
    (status = 200, body = PartnerView), (status = 404, body = ProblemBody)))]
pub async fn show(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
) -> Result<Json<PartnerView>, Problem> {
    blocking(move || {
        let partner = desk.partners.partner(&name)?;
        let whose = |domain: &str| desk.partners.partner(domain).is_ok_and(|p| p.name == partner.name);
        let contacts = desk.partners.contacts(whose);
        let tested = desk.partners.tested(&partner.name)?;
        let tested = tested.and_then(|found| serde_json::from_slice(&found).ok());
        let people = desk.partners.learnt(&partner.name);
        Ok(Json(PartnerView { partner, contacts, people, tested }))
    })
    .await
}

/// What was forgotten.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Forgotten {
    /// Of how many people.
    pub people: usize,
}

/// Whose protocol to forget.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Forget {
    /// One person's; none: everybody's.
    #[serde(default)]
    pub who: Option<String>,
}

/// Forgets over which protocol people of a partner were last heard: they are asked for anew.
#[utoipa::path(post, path = "/v1/partners/{name}/forget", request_body = Forget, responses(
    (status = 200, body = Forgotten), (status = 404, body = ProblemBody)))]
pub async fn forget(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(forget): Json<Forget>,
) -> Result<Json<Forgotten>, Problem> {
    blocking(move || {
        desk.act(&who, "partner.forget", &name, || {
            let people = desk.partners.forget_learnt(&name, forget.who.as_deref())?;
            Ok(Json(Forgotten { people }))
        })
    })
    .await
}

/// Replaces a partner by one made from its present revision.
#[utoipa::path(put, path = "/v1/partners/{name}", request_body = Partner, responses(
    (status = 200, body = Partner), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody)))]
pub async fn edit(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(partner): Json<Partner>,
) -> Result<Json<Partner>, Problem> {
    blocking(move || {
        desk.act(&who, "partner.edit", &name, || Ok(Json(desk.partners.edit_partner(&name, partner)?)))
    })
    .await
}

/// Suspends a partner: nothing passes until it is resumed.
#[utoipa::path(post, path = "/v1/partners/{name}/suspend", responses(
    (status = 200, body = Partner), (status = 404, body = ProblemBody)))]
pub async fn suspend(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Json<Partner>, Problem> {
    blocking(move || {
        desk.act(&who, "partner.suspend", &name, || Ok(Json(desk.partners.suspend_partner(&name, true)?)))
    })
    .await
}

/// Resumes a partner that was suspended.
#[utoipa::path(post, path = "/v1/partners/{name}/resume", responses(
    (status = 200, body = Partner), (status = 404, body = ProblemBody)))]
pub async fn resume(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Json<Partner>, Problem> {
    blocking(move || {
        desk.act(&who, "partner.resume", &name, || Ok(Json(desk.partners.suspend_partner(&name, false)?)))
    })
    .await
}

/// Removes a partner; what was written stays on record.
#[utoipa::path(delete, path = "/v1/partners/{name}", responses(
    (status = 200, description = "removed"), (status = 404, body = ProblemBody)))]
pub async fn remove(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Json<()>, Problem> {
    blocking(move || {
        desk.act(&who, "partner.remove", &name, || {
            if let Some(rule) = desk.rules.naming(None, Some(&name)) {
                return Err(crate::groups::named_by(&rule));
            }
            Ok(Json(desk.partners.remove_partner(&name)?))
        })
    })
    .await
}
