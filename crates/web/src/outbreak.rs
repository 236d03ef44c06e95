use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use ::outbreak::{Order, OutbreakError, Target};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hub::QuarantineError;
use model::Seq;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Rows that are read at once.
const PAGE: usize = 1_000;

impl From<OutbreakError> for Problem {
    fn from(error: OutbreakError) -> Self {
        let status = match &error {
            OutbreakError::Wrong(_) => StatusCode::BAD_REQUEST,
            OutbreakError::Missing(_) => StatusCode::NOT_FOUND,
            OutbreakError::Trouble(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// One containment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OrderView {
    /// Its name, such as `link-1a2b3c4d`, `user:somebody@example.com` or `network`.
    pub name: String,
    /// `link`, `file`, `text`, `user`, `partner` or `network`; `cleared` for what was released and passes.
    pub kind: String,
    /// The host of a link.
    pub host: Option<String>,
    /// Since when, Unix milliseconds.
    pub since: u64,
    /// Until when; none: until somebody ends it.
    pub until: Option<u64>,
    /// Who ordered it: `server` by itself.
    pub by: String,
    /// Why.
    pub note: String,
    /// What it has stopped since the server started.
    pub stopped: u64,
    /// What waits in the quarantine because of it.
    pub waiting: usize,
}

/// What is contained, and what was counted since the server started.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OutbreakStatus {
    /// Each containment, the oldest first.
    pub contained: Vec<OrderView>,
    /// Outbreaks found.
    pub found: u64,
    /// Messages held.
    pub held: u64,
    /// Messages refused.
    pub refused: u64,
    /// Accounts muted automatically.
    pub muted: u64,
    /// Partners isolated automatically.
    pub isolated: u64,
}

/// Something to stop.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Stop {
    /// `link`, `file`, `user`, `partner` or `network`.
    pub kind: String,
    /// The link, the SHA-256 of the file, the address, the partner's name, or a domain.
    #[serde(default)]
    pub what: String,
    /// For so many minutes; without it, until somebody ends it.
    #[serde(default)]
    pub minutes: Option<u32>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// What to decide about.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// The name of a containment.
    pub name: String,
    /// When it is released: what it held stays in the quarantine.
    #[serde(default)]
    pub keep: bool,
    /// When what it held is deleted: the senders hear it.
    #[serde(default)]
    pub tell: bool,
}

/// How many messages were released or deleted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Decided {
    /// Messages.
    pub messages: usize,
    /// Those that could not be passed on; they wait in the quarantine.
    pub failed: usize,
}

fn rule(name: &str) -> String {
    format!("outbreak:{name}")
}

/// The rows that wait because of containments, each with its rule.
fn waiting(desk: &Desk) -> Result<Vec<(Seq, String)>, Problem> {
    let mut found = Vec::new();
    let mut after = Seq(0);
    loop {
        let rows = desk.hub.held(after, PAGE)?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = last.seq;
        found.extend(rows.into_iter().filter_map(|row| {
            let rule = row.kept.judged.held?.rule;
            rule.starts_with("outbreak:").then(|| (row.seq, rule.to_string()))
        }));
    }
}

fn view(order: Order, stopped: u64, waiting: &[(Seq, String)]) -> OrderView {
    let name = order.target.name();
    let rule = rule(&name);
    let host = match &order.target {
        Target::Artefact { host, .. } => host.clone(),
        _ => None,
    };
    OrderView {
        kind: order.target.kind().to_owned(),
        host,
        since: order.since,
        until: order.until,
        by: order.by,
        note: order.note,
        stopped,
        waiting: waiting.iter().filter(|(_, by)| *by == rule).count(),
        name,
    }
}

/// What is contained.
#[utoipa::path(get, path = "/v1/outbreak", responses((status = 200, body = OutbreakStatus)))]
pub async fn status(State(desk): State<Arc<Desk>>) -> Result<Json<OutbreakStatus>, Problem> {
    blocking(move || {
        let (waiting, counts) = (waiting(&desk)?, desk.outbreaks.counts());
        let orders = desk.outbreaks.orders(now().unix_ms());
        Ok(Json(OutbreakStatus {
            contained: orders.into_iter().map(|(order, n)| view(order, n, &waiting)).collect(),
            found: counts.found,
            held: counts.held,
            refused: counts.refused,
            muted: counts.muted,
            isolated: counts.isolated,
        }))
    })
    .await
}

/// Stops a thing, an account, a partner or everything, at once.
#[utoipa::path(post, path = "/v1/outbreak/stop", request_body = Stop, responses(
    (status = 200, body = OrderView), (status = 400, body = ProblemBody)))]
pub async fn stop(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(stop): Json<Stop>,
) -> Result<Json<OrderView>, Problem> {
    blocking(move || {
        let target = desk.outbreaks.target(&stop.kind, &stop.what)?;
        let since = now().unix_ms();
        let until = stop.minutes.map(|minutes| since + u64::from(minutes) * 60_000);
        let term = stop.minutes.map_or("until it is ended".to_owned(), |m| format!("for {m} minutes"));
        let on = format!("{} {term}", target.name());
        let order =
            Order { target, since, until, by: who.as_str().to_owned(), note: stop.note, automatic: false };
        desk.act(&who, "outbreak.stop", &on, || {
            desk.outbreaks.stop(order.clone())?;
            Ok(Json(view(order, 0, &[])))
        })
    })
    .await
}

/// Ends a containment; what it held passes, unless it is to stay in the quarantine.
#[utoipa::path(post, path = "/v1/outbreak/release", request_body = Decision, responses(
    (status = 200, body = Decided), (status = 404, body = ProblemBody)))]
pub async fn release(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(Decision { name, keep, .. }): Json<Decision>,
) -> Result<Json<Decided>, Problem> {
    blocking(move || {
        let on = format!("{name}{}", if keep { ", what it held stays" } else { "" });
        desk.act(&who, "outbreak.release", &on, || {
            desk.outbreaks.release(&name, who.as_str(), now().unix_ms())?;
            match keep {
                true => Ok(Json(Decided { messages: 0, failed: 0 })),
                false => decide(&desk, &name, |seq| desk.hub.release_held(seq)),
            }
        })
    })
    .await
}

/// Deletes what a containment held. It stays in force, and the messages stay on record.
#[utoipa::path(post, path = "/v1/outbreak/delete", request_body = Decision, responses(
    (status = 200, body = Decided)))]
pub async fn delete(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(Decision { name, tell, .. }): Json<Decision>,
) -> Result<Json<Decided>, Problem> {
    blocking(move || {
        let on = format!("what {name} held{}", if tell { ", senders told" } else { "" });
        desk.act(&who, "outbreak.delete", &on, || {
            decide(&desk, &name, |seq| desk.hub.discard_held(seq, tell))
        })
    })
    .await
}

fn decide(
    desk: &Desk,
    name: &str,
    end: impl Fn(Seq) -> Result<(), QuarantineError>,
) -> Result<Json<Decided>, Problem> {
    let rule = rule(name);
    let mut decided = Decided { messages: 0, failed: 0 };
    for (seq, _) in waiting(desk)?.into_iter().filter(|(_, by)| *by == rule) {
        match end(seq) {
            Ok(()) => decided.messages += 1,
            // Somebody else has decided meanwhile.
            Err(QuarantineError::NotHeld(_)) => {}
            Err(QuarantineError::Refused(_)) => decided.failed += 1,
            Err(QuarantineError::Trouble(trouble)) => return Err(trouble.into()),
        }
    }
    Ok(Json(decided))
}
