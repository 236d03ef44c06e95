use crate::{Desk, Signing};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// An open listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerView {
    /// Its name, such as `xmpp-c2s`.
    pub name: String,
    /// Address and port.
    pub address: String,
    /// `none`, `direct` or `starttls`.
    pub tls: String,
}

/// How the server is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// `running`, or `stopping` while it drains.
    pub state: String,
    /// Since when, RFC 3339.
    pub started: String,
    /// What is listened on.
    pub listeners: Vec<ListenerView>,
    /// Connections that are open.
    pub connections: usize,
    /// Bound devices by account, each as `device (protocol)`.
    pub online: BTreeMap<String, Vec<String>>,
    /// Rows in the journal.
    pub journal_head: u64,
    /// How it stands with journaling by mail; none where there is none.
    #[serde(default)]
    pub journaling: Option<String>,
    /// The last row that a search can find; none where there is no index.
    #[serde(default)]
    pub indexed: Option<u64>,
    /// Why the index does not go on.
    #[serde(default)]
    pub index_trouble: Option<String>,
    /// How it stands with signed checkpoints of the journal.
    #[serde(default)]
    pub signing: Signing,
    /// Why nothing can be put on record now, and so is refused; none while all is well.
    pub disk_trouble: Option<String>,
    /// Why the clock is not believed, so that nothing is destroyed by its age; none while it is.
    #[serde(default)]
    pub clock_trouble: Option<String>,
    /// Messages that passed while they could not be put on record, since the start.
    #[serde(default)]
    pub unrecorded: u64,
    /// The scanner of files, in words; none where none is configured.
    pub scanner: Option<String>,
    /// The YARA rules, in words; none where there are none.
    #[serde(default)]
    pub yara: Option<String>,
    /// How long a commit takes on average, in milliseconds.
    pub commit_ms: f64,
    /// Messages submitted since the start.
    pub messages: u64,
    /// Messages that reached a device since the start.
    pub delivered: u64,
    /// Refusals since the start, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// How the server is, and who is connected.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status)))]
pub async fn status(State(desk): State<Arc<Desk>>) -> Json<Status> {
    let counters = desk.hub.counters();
    let online = desk
        .hub
        .online()
        .into_iter()
        .filter(|a| a.account.user() != Some(partner::RESPONDER))
        .map(|a| {
            let devices = a.devices.iter().map(|d| format!("{} ({})", d.device, d.dialect)).collect();
            (a.account.to_string(), devices)
        })
        .collect();
    let health = desk.journal.health();
    let index = desk.search.as_ref().map(|index| index.standing());
    Json(Status {
        disk_trouble: health.trouble.map(|t| t.to_string()),
        clock_trouble: desk.operator.clock_trouble(),
        signing: desk.operator.signing(),
        scanner: desk.operator.scanner(),
        yara: desk.operator.yara(),
        commit_ms: health.commit.as_secs_f64() * 1000.0,
        version: desk.version.to_owned(),
        state: desk.operator.state().to_owned(),
        connections: desk.operator.connections(),
        started: desk.started.to_string(),
        listeners: desk.operator.listeners(),
        online,
        journal_head: desk.journal.head().0,
        journaling: desk.operator.journaling(),
        indexed: index.as_ref().map(|index| index.indexed.0),
        index_trouble: index.and_then(|index| index.trouble),
        messages: counters.messages.iter().map(|(_, n)| n).sum(),
        delivered: counters.delivered,
        unrecorded: counters.unrecorded,
        refused: counters.refused_by_reason(),
    })
}
