//! Who asks: the user of the system at the other end of the control socket, as the kernel knows it.

use axum::extract::FromRequestParts;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::request::Parts;
use axum::serve::IncomingStream;
use std::convert::Infallible;
use tokio::net::UnixListener;

/// The user at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who(String);

impl Who {
    /// A user by number, with their name where the system's table of users has one.
    pub fn uid(uid: u32) -> Self {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let mut names = users.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
        });
        Self(match names.next() {
            Some(name) => format!("uid {uid} ({name})"),
            None => format!("uid {uid}"),
        })
    }

    /// Somebody who is no user of this system, in words.
    pub fn elsewhere(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// In words, as the record has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Who {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        stream.io().peer_cred().map_or_else(|_| Self("unknown".into()), |peer| Self::uid(peer.uid()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<ConnectInfo<Self>>();
        Ok(known.map_or_else(|| Self("unknown".into()), |ConnectInfo(who)| who.clone()))
    }
}
