//! What proves the record: its verification, and the checkpoints that are signed.

use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use model::Seq;
use record::{Against, Signed, hex, unhex, verify_against};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// What to hold the journal against besides itself.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct VerifyQuestion {
    /// Checkpoints that were kept elsewhere, one line of JSON each.
    pub anchors: Vec<String>,
    /// The public keys that may have signed, hexadecimal; none: any.
    pub keys: Vec<String>,
}

/// What a verification found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Verification {
    /// Rows found good.
    pub rows: u64,
    /// Conversations found gapless.
    pub conversations: u64,
    /// Acts of administrators and of the server.
    pub acts: u64,
    /// Uploaded files whose content was looked at, where it is still kept.
    pub files: u64,
    /// Rows whose content was destroyed.
    pub erased: u64,
    /// The rule by which it was, and the row that says so.
    pub retention: Option<String>,
    /// Acts that name rows one by one whose content was destroyed.
    #[serde(default)]
    pub destructions: u64,
    /// Where the journal was put back from a backup, in words.
    pub restores: Vec<String>,
    /// Checkpoints found good.
    pub checkpoints: u64,
    /// The last row that they close.
    pub signed_to: u64,
    /// The keys that signed, hexadecimal, each from which row on.
    pub keys: Vec<KeyView>,
    /// Checkpoints kept elsewhere that the journal agrees with.
    pub anchored: u64,
    /// The last row that these vouch for.
    pub anchored_to: u64,
    /// What should be known besides, in words.
    pub notices: Vec<String>,
    /// True if every row is as it was written.
    pub intact: bool,
    /// The first row that is not, in words.
    pub finding: Option<String>,
}

/// A key that signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// The public key (Ed25519), hexadecimal.
    pub key: String,
    /// The last row of the first checkpoint that it signed.
    pub from: u64,
    /// Is it the one that this server signs with now?
    pub ours: bool,
}

/// Verifies the whole journal, against its checkpoints and against those that were kept elsewhere.
#[utoipa::path(post, path = "/v1/journal/verify", request_body = Option<VerifyQuestion>, responses(
    (status = 200, body = Verification), (status = 400, body = ProblemBody)))]
pub async fn verify(State(desk): State<Arc<Desk>>, body: Bytes) -> Result<Json<Verification>, Problem> {
    let question = match body.is_empty() {
        true => None,
        false => serde_json::from_slice::<Option<VerifyQuestion>>(&body)
            .map_err(|e| Problem::bad(format!("this is no question: {e}")))?,
    };
    blocking(move || prove(&desk, &question.unwrap_or_default()).map(Json)).await
}

fn prove(desk: &Desk, question: &VerifyQuestion) -> Result<Verification, Problem> {
    let keys = question.keys.iter().map(|key| {
        unhex(key)
            .ok_or_else(|| Problem::bad(format!("{key:?} is no public key: write 64 hexadecimal digits")))
    });
    let keys: Vec<[u8; 32]> = keys.collect::<Result<_, _>>()?;
    let mut notices = Vec::new();
    let mut anchors = Vec::new();
    for (at, line) in question.anchors.iter().enumerate() {
        anchors.extend(
            anchor(line, &keys).map_err(|why| Problem::bad(format!("anchors, line {}: {why}", at + 1)))?,
        );
    }
    match desk.operator.anchored() {
        None => {}
        Some(Err(why)) => notices.push(format!("the directory of anchors cannot be read: {why}")),
        Some(Ok(lines)) => {
            for (at, line) in lines.iter().enumerate() {
                match anchor(line, &keys) {
                    Ok(one) => anchors.extend(one),
                    Err(why) => notices.push(format!("the file of anchors, line {}: {why}", at + 1)),
                }
            }
        }
    }
    let read = |after: Seq, limit: usize| desk.checkpoints.checkpoints(after, limit);
    let look = |file: &record::FileAct| desk.operator.look_at(file);
    let against = Against { checkpoints: Some(&read), anchors: &anchors, keys: &keys, files: Some(&look) };
    let report = verify_against(desk.journal.as_ref(), desk.chain, &against, |_| {})?;
    let signed = report.signed;
    if signed.foreign > 0 {
        notices.push(format!("{} of the checkpoints kept elsewhere are of another node", signed.foreign));
    }
    notices.extend(signed.lost.map(|lost| lost.to_string()));
    notices.extend(report.gaps.iter().map(ToString::to_string));
    let ours = desk.operator.signing_key();
    let keys =
        signed.keys.iter().map(|(key, from)| KeyView { key: hex(key), from: from.0, ours: *key == ours });
    Ok(Verification {
        rows: report.rows,
        conversations: report.conversations,
        acts: report.acts,
        files: report.files,
        erased: report.erased,
        destructions: report.destructions,
        retention: report
            .retention
            .map(|(seq, r)| format!("rows up to {} by the rule {:?} (row {seq})", r.to, r.rule)),
        restores: report.restores.iter().map(ToString::to_string).collect(),
        checkpoints: signed.checkpoints,
        signed_to: signed.to.0,
        keys: keys.collect(),
        anchored: signed.anchored,
        anchored_to: signed.anchored_to.0,
        notices,
        intact: report.finding.is_none(),
        finding: report.finding.map(|f| f.to_string()),
    })
}

