//! Administrators and their tokens.

use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use admin::{Administrator, Change, Role};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// An administrator, without anything secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminView {
    /// What they are called.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The user of the system that they are.
    pub user: Option<String>,
    /// Their tokens.
    pub tokens: Vec<TokenView>,
}

/// A token, without the token.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// What it is called.
    pub id: String,
    /// It counts until then, RFC 3339.
    pub until: String,
    /// It does not any more.
    pub expired: bool,
}

/// All administrators, by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminList {
    /// Each without anything secret.
    pub admins: Vec<AdminView>,
}

/// Who asks, as this server knows them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// What they are called on record.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How it is known that it is them.
    pub how: String,
    /// The acts that this role may do.
    pub may: Vec<String>,
    /// Those of them for which two are needed.
    pub two: Vec<String>,
}

/// A new administrator.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NewAdmin {
    /// What they are to be called.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The user of the system that they are, by name or number.
    #[serde(default)]
    pub user: Option<String>,
}

/// What is to be different.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct AdminChange {
    /// Another role.
    #[serde(default)]
    pub role: Option<Role>,
    /// Another user of the system, by name or number; empty for none.
    #[serde(default)]
    pub user: Option<String>,
}

/// A token to make.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenWish {
    /// For how many days it counts.
    pub days: u32,
}

/// A token that was made. It cannot be seen again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// The token.
    pub token: String,
    /// What it is called.
    pub id: String,
    /// It counts until then, RFC 3339.
    pub until: String,
}

/// Which token.
#[derive(Debug, Deserialize, IntoParams)]
pub struct WhichToken {
    /// What it is called; without it, all.
    id: Option<String>,
}

/// What ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TokensEnded {
    /// How many tokens.
    pub ended: usize,
}

fn time(ms: u64) -> String {
    model::Timestamp(ms).to_string()
}

fn view(one: Administrator) -> AdminView {
    let at = now().unix_ms();
    let user = one.uid.map(|uid| match &one.user {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    });
    let token =
        |t: &admin::Token| TokenView { id: t.id.clone(), until: time(t.until), expired: t.until <= at };
    AdminView { name: one.name, role: one.role, user, tokens: one.tokens.iter().map(token).collect() }
}

/// A user of the system by what somebody wrote.
fn user(word: &str) -> Result<(u32, Option<String>), Problem> {
    if let Ok(uid) = word.parse() {
        return Ok((uid, None));
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let uid = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == word).then_some(())?;
        fields.nth(1)?.parse().ok()
    });
    let none = || {
        Problem::bad(format!(
            "this system has no user {word:?} in /etc/passwd; `id -u {word}` may know a number to write instead"
        ))
    };
    Ok((uid.ok_or_else(none)?, Some(word.to_owned())))
}

/// Lists administrators.
#[utoipa::path(get, path = "/v1/admins", responses((status = 200, body = AdminList)))]
pub async fn list(State(desk): State<Arc<Desk>>) -> Json<AdminList> {
    Json(AdminList { admins: desk.admins.all().into_iter().map(view).collect() })
}

/// Who asks, and what they may do.
#[utoipa::path(get, path = "/v1/admins/me", responses((status = 200, body = Me)))]
pub async fn me(State(desk): State<Arc<Desk>>, who: Who) -> Result<Json<Me>, Problem> {
    let role = who.role().ok_or_else(|| Problem::bad("nobody asks"))?;
    let mut may: Vec<String> =
        admin::ACTS.iter().filter(|act| act.is_for(role)).map(|act| act.name.to_owned()).collect();
    may.dedup();
    let eyes = desk.operator.four_eyes();
    let two = may.iter().filter(|name| eyes.acts.contains(name)).cloned().collect();
    Ok(Json(Me { name: who.as_str().to_owned(), role, how: who.how().to_owned(), may, two }))
}

/// Adds an administrator.
#[utoipa::path(post, path = "/v1/admins", request_body = NewAdmin, responses(
    (status = 201, body = AdminView), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn add(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(new): Json<NewAdmin>,
) -> Result<(StatusCode, Json<AdminView>), Problem> {
    blocking(move || {
        let as_user = new.user.as_deref().map(|user| format!(", user {user}")).unwrap_or_default();
        desk.act(&who, "admin.add", &format!("{} as {}{as_user}", new.name, new.role), || {
            let user = new.user.as_deref().map(user).transpose()?;
            let made = desk.admins.add(&new.name, new.role, user, now().unix_ms())?;
            Ok((StatusCode::CREATED, Json(view(made))))
        })
    })
    .await
}

/// Gives an administrator another role, or says which user of the system they are.
#[utoipa::path(put, path = "/v1/admins/{name}", request_body = AdminChange, responses(
    (status = 200, body = AdminView), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn change(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(change): Json<AdminChange>,
) -> Result<Json<AdminView>, Problem> {
    blocking(move || {
        let mut on = name.clone();
        if let Some(role) = change.role {
            on += &format!(", role {role}");
        }
        match change.user.as_deref() {
            None => {}
            Some("") => on += ", no user",
            Some(user) => on += &format!(", user {user}"),
        }
        desk.act(&who, "admin.role", &on, || {
            let user = match change.user.as_deref() {
                None => None,
                Some("") => Some(None),
                Some(word) => Some(Some(user(word)?)),
            };
            Ok(Json(view(desk.admins.change(&name, Change { role: change.role, user })?)))
        })
    })
    .await
}

/// Removes an administrator, with their tokens.
#[utoipa::path(delete, path = "/v1/admins/{name}", responses(
    (status = 200, description = "removed"), (status = 404, body = ProblemBody)))]
pub async fn remove(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Json<()>, Problem> {
    blocking(move || desk.act(&who, "admin.remove", &name, || Ok(Json(desk.admins.remove(&name)?)))).await
}

/// Makes a token, which is shown now and never again.
#[utoipa::path(post, path = "/v1/admins/{name}/tokens", request_body = TokenWish, responses(
    (status = 201, body = TokenMade), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn token(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(TokenWish { days }): Json<TokenWish>,
) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    blocking(move || {
        desk.act(&who, "admin.token", &format!("{name}, for {days} days"), || {
            let made = desk.admins.token(&name, days, now().unix_ms())?;
            let made = TokenMade { token: made.secret, id: made.id, until: time(made.until) };
            Ok((StatusCode::CREATED, Json(made)))
        })
    })
    .await
}

/// Ends a token of somebody, or all of them.
#[utoipa::path(delete, path = "/v1/admins/{name}/tokens", params(WhichToken), responses(
    (status = 200, body = TokensEnded), (status = 404, body = ProblemBody)))]
pub async fn revoke(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Query(which): Query<WhichToken>,
) -> Result<Json<TokensEnded>, Problem> {
    blocking(move || {
        let what = which.id.as_deref().unwrap_or("all");
        desk.act(&who, "admin.revoke", &format!("{name}, token {what}"), || {
            Ok(Json(TokensEnded { ended: desk.admins.revoke(&name, which.id.as_deref())? }))
        })
    })
    .await
}
