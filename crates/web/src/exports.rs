//! Exports. What is asked for goes on the chain first; then whoever asked fetches rows of evidence, page by page, and the
//! contents of files; at last the manifest is signed, and its hash goes on the chain too. The server keeps nothing of an
//! export but those two rows: each page is answered from the first of them, so a page can be asked for again at any time.

use crate::acts::now;
use crate::facts::file_facts;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::search::SearchQuestion;
use crate::{Desk, Who};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use export::{Begun, FileFact, Form};
use model::Seq;
use record::{Act, Checkpoint, ExportAct, Ranges, Signed};
use search::{Ask, Index};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};

/// Rows that are read from the journal at a time.
pub(crate) const READ: usize = 500;
/// How long the index may take to come up with the journal.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be exported.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExportOrder {
    /// Which rows. Nothing: the whole journal.
    pub question: SearchQuestion,
    /// The readable forms that are to be made of them: `jsonl`, `csv`, `eml`, `xml`, `xep0227`.
    pub forms: Vec<String>,
    /// With the content of rows that a review calls privileged; without, those rows are there and proved, and say nothing.
    pub privileged: bool,
}

/// An export that is on record.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportBegun {
    /// The row that says so, which names the export.
    pub id: u64,
    /// The chain.
    pub chain: String,
    /// The last row that may be in it.
    pub to: u64,
    /// What was asked for, in words.
    pub selection: String,
    /// Who asked.
    pub who: String,
    /// When.
    pub at: String,
    /// The server's version.
    pub version: String,
    /// What it will be complete of: `rows`, `conversations`, `selection`.
    pub claim: String,
    /// The public key that will sign it, hexadecimal.
    pub key: String,
}

/// From where on.
#[derive(Deserialize, IntoParams)]
pub struct From {
    /// The first row of the page.
    from: u64,
}

/// The row that links to a file.
#[derive(Deserialize, IntoParams)]
pub struct LinkedBy {
    /// A row of the export.
    row: u64,
}

/// An export that is whole.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportMade {
    /// SHA-256 of its manifest, hexadecimal.
    pub manifest: String,
    /// Rows in it.
    pub rows: u64,
}

/// The server's word for it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportSigned {
    /// The signature under the manifest, hexadecimal.
    pub signature: String,
}

/// What a line of a page is that is no row.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportLine {
    /// A file that the row before links to.
    File(FileFact),
    /// Of rows of the page the content is not there.
    Bare(BareRows),
    /// The page ends here; the next begins with this row.
    Next(u64),
    /// That was all.
    End(u64),
}

/// Rows that are without content.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct BareRows {
    /// Those whose content is withheld, such as `1-5,9`.
    pub withheld: String,
    /// Are there others, whose content was destroyed?
    pub destroyed: bool,
}

impl ExportBegun {
    /// The same for the one who makes it.
    pub fn begun(&self) -> Begun {
        Begun {
            id: self.id,
            chain: self.chain.clone(),
            to: self.to,
            selection: self.selection.clone(),
            who: self.who.clone(),
            at: self.at.clone(),
            version: self.version.clone(),
        }
    }
}

/// Which rows.
pub(crate) enum Selected {
    /// All from here to there.
    Range(u64, u64),
    /// These.
    List(List),
}

impl Selected {
    fn has(&self, seq: Seq) -> bool {
        match self {
            Self::Range(first, last) => (*first..=*last).contains(&seq.0),
            Self::List(list) => list.binary_search(&seq).is_ok(),
        }
    }
}

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    /// What was asked for.
    Rows,
    /// Acts that say why rows are without content.
    Acts,
}

/// Rows, ascending.
type List = Arc<Vec<Seq>>;

/// Selections of exports that are being fetched, and the checkpoints that prove their rows.
#[derive(Default)]
pub struct Selections {
    lists: Mutex<HashMap<(u64, Of), List>>,
    signed: Mutex<Arc<Vec<Signed>>>,
}

/// So many are remembered; any other is found again.
const REMEMBERED: usize = 8;

impl SearchQuestion {
    /// Nothing but times is asked for.
    fn is_plain(&self) -> bool {
        let texts = [
            &self.words,
            &self.from,
            &self.to,
            &self.partner,
            &self.kind,
            &self.dialect,
            &self.verdict,
            &self.rule,
            &self.has,
        ];
        texts.iter().all(|text| text.is_none()) && self.with.is_empty()
    }

    /// Whole conversations are asked for.
    fn is_of_conversations(&self) -> bool {
        let others = [
            &self.words,
            &self.from,
            &self.to,
            &self.kind,
            &self.dialect,
            &self.verdict,
            &self.rule,
            &self.has,
        ];
        others.iter().all(|text| text.is_none())
    }

