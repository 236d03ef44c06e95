//! Which mechanisms a stream offers, and with which channel bindings.

use bytes::Bytes;
use connector::TlsFacts;
use model::Scheme;

/// A SASL mechanism of ours, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// SCRAM (RFC 5802, RFC 7677).
    Scram {
        /// Hash.
        scheme: Scheme,
        /// Bound to the TLS channel.
        plus: bool,
    },
    /// PLAIN (RFC 4616), over TLS only.
    Plain,
}

const ALL: [(Mechanism, &str); 5] = [
    (Mechanism::Scram { scheme: Scheme::ScramSha256, plus: true }, "SCRAM-SHA-256-PLUS"),
    (Mechanism::Scram { scheme: Scheme::ScramSha1, plus: true }, "SCRAM-SHA-1-PLUS"),
    (Mechanism::Scram { scheme: Scheme::ScramSha256, plus: false }, "SCRAM-SHA-256"),
    (Mechanism::Scram { scheme: Scheme::ScramSha1, plus: false }, "SCRAM-SHA-1"),
    (Mechanism::Plain, "PLAIN"),
];

/// A channel binding type (RFC 9266, RFC 5929) with its data for this connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its registered name.
    pub name: &'static str,
    /// Its data.
    pub data: Bytes,
}

/// What one stream offers; fixed once announced, for the downgrade check depends on it.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// TLS is up.
    pub secure: bool,
    /// The channel bindings that work on this connection.
    pub bindings: Vec<Binding>,
}

impl Offer {
    /// What can be offered over this channel.
    pub fn of(tls: Option<&TlsFacts>) -> Offer {
        let Some(facts) = tls else { return Offer::default() };
        let exporter =
            facts.exporter.map(|e| Binding { name: "tls-exporter", data: Bytes::copy_from_slice(&e) });
        let end_point =
            facts.server_end_point.clone().map(|data| Binding { name: "tls-server-end-point", data });
        Offer { secure: true, bindings: exporter.into_iter().chain(end_point).collect() }
    }

    fn offers(&self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::Plain => self.secure,
            Mechanism::Scram { plus, .. } => !plus || self.binds(),
        }
    }

    /// Are -PLUS mechanisms on offer?
    pub fn binds(&self) -> bool {
        !self.bindings.is_empty()
    }

    /// The names to announce, in order of preference.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        ALL.iter().filter(|(m, _)| self.offers(*m)).map(|(_, name)| *name)
    }

    /// The mechanism a client chose, if it was offered.
    pub fn choose(&self, name: &str) -> Option<Mechanism> {
        ALL.iter().find(|(m, n)| *n == name && self.offers(*m)).map(|(m, _)| *m)
    }

    /// Is this a mechanism we would offer after TLS?
    pub fn needs_tls(&self, name: &str) -> bool {
        !self.secure && ALL.iter().any(|(_, n)| *n == name)
    }

    /// The data of a binding type.
    pub fn binding(&self, name: &str) -> Option<&Binding> {
        self.bindings.iter().find(|b| b.name == name)
    }
}
