use model::{Address, Admission, Certificates, Dialect, DomainPair, Envelope, Opener, Refusal, Way};

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

/// Over which protocols one person elsewhere is reached, where that is chosen person by person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways {
    /// In the order in which to try them; none: whichever connection there is will do.
    pub order: Vec<Dialect>,
    /// The one over which this person was last heard. It comes first.
    pub known: Option<Dialect>,
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

    /// Is there an agreement with the company that this domain belongs to? Must not block.
    fn has_agreed(&self, domain: &str) -> bool {
        let _ = domain;
        false
    }

    /// The ways to a pair's remote side, best first. Must not block.
    ///
    /// # Errors
    /// The refusal where there is none, or none is allowed.
    fn routes(&self, pair: &DomainPair) -> Result<Vec<Route>, Refusal>;

    /// The protocols over which to try this person, or this domain, of a pair's remote side. Must not block.
    fn ways(&self, pair: &DomainPair, who: &Address) -> Ways {
        let _ = (pair, who);
        Ways::default()
    }

    /// Somebody answered over this protocol or (`None`) is not where they were known to be. `true`: that is news, to be
    /// written down with [`Partners::write_down`]. Must not block.
    fn heard(&self, who: &Address, over: Option<Dialect>) -> bool {
        let _ = (who, over);
        false
    }

    /// Puts what [`Partners::heard`] said into the store. May block.
    fn write_down(&self) {}

    /// What came of the last attempt to have a connection carry for the pair. Must not block.
    fn noted(&self, pair: &DomainPair, dialect: Dialect, how: &Result<(), Refusal>);
}

/// Hears what became of a question.
pub type Told = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

/// Who opens connections to other servers. Must not block.
pub trait Dialler: Send + Sync {
    /// Something waits for a pair, or for one protocol of a pair, and no connection carries for it. Said again whenever
    /// something more comes.
    fn call(&self, way: &Way);

    /// Asks the pair's remote domain, in this dialect, whether it said this.
    fn confirm(&self, pair: &DomainPair, dialect: Dialect, proof: bytes::Bytes, told: Told);
}
