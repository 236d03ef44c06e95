//! The rules of retention: for how long content is kept.

use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Query, State};
use matters::{Preview, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The rules in force.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RulesInForce {
    /// The version; none while there was never one.
    pub version: Option<Version>,
    /// The general rule, of the configuration: for what no other fits.
    pub general: String,
}

/// A text of rules, TOML.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RulesText {
    /// The text; for a preview, without one: the rules in force.
    pub text: Option<String>,
}

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Which {
    /// Its number; the one in force without.
    version: Option<u32>,
}

/// The rules of retention, those in force or an earlier version.
#[utoipa::path(get, path = "/v1/retention", params(Which), responses(
    (status = 200, body = RulesInForce), (status = 404, body = ProblemBody)))]
pub async fn show(
    State(desk): State<Arc<Desk>>,
    Query(which): Query<Which>,
) -> Result<Json<RulesInForce>, Problem> {
    blocking(move || {
        let general = desk.operator.retention().to_string();
        let version = match which.version {
            None => desk.rules.now(),
            Some(number) => {
                let missing =
                    || Problem::missing(format!("there is no version {number} of the rules of retention"));
                Some(desk.rules.versions()?.into_iter().find(|v| v.number == number).ok_or_else(missing)?)
            }
        };
        Ok(Json(RulesInForce { version, general }))
    })
    .await
}

/// Every version of the rules, the oldest first.
#[utoipa::path(get, path = "/v1/retention/versions", responses((status = 200, body = Vec<Version>)))]
pub async fn versions(State(desk): State<Arc<Desk>>) -> Result<Json<Vec<Version>>, Problem> {
    blocking(move || Ok(Json(desk.rules.versions()?))).await
}

/// Puts other rules in force. They decide with the next run, within the hour.
#[utoipa::path(put, path = "/v1/retention", request_body = RulesText, responses(
    (status = 200, body = Version), (status = 400, body = ProblemBody)))]
pub async fn set(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(RulesText { text }): Json<RulesText>,
) -> Result<Json<Version>, Problem> {
    blocking(move || {
        let text = text.ok_or_else(|| Problem::bad("where is the text of the rules?"))?;
        let set = desk.rules.set(&text, desk.partners.as_ref(), who.as_str(), now());
        let on = match &set {
            Ok(version) => {
                let digest = record::hex(&Sha256::digest(&text));
                format!("version {}, SHA-256 {digest}", version.number)
            }
            Err(_) => "rules of retention".to_owned(),
        };
        desk.act(&who, "retention.set", &on, || Ok(Json(set?)))
    })
    .await
}

/// What a run would destroy now, and what matters would keep; by the rules in force, or by others.
#[utoipa::path(post, path = "/v1/retention/preview", request_body = RulesText, responses(
    (status = 200, body = Preview), (status = 400, body = ProblemBody)))]
pub async fn preview(
    State(desk): State<Arc<Desk>>,
    Json(RulesText { text }): Json<RulesText>,
) -> Result<Json<Preview>, Problem> {
    blocking(move || Ok(Json(desk.operator.preview_retention(text.as_deref())?))).await
}
