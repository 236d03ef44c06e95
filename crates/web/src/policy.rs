use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use model::{
    Address, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, MAX_HOPS, Message, Notify, Origin, Part,
    PresenceDoc, Proof, Security, Timestamp, Vouch, WatchState,
};
use rulebook::{Replayed, Report, RulebookError, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

impl From<RulebookError> for Problem {
    fn from(error: RulebookError) -> Self {
        let status = match &error {
            RulebookError::Mistakes(_) | RulebookError::Slow(_) => StatusCode::UNPROCESSABLE_ENTITY,
            RulebookError::Missing(_) => StatusCode::NOT_FOUND,
            RulebookError::Conflict(_) => StatusCode::CONFLICT,
            RulebookError::Trouble(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// A policy to look over, to put in force or to try out.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyText {
    /// The policy.
    pub text: String,
    /// Why it is changed, for those who come later.
    #[serde(default)]
    pub note: String,
    /// The version it was made from; without it, whatever is in force is replaced.
    #[serde(default)]
    pub after: Option<u32>,
}

/// What a policy that was looked over comes to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyChecked {
    /// Rules that are asked.
    pub rules: usize,
    /// What looking into a message of 300 bytes costs, in nanoseconds.
    pub nanos: u64,
    /// Groups and partners that it names and that there are not: such words mean nobody.
    pub strangers: Vec<String>,
}

/// A version without its text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionLine {
    /// From 1.
    pub number: u32,
    /// When, Unix milliseconds.
    pub at: u64,
    /// Who.
    pub by: String,
    /// Why.
    pub note: String,
}

/// Versions, oldest first; the last is in force.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionList {
    /// Each without its text.
    pub versions: Vec<VersionLine>,
}

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Which {
    /// Its number; without it, the one in force.
    version: Option<u32>,
}

/// Which two versions.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Two {
    /// The older.
    from: u32,
    /// The newer; without it, the one in force.
    to: Option<u32>,
}

/// What is different.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Differences {
    /// As `diff -u` shows it; empty where nothing is.
    pub diff: String,
}

/// The version to go back to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Back {
    /// Its number; without it, the one before the last.
    pub to: Option<u32>,
}

/// Something to decide on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Question {
    /// Sender: `user@domain` or `user@domain/device`.
    pub from: String,
    /// Addressee.
    pub to: String,
    /// What is written; without it, presence is asked about.
    pub text: Option<String>,
    /// `xmpp` or `sip`.
    #[serde(default)]
    pub protocol: Option<String>,
    /// How the server of a sender from elsewhere was proved: `certificate` or `dialback`; without it, by certificate.
    #[serde(default)]
    pub verified: Option<String>,
    /// When, Unix milliseconds; without it, now.
    #[serde(default)]
    pub at: Option<u64>,
    /// Another policy than the one in force.
    #[serde(default)]
    pub policy: Option<String>,
}

/// A rule in an explanation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RuleShown {
    /// `rule:NAME` or `wall:NAME`.
    pub rule: String,
    /// Its words for the sender.
    pub text: Option<String>,
}

/// A rule that would have had its say but for one thing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NearShown {
    /// `rule:NAME` or `wall:NAME`.
    pub rule: String,
    /// Its line in the policy, from 1.
    pub line: usize,
    /// The key of the rule that did not hold.
    pub missing: String,
    /// What it would have done.
    pub then: String,
}

/// A decision and its reasons.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Explained {
    /// `allow`, `hold` or `block`.
    pub verdict: String,
    /// Who answers for the sender, as a rule's `verified` names it.
    #[serde(default)]
    pub verified: String,
    /// The rule that decided; none: the policy's default.
    pub by: Option<RuleShown>,
    /// Rules that warn the sender.
    pub warned: Vec<RuleShown>,
    /// Rules that change the message.
    pub changed: Vec<RuleShown>,
    /// The text as it would pass, where a rule changed it.
    pub text: Option<String>,
    /// Rules that nearly had their say.
    pub near: Vec<NearShown>,
}

/// A policy over a stretch of the record.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Replaying {
    /// The policy.
    pub text: String,
    /// The first row.
    #[serde(default)]
    pub first: u64,
    /// How many rows at most.
    pub limit: usize,
    /// Rows from then on, Unix milliseconds.
    #[serde(default)]
    pub since: Option<u64>,
    /// Rows before then, Unix milliseconds.
    #[serde(default)]
    pub until: Option<u64>,
}

/// Looks a policy over and changes nothing.
#[utoipa::path(post, path = "/v1/policy/check", request_body = PolicyText, responses(
    (status = 200, body = PolicyChecked), (status = 422, body = ProblemBody)))]
