//! Two companies: the server under test, the name server and the authority that both know, and what the other is made
//! with.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::authority::{Authority, Certificate, Flaw};
use crate::dns::Dns;
use crate::ejabberd::{self, Ejabberd};
use crate::prosody::{Prosody, Setup};
use crate::{DOMAIN, Rialto};

/// What is between companies.
pub struct Abroad {
    /// The names.
    pub dns: Dns,
    /// The authority.
    pub authority: Authority,
    dir: TempDir,
}

impl Default for Abroad {
    fn default() -> Self {
        Self::new()
    }
}

impl Abroad {
    /// A name server and an authority.
    ///
    /// # Panics
    /// If they cannot be made.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Dns::start())
    }

    /// The same with signed names, but for those in these zones.
    ///
    /// # Panics
    /// If they cannot be made.
    #[must_use]
    pub fn signed(unsigned: &[&str]) -> Self {
        let abroad = Self::with(Dns::start_signed(unsigned));
        std::fs::write(abroad.anchors(), abroad.dns.anchor()).expect("the temporary directory is writable");
        abroad
    }

    fn with(dns: Dns) -> Self {
        let dir = tempfile::Builder::new().prefix("rialto-abroad-").tempdir().expect("a temporary directory");
        Self { dns, authority: Authority::new(&dir.path().join("authority")), dir }
    }

    /// The file with the key that the names are signed with.
    #[must_use]
    pub fn anchors(&self) -> PathBuf {
        self.dir.path().join("root.key")
    }

    /// The server under test with these users, federating with everybody; `more` goes into `[federation]`.
    #[must_use]
    pub fn rialto(&self, users: &[&str], more: &str) -> Rialto {
        self.rialto_for(DOMAIN, users, more)
    }

    /// The same for another domain.
    #[must_use]
    pub fn rialto_for(&self, domain: &str, users: &[&str], more: &str) -> Rialto {
        self.rialto_of_many(&[domain], users, more)
    }

    /// The same for many domains.
    #[must_use]
    pub fn rialto_of_many<D: AsRef<str>>(&self, domains: &[D], users: &[&str], more: &str) -> Rialto {
        let domains: Vec<&str> = domains.iter().map(AsRef::as_ref).collect();
        let config = |base: u16| {
            format!(
                "[federation]\nmode = \"open\"\nsystem_authorities = false\nauthorities = [{:?}]\ndns = [\"{}\"]\n{more}\n\
                 [[xmpp.listen]]\naddress = \"127.0.0.1:{}\"\nserves = \"servers\"\n\
                 [[xmpp.listen]]\naddress = \"127.0.0.1:{}\"\nserves = \"servers\"\ntls = \"direct\"\n",
                self.authority.file(),
                self.dns.addr(),
                base + 4,
                base + 5,
            )
        };
        let level = std::env::var("RIALTO_LOG").unwrap_or_else(|_| "debug".into());
        let rialto = Rialto::start_for(&domains, users, config, &level);
        for domain in domains {
            self.dns.service(&format!("_xmpp-server._tcp.{domain}"), rialto.s2s());
        }
        rialto
    }

    /// A directory that ends with this.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn home(&self, name: &str) -> PathBuf {
        let home = self.dir.path().join(name);
        std::fs::create_dir_all(&home).expect("the temporary directory is writable");
        home
    }

    /// What a Prosody for this domain is made with, whose certificate is good or bad, and which trusts the one of the
    /// server under test.
    #[must_use]
    pub fn prosody_setup(&self, rialto: &Rialto, domain: &str, flaw: Flaw) -> Setup {
        Setup {
            domain: domain.into(),
            certificate: self.authority.certify_with(domain, flaw),
            authorities: self.authority.and(&rialto.ca()),
            dns: self.dns.addr(),
            secure_auth: false,
            without: Vec::new(),
            with: Vec::new(),
            authentication: "internal_plain",
            storage: "\"internal\"",
            more: String::new(),
            home: self.home(domain),
        }
    }

    /// A Prosody, which the name server knows.
    #[must_use]
    pub fn prosody(&self, setup: Setup, users: &[&str]) -> Prosody {
        let domain = setup.domain.clone();
        let prosody = Prosody::start(setup, users);
        self.dns.service(&format!("_xmpp-server._tcp.{domain}"), prosody.s2s());
        prosody
    }

    /// What an ejabberd for this domain is made with, likewise.
    #[must_use]
    pub fn ejabberd_setup(&self, rialto: &Rialto, domain: &str, flaw: Flaw) -> ejabberd::Setup {
        ejabberd::Setup {
            domain: domain.into(),
            certificate: self.authority.certify_with(domain, flaw),
            authorities: self.authority.and(&rialto.ca()),
            dns: self.dns.addr(),
            dialback: false,
            archive: false,
            passwords: "plain",
            home: self.home(domain),
        }
    }

    /// An ejabberd, which the name server knows.
    #[must_use]
    pub fn ejabberd(&self, setup: ejabberd::Setup, users: &[&str]) -> Ejabberd {
        let domain = setup.domain.clone();
        let ejabberd = Ejabberd::start(setup, users);
        self.dns.service(&format!("_xmpp-server._tcp.{domain}"), ejabberd.s2s());
        ejabberd
    }

    /// Another certificate for a domain.
    #[must_use]
    pub fn certify(&self, domain: &str, flaw: Flaw) -> Certificate {
        self.authority.certify_with(domain, flaw)
    }
}
