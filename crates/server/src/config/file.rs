//! The file as it is written. Every section and key has a default except `domains`.

use super::control::ControlPart;
use super::hygiene::HygienePart;
use super::limits::Limits;
use super::mail::{JournalingPart, MailPart};
use super::outbreak::OutbreakPart;
use super::record::RecordPart;
use super::reports::ReportsPart;
use super::spim::SpimPart;
use super::upload::UploadPart;
use crate::log::{Format, Level};
use net::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use toml::Spanned;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The domains of your addresses, `user@domain`.
    #[schemars(with = "Vec<String>")]
    pub domains: Vec<Spanned<String>>,
    /// Where the store and the control socket live.
    #[serde(default = "data")]
    pub data: String,
    /// Threads that serve connections; 0 means one for each core.
    #[serde(default)]
    pub workers: usize,
    /// The certificate.
    pub tls: Option<TlsPart>,
    /// Certificates by themselves (RFC 8555).
    pub acme: Option<AcmePart>,
    /// XMPP clients.
    #[serde(default)]
    pub xmpp: XmppPart,
    /// SIP clients.
    #[serde(default)]
    pub sip: SipPart,
    /// Other companies; see [Partners](partners.md).
    #[serde(default)]
    pub federation: FederationPart,
    /// What is unclean in what people send; see [Hygiene](hygiene.md).
    #[serde(default)]
    pub hygiene: HygienePart,
    /// What rules hold back; see [Policy](policy.md#what-is-held).
    #[serde(default)]
    pub quarantine: QuarantinePart,
    /// Who administers; see [Administrators](administrators.md).
    #[serde(default)]
    pub control: ControlPart,
    /// Files that people upload and others fetch; see [Files](files.md).
    #[serde(default)]
    pub upload: UploadPart,
    /// Where mail is handed over; see [Exports](export.md).
    #[serde(default)]
    pub mail: MailPart,
    /// An archive elsewhere that gets by mail what is said; see [Exports](export.md).
    #[serde(default)]
    pub journaling: JournalingPart,
    /// What one account or address may use.
    #[serde(default)]
    pub limits: Limits,
    /// Who may write to and watch whom without having been accepted.
    #[serde(default)]
    pub consent: ConsentPart,
    /// What counts as spreading like a worm, and what is done about it; see [Outbreaks](outbreak.md).
    #[serde(default)]
    pub outbreak: OutbreakPart,
    /// What is asked of strangers before they may write; see [Strangers](spim.md).
    #[serde(default)]
    pub spim: SpimPart,
    /// How the server ends; see [Operations](operations.md).
    #[serde(default)]
    pub drain: DrainPart,
    /// What the record keeps.
    #[serde(default)]
    pub record: RecordPart,
    /// Usage reports that are made by themselves; see [Usage reports](reports.md).
    #[serde(default)]
    pub reports: ReportsPart,
    /// Metrics for whoever watches.
    #[serde(default)]
    pub metrics: MetricsPart,
    /// What is logged.
    #[serde(default)]
    pub log: LogPart,
    /// Where traces go; see [Operations](operations.md).
    #[serde(default)]
    pub traces: TracesPart,
}

fn data() -> String {
    "data".into()
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsPart {
    /// PEM file with the chain, leaf first.
    #[schemars(with = "String")]
    pub certificate: Spanned<String>,
    /// PEM file with its key.
    #[schemars(with = "String")]
    pub key: Spanned<String>,
    /// Others for single domains; what [`rialto certificate`](certificates.md) keeps need not be named.
    #[serde(default)]
    pub domain: Vec<TlsDomain>,
}

/// A certificate for one domain.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsDomain {
    /// The domain that clients and partners ask for.
    pub name: String,
    /// PEM file with the chain, leaf first.
    #[schemars(with = "String")]
    pub certificate: Spanned<String>,
    /// PEM file with its key.
    #[schemars(with = "String")]
    pub key: Spanned<String>,
}

