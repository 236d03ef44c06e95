use crate::problem::{Problem, ProblemBody, blocking};
use crate::{Desk, Who};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use partner::{Accepted, By, Invitation, Partner, Shown, StaticRoute, Waiting, Wish};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use utoipa::ToSchema;

/// Invitations that wait for their answers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct InvitationList {
    /// In no particular order.
    pub invitations: Vec<Waiting>,
}

/// An invitation, or the answer to one.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Paper {
    /// As it was sent; what is around it is no matter.
    pub word: String,
}

/// A paper that is accepted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Acceptance {
    /// As it was sent.
    pub word: String,
    /// The partner as it was shown, with whatever was changed in it.
    #[serde(default)]
    pub partner: Option<Partner>,
    /// Where our servers are, if DNS does not say.
    #[serde(default)]
    pub routes: Vec<StaticRoute>,
    /// Whom they may call at ours.
    #[serde(default)]
    pub contacts: Vec<String>,
}

/// A partner's certificate request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificateRequest {
    /// PKCS #10, PEM.
    pub request: String,
    /// For how long, in days.
    pub days: u32,
}

/// A partner's certificate.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// The chain, leaf first, PEM.
    pub chain: String,
}

/// Signs a partner's certificate request with this server's own authority, for the partner's domains and no other names.
/// The authority counts for the partner from then on.
#[utoipa::path(post, path = "/v1/partners/{name}/certificate", request_body = CertificateRequest, responses(
    (status = 200, body = Certificate), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub async fn sign(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(asked): Json<CertificateRequest>,
) -> Result<Json<Certificate>, Problem> {
    blocking(move || {
        desk.act(&who, "partner.sign", &name, || {
            let mut partner = desk.partners.partner(&name)?;
            let wrong = |why| Problem(StatusCode::UNPROCESSABLE_ENTITY, why);
            let (chain, authority) =
                desk.operator.sign(&partner, &asked.request, asked.days).map_err(wrong)?;
            let known = partner.trust.authority.get_or_insert_default();
            if !known.contains(authority.trim()) {
                known.push_str(&authority);
                let name = partner.name.clone();
                desk.partners.edit_partner(&name, partner)?;
            }
            Ok(Json(Certificate { chain }))
        })
    })
    .await
}

/// A certificate to take back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Revocation {
    /// PEM; the first of a chain.
    pub certificate: String,
}

/// A certificate that was taken back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Revoked {
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// The file that lists it.
    pub list: String,
}

/// Takes back a certificate that this server's own authority signed for a partner. The list counts for the partner from
/// then on.
#[utoipa::path(post, path = "/v1/partners/{name}/revocation", request_body = Revocation, responses(
    (status = 200, body = Revoked), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub async fn revoke(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(name): Path<String>,
    Json(asked): Json<Revocation>,
) -> Result<Json<Revoked>, Problem> {
    blocking(move || {
        desk.act(&who, "partner.revoke", &name, || {
            let mut partner = desk.partners.partner(&name)?;
            let wrong = |why| Problem(StatusCode::UNPROCESSABLE_ENTITY, why);
            let (serial, list) = desk.operator.revoke(&asked.certificate).map_err(wrong)?;
            if !partner.trust.crl.contains(&list) {
                partner.trust.crl.push(list.clone());
                let name = partner.name.clone();
                desk.partners.edit_partner(&name, partner)?;
            }
            Ok(Json(Revoked { serial, list }))
        })
    })
    .await
}

fn chain(desk: &Desk) -> Result<Vec<Vec<u8>>, Problem> {
    desk.operator.chain().map_err(|why| Problem(StatusCode::INTERNAL_SERVER_ERROR, why))
}

/// Invites another company.
#[utoipa::path(post, path = "/v1/invitations", request_body = Wish, responses(
    (status = 201, body = Invitation), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn invite(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(wish): Json<Wish>,
) -> Result<(StatusCode, Json<Invitation>), Problem> {
    blocking(move || {
        let name = wish.partner.name.clone();
        desk.act(&who, "partner.invite", &name, || {
            let made =
                desk.partners.invite(&desk.signer, wish, &chain(&desk)?, desk.operator.url().as_deref())?;
            Ok((StatusCode::CREATED, Json(made)))
        })
    })
    .await
}

