//! Usage reports.

use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::extract::{Path, Query, State};
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use reports::Form;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// How a report is wanted.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Wanted {
    /// `html`, `pdf`, `csv`, `json` or `text`; `json` where it is not said.
    form: Option<String>,
}

type File = ([(HeaderName, &'static str); 1], Vec<u8>);

/// The usage report of a period: `2026-11-22`, `2026-W47`, `2026-11`, `today`, `last-week`... Names people.
#[utoipa::path(get, path = "/v1/reports/{period}", params(Wanted), responses(
    (status = 200, description = "the report"), (status = 400, body = ProblemBody)))]
pub async fn report(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(period): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<File, Problem> {
    blocking(move || {
        let form = wanted.form()?;
        let report = desk.operator.report(&period, false).map_err(|why| Problem::bad(&why))?;
        // It tells of people by name, like a search.
        who.done("report").on(&report.period).note(desk.journal.as_ref(), crate::acts::now())?;
        Ok(file(form, &report))
    })
    .await
}

/// The same without names of people, and without figures that are of few people.
#[utoipa::path(get, path = "/v1/reports/{period}/aggregates", params(Wanted), responses(
    (status = 200, description = "the report"), (status = 400, body = ProblemBody)))]
pub async fn aggregates(
    State(desk): State<Arc<Desk>>,
    Path(period): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<File, Problem> {
    blocking(move || {
        let form = wanted.form()?;
        let report = desk.operator.report(&period, true).map_err(|why| Problem::bad(&why))?;
        Ok(file(form, &report))
    })
    .await
}

impl Wanted {
    fn form(&self) -> Result<Form, Problem> {
        self.form.as_deref().unwrap_or("json").parse().map_err(Problem::bad)
    }
}

fn file(form: Form, report: &reports::Report) -> File {
    ([(CONTENT_TYPE, form.mime())], form.of(report))
}
