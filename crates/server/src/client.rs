//! A client of the control API: how commands talk to a running server.

use crate::failure::Failure;
use admin::Second;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// A running server, by its control socket.
#[derive(Clone)]
pub struct Control {
    socket: PathBuf,
    token: Option<String>,
}

impl Control {
    /// The server behind this socket.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), token: None }
    }

    /// The same in the name of whoever this token is of.
    #[must_use]
    pub fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// Does a server answer?
    pub async fn is_up(&self) -> bool {
        UnixStream::connect(&self.socket).await.is_ok()
    }

    /// Reads something.
    ///
    /// # Errors
    /// [`Failure`] when no server answers or it refuses; likewise below.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Failure`]
    pub async fn fetch(&self, path: &str) -> Result<Vec<u8>, Failure> {
        Ok(self.ask(Method::GET, path, None::<&()>).await?.into())
    }

    /// The same, piece by piece.
    ///
    /// # Errors
    /// [`Failure`]
    pub async fn stream(&self, path: &str) -> Result<Pieces, Failure> {
        Ok(Pieces(self.send(Method::GET, path, None::<&()>).await?.into_body()))
    }

    /// Makes or starts something.
    ///
    /// # Errors
    /// [`Failure`]
    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Replaces something.
    ///
    /// # Errors
    /// [`Failure`]
    pub async fn put<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Removes something.
    ///
    /// # Errors
    /// [`Failure`]
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::DELETE, path, None::<&()>).await
    }

    /// Starts something that answers in lines, as long as they may be.
    ///
    /// # Errors
    /// [`Failure`], also that of `line`.
    pub async fn lines<B: Serialize>(
        &self,
        path: &str,
        body: &B,
        mut line: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let fail = |error: String| Failure::new(format!("{}: {error}", self.socket.display()));
        let mut coming = self.send(Method::POST, path, Some(body)).await?.into_body();
        let mut rest = Vec::new();
        while let Some(frame) = coming.frame().await {
            let frame = frame.map_err(|e| fail(e.to_string()))?;
            rest.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let text = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
                rest.drain(..=end);
                line(&text)?;
            }
        }
        Ok(())
    }

    async fn call<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, Failure> {
        let bytes = self.ask(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Failure::new(format!("{}: an answer we do not understand: {e}", self.socket.display()))
        })
    }

    async fn ask<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<bytes::Bytes, Failure> {
        let fail = |error: hyper::Error| Failure::new(format!("{}: {error}", self.socket.display()));
        Ok(self.send(method, path, body).await?.into_body().collect().await.map_err(fail)?.to_bytes())
    }

    /// Asks, and gives the answer where it is a good one.
    async fn send<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Response<Incoming>, Failure> {
        let fail = |error: String| Failure::new(format!("{}: {error}", self.socket.display()));
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|e| fail(format!("no server answers ({e})")))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| fail(e.to_string()))?;
        tokio::spawn(connection);
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|e| fail(e.to_string()))?,
            None => Vec::new(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(bytes::Bytes::from(bytes))).map_err(|e| fail(e.to_string()))?;
        let response = sender.send_request(request).await.map_err(|e| fail(e.to_string()))?;
        let status = response.status();
        if status.is_success() && status != StatusCode::ACCEPTED {
            return Ok(response);
        }
        let bytes = response.into_body().collect().await.map_err(|e| fail(e.to_string()))?.to_bytes();
        if status == StatusCode::ACCEPTED
            && let Ok(request) = serde_json::from_slice::<admin::Request>(&bytes)
        {
            return Err(waits(&request));
        }
        Err(Failure::new(match serde_json::from_slice::<web::ProblemBody>(&bytes) {
            Ok(problem) => problem.detail,
            Err(_) => format!("{status}: {}", String::from_utf8_lossy(&bytes)),
        }))
    }
}

/// An answer that comes piece by piece.
pub struct Pieces(Incoming);

impl Pieces {
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// [`Failure`] where the answer breaks off.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, Failure> {
        let broken = |e: hyper::Error| Failure::new(format!("the server's answer broke off: {e}"));
        let Some(frame) = self.0.frame().await else { return Ok(None) };
        Ok(Some(frame.map_err(broken)?.into_data().unwrap_or_default()))
    }
}

/// What somebody hears whose act needs a second administrator.
fn waits(request: &admin::Request) -> Failure {
    let act = admin::ACTS.iter().find(|act| act.name == request.act && act.method == request.method);
    let then = match act.map(|act| act.second) {
        Some(Second::Grants | Second::Blind) => {
            "; after that, say the same again (`7d` and `12h` are another time on another day and in another hour)"
        }
        _ => "",
    };
    let until = model::Timestamp(request.until);
    Failure::waiting(format!(
        "{} needs a second administrator: it waits as request {id} until {until} for somebody else to say `rialto approve yes {id}`{then}",
        request.act,
        id = request.id
    ))
}
