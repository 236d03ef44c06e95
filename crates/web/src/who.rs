//! Who asks: the user of the system at the other end of the control socket, as the kernel knows it, and the administrator
//! that this user or a token stands for.

use crate::{Desk, Problem};
use admin::{AdminError, Role};
use axum::extract::FromRequestParts;
use axum::extract::connect_info::Connected;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::serve::IncomingStream;
use record::{Act, Approved};
use tokio::net::UnixListener;

/// How the owner is known.
const OWNER: &str = "owner of the server";

/// The user of the system at the other end of a connection; none where the kernel does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

/// Whoever does something, as the record names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    name: String,
    role: Option<Role>,
    how: Option<String>,
    approved: Option<Approved>,
}

/// A user of the system by number, with their name where the system's table of users has one.
fn user(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut names = users.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    });
    match names.next() {
        Some(name) => format!("uid {uid} ({name})"),
        None => format!("uid {uid}"),
    }
}

impl Who {
    /// A user of the system who works on the store's files without a server in between.
    pub fn uid(uid: u32) -> Self {
        Self { name: user(uid), role: None, how: None, approved: None }
    }

    /// Somebody who is no user of this system, in words.
    pub fn elsewhere(words: impl Into<String>) -> Self {
        Self { name: words.into(), role: None, how: None, approved: None }
    }

    /// An administrator, by name.
    pub(crate) fn administrator(name: String, role: Role, how: String) -> Self {
        Self { name, role: Some(role), how: Some(how), approved: None }
    }

    /// May they do this act? Who needs no role may do all.
    pub(crate) fn may(&self, act: &str) -> bool {
        let mut acts = admin::ACTS.iter().filter(|one| one.name == act);
        self.role.is_none_or(|role| acts.any(|act| act.is_for(role)))
    }

    /// The same with the word of a second one.
    pub(crate) fn approved(self, approved: Approved) -> Self {
        Self { approved: Some(approved), ..self }
    }

    /// Who is behind a connection and a header; else, why nobody who may do anything is.
    pub(crate) fn find(
        desk: &Desk,
        peer: Peer,
        headers: &HeaderMap,
        now: u64,
    ) -> Result<Self, Box<(Self, Problem)>> {
        let here = peer.0.map_or_else(|| "somebody unknown".to_owned(), user);
        let no = |why: String| Box::new((Self::elsewhere(&here), Problem(StatusCode::UNAUTHORIZED, why)));
        if let Some(header) = headers.get(AUTHORIZATION) {
            let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
            let token = token.ok_or_else(|| no("`Authorization` must be `Bearer` and a token".into()))?;
            let (who, id) = desk.admins.of_token(token.trim(), now).map_err(|e| no(e.to_string()))?;
            return Ok(Self::administrator(who.name, who.role, format!("token {id}, {here}")));
        }
        let Some(uid) = peer.0 else { return Err(no("the system does not say who asks".into())) };
        // Root and the owner can open the store itself; no table could keep them from anything.
        let owns = uid == desk.owner || uid == 0;
        match desk.admins.of_user(uid) {
            Some(who) if owns => Ok(Self::administrator(who.name, Role::Administrator, OWNER.into())),
            Some(who) => Ok(Self::administrator(who.name, who.role, here)),
            None if owns => Ok(Self::administrator(here, Role::Administrator, OWNER.into())),
            None => {
                let why = format!(
                    "{here} is no administrator of this server; one who is can change that: `rialto admin add NAME --role ROLE --user USER`"
                );
                Err(no(why))
            }
        }
    }

    /// In words, as the record has it.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// In which role.
    pub(crate) fn role(&self) -> Option<Role> {
        self.role
    }

    /// How it is known that it is them.
    pub(crate) fn how(&self) -> &str {
        self.how.as_deref().unwrap_or_default()
    }

    /// Is this how the owner is known?
    pub(crate) fn is_owner(how: &str) -> bool {
        how == OWNER
    }

    /// An act of theirs that succeeded.
    pub fn done(&self, act: &str) -> Act {
        Act {
            role: self.role.map(|role| role.name().to_owned()),
            how: self.how.clone(),
            approved: self.approved.clone(),
            ..Act::done(act, &self.name)
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let nobody = || Problem(StatusCode::UNAUTHORIZED, "nobody is known to ask".into());
        parts.extensions.get::<Self>().cloned().ok_or_else(nobody)
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        let status = match &error {
            AdminError::Bad(_) => StatusCode::BAD_REQUEST,
            AdminError::Missing(_) => StatusCode::NOT_FOUND,
            AdminError::Conflict(_) => StatusCode::CONFLICT,
            AdminError::Refused(_) => StatusCode::FORBIDDEN,
            AdminError::Trouble(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}