/// Certificates by themselves; see [Certificates](certificates.md).
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcmePart {
    /// The authority's directory.
    #[serde(default = "lets_encrypt")]
    pub directory: String,
    /// Where the authority may write to, without `mailto:`.
    #[serde(default)]
    pub contact: Vec<String>,
    /// You have read the authority's terms and agree.
    #[schemars(with = "bool")]
    pub agree_to_terms: bool,
    /// How a domain is proved to be ours.
    #[serde(default)]
    pub challenge: AcmeChallenge,
    /// Where `http-01` challenges are answered; the authority asks on port 80.
    #[schemars(with = "String")]
    #[serde(default = "port_80")]
    pub listen: SocketAddr,
    /// The command that publishes `dns-01` records: `HOOK set NAME VALUE` and `HOOK clear NAME VALUE`.
    #[schemars(with = "Option<String>")]
    pub dns_hook: Option<Spanned<String>>,
    /// PEM file with the authority that signed the directory's own certificate, where the system does not know it.
    #[schemars(with = "Option<String>")]
    pub authority: Option<Spanned<String>>,
}

/// How a domain is proved to be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub enum AcmeChallenge {
    /// By a file on port 80 of the domain.
    #[default]
    #[serde(rename = "http-01")]
    Http01,
    /// By a record in its DNS.
    #[serde(rename = "dns-01")]
    Dns01,
}

fn lets_encrypt() -> String {
    "https://acme-v02.api.letsencrypt.org/directory".into()
}

fn port_80() -> SocketAddr {
    SocketAddr::from(([0u16; 8], 80))
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct XmppPart {
    /// Where XMPP clients connect; as many as you like.
    #[serde(default)]
    pub listen: Vec<XmppListen>,
    /// No login before TLS.
    #[serde(default = "yes")]
    pub require_tls: bool,
    /// How long a session without connection waits for its client to [resume it](restarts.md); 0 switches that off.
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
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct XmppListen {
    /// Address and port.
    #[schemars(with = "String")]
    pub address: Spanned<SocketAddr>,
    /// How it is secured.
    #[serde(default)]
    pub tls: XmppTls,
    /// Who connects here.
    #[serde(default)]
    pub serves: Serves,
    /// Connections begin with a PROXY protocol header; see [Operations](operations.md).
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Who may say so: addresses and networks.
    #[schemars(with = "Vec<String>")]
    #[serde(default)]
    pub trusted: Vec<Spanned<String>>,
}

/// Who connects to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Serves {
    /// People, with their clients.
    #[default]
    Clients,
    /// Other companies' servers.
    Servers,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
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

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SipPart {
    /// Where SIP clients connect; as many as you like.
    #[serde(default)]
    pub listen: Vec<SipListen>,
    /// Offer MD5 digest: beside SHA-256 over TLS, alone without. Many phones know nothing else.
    #[serde(default = "yes")]
    pub md5: bool,
    /// The name or address SIP clients are told, where it is not the listener's own.
    pub public_host: Option<String>,
}

impl Default for SipPart {
    fn default() -> Self {
        Self { listen: Vec::new(), md5: true, public_host: None }
    }
}

/// A SIP listener.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SipListen {
    /// Address and port.
    #[schemars(with = "String")]
    pub address: Spanned<SocketAddr>,
    /// Over what.
    pub transport: SipTransport,
    /// Who connects here; see [Federation](federation.md).
    #[serde(default)]
    pub serves: Serves,
    /// Connections begin with a PROXY protocol header; see [Operations](operations.md).
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Who may say so: addresses and networks.
    #[schemars(with = "Vec<String>")]
    #[serde(default)]
    pub trusted: Vec<Spanned<String>>,
}

/// What carries SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SipTransport {
    /// Datagrams.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// Other companies.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FederationPart {
    /// With whom.
    pub mode: FederationMode,
    /// What is spoken with those for whom nothing else was agreed, the preferred one first. What DNS says of them decides
    /// before that.
    pub protocols: Vec<Protocol>,
    /// Who of ours may talk to other companies: groups, addresses, `*@domain`; nobody named is everybody.
    #[schemars(with = "Vec<String>")]
    pub who: Vec<Spanned<String>>,
    /// Who of them may not.
    #[schemars(with = "Vec<String>")]
    pub except: Vec<Spanned<String>>,
    /// PEM files with authorities that are trusted besides the system's.
    #[schemars(with = "Vec<String>")]
    pub authorities: Vec<Spanned<String>>,
    /// Trust the authorities that the system trusts.
    pub system_authorities: bool,
    /// Call a server back whose certificate does not prove who it is (XEP-0220).
    pub dialback: bool,
    /// Believe what a domain's signed DNS says of its certificates (DANE, RFC 7673); see
    /// [Federation](federation.md#dane). The name servers must pass on signatures.
    pub dane: bool,
    /// A file of DNSKEY records that signed DNS is traced back to, instead of the keys of the Internet's root.
    #[schemars(with = "Option<String>")]
    pub dnssec_anchors: Option<Spanned<String>>,
    /// Believe what a domain says over HTTPS of its certificates where nothing else makes them good (POSH, RFC 7711).
    pub posh: bool,
    /// Name servers, `address:port`, instead of the system's.
    #[schemars(with = "Vec<String>")]
    pub dns: Vec<Spanned<SocketAddr>>,
    /// How long a message waits for a way to the other company before its sender hears that it failed.
    pub deadline_seconds: u32,
    /// Address and port where answers to invitations may come over HTTPS; see [Partners](partners.md#by-link).
    #[schemars(with = "Option<String>")]
    pub listen: Option<Spanned<SocketAddr>>,
    /// How others reach it: `https://im.example.com:8443`.
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// Partners are [tested](partners.md#testing-one) again after so many hours; 0: only when somebody asks.
    pub test_hours: u32,
}

