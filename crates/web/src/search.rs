//! Looking things up in the record, and how far the index has come.

use crate::acts::now;
use crate::journal::{JournalRow, view};
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::State;
use model::Seq;
use model::codec::decode;
use search::{Ask, Index, SearchError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Row, RowKind};
use utoipa::ToSchema;

/// Rows of a page where the question does not say.
const PAGE: usize = 50;
/// Rows around one that is shown in its conversation, at most.
const AROUND: usize = 50;

/// What is looked for. All that is set must hold.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SearchQuestion {
    /// Words that must be there; `"a phrase"`, `-without`, `begin*`, `this OR that`.
    pub words: Option<String>,
    /// The sender: an address, or a domain.
    pub from: Option<String>,
    /// The addressee: an address, or a domain.
    pub to: Option<String>,
    /// Sender or addressee: all of these.
    pub with: Vec<String>,
    /// A partner by name: sender or addressee is of one of its domains.
    pub partner: Option<String>,
    /// `message`, `receipt`, `subscribe`, `authorize`...; `publish` (presence), `outcomes` and `admin` are found only when they are named.
    pub kind: Option<String>,
    /// The dialect it came by.
    pub dialect: Option<String>,
    /// `passed`, `refused`, `held`, `changed`, `released`.
    pub verdict: Option<String>,
    /// The rule that said so.
    pub rule: Option<String>,
    /// A feature that it has in it, such as `files` or `e2e`.
    pub has: Option<String>,
    /// Not earlier, Unix milliseconds.
    pub since: Option<u64>,
    /// Earlier than this, Unix milliseconds.
    pub until: Option<u64>,
    /// The cursor: `next` of the page before.
    pub before: Option<u64>,
    /// Rows of a page.
    pub limit: Option<usize>,
}

/// A row that was found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Hit {
    /// The row.
    #[serde(flatten)]
    pub row: JournalRow,
    /// The conversation's number.
    pub conversation: u64,
    /// What people wrote, where it was asked for; none where it was destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A page of what was found, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SearchPage {
    /// The rows.
    pub hits: Vec<Hit>,
    /// The cursor of the next page; none after the last.
    pub next: Option<u64>,
    /// The last row that can be found.
    pub indexed: u64,
    /// The journal's last row.
    pub head: u64,
}

/// A row in its conversation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Context {
    /// The row in the middle.
    pub row: u64,
    /// So many on either side.
    pub around: usize,
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Ask(wrong) => Self::bad(wrong.to_string()),
            SearchError::Failed(why) => Self(axum::http::StatusCode::INTERNAL_SERVER_ERROR, why),
        }
    }
}

impl Desk {
    /// The index, if there is one.
    pub(crate) fn index(&self) -> Result<&Index, Problem> {
        let off = "there is no index: set `search = true` under [record] and start the server again";
        self.search.as_deref().ok_or_else(|| Problem(axum::http::StatusCode::CONFLICT, off.into()))
    }

    /// One row of the journal.
    pub(crate) fn row(&self, seq: Seq) -> Result<Option<Row>, Problem> {
        Ok(self.journal.rows(seq, 1)?.pop().filter(|row| row.seq == seq))
    }

    pub(crate) fn hits(&self, rows: &[Seq], content: bool) -> Result<Vec<Hit>, Problem> {
        let mut hits = Vec::with_capacity(rows.len());
        for seq in rows {
            // A row of the index is one of the journal.
            if let Some(row) = self.row(*seq)? {
                hits.push(hit(&row, content));
            }
        }
        Ok(hits)
    }

    /// Nobody reads the record without leaving a trace in it. What was looked for does not go to the log.
    pub(crate) fn looked(&self, who: &Who, act: &str, on: &str) -> Result<(), Problem> {
        tracing::info!(act, who = who.as_str(), "administration");
        who.done(act).on(on).note(self.journal.as_ref(), now())?;
        Ok(())
    }
}

fn hit(row: &Row, content: bool) -> Hit {
    let text = content.then(|| written(row)).flatten();
    Hit { row: view(row), conversation: row.conversation, text }
}

/// What people wrote in a row, as plain text.
fn written(row: &Row) -> Option<String> {
    // Of an uploaded file, its name.
    if row.kind == RowKind::Admin {
        let name = row.body.as_ref().filter(|name| !name.is_empty())?;
        return Some(String::from_utf8_lossy(name).into_owned());
    }
    let kept = decode(&row.head, row.body.as_deref()).ok().filter(|kept| !kept.erased)?;
    let model::Event::Message(message) = &kept.envelope.event else {
        let texts = policy::texts(&kept.envelope.event);
        return Some(texts.join("\n")).filter(|text| !text.is_empty());
    };
    let subject = message.subject.as_ref().map(|subject| format!("[{subject}] ")).unwrap_or_default();
    let text = policy::shown(message);
    Some(match text.is_empty() {
        true => subject + &policy::texts(&kept.envelope.event).join("\n"),
        false => subject + &text,
    })
}

