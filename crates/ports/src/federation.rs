use model::{Address, Admission, Certificates, Dialect, DomainPair, Envelope, Opener, Refusal};

/// What a peer server showed when it asked to carry for a pair of domains.
#[derive(Debug, Clone)]
pub struct Applicant {
    /// Between whom.
    pub pair: DomainPair,
    /// In which dialect.
    pub dialect: Dialect,
    /// Who opened the connection.
    pub opener: Opener,
    /// What it showed; `None` without TLS, or where it showed nothing.
    pub certificates: Option<Certificates>,
    /// Is the connection secured at all?
    pub secured: bool,
}

/// A way to another company's servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is spoken there.
    pub dialect: Dialect,
    /// Where; `None`: as DNS says.
    pub at: Option<Hop>,
}

/// A next hop the administrator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Host name or address.
    pub host: String,
    /// Port; `None` for the protocol's own.
    pub port: Option<u16>,
    /// Over what, and how it is secured.
    pub security: HopSecurity,
}

/// How a next hop is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopSecurity {
    /// As the protocol usually is.
    Usual,
    /// TLS from the first byte.
    Direct,
    /// Not at all, because the administrator insists.
    None,
}

/// What we know of other companies, and what they and we may do. Calls of the hot path must not block.
pub trait Partners: Send + Sync {
    /// May anything go between these domains, and does what was shown prove who the peer is? May block.
    ///
    /// # Errors
    /// The refusal, with the reason in plain words.
    fn admit(&self, applicant: &Applicant) -> Result<Admission, Refusal>;

    /// May this pass between the domains of its sender and its addressee? Must not block.
    ///
    /// # Errors
    /// The refusal, naming the rule.
    fn permit(&self, envelope: &Envelope) -> Result<(), Refusal>;

    /// Is this domain ours, or a partner's that is reached through us? Must not block.
    fn carries(&self, domain: &Address) -> bool;

    /// The ways to a pair's remote side, best first. Must not block.
    ///
    /// # Errors
    /// The refusal where there is none, or none is allowed.
    fn routes(&self, pair: &DomainPair) -> Result<Vec<Route>, Refusal>;

    /// What came of the last attempt to have a connection carry for the pair. Must not block.
    fn noted(&self, pair: &DomainPair, dialect: Dialect, how: &Result<(), Refusal>);
}

/// Hears what became of a question.
pub type Told = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

/// Who opens connections to other servers. Must not block.
pub trait Dialler: Send + Sync {
    /// Something waits for a pair and no connection carries for it. Said again whenever something more comes.
    fn call(&self, pair: &DomainPair);

    /// Asks the pair's remote domain, in this dialect, whether it said this.
    fn confirm(&self, pair: &DomainPair, dialect: Dialect, proof: bytes::Bytes, told: Told);
}
