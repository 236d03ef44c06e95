//! The HTTP API. Every command that touches a running server is a client of it, over a Unix socket. Whoever reaches that
//! passes the gate first: the user at the other end, or a token, stands for an administrator, whose role may do what is in
//! the table of acts (`admin::ACTS`) and nothing else.
//!
//! The router and the OpenAPI document come from the same declarations, so they cannot disagree.

mod accounts;
mod acts;
mod admins;
mod backups;
mod desk;
mod exports;
mod facts;
mod files;
mod gate;
mod groups;
mod handshakes;
mod imports;
mod journal;
mod matters;
mod operate;
mod outbreak;
mod pace;
mod pages;
mod partners;
mod policy;
mod probes;
mod problem;
mod proof;
mod quarantine;
mod reports;
mod requests;
mod retention;
mod reviews;
mod search;
mod spim;
mod status;
mod subjects;
mod trace;
mod under_way;
mod uploads;
mod users;
mod who;

pub use accounts::{AccountBatch, AccountCounts};
pub use admins::{
    AdminChange, AdminList, AdminView, Me, NewAdmin, TokenMade, TokenView, TokenWish, TokensEnded,
};
pub use backups::BackupMade;
pub use desk::Desk;
pub use exports::{BareRows, ExportBegun, ExportLine, ExportMade, ExportOrder, ExportSigned, Selections};
pub use facts::file_facts;
pub use files::FileDoor;
pub use groups::{GroupList, Members};
pub use handshakes::{
    Acceptance, Certificate, CertificateRequest, InvitationList, Paper, Revocation, Revoked,
};
pub use imports::{ImportBatch, ImportBegun, ImportCounts, ImportOrder, ImportedMessage, Imports};
pub use journal::{JournalRow, JournalRows, LossView, RefusalView, RowContent, SettledView, view};
pub use matters::{MatterList, NewMatter, Release};
pub use operate::{Answered, Expired, FourEyes, Operator, Reloaded};
pub use outbreak::{Decided, Decision, OrderView, OutbreakStatus, Stop};
pub use partners::{Forget, Forgotten, ObservedList, PartnerList, PartnerView};
pub use policy::{
    Back, Differences, Explained, NearShown, PolicyChecked, PolicyText, Question, Replaying, RuleShown,
    VersionLine, VersionList,
};
pub use probes::{Check, Probed, Verdict};
pub use problem::{Problem, ProblemBody};
pub use proof::{AnchorView, CheckpointList, KeyView, Signing, Verification, VerifyQuestion};
pub use quarantine::{Discard, Ended, HeldList, HeldView, Late, PartView};
pub use requests::{RequestList, Word};
pub use retention::{RulesInForce, RulesText};
pub use reviews::{DecisionList, NewReview, Privileged, ReviewList, ReviewRow, ReviewView};
pub use search::{Context, Hit, SearchPage, SearchQuestion};
pub use spim::{BlockOrder, BlockView, PartyView, SpimListView, SpimStatus};
pub use status::{ListenerView, Status};
pub use trace::{Ledger, LossLine, Step, Traced, Traces};
pub use under_way::Closed;
pub use uploads::{FileList, FileView};
pub use users::{PasswordChange, UserList};
pub use who::Who;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

/// Bytes of messages of another server at a time: half a megabyte, and one of a megabyte, which is there twice, with much to escape.
const IMPORTED: usize = 16 << 20;

/// Bytes of checkpoints that a verification may be given: some ten years of one an hour.
const ANCHORS: usize = 64 << 20;

#[derive(OpenApi)]
#[openapi(info(title = "Rialto", description = "The API of a running Rialto server."))]
struct Document;

/// The API's routes behind the gate, their description at `/v1/openapi.json` among them.
pub fn router(desk: Arc<Desk>) -> Router {
    let (router, document) = routes();
    let description = axum::routing::get(move || async move { axum::Json(document) });
    gate::before(router.with_state(desk.clone()).route("/v1/openapi.json", description), desk)
}