    fn claim(&self) -> &'static str {
        match (self.is_plain(), self.is_of_conversations()) {
            (true, _) => "rows",
            (_, true) => "conversations",
            _ => "selection",
        }
    }
}

impl Desk {
    /// The first row that was written at this time or later; one past the last where there is none.
    fn first_at(&self, at: u64, to: u64) -> Result<u64, Problem> {
        let (mut low, mut high) = (1, to + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.row(Seq(middle))? {
                Some(row) if row.at.0 < at => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn range(&self, question: &SearchQuestion, to: u64) -> Result<(u64, u64), Problem> {
        let first = question.since.map_or(Ok(1), |at| self.first_at(at, to))?;
        let last = question.until.map_or(Ok(to), |at| Ok::<_, Problem>(self.first_at(at, to)? - 1))?;
        Ok((first, last))
    }

    fn selected(&self, id: u64, order: &ExportOrder, to: u64) -> Result<Selected, Problem> {
        let question = &order.question;
        let (first, last) = self.range(question, to)?;
        if question.is_plain() {
            return Ok(Selected::Range(first, last));
        }
        self.listed((id, Of::Rows), || {
            let index = self.index()?;
            let limits = Ask {
                since: None,
                until: None,
                // A conversation has no gap.
                without_presence: false,
                after: Some(first - 1),
                before: Some(last + 1),
                ..question.ask(self)?
            };
            let mut list = index.every(&limits)?;
            list.extend(index.ends(&list)?.into_iter().filter(|seq| seq.0 <= to));
            list.sort_unstable();
            list.dedup();
            Ok(list)
        })
    }

    /// Rows of an export that are without their content.
    fn withheld(&self, order: &ExportOrder) -> Result<Ranges, Problem> {
        Ok(if order.privileged { Ranges::default() } else { self.reviews.privileged()? })
    }

    /// A list that is remembered, or found.
    fn listed(
        &self,
        name: (u64, Of),
        find: impl FnOnce() -> Result<Vec<Seq>, Problem>,
    ) -> Result<Selected, Problem> {
        let known = || self.selections.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = known().get(&name) {
            return Ok(Selected::List(list.clone()));
        }
        let list = Arc::new(find()?);
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name, list.clone());
        Ok(Selected::List(list))
    }

    /// Acts up to this row by which content was destroyed, those that are not among the rows of the export.
    fn destructions(&self, id: u64, rows: &Selected, to: u64) -> Result<Selected, Problem> {
        self.listed((id, Of::Acts), || {
            let (mut list, mut next) = (Vec::new(), 1);
            while next <= to {
                let page = self.journal.rows(Seq(next), READ)?;
                let Some(last) = page.last() else { break };
                next = last.seq.0 + 1;
                let destroys = |act: Act| act.destruction.is_some() || act.retention.is_some();
                let more = page.iter().filter(|row| row.seq.0 <= to && !rows.has(row.seq));
                list.extend(more.filter(|row| Act::read(row).is_some_and(destroys)).map(|row| row.seq));
            }
            Ok(list)
        })
    }

    /// The export of this name, if this administrator began it and it is under way.
    pub(crate) fn export(
        &self,
        who: &Who,
        id: u64,
        again: Option<[u8; 32]>,
    ) -> Result<(ExportOrder, u64), Problem> {
        let begun = self.under_way(who, "export", id, again)?.export.filter(|export| export.begun.is_none());
        let begun = begun.ok_or_else(|| Problem::missing(format!("you have begun no export {id}")))?;
        let order = serde_json::from_str(&begun.order).map_err(|e| Problem::missing(e.to_string()))?;
        Ok((order, self.end_of(who, Seq(id))?.0))
    }

    /// The last row of an export that began with this row: the last of the checkpoint that covers it.
    fn end_of(&self, who: &Who, id: Seq) -> Result<Seq, Problem> {
        let all = self.covered(who, id)?;
        Ok(covers(&all, id.0)?.last)
    }

    pub(crate) fn await_index(&self, index: &Index, to: Seq) -> Result<(), Problem> {
        let begun = Instant::now();
        while index.standing().indexed < to {
            if begun.elapsed() > PATIENCE {
                let Seq(done) = index.standing().indexed;
                let why = format!("the index is at row {done} of {to}: try again when it has come up");
                return Err(Problem(StatusCode::CONFLICT, why));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Checkpoints from row 1 on, of which the last covers this row. Where there is none yet, one is made in the name of who asks.
    fn covered(&self, who: &Who, to: Seq) -> Result<Arc<Vec<Signed>>, Problem> {
        let mut known = self.selections.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let last = |known: &[Signed]| known.last().map_or(Seq(0), |one| one.checkpoint.last);
        for attempt in 0..2 {
            if last(&known) >= to {
                break;
            }
            *known = Arc::new(self.signed(last(&known), known.to_vec())?);
            if last(&known) < to && attempt == 0 {
                let failed = |why| Problem(StatusCode::INTERNAL_SERVER_ERROR, why);
                self.operator.checkpoint(who.done("checkpoint")).map_err(failed)?;
            }
        }
        Ok(known.clone())
    }

    /// Those that were known, and what came after them.
    fn signed(&self, mut after: Seq, mut known: Vec<Signed>) -> Result<Vec<Signed>, Problem> {
        loop {
            let page = self.checkpoints.checkpoints(after, READ)?;
            let Some((last, _)) = page.last() else { return Ok(known) };
            after = *last;
            for (_, line) in &page {
                let wrong = |why| Problem(StatusCode::INTERNAL_SERVER_ERROR, why);
                known.push(Signed::parse(line).map_err(wrong)?);
            }
        }
    }
}

/// Begins an export: what is asked for goes on record.
#[utoipa::path(post, path = "/v1/exports", request_body = ExportOrder, responses(
    (status = 200, body = ExportBegun), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn begin(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(order): Json<ExportOrder>,
) -> Result<Json<ExportBegun>, Problem> {
    blocking(move || {
        for form in &order.forms {
            form.parse::<Form>().map_err(Problem::bad)?;
        }
        crate::accounts::may_move(&who, &order)?;
        let question = &order.question;
        if question.before.is_some() || question.limit.is_some() {
            return Err(Problem::bad("an export is whole: it has neither `before` nor `limit`"));
        }
        let at = now();
        if !question.is_plain() {
            // What cannot be asked is said before it is on record.
            let index = desk.index()?;
            index.find(&question.ask(&desk)?, 1)?;
            desk.await_index(index, desk.journal.head())?;
        }
        let mut selection = question.in_words();
        if !order.privileged && !desk.reviews.privileged()?.is_empty() {
            selection.push_str(", privileged rows without their content");
        }
        let mut act = who.done("export").on(format!("{selection}; as {}", forms_in_words(&order.forms)));
        let text = serde_json::to_string(&order).map_err(|e| Problem::bad(e.to_string()))?;
        act.result = "begun".into();
        act.export = Some(ExportAct { order: text, begun: None, rows: None, manifest: None });
        tracing::info!(act = "export", who = who.as_str(), "administration");
        let id = act.note(desk.journal.as_ref(), at)?;
        // Signed as it stands now: what is exported ends where the checkpoint does, and is proved by it.
        let to = desk.end_of(&who, id)?;
        if let (false, Some(index)) = (order.question.is_plain(), &desk.search) {
            desk.await_index(index, to)?;
        }
        let key = desk.operator.signing_key();
        Ok(Json(ExportBegun {
            id: id.0,
            chain: desk.chain.to_string(),
            to: to.0,
            selection,
            who: who.as_str().to_owned(),
            at: at.to_string(),
            version: desk.version.to_owned(),
            claim: order.question.claim().to_owned(),
            key: record::hex(&key),
        }))
    })
    .await
}

fn forms_in_words(forms: &[String]) -> String {
    if forms.is_empty() { "evidence alone".into() } else { forms.join(", ") }
}

/// A page of rows, each a line of JSON as FORMAT.md says. After a row, files that it links to (`{"file": ...}`); at last
/// which rows are without content (`{"bare": ...}`), and where the next page begins (`{"next": row}`), or that this was all
/// (`{"end": row}`).
#[utoipa::path(get, path = "/v1/exports/{id}/rows", params(From), responses(
    (status = 200, description = "lines of JSON"), (status = 404, body = ProblemBody)))]
pub async fn rows(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<u64>,
    Query(From { from }): Query<From>,
) -> Result<Response, Problem> {
    let page = blocking(move || {
        let (order, to) = desk.export(&who, id, None)?;
        let selected = desk.selected(id, &order, to)?;
        let segments = desk.covered(&who, Seq(to))?;
        desk.page(&selected, &segments, from, desk.withheld(&order)?)
    });
    Ok(([(CONTENT_TYPE, "application/jsonl")], page.await?).into_response())
}

/// A page of the acts that say why rows of an export are without content, those that are not among its rows; as rows are.
#[utoipa::path(get, path = "/v1/exports/{id}/acts", params(From), responses(
    (status = 200, description = "lines of JSON"), (status = 404, body = ProblemBody)))]