pub async fn check(
    State(desk): State<Arc<Desk>>,
    Json(policy): Json<PolicyText>,
) -> Result<Json<PolicyChecked>, Problem> {
    blocking(move || Ok(Json(checked(desk.rulebook.check(&policy.text)?)))).await
}

fn checked(found: rulebook::Checked) -> PolicyChecked {
    PolicyChecked { rules: found.rules, nanos: found.nanos, strangers: found.strangers }
}

/// A version of the policy.
#[utoipa::path(get, path = "/v1/policy", params(Which), responses(
    (status = 200, body = Version), (status = 404, body = ProblemBody)))]
pub async fn show(
    State(desk): State<Arc<Desk>>,
    Query(which): Query<Which>,
) -> Result<Json<Version>, Problem> {
    blocking(move || Ok(Json(desk.rulebook.version(which.version)?))).await
}

/// Puts a policy in force.
#[utoipa::path(put, path = "/v1/policy", request_body = PolicyText, responses(
    (status = 200, body = Version), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub async fn set(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(policy): Json<PolicyText>,
) -> Result<Json<Version>, Problem> {
    blocking(move || {
        let PolicyText { text, note, after } = policy;
        desk.act(&who, "policy.set", &note, || {
            Ok(Json(desk.rulebook.set(&text, who.as_str(), &note, after, now().unix_ms())?))
        })
    })
    .await
}

/// Puts an earlier version in force again.
#[utoipa::path(post, path = "/v1/policy/rollback", request_body = Back, responses(
    (status = 200, body = Version), (status = 404, body = ProblemBody)))]
pub async fn roll_back(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(Back { to }): Json<Back>,
) -> Result<Json<Version>, Problem> {
    blocking(move || {
        let on = to.map_or_else(|| "the version before".to_owned(), |to| format!("version {to}"));
        desk.act(&who, "policy.rollback", &on, || {
            Ok(Json(desk.rulebook.roll_back(to, who.as_str(), now().unix_ms())?))
        })
    })
    .await
}

/// All versions.
#[utoipa::path(get, path = "/v1/policy/versions", responses((status = 200, body = VersionList)))]
pub async fn versions(State(desk): State<Arc<Desk>>) -> Result<Json<VersionList>, Problem> {
    blocking(move || {
        let line = |v: Version| VersionLine { number: v.number, at: v.at, by: v.by, note: v.note };
        Ok(Json(VersionList { versions: desk.rulebook.versions()?.into_iter().map(line).collect() }))
    })
    .await
}

/// What is different between two versions.
#[utoipa::path(get, path = "/v1/policy/diff", params(Two), responses(
    (status = 200, body = Differences), (status = 404, body = ProblemBody)))]
pub async fn diff(
    State(desk): State<Arc<Desk>>,
    Query(two): Query<Two>,
) -> Result<Json<Differences>, Problem> {
    blocking(move || {
        let (old, new) = (desk.rulebook.version(Some(two.from))?, desk.rulebook.version(two.to)?);
        Ok(Json(Differences { diff: rulebook::differences(&old, &new) }))
    })
    .await
}

/// What a policy decides, and why.
#[utoipa::path(post, path = "/v1/policy/explain", request_body = Question, responses(
    (status = 200, body = Explained), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn explain(
    State(desk): State<Arc<Desk>>,
    Json(question): Json<Question>,
) -> Result<Json<Explained>, Problem> {
    blocking(move || {
        let envelope = asked(&question, |domain| desk.hub.hosts(domain.domain()))?;
        let (decision, near, verified) = desk.rulebook.explain(&envelope, question.policy.as_deref())?;
        let shown = |said: policy::Said| RuleShown { rule: said.rule, text: said.text };
        let text = decision.changed.as_ref().and_then(|(message, _)| message.text().map(str::to_owned));
        Ok(Json(Explained {
            verdict: decision.verdict.name().into(),
            verified: verified.into(),
            by: decision.by.map(shown),
            warned: decision.warnings.into_iter().map(shown).collect(),
            changed: decision
                .changed
                .map_or_else(Vec::new, |(_, rules)| rules.into_iter().map(shown).collect()),
            text,
            near: near
                .into_iter()
                .map(|n| NearShown {
                    rule: n.rule,
                    line: n.line,
                    missing: n.missing.into(),
                    then: n.then.into(),
                })
                .collect(),
        }))
    })
    .await
}