/// Invitations that wait for their answers.
#[utoipa::path(get, path = "/v1/invitations", responses((status = 200, body = InvitationList)))]
pub async fn waiting(State(desk): State<Arc<Desk>>) -> Result<Json<InvitationList>, Problem> {
    blocking(move || Ok(Json(InvitationList { invitations: desk.partners.invitations()? }))).await
}

/// Takes an invitation back.
#[utoipa::path(delete, path = "/v1/invitations/{id}", responses(
    (status = 200, description = "withdrawn"), (status = 404, body = ProblemBody)))]
pub async fn withdraw(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<()>, Problem> {
    blocking(move || desk.act(&who, "partner.withdraw", &id, || Ok(Json(desk.partners.withdraw(&id)?)))).await
}

/// Reads an invitation, or the answer to one, and changes nothing.
#[utoipa::path(post, path = "/v1/papers/read", request_body = Paper, responses(
    (status = 200, body = Shown), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn read(State(desk): State<Arc<Desk>>, Json(paper): Json<Paper>) -> Result<Json<Shown>, Problem> {
    blocking(move || Ok(Json(desk.partners.read_paper(&paper.word)?))).await
}

/// Accepts an invitation, which gives an answer for whoever invited; or takes the answer to an invitation of ours.
#[utoipa::path(post, path = "/v1/papers/accept", request_body = Acceptance, responses(
    (status = 201, body = Accepted), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn accept(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Json(acceptance): Json<Acceptance>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    // A task of its own: whoever asked may hang up, and the answer is still sent.
    let whole = tokio::spawn(async move {
        let operator = desk.operator.clone();
        let mut done = blocking(move || {
            let Acceptance { word, partner, routes, contacts } = acceptance;
            // What the record names is what was read, not what somebody claims.
            let on =
                desk.partners.read_paper(&word).map_or_else(|_| "?".into(), |s| s.partner.domains.join(", "));
            desk.act(&who, "partner.accept", &on, || {
                let ours = (routes.as_slice(), contacts.as_slice());
                let paper = (word.as_str(), By::Hand);
                Ok(desk.partners.accept_paper(&desk.signer, paper, partner, ours, &chain(&desk)?)?)
            })
        })
        .await?;
        if let (Some(url), Some(word)) = (&done.send_to, &done.answer) {
            let sent = operator.send(url.clone(), word.clone(), done.partner.name.clone());
            done.unsent = sent.await.err();
        }
        Ok((StatusCode::CREATED, Json(done)))
    });
    let broke_off = || Problem(StatusCode::INTERNAL_SERVER_ERROR, "it broke off".into());
    whole.await.unwrap_or_else(|_| Err(broke_off()))
}

/// An answer that came over HTTPS, from nobody knows whom: the paper proves itself.
pub(crate) async fn answered(
    State((desk, from)): State<(Arc<Desk>, SocketAddr)>,
    word: String,
) -> Result<(StatusCode, &'static str), Problem> {
    let operator = desk.operator.clone();
    let done = blocking(move || {
        // What makes no sense is not put on record: everybody can send it.
        let on = desk.partners.read_paper(&word)?.partner.domains.join(", ");
        let who = Who::elsewhere(format!("an answer over HTTPS from {}", from.ip()));
        desk.act(&who, "partner.accept", &on, || {
            let paper = (word.as_str(), By::Link);
            Ok(desk.partners.accept_paper(&desk.signer, paper, None, (&[], &[]), &[])?)
        })
    })
    .await?;
    // Both sides know each other now.
    tokio::spawn(operator.probe(done.partner.name));
    Ok((StatusCode::CREATED, "welcome\n"))
}

/// What a browser shows to somebody who follows an invitation's link.
pub(crate) async fn link() -> &'static str {
    "This link invites your company to federate. Give the whole of it to whoever runs your Rialto server, for \
     `rialto partner accept`.\n"
}
