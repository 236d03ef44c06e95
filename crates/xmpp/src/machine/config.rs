//! What an operator may choose about streams.

use std::time::Duration;

use connector::{Carries, Listener};
use sha2::{Digest, Sha256};

use crate::jid::{self, Malformed};
use crate::sasl::Decoy;
use crate::wire::Limits;

/// The settings of the door.
#[derive(Clone, Debug)]
pub struct Config {
    /// The domains served, normalised; the first one answers where a client names none.
    pub domains: Vec<String>,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Refuse authentication before TLS (RFC 6120 section 5.3.1).
    pub require_tls: bool,
    /// How long a connection may take to log in and bind.
    pub auth_timeout: Duration,
    /// How many times one connection may fail to log in (RFC 6120 section 6.4.5).
    pub auth_tries: u32,
    /// Silence after which we look whether the client is still there (RFC 6120 section 4.6).
    pub idle: Duration,
    /// How long a client that acknowledges stanzas may take to answer then.
    pub reply_timeout: Duration,
    /// Submissions not yet on record at which we stop reading.
    pub window: usize,
    /// Stanzas sent and not acknowledged (XEP-0198) at which we give the client up.
    pub unacked: usize,
    /// Seconds a session without connection waits to be resumed (XEP-0198 section 5); 0: not at all.
    pub resume_secs: u32,
    /// What keys of dialback are made from (XEP-0185): the same for all that answer for the domains.
    pub dialback_secret: [u8; 32],
    /// How long a connection with another server may be of no use to anybody.
    pub s2s_idle: Duration,
    /// How often it is asked again whether another server's certificate and what was agreed with it still hold
    /// (RFC 6120 section 13.7.2.3).
    pub s2s_recheck: Duration,
    /// The same as `window`, for other servers: many people share one connection.
    pub s2s_window: usize,
    /// The same as `unacked`, for other servers.
    pub s2s_unacked: usize,
    /// How large a file may be that somebody uploads (XEP-0363), in bytes; `None`: nothing is uploaded here.
    pub upload: Option<u64>,
    /// Whom we carry for besides ourselves.
    pub carries: Carries,
    /// Answers for names nobody has.
    pub decoy: Decoy,
    /// Before authentication.
    pub before_auth: Limits,
    /// After it.
    pub limits: Limits,
}

impl Config {
    /// Usual values. `secret` stays the same over restarts and is known to nobody else; `iterations` is the count
    /// that stored SCRAM keys have.
    ///
    /// # Errors
    /// A domain is not one (RFC 7622 section 3.2), or there is none.
    pub fn new(
        domains: &[&str],
        listeners: Vec<Listener>,
        secret: [u8; 32],
        iterations: u32,
    ) -> Result<Config, Malformed> {
        if domains.is_empty() {
            return Err(Malformed);
        }
        Ok(Config {
            domains: domains.iter().map(|d| jid::domain(d)).collect::<Result<_, _>>()?,
            listeners,
            require_tls: true,
            auth_timeout: Duration::from_secs(30),
            // Finch tries each mechanism it knows twice before it tells its user that the password is wrong.
            auth_tries: 6,
            idle: Duration::from_secs(120),
            reply_timeout: Duration::from_secs(60),
            window: 64,
            unacked: 1000,
            resume_secs: 300,
            dialback_secret: derived(&secret),
            s2s_idle: Duration::from_secs(600),
            s2s_recheck: Duration::from_secs(900),
            s2s_window: 1024,
            s2s_unacked: 10_000,
            upload: None,
            carries: Carries::default(),
            decoy: Decoy { secret, iterations },
            before_auth: Limits::BEFORE_AUTH,
            limits: Limits::C2S,
        })
    }

    /// Is this domain served here?
    pub fn hosts(&self, domain: &str) -> bool {
        self.domains.iter().any(|d| d == domain)
    }

    /// May another server speak to this domain here: is it ours, or do we carry for it?
    pub(crate) fn is_reached_here(&self, domain: &str) -> bool {
        self.hosts(domain) || self.carries.has(domain)
    }

    /// The domain that answers where none was named.
    pub(crate) fn first(&self) -> &str {
        self.domains.first().map_or("", String::as_str)
    }
}

/// Another secret, of which nobody learns the first.
fn derived(secret: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"dialback");
    hash.update(secret);
    hash.finalize().into()
}
