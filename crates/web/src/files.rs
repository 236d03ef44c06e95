//! Uploaded files over HTTP (XEP-0363): put once under a slot's token, fetched by whoever has the link.

use crate::pace::{Pace, Paced};
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EXPECT, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use files::{Broken, Content, Files, Found};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::convert::Infallible;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;
use store::StoredFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;

/// Files that are judged at a time: each has a thread to itself meanwhile.
const JUDGED: usize = 4;
/// So much is gathered before it is written.
const GATHERED: usize = 256 * 1024;
/// So much is read from the disk at a time.
const READ: usize = 64 * 1024;
/// So much of what is not wanted is read before the answer.
const SWALLOWED: usize = 1024 * 1024;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);

/// Media types that are named as they are; everything else is bytes. None of them can hold a script.
const PLAIN: &[&str] = &[
    "application/pdf",
    "application/zip",
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/wav",
    "audio/webm",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/heic",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/plain",
    "video/mp4",
    "video/ogg",
    "video/quicktime",
    "video/webm",
];

/// Serves uploaded files.
#[derive(Clone)]
pub struct FileDoor {
    files: Arc<Files>,
    judging: Arc<Semaphore>,
}

type Answer = Response<Body>;

impl FileDoor {
    /// A door to these.
    pub fn new(files: Arc<Files>) -> Self {
        Self { files, judging: Arc::new(Semaphore::new(JUDGED)) }
    }

