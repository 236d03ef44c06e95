//! Reviews: people look through what a search has found, and decide row by row.

use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Hit, SearchQuestion, Who};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use matters::{Decision, MOST_ROWS, Mark, Progress, Review, Sample, rows_of};
use model::Seq;
use record::Ranges;
use search::Ask;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Rows that are read of the index at a time, and shown at a time at most.
const PAGE: usize = 1_000;

/// A review that is to begin.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReview {
    /// Its name: small letters, digits, - _ .
    pub name: String,
    /// The matter that it is about; it keeps the rows from now on.
    pub matter: String,
    /// What is looked for; its `before` and `limit` mean nothing here.
    pub question: SearchQuestion,
    /// Look through so many of a hundred only.
    #[serde(default)]
    pub sample: Option<u32>,
    /// What the sample follows from; without one, the server says one.
    #[serde(default)]
    pub seed: Option<String>,
}

/// A review and how far people are.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReviewView {
    /// The review.
    #[serde(flatten)]
    pub review: Review,
    /// How far people are.
    pub progress: Progress,
}

/// Reviews, by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReviewList {
    /// Each with how far people are.
    pub reviews: Vec<ReviewView>,
}

/// Which rows of a review.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Which {
    /// Only rows after this one.
    after: Option<u64>,
    /// Only those with this tag.
    tag: Option<String>,
    /// Only those that nobody is done with.
    open: Option<bool>,
    /// Only privileged ones.
    privileged: Option<bool>,
    /// At most so many (1000).
    limit: Option<usize>,
}

/// Rows of a review with what was decided, by number.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DecisionList {
    /// The decisions; where nobody is named nobody has decided.
    pub rows: Vec<Decision>,
}

/// A note may quote what it is about.
fn sees_notes(who: &Who) -> bool {
    who.may("review.content")
}

/// A row of a review with its content.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReviewRow {
    /// The row.
    pub hit: Hit,
    /// What was decided.
    pub decision: Decision,
}

/// Rows that are privileged.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Privileged {
    /// Such as `1-5,9`.
    pub rows: String,
    /// How many they are.
    pub count: u64,
}

fn view(desk: &Desk, review: Review) -> Result<ReviewView, Problem> {
    Ok(ReviewView { progress: desk.reviews.progress(&review.name)?, review })
}

/// Lists reviews.
#[utoipa::path(get, path = "/v1/reviews", responses((status = 200, body = ReviewList)))]
pub async fn list(State(desk): State<Arc<Desk>>) -> Result<Json<ReviewList>, Problem> {
    blocking(move || {
        let all = desk.reviews.all()?.into_iter().map(|review| view(&desk, review));
        Ok(Json(ReviewList { reviews: all.collect::<Result<_, _>>()? }))
    })
    .await
}

/// A review and how far people are.
#[utoipa::path(get, path = "/v1/reviews/{name}", responses(
    (status = 200, body = ReviewView), (status = 404, body = ProblemBody)))]
pub async fn show(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
) -> Result<Json<ReviewView>, Problem> {
    blocking(move || Ok(Json(view(&desk, desk.reviews.named(&name)?)?))).await
}

/// Begins a review: what the question finds now is frozen, kept by the matter, and looked through.
#[utoipa::path(post, path = "/v1/reviews", request_body = NewReview, responses(
    (status = 200, body = ReviewView), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn start(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(new): Json<NewReview>,
) -> Result<Json<ReviewView>, Problem> {
    blocking(move || {
        let question = new.question.in_words();
        let begun = begin(&desk, &who, &new, &question);
        let on = match &begun {
            Ok(review) => {
                let sample =
                    review.sample.as_ref().map(|s| format!("; sample of {} %, seed {:?}", s.percent, s.seed));
                let sample = sample.unwrap_or_default();
                format!("{}, matter {}: {question}; {} row(s){sample}", new.name, new.matter, review.found)
            }
            Err(_) => new.name.clone(),
        };
        // What was looked for does not go to the log.
        desk.act_in_full(&who, "review.start", (&new.name, &on), || Ok(Json(view(&desk, begun?)?)))
    })
    .await
}

fn begin(desk: &Desk, who: &Who, new: &NewReview, question: &str) -> Result<Review, Problem> {
    let index = desk.index()?;
    let mut ask = Ask { oldest: true, before: None, ..new.question.ask(desk)? };
    let mut found = Ranges::default();
    loop {
        let page = index.find(&ask, PAGE)?;
        page.rows.iter().for_each(|seq| found.add(seq.0));
        if !page.more || found.count() > MOST_ROWS {
            break;
        }
        ask.after = page.rows.last().map(|seq| seq.0);
    }
    let seed = || new.seed.clone().unwrap_or_else(|| format!("{}-{}", new.name, now().unix_ms()));
    let sample = new.sample.map(|percent| Sample { percent, seed: seed() });
    Ok(desk.reviews.begin((&new.name, &new.matter), question, &found, sample, who.as_str(), now())?)
}

