use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use hub::{HeldRow, QuarantineError};
use model::{Event, Seq, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Characters of a preview.
const PREVIEW: usize = 2_000;
const DAY_MS: u64 = 86_400_000;

impl From<QuarantineError> for Problem {
    fn from(error: QuarantineError) -> Self {
        let status = match &error {
            QuarantineError::NotHeld(_) => StatusCode::NOT_FOUND,
            QuarantineError::Refused(_) => StatusCode::CONFLICT,
            QuarantineError::Trouble(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// One message that waits for a decision.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HeldView {
    /// Its row in the journal, which names it here.
    pub seq: u64,
    /// The envelope.
    pub id: String,
    /// When it entered, Unix milliseconds.
    pub at: u64,
    /// Sender.
    pub from: String,
    /// Addressee.
    pub to: String,
    /// The rule for which it waits.
    pub rule: String,
    /// What the sender was told.
    pub told: Option<String>,
    /// The content as plain text, its beginning; only where one message is asked for.
    pub preview: Option<String>,
    /// Other contents: type and bytes.
    pub parts: Vec<PartView>,
}

/// A content that is no plain text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PartView {
    /// What it says it is.
    pub mime: String,
    /// Its bytes.
    pub bytes: usize,
}

/// What waits, oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HeldList {
    /// Each without its content.
    pub held: Vec<HeldView>,
}

/// Which.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Page {
    /// After this row.
    after: Option<u64>,
    /// How many at most.
    limit: Option<usize>,
}

/// How a message that was held ends.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Discard {
    /// Does the sender hear it?
    #[serde(default)]
    pub tell: bool,
}

fn view(row: HeldRow, with_content: bool) -> HeldView {
    let envelope = &row.kept.envelope;
    let hold = row.kept.judged.held.as_ref();
    let message = match &envelope.event {
        Event::Message(message) => Some(message),
        _ => None,
    };
    let preview = message.filter(|_| with_content && !row.kept.erased).map(|message| {
        let subject = message.subject.as_deref().map(|subject| format!("{subject}\n\n")).unwrap_or_default();
        let text = format!("{subject}{}", policy::shown(message));
        // As text: no character of it may do anything in a terminal or a page.
        text.chars().take(PREVIEW).map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
    });
    let parts = message.map_or_else(Vec::new, |message| {
        let others = message.parts.iter().filter(|part| !part.is_plain_text());
        others.map(|part| PartView { mime: part.mime.to_string(), bytes: part.body.len() }).collect()
    });
    HeldView {
        seq: row.seq.0,
        id: envelope.id.to_string(),
        at: envelope.at.unix_ms(),
        from: envelope.from.to_string(),
        to: envelope.to.to_string(),
        rule: hold.map(|hold| hold.rule.to_string()).unwrap_or_default(),
        told: hold.and_then(|hold| hold.text.as_ref().map(ToString::to_string)),
        preview,
        parts,
    }
}

/// What waits for a decision.
#[utoipa::path(get, path = "/v1/quarantine", params(Page), responses((status = 200, body = HeldList)))]
pub async fn list(
    State(desk): State<Arc<Desk>>,
    Query(page): Query<Page>,
) -> Result<Json<HeldList>, Problem> {
    blocking(move || {
        let limit = page.limit.unwrap_or(100).clamp(1, 1_000);
        let held = desk.hub.held(Seq(page.after.unwrap_or(0)), limit)?;
        Ok(Json(HeldList { held: held.into_iter().map(|row| view(row, false)).collect() }))
    })
    .await
}

/// One message with a preview as text. That somebody looked is on record.
#[utoipa::path(get, path = "/v1/quarantine/{seq}", responses(
    (status = 200, body = HeldView), (status = 404, body = ProblemBody)))]
pub async fn show(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(seq): Path<u64>,
) -> Result<Json<HeldView>, Problem> {
    blocking(move || {
        desk.act(&who, "quarantine.look", &format!("row {seq}"), || {
            Ok(Json(view(desk.hub.held_row(Seq(seq))?, true)))
        })
    })
    .await
}

/// Lets a message pass as it was sent.
#[utoipa::path(post, path = "/v1/quarantine/{seq}/release", responses(
    (status = 200, description = "released"), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn release(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(seq): Path<u64>,
) -> Result<Json<()>, Problem> {
    blocking(move || {
        desk.act(&who, "quarantine.release", &format!("row {seq}"), || {
            Ok(Json(desk.hub.release_held(Seq(seq))?))
        })
    })
    .await
}

/// What nobody decided about in time.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Late {
    /// Held longer ago than so many days; without it, what `[quarantine] days` says.
    #[serde(default)]
    pub days: Option<u32>,
}

/// What was ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Ended {
    /// Messages.
    pub messages: usize,
}

/// Ends what was held too long; the senders hear it. The server does it by itself every hour where `[quarantine] days` is set.
#[utoipa::path(post, path = "/v1/quarantine/expire", request_body = Late, responses(
    (status = 200, body = Ended), (status = 400, body = ProblemBody)))]
pub async fn expire(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(Late { days }): Json<Late>,
) -> Result<Json<Ended>, Problem> {
    blocking(move || {
        let none = || Problem::bad("`[quarantine] days` is not set, so nothing is too late: name the days");
        let days = days.or_else(|| desk.operator.quarantine_days()).ok_or_else(none)?;
        let before = Timestamp(now().unix_ms().saturating_sub(u64::from(days) * DAY_MS));
        desk.act(&who, "quarantine.expire", &format!("held before {before}"), || {
            Ok(Json(Ended { messages: desk.hub.expire_held(before)? }))
        })
    })
    .await
}

/// Ends a message that was held; it is not delivered, and stays on record.
#[utoipa::path(post, path = "/v1/quarantine/{seq}/delete", request_body = Discard, responses(
    (status = 200, description = "deleted"), (status = 404, body = ProblemBody)))]
pub async fn discard(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(seq): Path<u64>,
    Json(Discard { tell }): Json<Discard>,
) -> Result<Json<()>, Problem> {
    blocking(move || {
        let on = format!("row {seq}{}", if tell { ", sender told" } else { "" });
        desk.act(&who, "quarantine.delete", &on, || Ok(Json(desk.hub.discard_held(Seq(seq), tell)?)))
    })
    .await
}