impl Default for FederationPart {
    fn default() -> Self {
        Self {
            mode: FederationMode::Off,
            protocols: vec![Protocol::Xmpp, Protocol::Sip],
            who: Vec::new(),
            except: Vec::new(),
            authorities: Vec::new(),
            system_authorities: true,
            dialback: true,
            dane: false,
            dnssec_anchors: None,
            posh: false,
            dns: Vec::new(),
            deadline_seconds: 300,
            listen: None,
            url: None,
            test_hours: 24,
        }
    }
}

/// What servers speak with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// XMPP (RFC 6120).
    Xmpp,
    /// SIP/SIMPLE over TLS (RFC 3261, RFC 5922).
    Sip,
}

/// With whom this server federates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FederationMode {
    /// With nobody.
    #[default]
    Off,
    /// With everybody who can prove who they are; what was agreed with partners holds for them.
    Open,
    /// With [partners](partners.md) alone.
    Allow,
    /// With everybody but partners that are marked as denied.
    Deny,
    /// With everybody, and what `allow` would refuse is noted: `rialto partner list --observed`.
    Observe,
}

/// What is logged.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogPart {
    /// How lines look.
    pub format: Format,
    /// How much is said.
    pub level: Level,
    /// The same for single parts: `{ net = "debug", hub = "warn" }`.
    #[schemars(with = "BTreeMap<String, Level>")]
    pub targets: BTreeMap<Spanned<String>, Level>,
}

/// Where traces go.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TracesPart {
    /// The collector, by OTLP over HTTP: `http://127.0.0.1:4318/v1/traces`. Without one nothing is traced.
    #[schemars(with = "Option<String>")]
    pub endpoint: Option<Spanned<String>>,
    /// How great a part of all envelopes is followed, 0 to 1.
    #[schemars(with = "f64")]
    pub ratio: Spanned<f64>,
}

impl Default for TracesPart {
    fn default() -> Self {
        Self { endpoint: None, ratio: Spanned::new(0..0, 1.0) }
    }
}

/// Metrics for whoever watches.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MetricsPart {
    /// Address and port where [metrics](metrics.md) are told, without a password, besides the control socket.
    #[schemars(with = "Option<String>")]
    pub listen: Option<Spanned<SocketAddr>>,
}

/// What rules hold back.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QuarantinePart {
    /// After so many days without a decision a held message ends, and its sender hears it; without this key it waits for ever.
    #[schemars(with = "Option<u32>")]
    pub days: Option<Spanned<u32>>,
}

/// How the server ends.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DrainPart {
    /// How long the end may take at most.
    pub seconds: u16,
    /// Where XMPP clients are sent at the end, `host:port`.
    #[schemars(with = "Option<String>")]
    pub go_to: Option<Spanned<String>>,
}

impl Default for DrainPart {
    fn default() -> Self {
        Self { seconds: 5, go_to: None }
    }
}

/// Who may write to and watch whom without having been accepted.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsentPart {
    /// Who may write to somebody who has not accepted them.
    pub messages: Strangers,
    /// Who sees somebody's presence.
    pub presence: Watchers,
}

/// Who may write to somebody who has not accepted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Watchers {
    /// Nobody: everybody asks.
    #[default]
    Ask,
    /// People of the same domain.
    Colleagues,
}