/// A line of a file of anchors; `None` where it is empty, or is the beginning of one that a crash cut off.
fn anchor(line: &str, keys: &[[u8; 32]]) -> Result<Option<Signed>, String> {
    let whole = line.trim();
    if whole.is_empty() || !whole.ends_with('}') {
        return Ok(None);
    }
    let signed = Signed::parse(whole)?;
    if !signed.is_genuine() {
        return Err("its signature is not that of its key".into());
    }
    if !keys.is_empty() && !keys.contains(&signed.key) {
        return Err(format!("it is signed with another key: {}", hex(&signed.key)));
    }
    Ok(Some(signed))
}

/// Which checkpoints.
#[derive(Deserialize, IntoParams)]
pub struct CheckpointRange {
    /// Only those that close rows after this one.
    after: Option<u64>,
    /// At most so many (1000).
    limit: Option<usize>,
}

/// A place where checkpoints are kept besides here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnchorView {
    /// `directory`, `syslog`, `http` or `timestamp`.
    pub kind: String,
    /// Where.
    pub place: String,
    /// The last row that it vouches for; 0 for none.
    pub to: u64,
    /// Why it has not got what is newer.
    pub trouble: Option<String>,
}

/// How it stands with checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Signing {
    /// The last row that is closed; 0 for none.
    pub to: u64,
    /// When it was, RFC 3339.
    pub at: Option<String>,
    /// Why no checkpoint could be made the last time.
    pub trouble: Option<String>,
    /// Places where they are kept besides here.
    pub anchors: Vec<AnchorView>,
}

/// Checkpoints.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CheckpointList {
    /// The public key of this server (Ed25519), hexadecimal.
    pub key: String,
    /// One line of JSON each, in order; see FORMAT.md.
    pub lines: Vec<String>,
    /// How it stands.
    pub signing: Signing,
}

/// Checkpoints in order.
#[utoipa::path(get, path = "/v1/journal/checkpoints", params(CheckpointRange), responses(
    (status = 200, body = CheckpointList)))]
pub async fn checkpoints(
    State(desk): State<Arc<Desk>>,
    Query(range): Query<CheckpointRange>,
) -> Result<Json<CheckpointList>, Problem> {
    blocking(move || {
        let limit = range.limit.unwrap_or(1_000).min(1_000);
        let lines = desk.checkpoints.checkpoints(Seq(range.after.unwrap_or(0)), limit)?;
        Ok(Json(CheckpointList {
            key: hex(&desk.operator.signing_key()),
            lines: lines.into_iter().map(|(_, line)| line).collect(),
            signing: desk.operator.signing(),
        }))
    })
    .await
}

/// Closes what is new with a checkpoint, or says that nothing is.
#[utoipa::path(post, path = "/v1/journal/checkpoints", responses(
    (status = 200, body = CheckpointList), (status = 409, body = ProblemBody)))]
pub async fn checkpoint(State(desk): State<Arc<Desk>>, who: Who) -> Result<Json<CheckpointList>, Problem> {
    blocking(move || {
        let made = desk.operator.checkpoint(who.done("checkpoint"));
        let made = made.map_err(|why| Problem(StatusCode::CONFLICT, why))?;
        Ok(Json(CheckpointList {
            key: hex(&desk.operator.signing_key()),
            lines: made.iter().map(Signed::to_line).collect(),
            signing: desk.operator.signing(),
        }))
    })
    .await
}
