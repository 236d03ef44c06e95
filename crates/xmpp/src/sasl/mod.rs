//! SASL as pure state machines: PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677, RFC 9266).
//!
//! A mechanism never fetches anything: it says which key or check it needs and goes on when it has the answer.

mod mechanism;
mod plain;
mod scram;

pub use mechanism::{Binding, Mechanism, Offer};
pub use plain::Plain;
pub use scram::{ClientFirst, Decoy, Scram, ServerKey};

/// SASL failure conditions, RFC 6120 section 6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 6.5.1 The client gave up.
    Aborted,
    /// 6.5.4 TLS first.
    EncryptionRequired,
    /// 6.5.5 Not base64.
    IncorrectEncoding,
    /// 6.5.6 An identity one may not act as.
    InvalidAuthzid,
    /// 6.5.7 Not offered.
    InvalidMechanism,
    /// 6.5.8 Not what the mechanism's grammar allows.
    MalformedRequest,
    /// 6.5.10 Wrong name, wrong password, whatever: which one is not told.
    NotAuthorized,
    /// 6.5.11 Our own trouble.
    TemporaryAuthFailure,
}

impl Failure {
    /// The element name of the condition.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Aborted => "aborted",
            Failure::EncryptionRequired => "encryption-required",
            Failure::IncorrectEncoding => "incorrect-encoding",
            Failure::InvalidAuthzid => "invalid-authzid",
            Failure::InvalidMechanism => "invalid-mechanism",
            Failure::MalformedRequest => "malformed-request",
            Failure::NotAuthorized => "not-authorized",
            Failure::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}
