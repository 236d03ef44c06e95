use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use ::spim::{Block, Party, Record, SpimError};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

impl From<SpimError> for Problem {
    fn from(error: SpimError) -> Self {
        let status = match &error {
            SpimError::Wrong(_) => StatusCode::BAD_REQUEST,
            SpimError::Missing(_) => StatusCode::NOT_FOUND,
            SpimError::Trouble(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// What is known of an address or a domain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PartyView {
    /// Which.
    pub who: String,
    /// Its reputation: 0 for a stranger, less for a bad one.
    pub score: f64,
    /// Reports of it, by different people.
    pub reports: u32,
    /// What it sent that was refused for its content, or because it was a stranger's.
    pub refused: u32,
    /// What was held.
    pub held: u32,
    /// People of ours who consented to it, or wrote to it first.
    pub consents: u32,
    /// The administrator's block, if there is one.
    pub blocked: Option<BlockView>,
    /// The list that has it.
    pub list: Option<String>,
}

/// An administrator's block.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BlockView {
    /// Whom.
    pub who: String,
    /// Since when, Unix milliseconds.
    pub since: u64,
    /// Until when; none: until somebody ends it.
    pub until: Option<u64>,
    /// Who ordered it.
    pub by: String,
    /// Why.
    pub note: String,
}

/// A list of known offenders.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SpimListView {
    /// Its name.
    pub name: String,
    /// How many are on it.
    pub entries: usize,
    /// Lines that say nothing.
    pub skipped: usize,
    /// Why it cannot be read; what it said before holds.
    pub trouble: Option<String>,
}

/// Who stands out, and what was counted since the server started.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SpimStatus {
    /// Those of the worst reputation, the worst first.
    pub worst: Vec<PartyView>,
    /// Those an administrator has blocked.
    pub blocked: Vec<BlockView>,
    /// The lists.
    pub lists: Vec<SpimListView>,
    /// First messages of strangers that passed.
    pub first_contacts: u64,
    /// What was stopped, by cause.
    pub stopped: BTreeMap<String, u64>,
    /// Reports.
    pub reports: u64,
    /// Pairs of people of whom ours wrote to the other.
    pub known: u64,
    /// Pairs for which something waits for a time or an answer.
    pub waiting: u64,
}

/// For how long somebody is blocked, and why.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BlockOrder {
    /// For so many minutes; without it, until somebody ends it.
    #[serde(default)]
    pub minutes: Option<u32>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

impl From<Block> for BlockView {
    fn from(block: Block) -> Self {
        let Block { who, since, until, by, note } = block;
        Self { who, since, until, by, note }
    }
}

fn party(who: String, score: f64, record: &Record) -> PartyView {
    let Record { reports, refused, held, consents, .. } = *record;
    // The sign of a number that is no number to speak of tells nobody anything.
    let score = if score.abs() < 0.05 { 0.0 } else { (score * 10.0).round() / 10.0 };
    PartyView { who, score, reports, refused, held, consents, blocked: None, list: None }
}

/// Who stands out.
#[utoipa::path(get, path = "/v1/spim", responses((status = 200, body = SpimStatus)))]
pub async fn status(State(desk): State<Arc<Desk>>) -> Result<Json<SpimStatus>, Problem> {
    blocking(move || {
        let seen = desk.guard.standings(now().unix_ms());
        let list = |l: ::spim::ListView| SpimListView {
            name: l.name,
            entries: l.entries,
            skipped: l.skipped,
            trouble: l.trouble,
        };
        Ok(Json(SpimStatus {
            worst: seen.worst.iter().map(|(who, score, record)| party(who.clone(), *score, record)).collect(),
            blocked: seen.blocked.into_iter().map(BlockView::from).collect(),
            lists: seen.lists.into_iter().map(list).collect(),
            first_contacts: seen.counts.first,
            stopped: seen.counts.stopped.into_iter().map(|(cause, n)| (cause.to_owned(), n)).collect(),
            reports: seen.counts.reports,
            known: seen.counts.known,
            waiting: seen.counts.waiting,
        }))
    })
    .await
}

/// What is known of an address or a domain.
#[utoipa::path(get, path = "/v1/spim/{who}", params(("who" = String, Path, description = "Address or domain.")),
    responses((status = 200, body = PartyView), (status = 400, body = ProblemBody)))]
pub async fn show(
    State(desk): State<Arc<Desk>>,
    Path(who): Path<String>,
) -> Result<Json<PartyView>, Problem> {
    blocking(move || {
        let Party { who, score, record, block, list } = desk.guard.show(&who, now().unix_ms())?;
        Ok(Json(PartyView { blocked: block.map(BlockView::from), list, ..party(who, score, &record) }))
    })
    .await
}

/// Stops what an address or a domain sends, at once.
#[utoipa::path(post, path = "/v1/spim/{who}/block", request_body = BlockOrder,
    params(("who" = String, Path, description = "Address or domain.")),
    responses((status = 200, body = BlockView), (status = 400, body = ProblemBody)))]
pub async fn block(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(whom): Path<String>,
    Json(order): Json<BlockOrder>,
) -> Result<Json<BlockView>, Problem> {
    blocking(move || {
        let since = now().unix_ms();
        let until = order.minutes.map(|minutes| since + u64::from(minutes) * 60_000);
        let term = order.minutes.map_or("until it is ended".to_owned(), |m| format!("for {m} minutes"));
        let block = Block { who: whom, since, until, by: who.as_str().to_owned(), note: order.note };
        let on = format!("{} {term}", block.who);
        desk.act(&who, "spim.block", &on, || Ok(Json(desk.guard.block(block)?.into())))
    })
    .await
}

/// Ends a block, and forgets what is held against somebody.
#[utoipa::path(post, path = "/v1/spim/{who}/forgive",
    params(("who" = String, Path, description = "Address or domain.")),
    responses((status = 200, body = PartyView), (status = 404, body = ProblemBody)))]
pub async fn forgive(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(whom): Path<String>,
) -> Result<Json<PartyView>, Problem> {
    blocking(move || {
        desk.act(&who, "spim.forgive", &whom, || {
            let name = desk.guard.forgive(&whom)?;
            Ok(Json(party(name, 0.0, &Record::default())))
        })
    })
    .await
}