    /// Serves one connection. Who does not get on loses it.
    ///
    /// # Errors
    /// In words.
    pub async fn serve<I>(self, io: I) -> Result<(), String>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pace = Arc::new(Pace::default());
        let paced = Paced::new(io, pace.clone());
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (door, pace) = (self.clone(), pace.clone());
            async move { Ok::<_, Infallible>(door.answer(request, &pace).await) }
        });
        let mut serve = hyper::server::conn::http1::Builder::new();
        serve
            .timer(hyper_util::rt::TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(READ)
            .serve_connection(hyper_util::rt::TokioIo::new(paced), service)
            .await
            .map_err(|e| e.to_string())
    }

    async fn answer(&self, request: Request<Incoming>, pace: &Arc<Pace>) -> Answer {
        let path = request.uri().path().to_owned();
        let url = self.files.url();
        // A proxy may pass on the path that is before ours, or not.
        let prefix = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
        let path = prefix.and_then(|prefix| path.strip_prefix(prefix)).unwrap_or(&path);
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        let (what, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let mut answer = match (request.method(), what) {
            (&Method::OPTIONS, _) => allowed(),
            (&Method::PUT, "put") => self.put(key, request, pace).await,
            (&Method::GET | &Method::HEAD, "f") => self.get(key, &request).await,
            (_, "put" | "f") => {
                let mut no =
                    say(StatusCode::METHOD_NOT_ALLOWED, "files are put under /put/, and fetched from /f/");
                no.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, PUT, OPTIONS"));
                no
            }
            _ => say(StatusCode::NOT_FOUND, "there is nothing here"),
        };
        for (name, value) in ALWAYS {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    }

    async fn put(&self, token: &str, request: Request<Incoming>, pace: &Arc<Pace>) -> Answer {
        let Some(length) = request.body().size_hint().exact() else {
            return say(StatusCode::LENGTH_REQUIRED, "say with Content-Length how long the file is");
        };
        let (files, token) = (self.files.clone(), token.to_owned());
        let expects = request.headers().contains_key(EXPECT);
        let mut body = request.into_body();
        let mut incoming = match blocking(move || files.begin(&token, length)).await {
            Ok(incoming) => incoming,
            Err(broken) => {
                // Whoever sends without asking may hear no answer before it has sent.
                if !expects {
                    swallow(&mut body).await;
                }
                return refused(&broken);
            }
        };
        let mut gathered = Vec::new();
        loop {
            let bytes = match body.frame().await {
                None => None,
                Some(Ok(frame)) => Some(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => {
                    tracing::debug!(%error, "an upload broke off");
                    self.files.broke_off();
                    return say(StatusCode::BAD_REQUEST, "the file broke off");
                }
            };
            let last = bytes.is_none();
            gathered.extend_from_slice(&bytes.unwrap_or_default());
            if gathered.len() >= GATHERED || last && !gathered.is_empty() {
                let chunk = std::mem::take(&mut gathered);
                let written = blocking(move || incoming.write(&chunk).map(|()| incoming)).await;
                incoming = match written {
                    Ok(incoming) => incoming,
                    Err(broken) => {
                        self.files.broke_off();
                        return refused(&broken);
                    }
                };
            }
            if last {
                break;
            }
        }
        // Our turn: looking into it takes its time.
        let _rest = pace.rest();
        let Ok(place) = self.judging.clone().acquire_owned().await else {
            return say(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping");
        };
        let files = self.files.clone();
        let end = blocking(move || {
            let _place = place;
            files.finish(incoming)
        });
        match end.await {
            Ok(Ok(_)) => say(StatusCode::CREATED, ""),
            Ok(Err(denied)) => say(StatusCode::FORBIDDEN, &format!("the file is not taken: {}", denied.text)),
            Err(broken) => {
                self.files.broke_off();
                refused(&broken)
            }
        }
    }

    async fn get(&self, key: &str, request: &Request<Incoming>) -> Answer {
        let (files, key) = (self.files.clone(), key.to_owned());
        let found = tokio::task::spawn_blocking(move || files.find(&key)).await;
        match found {
            Ok(Ok(Found::File(file, content))) => {
                self.hand_out(&file, content, request.headers(), request.method() == Method::HEAD)
            }
            Ok(Ok(Found::KeptBack(why))) => say(StatusCode::FORBIDDEN, why),
            Ok(Ok(Found::Nothing)) => say(StatusCode::NOT_FOUND, "there is no such file"),
            Ok(Err(trouble)) => {
                tracing::error!(%trouble, "a file could not be found");
                say(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read now")
            }
            Err(_) => say(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read now"),
        }
    }

    fn hand_out(&self, file: &StoredFile, mut content: Content, asked: &HeaderMap, head: bool) -> Answer {
        let tag = format!("\"{}\"", file.id);
        let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
        if text(IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.split(',').any(|t| t.trim() == tag)) {
            let mut same = say(StatusCode::NOT_MODIFIED, "");
            set(&mut same, ETAG, &tag);
            return same;
        }
        let fresh = text(IF_RANGE).is_none_or(|given| given == tag);
        let range = text(RANGE).filter(|_| fresh).map_or(Wanted::All, |range| wanted(range, file.size));
        let (status, from, len) = match range {
            Wanted::All => (StatusCode::OK, 0, file.size),
            Wanted::Part(from, len) => (StatusCode::PARTIAL_CONTENT, from, len),
            Wanted::Nothing => {
                let mut no = say(StatusCode::RANGE_NOT_SATISFIABLE, "the file is not that long");
                set(&mut no, CONTENT_RANGE, &format!("bytes */{}", file.size));
                return no;
            }
        };
        if content.seek(SeekFrom::Start(from)).is_err() {
            return say(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read now");
        }
        let body = match head {
            true => Body::empty(),
            false => {
                self.files.handed_out(len);
                let rest = tokio::fs::File::from_std(content).take(len);
                Body::from_stream(ReaderStream::with_capacity(rest, READ))
            }
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        set(&mut answer, CONTENT_LENGTH, &len.to_string());
        set(&mut answer, CONTENT_TYPE, shown_type(&file.mime));
        set(&mut answer, CONTENT_DISPOSITION, &disposition(&file.name));
        set(&mut answer, ETAG, &tag);
        set(&mut answer, ACCEPT_RANGES, "bytes");
        if status == StatusCode::PARTIAL_CONTENT {
            set(&mut answer, CONTENT_RANGE, &format!("bytes {from}-{}/{}", from + len - 1, file.size));
        }
        answer
    }
}

/// What stands in every answer: pages of other sites may fetch, and nothing that was uploaded may act.
const ALWAYS: [(HeaderName, &str); 6] = [
    (HeaderName::from_static("access-control-allow-origin"), "*"),
    (HeaderName::from_static("access-control-expose-headers"), "Content-Range, ETag"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox; frame-ancestors 'none'"),
    (REFERRER_POLICY, "no-referrer"),
    // Whether a file may be fetched is asked each time.
    (CACHE_CONTROL, "private, no-cache"),
];

/// What pages of other sites may ask for.
fn allowed() -> Answer {
    let mut answer = say(StatusCode::NO_CONTENT, "");
    for (name, value) in [
        ("access-control-allow-methods", "GET, HEAD, PUT, OPTIONS"),
        ("access-control-allow-headers", "Authorization, Content-Type, If-None-Match, If-Range, Range"),
        ("access-control-max-age", "86400"),
    ] {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

fn say(status: StatusCode, text: &str) -> Answer {
    let line = if text.is_empty() { String::new() } else { format!("{text}\n") };
    let mut answer = Response::new(Body::from(line));
    *answer.status_mut() = status;
    if !text.is_empty() {
        set(&mut answer, CONTENT_TYPE, "text/plain; charset=utf-8");
    }
    answer
}

fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

fn refused(broken: &Broken) -> Answer {
    let status = match broken {
        Broken::NoSlot => StatusCode::NOT_FOUND,
        Broken::Length { promised, came } if came > promised => StatusCode::PAYLOAD_TOO_LARGE,
        Broken::Length { .. } => StatusCode::BAD_REQUEST,
        Broken::Full => StatusCode::INSUFFICIENT_STORAGE,
        Broken::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    if let Broken::Failed(why) = broken {
        tracing::error!(why, "an upload could not be kept");
    }
    let mut answer = say(status, &broken.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        set(&mut answer, RETRY_AFTER, "60");
    }
    answer
}

/// Reads what nobody wants, up to a point.
async fn swallow(body: &mut Incoming) {
    let mut left = SWALLOWED;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, |data| data.len())) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

async fn blocking<T, F>(work: F) -> Result<T, Broken>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Broken> + Send + 'static,
{
    let broke_off = |_| Err(Broken::Failed("the work broke off".into()));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(broke_off)
}

fn shown_type(mime: &str) -> &'static str {
    let kind = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match PLAIN.iter().find(|plain| **plain == kind) {
        Some(&"text/plain") => "text/plain; charset=utf-8",
        Some(plain) => plain,
        None => "application/octet-stream",
    }
}

/// Always a file to be kept and never a page to be shown (RFC 6266).
fn disposition(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || " -_.".contains(c) { c } else { '_' };
    let ascii: String = name.chars().map(plain).collect();
    format!(
        "attachment; filename=\"{ascii}\"; filename*=UTF-8''{}",
        utf8_percent_encode(name, NON_ALPHANUMERIC)
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(u64, u64),
    Nothing,
}

/// One range of bytes (RFC 9110 section 14). Several are answered with the whole.
fn wanted(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let (from, to) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => (from, to.min(size.saturating_sub(1))),
        (Ok(from), Err(_)) if last.trim().is_empty() => (from, size.saturating_sub(1)),
        (Err(_), Ok(0)) if first.trim().is_empty() => return Wanted::Nothing,
        (Err(_), Ok(suffix)) if first.trim().is_empty() => {
            (size.saturating_sub(suffix), size.saturating_sub(1))
        }
        _ => return Wanted::All,
    };
    if from >= size { Wanted::Nothing } else { Wanted::Part(from, to - from + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_written() {
        for (range, read) in [
            ("bytes=0-3", Wanted::Part(0, 4)),
            ("bytes=2-", Wanted::Part(2, 8)),
            ("bytes=-3", Wanted::Part(7, 3)),
            ("bytes=-99", Wanted::Part(0, 10)),
            ("bytes=5-99", Wanted::Part(5, 5)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=3-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(wanted(range, 10), read, "{range}");
        }
    }

    #[test]
    fn nothing_uploaded_is_a_page() {
        assert_eq!(shown_type("text/html"), "application/octet-stream");
        assert_eq!(shown_type("image/svg+xml"), "application/octet-stream");
        assert_eq!(shown_type("Image/PNG"), "image/png");
        assert_eq!(shown_type("text/plain; charset=x"), "text/plain; charset=utf-8");
        let shown = disposition("a\"b\r\nc é.txt");
        assert_eq!(
            shown,
            "attachment; filename=\"a_b__c _.txt\"; filename*=UTF-8''a%22b%0D%0Ac%20%C3%A9%2Etxt"
        );
    }
}
