//! The file as it is written. Every section and key has a default except `domains`.

use crate::log::{Format, Level};
use net::Network;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub domains: Vec<Spanned<String>>,
    #[serde(default = "data")]
    pub data: String,
    #[serde(default)]
    pub workers: usize,
    pub tls: Option<TlsPart>,
    #[serde(default)]
    pub xmpp: XmppPart,
    #[serde(default)]
    pub sip: SipPart,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub consent: ConsentPart,
    #[serde(default)]
    pub drain: DrainPart,
    #[serde(default)]
    pub record: RecordPart,
    #[serde(default)]
    pub metrics: MetricsPart,
    #[serde(default)]
    pub log: LogPart,
}

fn data() -> String {
    "data".into()
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsPart {
    pub certificate: Spanned<String>,
    pub key: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct XmppPart {
    #[serde(default)]
    pub listen: Vec<XmppListen>,
    #[serde(default = "yes")]
    pub require_tls: bool,
    #[serde(default = "resume_seconds")]
    pub resume_seconds: u32,
}

fn resume_seconds() -> u32 {
    300
}

impl Default for XmppPart {
    fn default() -> Self {
        Self { listen: Vec::new(), require_tls: true, resume_seconds: resume_seconds() }
    }
}

/// An XMPP listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XmppListen {
    /// Address and port.
    pub address: Spanned<SocketAddr>,
    /// How it is secured.
    #[serde(default)]
    pub tls: XmppTls,
    /// Connections begin with a PROXY protocol header.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Who may say so: addresses and networks.
    #[serde(default)]
    pub trusted: Vec<Spanned<String>>,
}

impl XmppListen {
    /// Whose PROXY protocol headers are believed, where they are wanted.
    pub fn proxies(&self) -> Option<Arc<[Network]>> {
        proxies(self.proxy_protocol, &self.trusted)
    }
}

impl SipListen {
    /// The same.
    pub fn proxies(&self) -> Option<Arc<[Network]>> {
        proxies(self.proxy_protocol, &self.trusted)
    }
}

fn proxies(wanted: bool, trusted: &[Spanned<String>]) -> Option<Arc<[Network]>> {
    wanted.then(|| trusted.iter().filter_map(|t| Network::parse(t.get_ref())).collect())
}

/// How an XMPP listener is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XmppTls {
    /// STARTTLS (RFC 6120 section 5).
    #[default]
    Starttls,
    /// TLS from the first byte (XEP-0368).
    Direct,
    /// Never: only behind something that secures it.
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SipPart {
    #[serde(default)]
    pub listen: Vec<SipListen>,
    #[serde(default = "yes")]
    pub md5: bool,
    pub public_host: Option<String>,
}

impl Default for SipPart {
    fn default() -> Self {
        Self { listen: Vec::new(), md5: true, public_host: None }
    }
}

/// A SIP listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipListen {
    /// Address and port.
    pub address: Spanned<SocketAddr>,
    /// Over what.
    pub transport: SipTransport,
    /// Connections begin with a PROXY protocol header.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Who may say so: addresses and networks.
    #[serde(default)]
    pub trusted: Vec<Spanned<String>>,
}

/// What carries SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SipTransport {
    /// Datagrams.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// Limits. Every one can be reached by somebody: what happens then is said in the handbook.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages a second one account may send on average; 0 for no limit.
    pub messages_per_second: u32,
    /// Messages one account may send at once.
    pub burst: u32,
    /// Most bytes of one message.
    pub message_bytes: usize,
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_source: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_per_second: 50,
            burst: 200,
            message_bytes: 64 * 1024,
            connections: 100_000,
            connections_per_source: 10_000,
        }
    }
}

/// What is logged.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogPart {
    pub format: Format,
    pub level: Level,
    pub targets: BTreeMap<Spanned<String>, Level>,
}

/// Metrics for whoever watches.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MetricsPart {
    pub listen: Option<Spanned<SocketAddr>>,
}

/// What the record keeps.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RecordPart {
    pub retention: Option<Spanned<String>>,
}

/// How the server ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DrainPart {
    pub seconds: u16,
    pub go_to: Option<Spanned<String>>,
}

impl Default for DrainPart {
    fn default() -> Self {
        Self { seconds: 5, go_to: None }
    }
}

/// Who may write to and watch whom without having been accepted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsentPart {
    /// Messages.
    pub messages: Strangers,
    /// Presence.
    pub presence: Watchers,
}

/// Who may write to somebody who has not accepted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strangers {
    /// Everybody this server serves.
    #[default]
    Anyone,
    /// People of the same domain.
    Colleagues,
    /// Nobody but contacts.
    Contacts,
}

/// Who sees somebody's presence without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watchers {
    /// Nobody: everybody asks.
    #[default]
    Ask,
    /// People of the same domain.
    Colleagues,
}