pub async fn acts(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<u64>,
    Query(From { from }): Query<From>,
) -> Result<Response, Problem> {
    let page = blocking(move || {
        let (order, to) = desk.export(&who, id, None)?;
        let rows = desk.selected(id, &order, to)?;
        let segments = desk.covered(&who, Seq(to))?;
        desk.page(&desk.destructions(id, &rows, to)?, &segments, from, Ranges::default())
    });
    Ok(([(CONTENT_TYPE, "application/jsonl")], page.await?).into_response())
}

/// The checkpoints that prove the rows of an export, from row 1 on, one a line.
#[utoipa::path(get, path = "/v1/exports/{id}/checkpoints", responses(
    (status = 200, description = "lines of JSON"), (status = 404, body = ProblemBody)))]
pub async fn checkpoints(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<u64>,
) -> Result<Response, Problem> {
    let text = blocking(move || {
        let (_, to) = desk.export(&who, id, None)?;
        // From the store: time stamps may have come.
        let all = covering(desk.signed(Seq(0), Vec::new())?, to);
        Ok(all.iter().map(|one| one.to_line() + "\n").collect::<String>())
    });
    Ok(([(CONTENT_TYPE, "application/jsonl")], text.await?).into_response())
}

/// The segment that a row is of.
pub(crate) fn covers(segments: &[Signed], seq: u64) -> Result<Checkpoint, Problem> {
    let at = segments.partition_point(|one| one.checkpoint.last.0 < seq);
    let none = || Problem(StatusCode::INTERNAL_SERVER_ERROR, format!("no checkpoint covers row {seq}"));
    segments.get(at).map(|one| one.checkpoint).ok_or_else(none)
}

