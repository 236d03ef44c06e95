//! Stream error conditions, RFC 6120 section 4.9.3.

use std::fmt;

/// Why a stream must end (RFC 6120 section 4.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// 4.9.3.1 XML that cannot be processed here.
    BadFormat,
    /// 4.9.3.2 A prefix the receiver does not accept, or none where one is needed.
    BadNamespacePrefix,
    /// 4.9.3.3 A newer session took this one's place.
    Conflict,
    /// 4.9.3.4 The other side showed no life.
    ConnectionTimeout,
    /// 4.9.3.6 The domain asked for is not served here.
    HostUnknown,
    /// 4.9.3.7 A stanza with a missing or malformed `to`.
    ImproperAddressing,
    /// 4.9.3.8 Our own trouble.
    InternalServerError,
    /// 4.9.3.9 A `from` that is not the sender's.
    InvalidFrom,
    /// 4.9.3.10 Not the streams namespace, or not a content namespace we serve.
    InvalidNamespace,
    /// 4.9.3.11 XML that is valid but not what this protocol allows at this place.
    InvalidXml,
    /// 4.9.3.12 Traffic before authentication.
    NotAuthorized,
    /// 4.9.3.13 Violates XML or the namespace rules.
    NotWellFormed,
    /// 4.9.3.14 A limit or local rule was broken.
    PolicyViolation,
    /// 4.9.3.17 No room to serve this stream.
    ResourceConstraint,
    /// 4.9.3.18 Comments, processing instructions, document types, entities.
    RestrictedXml,
    /// 4.9.3.20 We are being shut down.
    SystemShutdown,
    /// 4.9.3.21 None of the others.
    UndefinedCondition,
    /// 4.9.3.22 Not UTF-8.
    UnsupportedEncoding,
    /// 4.9.3.23 A stream feature nobody offered.
    UnsupportedFeature,
    /// 4.9.3.24 A first-level element nobody knows.
    UnsupportedStanzaType,
    /// 4.9.3.25 Not XMPP 1.0.
    UnsupportedVersion,
}

impl Condition {
    /// The element name of the condition.
    pub fn name(self) -> &'static str {
        match self {
            Condition::BadFormat => "bad-format",
            Condition::BadNamespacePrefix => "bad-namespace-prefix",
            Condition::Conflict => "conflict",
            Condition::ConnectionTimeout => "connection-timeout",
            Condition::HostUnknown => "host-unknown",
            Condition::ImproperAddressing => "improper-addressing",
            Condition::InternalServerError => "internal-server-error",
            Condition::InvalidFrom => "invalid-from",
            Condition::InvalidNamespace => "invalid-namespace",
            Condition::InvalidXml => "invalid-xml",
            Condition::NotAuthorized => "not-authorized",
            Condition::NotWellFormed => "not-well-formed",
            Condition::PolicyViolation => "policy-violation",
            Condition::ResourceConstraint => "resource-constraint",
            Condition::RestrictedXml => "restricted-xml",
            Condition::SystemShutdown => "system-shutdown",
            Condition::UndefinedCondition => "undefined-condition",
            Condition::UnsupportedEncoding => "unsupported-encoding",
            Condition::UnsupportedFeature => "unsupported-feature",
            Condition::UnsupportedStanzaType => "unsupported-stanza-type",
            Condition::UnsupportedVersion => "unsupported-version",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
