use crate::problem::blocking;
use crate::{Desk, ListenerView, Probed, Problem, Signing, Who};
use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use matters::{Erased, MatterError, Preview, Subject};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use utoipa::ToSchema;

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// What is in force now that was not before, one line each.
    pub changed: Vec<String>,
    /// What waits for a restart: the place in the file, the key and why.
    pub restart: Vec<String>,
}

/// What was destroyed by rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Expired {
    /// The general rule, of the configuration.
    pub rule: String,
    /// Rows whose content is gone now.
    pub destroyed: u64,
    /// Rows that are older, and keep their content while they wait for somebody.
    pub waiting: u64,
    /// Rows whose content is gone now, by rule.
    #[serde(default)]
    pub rules: BTreeMap<String, u64>,
    /// Rows that would have gone and are held, by matter, as far as they were looked at.
    #[serde(default)]
    pub kept: BTreeMap<String, u64>,
}

/// For what two administrators are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FourEyes {
    /// Names of acts.
    pub acts: Vec<String>,
    /// How long a request waits, in hours.
    pub hours: u32,
}

/// What an answer takes its time for.
pub type Answered<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The running server, as far as the API may turn its knobs.
pub trait Operator: Send + Sync {
    /// Reads configuration and certificate again. On error, in words with file and line, nothing has changed.
    fn reload(&self) -> Answered<Result<Reloaded, String>>;

    /// Destroys the content that the rules of retention no longer keep. Blocks.
    fn expire(&self, by: record::Act) -> Result<Expired, MatterError>;

    /// What that would destroy; by other rules, if a text is given. Blocks.
    fn preview_retention(&self, rules: Option<&str>) -> Result<Preview, MatterError>;

    /// The matter that keeps an uploaded file, if one does. Blocks.
    fn file_kept_by(&self, id: &str) -> Result<Option<String>, MatterError>;

    /// Destroys what is of somebody and not held; with `None`, says only what that would come to. Blocks.
    fn erase(&self, subject: &Subject, by: Option<record::Act>) -> Result<Erased, MatterError>;

    /// Sees to it that nothing of what was removed from the store is left in its files. Blocks.
    fn scrub(&self) -> Result<(), MatterError>;

    /// Tells everything that is kept of somebody, a line of JSON each. Blocks.
    fn tell_of(
        &self,
        subject: &Subject,
        line: &mut dyn FnMut(serde_json::Value) -> Result<(), String>,
    ) -> Result<(), String>;

    /// The rule of the configuration, for what no other fits.
    fn retention(&self) -> record::Rule;

    /// Tests the servers of a partner, or of any domain. On error, in words, there is nothing to test.
    fn probe(&self, name: String) -> Answered<Result<Probed, String>>;

    /// Orders new certificates by ACME now. `false` if none come that way.
    fn renew_certificates(&self) -> bool;

    /// Closes what is new in the journal with a signed checkpoint, in the name of who asks; gives those that were made. On error,
    /// in words, nothing was signed. Blocks.
    fn checkpoint(&self, by: record::Act) -> Result<Vec<record::Signed>, String>;

    /// The public key that checkpoints are signed with.
    fn signing_key(&self) -> [u8; 32];

    /// Signs the manifest of an export by its SHA-256 (FORMAT.md, "An export").
    fn sign_export(&self, digest: &[u8; 32]) -> [u8; 64];

    /// How it stands with checkpoints.
    fn signing(&self) -> Signing;

    /// Checkpoints of this node in the configured directory of anchors, a line each; none where none is configured. Blocks.
    fn anchored(&self) -> Option<Result<Vec<String>, String>>;

    /// Looks whether the content of an uploaded file is as it was, where it is still kept. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    fn look_at(&self, file: &record::FileAct) -> Result<Option<record::Fault>, store::Trouble>;

    /// Signs a partner's certificate request (PEM) with the authority of this server, for so many days. Gives the chain and
    /// the authority, PEM. Blocks.
    fn sign(&self, partner: &partner::Partner, request: &str, days: u32) -> Result<(String, String), String>;

    /// Takes back a certificate (PEM) that the authority of this server signed. Gives its serial number and the file that
    /// lists it. Blocks.
    fn revoke(&self, certificate: &str) -> Result<(String, String), String>;