fn routes() -> (Router<Arc<Desk>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(status::status))
        .routes(routes!(operate::reload))
        .routes(routes!(operate::renew))
        .routes(routes!(retention::show, retention::set, operate::expire))
        .routes(routes!(retention::versions))
        .routes(routes!(retention::preview))
        .routes(routes!(matters::list, matters::open))
        .routes(routes!(matters::show))
        .routes(routes!(matters::hold))
        .routes(routes!(matters::release))
        .routes(routes!(matters::close))
        .routes(routes!(reviews::list, reviews::start))
        .routes(routes!(reviews::show))
        .routes(routes!(reviews::rows))
        .routes(routes!(reviews::read, reviews::mark))
        .routes(routes!(reviews::next))
        .routes(routes!(reviews::export))
        .routes(routes!(reviews::privileged))
        .routes(routes!(subjects::export))
        .routes(routes!(subjects::preview))
        .routes(routes!(subjects::erase))
        .routes(routes!(operate::metrics))
        .routes(routes!(users::list))
        .routes(routes!(users::create, users::remove))
        .routes(routes!(users::set_password))
        .routes(routes!(partners::list, partners::add))
        .routes(routes!(partners::show, partners::edit, partners::remove))
        .routes(routes!(partners::suspend))
        .routes(routes!(partners::resume))
        .routes(routes!(partners::forget))
        .routes(routes!(probes::test))
        .routes(routes!(handshakes::invite, handshakes::waiting))
        .routes(routes!(handshakes::sign))
        .routes(routes!(handshakes::revoke))
        .routes(routes!(handshakes::withdraw))
        .routes(routes!(handshakes::read))
        .routes(routes!(handshakes::accept))
        .routes(routes!(partners::observed))
        .routes(routes!(groups::list))
        .routes(routes!(groups::show, groups::add, groups::remove))
        .routes(routes!(groups::take_out))
        .routes(routes!(policy::show, policy::set))
        .routes(routes!(policy::check))
        .routes(routes!(policy::versions))
        .routes(routes!(policy::diff))
        .routes(routes!(policy::roll_back))
        .routes(routes!(policy::explain))
        .routes(routes!(policy::trial, policy::try_out, policy::end_trial))
        .routes(routes!(policy::replay))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::show))
        .routes(routes!(quarantine::release))
        .routes(routes!(quarantine::discard))
        .routes(routes!(uploads::list))
        .routes(routes!(uploads::release))
        .routes(routes!(uploads::delete))
        .routes(routes!(quarantine::expire))
        .routes(routes!(outbreak::status))
        .routes(routes!(outbreak::stop))
        .routes(routes!(outbreak::release))
        .routes(routes!(outbreak::delete))
        .routes(routes!(spim::status))
        .routes(routes!(spim::show))
        .routes(routes!(spim::block))
        .routes(routes!(spim::forgive))
        .routes(routes!(journal::rows))
        .routes(routes!(proof::verify).layer(DefaultBodyLimit::max(ANCHORS)))
        .routes(routes!(proof::checkpoints, proof::checkpoint))
        .routes(routes!(journal::read))
        .routes(routes!(reports::report))
        .routes(routes!(reports::aggregates))
        .routes(routes!(exports::begin))
        .routes(routes!(exports::rows))
        .routes(routes!(exports::acts))
        .routes(routes!(exports::checkpoints))
        .routes(routes!(exports::file))
        .routes(routes!(exports::done))
        .routes(routes!(accounts::moving))
        .routes(routes!(accounts::look))
        .routes(routes!(accounts::add))
        .routes(routes!(imports::begin))
        .routes(routes!(imports::look).layer(DefaultBodyLimit::max(IMPORTED)))
        .routes(routes!(imports::add).layer(DefaultBodyLimit::max(IMPORTED)))
        .routes(routes!(imports::done))
        .routes(routes!(search::find))
        .routes(routes!(search::read))
        .routes(routes!(search::context))
        .routes(routes!(trace::trace))
        .routes(routes!(trace::losses))
        .routes(routes!(backups::made))
        .routes(routes!(admins::list, admins::add))
        .routes(routes!(admins::me))
        .routes(routes!(admins::change, admins::remove))
        .routes(routes!(admins::token, admins::revoke))
        .routes(routes!(requests::list))
        .routes(routes!(requests::show))
        .routes(routes!(requests::yes))
        .routes(routes!(requests::no))
        .split_for_parts()
}

/// Serves nothing but the metrics, on an open TCP socket, until the task is dropped.
///
/// # Errors
/// What the system said when the socket failed.
pub async fn serve_metrics(socket: tokio::net::TcpListener, desk: Arc<Desk>) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", axum::routing::get(operate::metrics)).with_state(desk);
    axum::serve(socket, router).await
}

/// Serves one connection of somebody who follows an invitation's link, or sends the answer to one.
///
/// # Errors
/// In words.
pub async fn serve_answer<I>(
    io: I,
    from: std::net::SocketAddr,
    desk: Arc<Desk>,
    posh: String,
) -> Result<(), String>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let named = axum::routing::get(|| async { ([("content-type", "application/json")], posh) });
    let router = Router::new()
        .route("/.well-known/posh/xmpp-server.json", named)
        .route("/invite", axum::routing::get(handshakes::link))
        .route("/answer", axum::routing::post(handshakes::answered))
        .layer(axum::extract::DefaultBodyLimit::max(ANSWER))
        .with_state((desk, from));
    let service = hyper_util::service::TowerToHyperService::new(router);
    let mut serve = hyper::server::conn::http1::Builder::new();
    serve
        .keep_alive(false)
        .serve_connection(hyper_util::rt::TokioIo::new(io), service)
        .await
        .map_err(|e| e.to_string())
}

/// No answer is longer.
const ANSWER: usize = 64 * 1024;

/// Serves the API on an open Unix socket until the task is dropped.
///
/// # Errors
/// What the system said when the socket failed.
pub async fn serve(socket: tokio::net::UnixListener, router: Router) -> std::io::Result<()> {
    axum::serve(socket, router.into_make_service_with_connect_info::<who::Peer>()).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_in_the_table_of_acts_and_no_other() {
        let described = serde_json::to_value(super::routes().1).unwrap();
        let mut routes = BTreeSet::from([("GET".to_owned(), "/v1/openapi.json".to_owned())]);
        for (path, methods) in described["paths"].as_object().unwrap() {
            let methods = methods.as_object().unwrap().keys().filter(|key| *key != "parameters");
            routes.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
        }
        let acts: BTreeSet<_> =
            admin::ACTS.iter().map(|act| (act.method.to_owned(), act.path.to_owned())).collect();
        let open: Vec<_> = routes.difference(&acts).collect();
        assert!(open.is_empty(), "no role is named for {open:?}: crates/admin/src/acts.rs");
        let stale: Vec<_> = acts.difference(&routes).collect();
        assert!(stale.is_empty(), "there is no {stale:?}");
        assert!(routes.len() > 60);
    }
}
