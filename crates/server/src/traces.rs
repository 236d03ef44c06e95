//! Traces by OTLP over HTTP (opentelemetry.io/docs/specs/otlp): one for each envelope that is followed. The trace's
//! number is the envelope's own, so a trace is found by the id in journal and log, and nothing travels on the wire.

use crate::config::Endpoint;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hub::{ROOT, Span, Tracer};
use hyper_util::rt::TokioIo;
use model::EnvelopeId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Otlp};
use prost::Message;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// Spans that wait for the collector; more are dropped and counted, never waited for.
const QUEUE: usize = 8192;
/// The most spans in one request.
const BATCH: usize = 512;
/// How long spans wait for company.
const COMPANY: Duration = Duration::from_secs(1);
/// How long the collector may take for a request.
const PATIENCE: Duration = Duration::from_secs(5);

enum Word {
    Span(Span),
    /// Send everything and say so.
    Flush(oneshot::Sender<()>),
}

/// Sends spans to a collector.
pub struct Exporter {
    queue: mpsc::Sender<Word>,
    /// Envelopes whose low 32 bits, which are random, lie below this are followed.
    below: u64,
}

impl Exporter {
    /// Starts sending to this endpoint the traces of so great a part of all envelopes, 0 to 1.
    pub fn start(endpoint: Endpoint, ratio: f64) -> Self {
        let (queue, words) = mpsc::channel(QUEUE);
        tokio::spawn(send(endpoint, words));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let below = (ratio.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
        Self { queue, below }
    }

    /// Sends what is left, as far as the collector takes it in time.
    pub async fn flush(&self) {
        let (done, heard) = oneshot::channel();
        // Room in the queue takes as long as the collector likes, too.
        let flushed = async {
            if self.queue.send(Word::Flush(done)).await.is_ok() {
                let _ = heard.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, flushed).await;
    }
}

impl Tracer for Exporter {
    fn follows(&self, envelope: EnvelopeId) -> bool {
        #[allow(clippy::cast_possible_truncation)]
        let low = u64::from(envelope.0 as u32);
        low < self.below
    }

    fn take(&self, span: Span) {
        // A full queue means that the collector does not keep up: traces are for looking, not for keeping.
        let _ = self.queue.try_send(Word::Span(span));
    }
}

async fn send(endpoint: Endpoint, mut words: mpsc::Receiver<Word>) {
    let mut waiting = Vec::new();
    let mut well = true;
    loop {
        let mut flushed = None;
        let due = tokio::time::sleep(COMPANY);
        tokio::pin!(due);
        while waiting.len() < BATCH && flushed.is_none() {
            tokio::select! {
                word = words.recv() => match word {
                    Some(Word::Span(span)) => waiting.push(span),
                    Some(Word::Flush(done)) => flushed = Some(done),
                    None => return,
                },
                () = &mut due => break,
            }
        }
        if !waiting.is_empty() {
            let body = encode(std::mem::take(&mut waiting));
            let done = tokio::time::timeout(PATIENCE, post(&endpoint, body)).await;
            let problem = match done {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error),
                Err(_) => Some("it took too long".to_owned()),
            };
            // Said once, not for every batch.
            match problem {
                Some(error) if well => {
                    tracing::warn!(%error, "the collector takes no traces");
                    well = false;
                }
                Some(_) => {}
                None if well => {}
                None => {
                    tracing::info!("the collector takes traces again");
                    well = true;
                }
            }
        }
        if let Some(done) = flushed {
            let _ = done.send(());
        }
    }
}

async fn post(endpoint: &Endpoint, body: Vec<u8>) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let stream = TcpStream::connect(&endpoint.authority).await.map_err(|e| said(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| said(&e))?;
    tokio::spawn(connection);
    let request = hyper::Request::post(&endpoint.path)
        .header("host", &endpoint.authority)
        .header("content-type", "application/x-protobuf")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| said(&e))?;
    let response = sender.send_request(request).await.map_err(|e| said(&e))?;
    let status = response.status();
    let _ = response.into_body().collect().await;
    if status.is_success() { Ok(()) } else { Err(status.to_string()) }
}

fn encode(spans: Vec<Span>) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: "rialto".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    };
    let spans = spans.into_iter().map(otlp).collect();
    let resource = Resource { attributes: vec![text("service.name", "rialto")], ..Resource::default() };
    let scoped = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
    let all =
        ResourceSpans { resource: Some(resource), scope_spans: vec![scoped], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![all] }.encode_to_vec()
}

fn otlp(span: Span) -> Otlp {
    // The root's number follows from the envelope, so whoever makes a span below it need not be told.
    let bytes = span.envelope.0.to_be_bytes();
    let root = [&[1][..], &bytes[9..]].concat();
    let is_root = span.name == ROOT;
    let mut own = [0u8; 8];
    // Without randomness spans would share a number; the trace is still whole.
    let _ = getrandom::fill(&mut own);
    own[0] |= 2;
    Otlp {
        trace_id: bytes.to_vec(),
        span_id: if is_root { root.clone() } else { own.to_vec() },
        parent_span_id: if is_root { Vec::new() } else { root },
        name: span.name.into(),
        kind: 1,
        start_time_unix_nano: span.begun,
        end_time_unix_nano: span.ended,
        attributes: span.detail.map(|(key, value)| text(key, value)).into_iter().collect(),
        ..Otlp::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.into())) };
    KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
}