/// Those up to the first that covers this row: an export that goes on later must get the same ones.
fn covering(mut all: Vec<Signed>, to: u64) -> Vec<Signed> {
    let enough = all.iter().position(|one| one.checkpoint.last.0 >= to).map_or(all.len(), |at| at + 1);
    all.truncate(enough);
    all
}

/// The content of an uploaded file, by its SHA-256, and by a row of the export that links to it and is told whole.
#[utoipa::path(get, path = "/v1/exports/{id}/files/{sha256}", params(LinkedBy), responses(
    (status = 200, description = "its bytes"), (status = 404, body = ProblemBody)))]
pub async fn file(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path((id, sha256)): Path<(u64, String)>,
    Query(LinkedBy { row }): Query<LinkedBy>,
) -> Result<Response, Problem> {
    let content = blocking(move || {
        let (order, to) = desk.export(&who, id, None)?;
        let missing = || Problem::missing(format!("row {row} of export {id} leads to no content {sha256}"));
        let hash = record::unhex::<32>(&sha256).ok_or_else(missing)?;
        let files = desk.files.as_ref().ok_or_else(missing)?;
        // Files of all conversations lie side by side: nothing but the row says whose this one is.
        if !desk.selected(id, &order, to)?.has(Seq(row)) || desk.withheld(&order)?.has(row) {
            return Err(missing());
        }
        let linking = desk.row(Seq(row))?.ok_or_else(missing)?;
        let name = record::hex(&hash);
        if !file_facts(files, &linking)?.iter().any(|fact| fact.kept && fact.sha256 == name) {
            return Err(missing());
        }
        files.content(&hash)?.ok_or_else(missing)
    });
    let content = tokio::fs::File::from_std(content.await?);
    Ok(Body::from_stream(ReaderStream::with_capacity(content, 256 * 1024)).into_response())
}

/// Ends an export: the hash of its manifest goes on record, and the manifest is signed.
#[utoipa::path(post, path = "/v1/exports/{id}/done", request_body = ExportMade, responses(
    (status = 200, body = ExportSigned), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn done(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<u64>,
    Json(made): Json<ExportMade>,
) -> Result<Json<ExportSigned>, Problem> {
    blocking(move || {
        let digest = record::unhex::<32>(&made.manifest);
        let digest = digest.ok_or_else(|| Problem::bad("`manifest` is a SHA-256 in hexadecimal digits"))?;
        let (order, _) = desk.export(&who, id, Some(digest))?;
        let mut act = who.done("export.done").on(format!("row {id}"));
        let order = serde_json::to_string(&order).unwrap_or_default();
        let (rows, manifest) = (Some(made.rows), Some(record::hex(&digest)));
        act.export = Some(ExportAct { order, begun: Some(id), rows, manifest });
        tracing::info!(act = "export.done", who = who.as_str(), rows = made.rows, "administration");
        act.note(desk.journal.as_ref(), now())?;
        desk.closed.add(id, Some(digest));
        let signature = desk.operator.sign_export(&digest);
        Ok(Json(ExportSigned { signature: record::hex(&signature) }))
    })
    .await
}