/// The envelope that a question is about.
fn asked(question: &Question, ours: impl Fn(&Address) -> bool) -> Result<Envelope, Problem> {
    let endpoint = |text: &str| -> Result<Endpoint, Problem> {
        let (address, device) = text.split_once('/').map_or((text, None), |(a, d)| (a, Some(d)));
        let wrong = |_| Problem::bad(format!("{text:?} is no address: write user@domain"));
        let device = device.map(Device::new).transpose().map_err(wrong)?;
        let address = Address::parse(address)
            .map_err(|_| Problem::bad(format!("{text:?} is no address: write user@domain")))?;
        Ok(Endpoint { address, device })
    };
    let (from, to) = (endpoint(&question.from)?, endpoint(&question.to)?);
    let dialect = match question.protocol.as_deref() {
        None | Some("xmpp") => Dialect::Xmpp,
        Some("sip") => Dialect::Sip,
        Some(other) => return Err(Problem::bad(format!("{other:?} is no protocol: \"xmpp\" or \"sip\""))),
    };
    let domain = from.address.to_domain();
    let proof = match question.verified.as_deref() {
        None | Some("certificate") => Proof::Certificate,
        Some("dialback") => Proof::Dialback,
        Some(other) => {
            return Err(Problem::bad(format!("{other:?} proves no server: \"certificate\" or \"dialback\"")));
        }
    };
    let vouch = match (ours(&domain), question.verified.is_some()) {
        (true, false) => Vouch::Account(from.address.clone()),
        (true, true) => {
            return Err(Problem::bad(format!("{} proves an account here, and no server", from.address)));
        }
        (false, _) => Vouch::Domain(domain, proof),
    };
    let event = match &question.text {
        Some(text) => Event::Message(Message {
            parts: vec![Part::text(text.clone(), None)],
            lasting: true,
            ..Message::default()
        }),
        None => Event::Notify(Notify {
            key: None,
            state: WatchState::Active,
            doc: Arc::new(PresenceDoc::empty(from.address.clone())),
            changed: None,
            gone: Vec::new(),
        }),
    };
    Ok(Envelope {
        id: EnvelopeId::default(),
        at: question.at.map_or_else(now, Timestamp),
        origin: Origin { dialect, security: Security::Tls, vouch },
        from,
        to,
        hops: MAX_HOPS,
        event,
    })
}

/// Puts a candidate on trial beside the policy in force.
#[utoipa::path(put, path = "/v1/policy/trial", request_body = PolicyText, responses(
    (status = 200, body = PolicyChecked), (status = 422, body = ProblemBody)))]
pub async fn try_out(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(policy): Json<PolicyText>,
) -> Result<Json<PolicyChecked>, Problem> {
    blocking(move || {
        desk.act(&who, "policy.trial", &policy.note, || {
            let found = desk.rulebook.try_out(Some(&policy.text))?;
            found.map(|found| Json(checked(found))).ok_or_else(|| Problem::bad("there is nothing to try"))
        })
    })
    .await
}

/// What the candidate on trial would have done so far.
#[utoipa::path(get, path = "/v1/policy/trial", responses(
    (status = 200, body = Report), (status = 404, body = ProblemBody)))]
pub async fn trial(State(desk): State<Arc<Desk>>) -> Result<Json<Report>, Problem> {
    Ok(Json(desk.rulebook.trial()?))
}

/// Ends the trial, with what it came to.
#[utoipa::path(delete, path = "/v1/policy/trial", responses(
    (status = 200, body = Report), (status = 404, body = ProblemBody)))]
pub async fn end_trial(State(desk): State<Arc<Desk>>, who: Who) -> Result<Json<Report>, Problem> {
    blocking(move || {
        desk.act(&who, "policy.trial", "end", || {
            let report = desk.rulebook.trial()?;
            desk.rulebook.try_out(None)?;
            Ok(Json(report))
        })
    })
    .await
}

/// Runs a policy over a stretch of the record. That somebody did is on record: it reads what people wrote.
#[utoipa::path(post, path = "/v1/policy/replay", request_body = Replaying, responses(
    (status = 200, body = Replayed), (status = 422, body = ProblemBody)))]
pub async fn replay(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(r): Json<Replaying>,
) -> Result<Json<Replayed>, Problem> {
    blocking(move || {
        let time = r.since.unwrap_or(0)..r.until.unwrap_or(u64::MAX);
        let limit = r.limit.clamp(1, 100_000);
        desk.act(&who, "policy.replay", &format!("from row {}", r.first), || {
            Ok(Json(desk.rulebook.replay(&r.text, desk.journal.as_ref(), r.first, limit, time)?))
        })
    })
    .await
}
