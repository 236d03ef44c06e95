//! Prosody, a server of another company.

use std::path::PathBuf;
use std::process::Command;

use crate::authority::Certificate;
use crate::ports::Ports;
use crate::rialto::place;
use crate::slixmpp::Account;
use crate::talk::Talk;
use crate::{PASSWORD, have};

/// How it is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its domain.
    pub domain: String,
    /// Its certificate.
    pub certificate: Certificate,
    /// The authorities it trusts.
    pub authorities: PathBuf,
    /// The name server it asks.
    pub dns: std::net::SocketAddr,
    /// Only certificates prove anything; else dialback does as well.
    pub secure_auth: bool,
    /// Modules that are left out, such as `saslauth_external`.
    pub without: Vec<&'static str>,
    /// Modules besides, such as `mam`.
    pub with: Vec<&'static str>,
    /// How it keeps passwords: `internal_plain` or `internal_hashed`.
    pub authentication: &'static str,
    /// Where it keeps what: a driver, such as `"internal"`, or a table of them, in Lua.
    pub storage: &'static str,
    /// What else stands at the end of its configuration, such as a component.
    pub more: String,
    /// A directory of its own.
    pub home: PathBuf,
}

/// A running Prosody.
pub struct Prosody {
    setup: Setup,
    ports: Ports,
    process: Option<Talk>,
}

impl Prosody {
    /// Start one with these users, and wait until it is ready.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(setup: Setup, users: &[&str]) -> Self {
        // Without it Prosody asks the system's name servers, and finds nobody.
        let unbound = std::path::Path::new("/usr/share/doc/lua-unbound");
        assert!(unbound.exists(), "install the Debian package lua-unbound (cargo xtask test does)");
        let ports = Ports::take();
        let accounts = setup.home.join("data").join(setup.domain.replace('.', "%2e")).join("accounts");
        std::fs::create_dir_all(&accounts).expect("the temporary directory is writable");
        for user in users {
            let account = format!("return {{ [\"password\"] = \"{PASSWORD}\" }};\n");
            std::fs::write(accounts.join(format!("{user}.dat")), account).expect("the same");
        }
        let mut prosody = Self { setup, ports, process: None };
        prosody.write();
        prosody.run();
        prosody
    }

    /// Its configuration, and its certificate where it looks for one besides.
    fn write(&self) {
        let Setup { domain, certificate, home, .. } = &self.setup;
        let certs = home.join("certs");
        place(&certificate.chain, &certs.join(format!("{domain}.crt")));
        place(&certificate.key, &certs.join(format!("{domain}.key")));
        std::fs::write(self.config(), self.configuration()).expect("the temporary directory is writable");
    }

    fn config(&self) -> PathBuf {
        self.setup.home.join("prosody.cfg.lua")
    }

    fn run(&mut self) {
        let mut command = Command::new(have::program("prosody", "prosody"));
        command.args(["-F", "--config"]).arg(self.config());
        let name = format!("prosody-{}", self.setup.domain);
        let log = self.setup.home.join("prosody.err");
        let process = Talk::start(name, &mut command, log);
        process.expect_words(&["Activated service 's2s'"]);
        process.expect_words(&["Activated service 'c2s'"]);
        self.process = Some(process);
    }

    /// It goes, without a word.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// It is back.
    pub fn restart(&mut self) {
        self.run();
    }

    /// Shows another certificate from now on. It must be stopped.
    ///
    /// # Panics
    /// If the configuration cannot be written.
    pub fn show(&mut self, certificate: Certificate) {
        self.setup.certificate = certificate;
        self.write();
    }

    /// The port for other servers.
    #[must_use]
    pub fn s2s(&self) -> u16 {
        self.ports.base + 1
    }

    /// The same with TLS from the first byte.
    #[must_use]
    pub fn s2s_direct(&self) -> u16 {
        self.ports.base + 2
    }

    /// What it said.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn said(&self) -> &Talk {
        self.process.as_ref().expect("it runs")
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.setup.home.join("data")
    }

    /// One of its users.
    #[must_use]
    pub fn account(&self, user: &str) -> Account {
        Account {
            jid: format!("{user}@{}", self.setup.domain),
            port: self.ports.base,
            ca: None,
            log: self.setup.home.join(format!("{user}.log")),
        }
    }

    fn configuration(&self) -> String {
        let Setup { domain, certificate, authorities, dns, secure_auth, home, .. } = &self.setup;
        let quoted =
            |modules: &[&str]| -> String { modules.iter().map(|module| format!(", \"{module}\"")).collect() };
        format!(
            r#"
run_as_root = true
pidfile = "{home}/prosody.pid"
data_path = "{home}/data"
certificates = "{home}/certs"
authentication = "{authentication}"
storage = {storage}
log = {{ debug = "*console" }}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "dialback", "smacks", "ping", "posix", "carbons", "offline", "s2s_bidi"{with} }}
modules_disabled = {{ "no_such_module"{without} }}
c2s_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
s2s_interfaces = {{ "127.0.0.1" }}
s2s_ports = {{ {s2s} }}
c2s_direct_tls_ports = {{ }}
s2s_direct_tls_interfaces = {{ "127.0.0.1" }}
s2s_direct_tls_ports = {{ {direct} }}
component_ports = {{ }}
use_ipv6 = false
s2s_require_encryption = true
s2s_secure_auth = {secure_auth}
ssl = {{ cafile = "{authorities}" }}
unbound = {{
    resolvconf = false, hoststxt = false, forward = "127.0.0.1@{dns}",
    options = {{ ["do-not-query-localhost:"] = "no", ["cache-max-ttl:"] = "0", ["module-config:"] = "iterator" }},
}}
VirtualHost "{domain}"
    ssl = {{ key = "{key}", certificate = "{chain}", cafile = "{authorities}" }}
{more}
"#,
            home = home.display(),
            authentication = self.setup.authentication,
            storage = self.setup.storage,
            more = self.setup.more,
            with = quoted(&self.setup.with),
            without = quoted(&self.setup.without),
            c2s = self.ports.base,
            s2s = self.ports.base + 1,
            direct = self.ports.base + 2,
            dns = dns.port(),
            key = certificate.key.display(),
            chain = certificate.chain.display(),
            authorities = authorities.display(),
        )
    }
}