impl SearchQuestion {
    pub(crate) fn ask(&self, desk: &Desk) -> Result<Ask, Problem> {
        let among = match &self.partner {
            Some(name) => desk.partners.partner(name)?.domains,
            None => Vec::new(),
        };
        Ok(Ask {
            words: self.words.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            with: self.with.clone(),
            among,
            kind: self.kind.clone(),
            dialect: self.dialect.clone(),
            verdict: self.verdict.clone(),
            rule: self.rule.clone(),
            has: self.has.clone(),
            since: self.since,
            until: self.until,
            before: self.before,
            between_people: self.kind.is_none(),
            without_presence: self.kind.is_none(),
            ..Ask::default()
        })
    }

    /// The question in words, for the record: what was looked for is what an auditor wants to know.
    pub(crate) fn in_words(&self) -> String {
        let mut all = Vec::new();
        let named = [
            ("words", &self.words),
            ("from", &self.from),
            ("to", &self.to),
            ("partner", &self.partner),
            ("kind", &self.kind),
            ("dialect", &self.dialect),
            ("verdict", &self.verdict),
            ("rule", &self.rule),
            ("has", &self.has),
        ];
        all.extend(named.iter().filter_map(|(name, value)| Some(format!("{name} {:?}", value.as_ref()?))));
        all.extend(self.with.iter().map(|who| format!("with {who:?}")));
        let times = [("since", self.since), ("until", self.until)];
        all.extend(
            times.iter().filter_map(|(name, at)| Some(format!("{name} {}", model::Timestamp((*at)?)))),
        );
        if all.is_empty() { "everything".into() } else { all.join(", ") }
    }
}

/// Looks something up in the record: who, when and what became of it, without content. The search itself goes on record.
#[utoipa::path(post, path = "/v1/search", request_body = SearchQuestion, responses(
    (status = 200, body = SearchPage), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn find(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(question): Json<SearchQuestion>,
) -> Result<Json<SearchPage>, Problem> {
    blocking(move || found(&desk, &who, &question, "search", false)).await
}

/// The same with what people wrote.
#[utoipa::path(post, path = "/v1/search/content", request_body = SearchQuestion, responses(
    (status = 200, body = SearchPage), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn read(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(question): Json<SearchQuestion>,
) -> Result<Json<SearchPage>, Problem> {
    blocking(move || found(&desk, &who, &question, "search.content", true)).await
}

fn found(
    desk: &Desk,
    who: &Who,
    question: &SearchQuestion,
    act: &str,
    content: bool,
) -> Result<Json<SearchPage>, Problem> {
    let index = desk.index()?;
    let found = index.find(&question.ask(desk)?, question.limit.unwrap_or(PAGE))?;
    desk.looked(who, act, &question.in_words())?;
    let next = found.rows.last().filter(|_| found.more).map(|seq| seq.0);
    let standing = index.standing();
    let hits = desk.hits(&found.rows, content)?;
    Ok(Json(SearchPage { hits, next, indexed: standing.indexed.0, head: standing.head.0 }))
}

/// Shows a row with what was said before and after it in its conversation, content included.
#[utoipa::path(post, path = "/v1/search/context", request_body = Context, responses(
    (status = 200, body = SearchPage), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn context(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(asked): Json<Context>,
) -> Result<Json<SearchPage>, Problem> {
    blocking(move || {
        let index = desk.index()?;
        let missing = || Problem::missing(format!("row {} belongs to no conversation", asked.row));
        let row = desk.row(Seq(asked.row))?.filter(|row| row.conversation != 0).ok_or_else(missing)?;
        let around = asked.around.min(AROUND);
        let ask = Ask { conversation: Some(row.conversation), ..Ask::default() };
        let earlier = Ask { before: Some(asked.row + 1), ..ask.clone() };
        let later = Ask { after: Some(asked.row), oldest: true, ..ask };
        let mut rows = index.find(&earlier, around + 1)?.rows;
        rows.reverse();
        if around > 0 {
            rows.extend(index.find(&later, around)?.rows);
        }
        desk.looked(&who, "search.context", &format!("row {}", asked.row))?;
        let standing = index.standing();
        let hits = desk.hits(&rows, true)?;
        Ok(Json(SearchPage { hits, next: None, indexed: standing.indexed.0, head: standing.head.0 }))
    })
    .await
}
