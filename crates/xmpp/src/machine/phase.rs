//! How far a client's stream has come.

/// How far the stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// A stream header is expected; nobody is authenticated.
    Opening,
    /// Features are out; STARTTLS or SASL is expected.
    Negotiating,
    /// TLS was asked for and is not up yet.
    Securing,
    /// Authenticated; a new stream header is expected.
    Reopening,
    /// Features are out; binding is expected.
    Unbound,
    /// A session: stanzas flow.
    Bound,
    /// The end was said.
    Over,
}
