//! The HTTP API. Every command that touches a running server is a client of it, over a Unix socket that only the
//! server's owner can open; so whoever can reach it is the administrator.
//!
//! The router and the OpenAPI document come from the same declarations, so they cannot disagree.

mod acts;
mod backups;
mod desk;
mod groups;
mod handshakes;
mod journal;
mod operate;
mod outbreak;
mod partners;
mod policy;
mod probes;
mod problem;
mod quarantine;
mod status;
mod users;
mod who;

pub use backups::BackupMade;
pub use desk::Desk;
pub use groups::{GroupList, Members};
pub use handshakes::{
    Acceptance, Certificate, CertificateRequest, InvitationList, Paper, Revocation, Revoked,
};
pub use journal::{JournalRow, JournalRows, LossView, RefusalView, SettledView, Verification, view};
pub use operate::{Answered, Expired, Operator, Reloaded};
pub use outbreak::{Decided, Decision, OrderView, OutbreakStatus, Stop};
pub use partners::{Forget, Forgotten, ObservedList, PartnerList, PartnerView};
pub use policy::{
    Back, Differences, Explained, NearShown, PolicyChecked, PolicyText, Question, Replaying, RuleShown,
    VersionLine, VersionList,
};
pub use probes::{Check, Probed, Verdict};
pub use problem::{Problem, ProblemBody};
pub use quarantine::{Discard, HeldList, HeldView, PartView};
pub use status::{ListenerView, Status};
pub use users::{NewUser, PasswordChange, UserList};
pub use who::Who;

use axum::Router;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(OpenApi)]
#[openapi(info(title = "Rialto", description = "The API of a running Rialto server."))]
struct Document;

/// The API's routes, its description at `/v1/openapi.json` among them.
pub fn router(desk: Arc<Desk>) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(status::status))
        .routes(routes!(operate::reload))
        .routes(routes!(operate::renew))
        .routes(routes!(operate::expire))
        .routes(routes!(operate::metrics))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::set_password))
        .routes(routes!(users::remove))
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
        .routes(routes!(outbreak::status))
        .routes(routes!(outbreak::stop))
        .routes(routes!(outbreak::release))
        .routes(routes!(outbreak::delete))
        .routes(routes!(journal::rows))
        .routes(routes!(journal::verify))
        .routes(routes!(backups::made))
        .with_state(desk)
        .split_for_parts();
    router.route("/v1/openapi.json", axum::routing::get(move || async move { axum::Json(document) }))
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
    axum::serve(socket, router.into_make_service_with_connect_info::<Who>()).await
}
