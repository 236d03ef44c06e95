//! What every request passes before it is done: who asks, may their role do this, and are two needed for it?

use crate::acts::now;
use crate::problem::blocking;
use crate::who::Peer;
use crate::{Desk, Problem, Who};
use admin::{Act, Asked, Request as Waiting, Second};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use record::Approved;
use std::sync::{Arc, Mutex, PoisonError};

/// No request is longer.
const BODY: usize = 2 << 20;

/// How often those who are no administrators are put on record, at most.
const STRANGER_MS: u64 = 1_000;

/// The gate with what is behind it.
pub(crate) struct Gate {
    desk: Arc<Desk>,
    behind: Router,
    /// When a stranger was last put on record, and how many were not since.
    strangers: Mutex<(u64, u64)>,
}

/// The routes without the gate, for what two administrators have agreed on.
#[derive(Clone)]
pub(crate) struct Behind(Router);

/// Puts the gate before these routes.
pub(crate) fn before(routes: Router, desk: Arc<Desk>) -> Router {
    let gate = Gate { desk, behind: routes.clone(), strangers: Mutex::default() };
    routes.layer(axum::middleware::from_fn_with_state(Arc::new(gate), pass))
}

async fn pass(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match gate.admit(peer, request).await {
        Ok(Admitted::Now(request)) => next.run(*request).await,
        Ok(Admitted::Later(waiting)) => (StatusCode::ACCEPTED, Json(waiting)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

enum Admitted {
    Now(Box<Request>),
    Later(Box<Waiting>),
}

impl Gate {
    async fn admit(&self, peer: Peer, mut request: Request) -> Result<Admitted, Problem> {
        let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned())
        else {
            return Err(Problem::missing("there is nothing of this name"));
        };
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let Some(act) = admin::find(method.as_str(), &path) else {
            return Err(match admin::of_path(&path) {
                true => Problem(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is nothing to do here")),
                false => Problem(StatusCode::FORBIDDEN, format!("no role may do {method} {path}")),
            });
        };
        let on = request.uri().path().to_owned();
        let (desk, headers) = (self.desk.clone(), request.headers().clone());
        let found = blocking(move || Ok(Who::find(&desk, peer, &headers, now().unix_ms()))).await?;
        let who = match found {
            Ok(who) => who,
            Err(turned) => return Err(self.turn_away(turned.0, act, on, turned.1).await),
        };
        let Some(role) = who.role().filter(|role| act.is_for(*role)) else {
            let why = who.role().map(|role| admin::needs(act, who.as_str(), role)).unwrap_or_default();
            return Err(self.refuse(who, act, on, Problem(StatusCode::FORBIDDEN, why)).await);
        };
        let eyes = self.desk.operator.four_eyes();
        if act.second == Second::Never || !eyes.acts.iter().any(|name| name == act.name) {
            request.extensions_mut().insert(who);
            request.extensions_mut().insert(Behind(self.behind.clone()));
            return Ok(Admitted::Now(Box::new(request)));
        }
        let (mut parts, body) = request.into_parts();
        let body = to_bytes(body, BODY).await.map_err(|_| Problem::bad("the request is too long"))?;
        let uri = parts.uri.path_and_query().map_or_else(|| on.clone(), ToString::to_string);
        let (desk, asker, kept) = (self.desk.clone(), who.clone(), body.clone());
        let until = now().unix_ms() + u64::from(eyes.hours) * 3_600_000;
        let asked = move || {
            let asked = Asked { act, uri: &uri, body: &kept, by: asker.as_str(), role, how: asker.how() };
            desk.forget_late()?;
            if let Some(granted) = desk.requests.take(&asked)? {
                return Ok(Err(granted));
            }
            let (waiting, new) = desk.requests.ask(&asked, now().unix_ms(), until)?;
            if new {
                desk.act(&asker, "approve.ask", &in_words(&waiting), || Ok(()))?;
            }
            Ok(Ok(waiting))
        };
        match blocking(asked).await? {
            Ok(waiting) => Ok(Admitted::Later(Box::new(waiting))),
            Err(granted) => {
                let who = match approval(&granted) {
                    Some(approved) => who.approved(approved),
                    None => who,
                };
                parts.extensions.insert(who);
                Ok(Admitted::Now(Box::new(Request::from_parts(parts, Body::from(body)))))
            }
        }
    }

    /// Puts on record that somebody may not.
    async fn refuse(&self, who: Who, act: &'static Act, on: String, problem: Problem) -> Problem {
        let desk = self.desk.clone();
        let end = blocking(move || desk.act(&who, act.name, &on, || Err::<(), _>(problem))).await;
        end.err().unwrap_or_else(|| Problem::bad("refused"))
    }

    /// The same for those who are no administrators at all: they must not be able to fill the record.
    async fn turn_away(&self, who: Who, act: &'static Act, on: String, mut problem: Problem) -> Problem {
        let at = now().unix_ms();
        let skipped = {
            let mut last = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
            if at < last.0.saturating_add(STRANGER_MS) {
                last.1 += 1;
                return problem;
            }
            std::mem::replace(&mut *last, (at, 0)).1
        };
        let said = problem.1.clone();
        if skipped > 0 {
            problem.1 = format!("{said}; {skipped} more before that");
        }
        let recorded = self.refuse(who, act, on, problem).await;
        Problem(recorded.0, said)
    }
}

/// A request as the record names it.
pub(crate) fn in_words(request: &Waiting) -> String {
    let digest = request.digest.as_deref().filter(|_| request.body.is_some());
    let digest = digest.map(|digest| format!(", SHA-256 {digest}")).unwrap_or_default();
    format!("request {} for {}: {} {}{digest}", request.id, request.act, request.method, request.uri)
}

/// Who said yes to a request.
pub(crate) fn approval(request: &Waiting) -> Option<Approved> {
    let second = request.decided.as_ref()?;
    let by = format!("{} ({}; {})", second.by, second.role, second.how);
    Some(Approved { request: request.id.clone(), by })
}

impl Behind {
    /// Does what was asked for, in the name of who asked.
    pub(crate) async fn perform(&self, request: &Waiting) -> (StatusCode, String) {
        let mut who = Who::administrator(request.by.clone(), request.role, request.how.clone());
        if let Some(approved) = approval(request) {
            who = who.approved(approved);
        }
        let body = Bytes::from(request.body.clone().unwrap_or_default());
        let built = Request::builder()
            .method(request.method.as_str())
            .uri(&request.uri)
            .header(header::CONTENT_TYPE, "application/json")
            .extension(who)
            .body(Body::from(body));
        let Ok(built) = built else {
            return (StatusCode::INTERNAL_SERVER_ERROR, "the request cannot be read any more".into());
        };
        let Ok(answer) = TowerToHyperService::new(self.0.clone()).call(built).await;
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), BODY).await.unwrap_or_default();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }
}
