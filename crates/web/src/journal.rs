use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Path, Query, State};
use model::codec::{decode, decode_outcomes};
use model::{LossKind, Outcome, Refusal, Seq};
use record::Act;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Row, RowKind};
use utoipa::{IntoParams, ToSchema};

/// Which rows.
#[derive(Deserialize, IntoParams)]
pub struct Range {
    /// Only rows after this number.
    after: Option<u64>,
    /// Only the last so many rows; overrides `after`.
    last: Option<u64>,
    /// At most so many (1000).
    limit: Option<usize>,
    /// Only acts of administration, the last ones.
    #[serde(default)]
    admin: bool,
}

/// Why something was refused.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RefusalView {
    /// The neutral reason.
    pub reason: String,
    /// In words.
    pub text: Option<String>,
    /// Which stage or rule decided.
    pub rule: Option<String>,
}

/// One property a translation lost.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LossView {
    /// `dropped` or `changed`.
    pub kind: String,
    /// Which property.
    pub what: String,
    /// What it became.
    pub became: String,
    /// Translated from.
    pub from: String,
    /// Translated to.
    pub to: String,
}

/// How an earlier row ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SettledView {
    /// Which row.
    pub seq: u64,
    /// How.
    pub outcome: String,
    /// Why not, if refused.
    pub refused: Option<RefusalView>,
    /// What its translation lost.
    pub losses: Vec<LossView>,
}

/// A row without its content.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct JournalRow {
    /// Its number.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// `envelope`, `outcomes` or `admin`.
    pub kind: String,
    /// What happened: `message`, `receipt`, `subscribe`, `authorize`.
    pub event: Option<String>,
    /// The envelope's id.
    pub id: Option<String>,
    /// Sender.
    pub from: Option<String>,
    /// Addressee.
    pub to: Option<String>,
    /// The dialect it came by.
    pub dialect: Option<String>,
    /// Set where the pipeline refused it.
    pub refused: Option<RefusalView>,
    /// True where its sender was not told that.
    pub silent: bool,
    /// The rule for which it was held until a person decides.
    pub held: Option<String>,
    /// Rules that changed it, or warned its sender.
    pub rules: Vec<String>,
    /// The row as which it was held before a person let it pass.
    pub released: Option<u64>,
    /// The system that it was imported from: it was never delivered here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
    /// On outcomes rows: how earlier rows ended.
    pub settled: Vec<SettledView>,
    /// On admin rows: who did what, and how it ended.
    pub act: Option<String>,
    /// The row's link in the chain, hex.
    pub link: String,
}

/// Rows in order.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct JournalRows {
    /// The rows.
    pub rows: Vec<JournalRow>,
}

fn refusal(r: &Refusal) -> RefusalView {
    RefusalView {
        reason: r.reason.name().to_owned(),
        text: r.text.as_ref().map(ToString::to_string),
        rule: r.rule.as_ref().map(ToString::to_string),
    }
}

/// A row as the API shows it: never its content.
pub fn view(row: &Row) -> JournalRow {
    let mut shown = JournalRow {
        seq: row.seq.0,
        at: row.at.to_string(),
        kind: String::new(),
        event: None,
        id: None,
        from: None,
        to: None,
        dialect: None,
        refused: None,
        silent: false,
        held: None,
        rules: Vec::new(),
        released: None,
        imported: None,
        settled: Vec::new(),
        act: None,
        link: row.link.iter().map(|b| format!("{b:02x}")).collect(),
    };
    match row.kind {
        RowKind::Envelope => {
            shown.kind = "envelope".into();
            if let Ok(kept) = decode(&row.head, row.body.as_deref()) {
                let e = &kept.envelope;
                shown.event = Some(e.event.kind().into());
                shown.id = Some(e.id.to_string());
                shown.from = Some(e.from.to_string());
                shown.to = Some(e.to.to_string());
                shown.dialect = Some(e.origin.dialect.name().into());
                shown.refused = kept.judged.refused.as_ref().map(refusal);
                shown.silent = kept.judged.silent;
                shown.held = kept.judged.held.as_ref().map(|hold| hold.rule.to_string());
                shown.rules = kept.judged.rules.iter().map(ToString::to_string).collect();
                shown.imported = kept.judged.imported.as_ref().map(ToString::to_string);
                shown.released = kept.judged.released.map(|seq| seq.0);
            }
        }
        RowKind::Outcomes => {
            shown.kind = "outcomes".into();
            if let Ok(entries) = decode_outcomes(&row.head) {
                shown.settled = entries.iter().map(settled).collect();
            }
        }
        RowKind::Admin => {
            shown.kind = "admin".into();
            shown.act = Act::read(row).map(|act| act.to_string());
        }
    }
    shown
}

/// How an earlier row ended, as the API shows it.
pub(crate) fn settled(entry: &model::codec::SettledEntry) -> SettledView {
    SettledView {
        seq: entry.seq.0,
        outcome: entry.outcome.name().to_owned(),
        refused: match &entry.outcome {
            Outcome::Refused(r) => Some(refusal(r)),
            _ => None,
        },
        losses: entry
            .losses
            .iter()
            .map(|l| LossView {
                kind: if l.kind == LossKind::Dropped { "dropped" } else { "changed" }.to_owned(),
                what: l.what.to_string(),
                became: l.became.to_string(),
                from: l.from.name().to_owned(),
                to: l.to.name().to_owned(),
            })
            .collect(),
    }
}

/// Rows of the journal, without content.
#[utoipa::path(get, path = "/v1/journal", params(Range), responses((status = 200, body = JournalRows)))]
pub async fn rows(
    State(desk): State<Arc<Desk>>,
    Query(range): Query<Range>,
) -> Result<Json<JournalRows>, Problem> {
    blocking(move || {
        let limit = range.limit.unwrap_or(1000).min(1000);
        if range.admin {
            let last = range.last.map_or(limit, |n| usize::try_from(n).unwrap_or(limit).min(limit));
            let rows = desk.journal.acts(last)?;
            return Ok(Json(JournalRows { rows: rows.iter().map(view).collect() }));
        }
        let head = desk.journal.head().0;
        let first = match range.last {
            Some(last) => head.saturating_sub(last) + 1,
            None => range.after.unwrap_or(0) + 1,
        };
        let rows = desk.journal.rows(Seq(first), limit)?;
        Ok(Json(JournalRows { rows: rows.iter().map(view).collect() }))
    })
    .await
}

/// A row with its content.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RowContent {
    /// The row.
    pub row: JournalRow,
    /// The whole row in words, its content among them.
    pub text: String,
}

/// One row with its content. That somebody read it is on record.
#[utoipa::path(get, path = "/v1/journal/{seq}", responses(
    (status = 200, body = RowContent), (status = 404, body = ProblemBody)))]
pub async fn read(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(seq): Path<u64>,
) -> Result<Json<RowContent>, Problem> {
    blocking(move || {
        desk.act(&who, "journal.read", &format!("row {seq}"), || {
            let row = desk.journal.rows(Seq(seq), 1)?.into_iter().find(|row| row.seq == Seq(seq));
            let row = row.ok_or_else(|| Problem::missing(format!("there is no row {seq}")))?;
            Ok(Json(RowContent { row: view(&row), text: record::describe(&row, true) }))
        })
    })
    .await
}
