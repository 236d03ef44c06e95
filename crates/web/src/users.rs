use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use model::{Address, Secret};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The password of an account: its first one, or another.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PasswordChange {
    /// The password.
    pub password: String,
}

/// Accounts in order.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UserList {
    /// `user@domain`, ascending.
    pub accounts: Vec<String>,
}

/// Which part of the list.
#[derive(Deserialize, IntoParams)]
pub struct Page {
    /// Only accounts after this one.
    after: Option<String>,
    /// At most so many (1000).
    limit: Option<usize>,
}

pub(crate) fn account(desk: &Desk, text: &str) -> Result<Address, Problem> {
    let address = Address::parse(&text.to_lowercase()).map_err(|e| Problem::bad(format!("{text}: {e}")))?;
    if address.user().is_none() {
        return Err(Problem::bad(format!("{text}: an account looks like user@domain")));
    }
    if !desk.hub.hosts(address.domain()) {
        return Err(Problem::bad(format!("{text}: this server does not host {}", address.domain())));
    }
    Ok(address)
}

/// Lists accounts.
#[utoipa::path(get, path = "/v1/users", params(Page), responses((status = 200, body = UserList)))]
pub async fn list(
    State(desk): State<Arc<Desk>>,
    Query(page): Query<Page>,
) -> Result<Json<UserList>, Problem> {
    blocking(move || {
        let after =
            page.after.as_deref().map(Address::parse).transpose().map_err(|e| Problem::bad(e.to_string()))?;
        let accounts = desk.accounts.list(after.as_ref(), page.limit.unwrap_or(1000).min(1000))?;
        Ok(Json(UserList { accounts: accounts.iter().map(Address::to_string).collect() }))
    })
    .await
}

/// Creates an account.
#[utoipa::path(put, path = "/v1/users/{account}", request_body = PasswordChange, responses(
    (status = 201, description = "created"), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn create(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(first): Json<PasswordChange>,
) -> Result<(StatusCode, Json<()>), Problem> {
    blocking(move || {
        let address = account(&desk, &name)?;
        if address.user() == Some(partner::RESPONDER) {
            return Err(Problem::bad(format!("{address} answers partners' tests, and is nobody's")));
        }
        desk.act(&who, "user.add", address.as_str(), || {
            match desk.accounts.create(&address, &Secret::new(first.password))? {
                true => Ok((StatusCode::CREATED, Json(()))),
                false => Err(Problem(StatusCode::CONFLICT, format!("{address} exists already"))),
            }
        })
    })
    .await
}

/// Sets an account's password; its devices are signed out.
#[utoipa::path(put, path = "/v1/users/{account}/password", request_body = PasswordChange, responses(
    (status = 200, description = "set"), (status = 404, body = ProblemBody)))]
pub async fn set_password(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(change): Json<PasswordChange>,
) -> Result<Json<()>, Problem> {
    blocking(move || {
        let address = account(&desk, &name)?;
        desk.act(&who, "user.passwd", address.as_str(), || {
            if !desk.accounts.set_password(&address, &Secret::new(change.password))? {
                return Err(Problem::missing(format!("there is no {address}")));
            }
            desk.hub.revoke(&address, false);
            Ok(Json(()))
        })
    })
    .await
}

/// Removes an account; what it wrote stays on record.
#[utoipa::path(delete, path = "/v1/users/{account}", responses(
    (status = 200, description = "removed"), (status = 404, body = ProblemBody)))]
pub async fn remove(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Json<()>, Problem> {
    blocking(move || {
        let address = account(&desk, &name)?;
        desk.act(&who, "user.remove", address.as_str(), || {
            if !desk.accounts.remove(&address)? {
                return Err(Problem::missing(format!("there is no {address}")));
            }
            desk.hub.revoke(&address, true);
            // Whoever has the name next blocks nobody.
            ports::Blocking::unblock(desk.guard.as_ref(), &address, &[])?;
            Ok(Json(()))
        })
    })
    .await
}