    /// Where answers to invitations reach us over HTTPS, `https://...`.
    fn url(&self) -> Option<String>;

    /// Sends an answer to a partner that invited us. On error, in words, it did not get there.
    fn send(&self, url: String, word: String, partner: String) -> Answered<Result<(), String>>;

    /// Our certificate's chain, leaf first, DER; empty where there is none. Blocks.
    fn chain(&self) -> Result<Vec<Vec<u8>>, String>;

    /// How it stands with journaling by mail, in words; none where there is none.
    fn journaling(&self) -> Option<String>;

    /// What is listened on.
    fn listeners(&self) -> Vec<ListenerView>;

    /// `running`, or `stopping` while it drains.
    fn state(&self) -> &'static str;

    /// Metrics as OpenMetrics text. Looks at every account in memory.
    fn metrics(&self) -> String;

    /// Connections that are open.
    fn connections(&self) -> usize;

    /// How long what is held waits for a decision, in days; none: for ever.
    fn quarantine_days(&self) -> Option<u32>;

    /// For what two administrators are needed.
    fn four_eyes(&self) -> FourEyes;

    /// The usage report of a period by its name, with or without names of people. Blocks. On error, in words, there is none.
    fn report(&self, period: &str, aggregates: bool) -> Result<reports::Report, String>;

    /// How the scanner of files is, in words; none where none is configured.
    fn scanner(&self) -> Option<String>;

    /// How the YARA rules are, in words; none where there are none.
    fn yara(&self) -> Option<String>;

    /// Why the clock is not believed, so that nothing is destroyed by its age; none while it is.
    fn clock_trouble(&self) -> Option<String>;
}

/// Reads configuration and certificate again, without dropping connections. What is wrong with them is said with file
/// and line, and then nothing has changed.
#[utoipa::path(post, path = "/v1/reload", responses(
    (status = 200, body = Reloaded), (status = 422, body = crate::ProblemBody)))]
pub async fn reload(State(desk): State<Arc<Desk>>, who: Who) -> Result<Json<Reloaded>, Problem> {
    // A task of its own: whoever asked may hang up, and what was begun is still finished, told and put on record.
    let whole = tokio::spawn(async move {
        let wrong = |text| Problem(StatusCode::UNPROCESSABLE_ENTITY, text);
        let end = desk.operator.reload().await.map(Json).map_err(wrong);
        let changed = end.as_ref().map_or_else(|_| "nothing".into(), |Json(done)| done.changed.join(", "));
        blocking(move || desk.act(&who, "reload", &changed, || end)).await
    });
    let broke_off = || Problem(StatusCode::INTERNAL_SERVER_ERROR, "the reload broke off".into());
    whole.await.unwrap_or_else(|_| Err(broke_off()))
}

/// Orders new certificates by ACME now, instead of when they are due.
#[utoipa::path(post, path = "/v1/certificates/renew", responses(
    (status = 200), (status = 409, body = crate::ProblemBody)))]
pub async fn renew(State(desk): State<Arc<Desk>>, who: Who) -> Result<Json<()>, Problem> {
    let none = "there is no [acme] section: certificates come by hand";
    let end = match desk.operator.renew_certificates() {
        true => Ok(Json(())),
        false => Err(Problem(StatusCode::CONFLICT, none.into())),
    };
    blocking(move || desk.act(&who, "renew", "certificates", || end)).await
}

/// Destroys the content that the rules of retention no longer keep now, instead of within the hour.
#[utoipa::path(post, path = "/v1/retention", responses((status = 200, body = Expired)))]
pub async fn expire(State(desk): State<Arc<Desk>>, who: Who) -> Result<Json<Expired>, Problem> {
    blocking(move || Ok(Json(desk.operator.expire(who.done("retention"))?))).await
}

/// Metrics as OpenMetrics text, for Prometheus and its kin.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = OPENMETRICS)))]
pub async fn metrics(
    State(desk): State<Arc<Desk>>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let operator = desk.operator.clone();
    let text = blocking(move || Ok(operator.metrics())).await?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text))
}

/// The media type of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
