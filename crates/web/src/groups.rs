use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Path, State};
use partner::Group;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Groups, by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupList {
    /// Each with its members.
    pub groups: Vec<Group>,
}

/// People to put into a group or to take out.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Members {
    /// Addresses, and `*@domain` for everybody of a domain.
    pub members: Vec<String>,
}

/// What a rule of retention names stays: what it keeps would be kept no longer.
pub(crate) fn named_by(rule: &str) -> Problem {
    let why =
        format!("the rule of retention {rule:?} names it: set other rules first, `rialto retention set`");
    Problem(axum::http::StatusCode::CONFLICT, why)
}

/// Lists groups.
#[utoipa::path(get, path = "/v1/groups", responses((status = 200, body = GroupList)))]
pub async fn list(State(desk): State<Arc<Desk>>) -> Json<GroupList> {
    Json(GroupList { groups: desk.partners.groups() })
}

/// A group with its members.
#[utoipa::path(get, path = "/v1/groups/{name}", responses(
    (status = 200, body = Group), (status = 404, body = ProblemBody)))]
pub async fn show(State(desk): State<Arc<Desk>>, Path(name): Path<String>) -> Result<Json<Group>, Problem> {
    Ok(Json(desk.partners.group(&name)?))
}

/// Makes a group, or puts more people into it.
#[utoipa::path(post, path = "/v1/groups/{name}", request_body = Members, responses(
    (status = 200, body = Group), (status = 400, body = ProblemBody)))]
pub async fn add(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(Members { members }): Json<Members>,
) -> Result<Json<Group>, Problem> {
    blocking(move || {
        let on = format!("{name}: {}", members.join(", "));
        desk.act(&who, "group.add", &on, || Ok(Json(desk.partners.add_to_group(Group { name, members })?)))
    })
    .await
}

/// Takes people out of a group.
#[utoipa::path(post, path = "/v1/groups/{name}/remove", request_body = Members, responses(
    (status = 200, description = "removed"), (status = 404, body = ProblemBody)))]
pub async fn take_out(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(Members { members }): Json<Members>,
) -> Result<Json<()>, Problem> {
    blocking(move || {
        if members.is_empty() {
            return Err(Problem::bad("who is to leave the group?"));
        }
        let on = format!("{name}: {}", members.join(", "));
        desk.act(&who, "group.remove", &on, || {
            Ok(Json(desk.partners.remove_from_group(Group { name, members })?))
        })
    })
    .await
}

/// Removes a group that no rule names.
#[utoipa::path(delete, path = "/v1/groups/{name}", responses(
    (status = 200, description = "removed"), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn remove(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Json<()>, Problem> {
    blocking(move || {
        let on = name.clone();
        desk.act(&who, "group.remove", &on, || {
            if let Some(rule) = desk.rules.naming(Some(&name.to_lowercase()), None) {
                return Err(named_by(&rule));
            }
            Ok(Json(desk.partners.remove_from_group(Group { name, members: Vec::new() })?))
        })
    })
    .await
}