/// Rows of a review with what was decided, without content; notes only for those who may read content.
#[utoipa::path(get, path = "/v1/reviews/{name}/rows", params(Which), responses(
    (status = 200, body = DecisionList), (status = 404, body = ProblemBody)))]
pub async fn rows(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<DecisionList>, Problem> {
    blocking(move || {
        let (review, mut decided) = (desk.reviews.named(&name)?, desk.reviews.decisions(&name)?);
        let wanted = |d: &Decision| {
            which.after.is_none_or(|after| d.row > after)
                && which.tag.as_ref().is_none_or(|tag| d.tags.contains(tag))
                && (which.open != Some(true) || !d.reviewed)
                && (which.privileged != Some(true) || d.privileged)
        };
        let all = rows_of(&review);
        let all =
            all.iter().map(|row| decided.remove(&row).unwrap_or(Decision { row, ..Decision::default() }));
        let limit = which.limit.unwrap_or(PAGE).clamp(1, PAGE);
        let mut rows: Vec<_> = all.filter(wanted).take(limit).collect();
        if !sees_notes(&who) {
            rows.iter_mut().for_each(|row| row.note.clear());
        }
        Ok(Json(DecisionList { rows }))
    })
    .await
}

/// A row of a review with its content. That it was read is on record.
#[utoipa::path(get, path = "/v1/reviews/{name}/rows/{row}", responses(
    (status = 200, body = ReviewRow), (status = 404, body = ProblemBody)))]
pub async fn read(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path((name, row)): Path<(String, u64)>,
) -> Result<Json<ReviewRow>, Problem> {
    blocking(move || Ok(Json(shown(&desk, &who, &name, row)?))).await
}

/// The first row after another that nobody is done with, with its content.
#[utoipa::path(get, path = "/v1/reviews/{name}/next", params(Which), responses(
    (status = 200, body = Option<ReviewRow>), (status = 404, body = ProblemBody)))]
pub async fn next(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Option<ReviewRow>>, Problem> {
    blocking(move || {
        let next = desk.reviews.next(&name, which.after.unwrap_or_default())?;
        Ok(Json(next.map(|seq| shown(&desk, &who, &name, seq.0)).transpose()?))
    })
    .await
}

fn shown(desk: &Desk, who: &Who, name: &str, row: u64) -> Result<ReviewRow, Problem> {
    let missing = || Problem::missing(format!("row {row} is not among those that {name} looks through"));
    if !rows_of(&desk.reviews.named(name)?).has(row) {
        return Err(missing());
    }
    desk.looked(who, "review.content", &format!("{name}, row {row}"))?;
    let hit = desk.hits(&[Seq(row)], true)?.pop().ok_or_else(missing)?;
    let decision = desk.reviews.decisions(name)?.remove(&row);
    Ok(ReviewRow { hit, decision: decision.unwrap_or(Decision { row, ..Decision::default() }) })
}

/// Decides about a row of a review, or changes what was decided.
#[utoipa::path(post, path = "/v1/reviews/{name}/rows/{row}", request_body = Mark, responses(
    (status = 200, body = Decision), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn mark(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path((name, row)): Path<(String, u64)>,
    Json(mark): Json<Mark>,
) -> Result<Json<Decision>, Problem> {
    blocking(move || {
        let on = format!("{name}, row {row}: {}", mark.in_words());
        desk.act(&who, "review.mark", &on, || {
            Ok(Json(desk.reviews.mark(&name, row, &mark, who.as_str(), now())?))
        })
    })
    .await
}

/// What was decided, row by row, as CSV; notes only for those who may read content.
#[utoipa::path(get, path = "/v1/reviews/{name}/decisions", responses(
    (status = 200, body = String, content_type = "text/csv"), (status = 404, body = ProblemBody)))]
pub async fn export(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let csv = blocking(move || {
        let notes = sees_notes(&who);
        desk.act(&who, "review.export", &name, || Ok(desk.reviews.csv(&name, notes)?))
    })
    .await?;
    Ok(([(CONTENT_TYPE, "text/csv; charset=utf-8")], csv).into_response())
}

/// Rows that are privileged by any review.
#[utoipa::path(get, path = "/v1/privileged", responses((status = 200, body = Privileged)))]
pub async fn privileged(State(desk): State<Arc<Desk>>) -> Result<Json<Privileged>, Problem> {
    blocking(move || {
        let rows = desk.reviews.privileged()?;
        Ok(Json(Privileged { count: rows.count(), rows: rows.to_string() }))
    })
    .await
}
