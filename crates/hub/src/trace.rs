//! The way of single envelopes, in spans, for whoever looks for lost time. While nobody does, no clock is read and
//! nothing is kept.

use model::EnvelopeId;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A piece of an envelope's way. Times are Unix time in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Whose way: also the trace it belongs to.
    pub envelope: EnvelopeId,
    /// `receive` is the root of the trace, everything else is below it.
    pub name: &'static str,
    /// What more there is to say: a key and a value from our own vocabulary, never what people wrote.
    pub detail: Option<(&'static str, &'static str)>,
    /// When it began.
    pub begun: u64,
    /// When it was over.
    pub ended: u64,
}

/// The root span of every trace.
pub const ROOT: &str = "receive";

/// Takes spans.
pub trait Tracer: Send + Sync {
    /// Is this envelope one of those that are followed? The same answer every time.
    fn follows(&self, envelope: EnvelopeId) -> bool;

    /// Takes a span. Never blocks.
    fn take(&self, span: Span);
}

/// One envelope that is followed.
#[derive(Clone)]
pub(crate) struct Trail {
    tracer: Arc<dyn Tracer>,
    envelope: EnvelopeId,
    /// When it entered.
    pub begun: u64,
}

impl Trail {
    pub fn of(tracer: Option<&Arc<dyn Tracer>>, envelope: EnvelopeId) -> Option<Self> {
        let tracer = tracer.filter(|tracer| tracer.follows(envelope))?;
        Some(Self { tracer: tracer.clone(), envelope, begun: now() })
    }

    /// Something that began then is over.
    pub fn span(&self, name: &'static str, begun: u64, detail: Option<(&'static str, &'static str)>) {
        self.tracer.take(Span { envelope: self.envelope, name, detail, begun, ended: now() });
    }
}

/// The time now.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
