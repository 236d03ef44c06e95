//! Two companies with this server each, which speak SIP with each other and nothing else.

use crate::abroad::Abroad;
use crate::{DOMAIN, Rialto};

/// The domain of the other one.
pub const THERE: &str = "montague.test";

/// Both of them.
pub struct Trunk {
    /// The one of the usual domain.
    pub here: Rialto,
    /// The other.
    pub there: Rialto,
    /// What is between them.
    pub abroad: Abroad,
}

impl Trunk {
    /// Two that find one another by DNS and trust each other's authority. Users there are whole addresses.
    ///
    /// # Panics
    /// If they do not start.
    #[must_use]
    pub fn between(users_here: &[&str], users_there: &[&str]) -> Self {
        let abroad = Abroad::new();
        let authorities = abroad.home("authorities").join("both.pem");
        std::fs::copy(abroad.authority.file(), &authorities).expect("the directory is writable");
        let dns = abroad.dns.addr();
        let start = |domain: &str, users: &[&str]| {
            let config = |base: u16| {
                let port = base + 6;
                abroad.dns.service(&format!("_sips._tcp.{domain}"), port);
                format!(
                    "[federation]\nmode = \"open\"\nsystem_authorities = false\nauthorities = [{authorities:?}]\n\
                     dns = [\"{dns}\"]\nprotocols = [\"sip\"]\n\n[[sip.listen]]\naddress = \"127.0.0.1:{port}\"\n\
                     transport = \"tls\"\nserves = \"servers\"\n"
                )
            };
            Rialto::start_for(&[domain], users, config, "debug")
        };
        let (here, there) = (start(DOMAIN, users_here), start(THERE, users_there));
        // Each learns the other's authority.
        let texts = [&abroad.authority.file(), &here.ca(), &there.ca()];
        let texts = texts.map(|file| std::fs::read_to_string(file).expect("a certificate"));
        std::fs::write(&authorities, texts.concat()).expect("the directory is writable");
        here.command(&["reload"]);
        there.command(&["reload"]);
        Self { here, there, abroad }
    }

    /// Where servers connect to one of the two, with TLS.
    #[must_use]
    pub fn port(rialto: &Rialto) -> u16 {
        rialto.s2s() + 2
    }

    /// No test goes on.
    pub fn finish(self) {
        self.there.finish();
        self.here.finish();
    }
}
